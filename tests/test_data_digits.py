"""The digits that ship: the file, its split, its range."""

import hashlib

import numpy as np
import pytest

from minift.data import digits, load_digits


def test_digits_are_split_once_and_for_all():
    data = load_digits()
    (train, train_labels), (test, test_labels) = data.train, data.test
    assert train.shape == (1297, 1, 8, 8)
    assert test.shape == (500, 1, 8, 8)
    assert train.dtype == np.float32
    assert train_labels.dtype == np.int64
    assert (train.min(), train.max()) == (0, 1)
    assert np.bincount(train_labels).min() > 110
    assert np.bincount(test_labels).min() > 35
    labels = np.concatenate([train_labels, test_labels]).astype(np.uint8)
    # a NumPy that shuffles otherwise would move the split
    assert hashlib.sha256(labels.tobytes()).hexdigest().startswith("99c3fa75ee18cae9")


def test_the_file_is_that_of_scikit_learn():
    from oracle import oracle

    theirs = oracle("sklearn.datasets").load_digits()
    data = load_digits()
    images = np.concatenate([data.train[0], data.test[0]]).reshape(1797, 64)
    order = np.random.default_rng(0).permutation(1797)
    np.testing.assert_array_equal(images * 16, theirs.data[order])
    assert np.concatenate([data.train[1], data.test[1]]).tolist() == theirs.target[order].tolist()


def test_a_damaged_file_is_refused(tmp_path, monkeypatch):
    damaged = tmp_path / "digits.csv.gz"
    damaged.write_bytes(digits.DIGITS_FILE.read_bytes()[:-9])
    monkeypatch.setattr(digits, "DIGITS_FILE", damaged)
    with pytest.raises(ValueError, match=r"digits.csv.gz is damaged; install minift again"):
        load_digits()
