"""Splits: exact sizes, kept proportions, whole groups, one seed one split."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minift.data.splits import k_folds, proportional_counts, train_test_split


@settings(deadline=None)
@given(st.lists(st.integers(1, 500), min_size=1, max_size=20), st.floats(0, 1))
def test_proportional_counts_are_exact_and_within_one_of_the_share(sizes, fraction):
    total = int(fraction * sum(sizes))
    counts = proportional_counts(sizes, total)
    shares = total * np.array(sizes) / sum(sizes)
    assert counts.sum() == total
    assert (counts <= sizes).all()
    assert (np.abs(counts - shares) < 1).all()


def test_proportional_counts_respect_the_minimum():
    assert proportional_counts([2000, 1000, 10], 30, minimum=5).tolist() == [17, 8, 5]


@pytest.mark.parametrize(("sizes", "total", "minimum"), [([3, 3], 7, 0), ([50, 4], 20, 5)])
def test_proportional_counts_refuse_the_impossible(sizes, total, minimum):
    with pytest.raises(ValueError, match=f"cannot take {total} rows, at least {minimum} of each"):
        proportional_counts(sizes, total, minimum)


def test_split_parts_are_disjoint_complete_and_aligned():
    texts, labels = [f"text {i}" for i in range(50)], np.arange(50)
    train_x, test_x, train_y, test_y = train_test_split(texts, labels, test_size=0.3, seed=4)
    assert isinstance(train_x, list)
    assert isinstance(train_y, np.ndarray)
    assert len(test_x) == 15
    assert sorted([*train_y, *test_y]) == list(range(50))
    assert train_x == [f"text {i}" for i in train_y]
    assert test_x == [f"text {i}" for i in test_y]


def test_split_depends_on_the_seed_alone():
    rows = np.arange(100)
    first, again, other = (train_test_split(rows, seed=s)[1] for s in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_stratified_split_keeps_class_proportions():
    labels = ["cat"] * 60 + ["dog"] * 30 + ["owl"] * 10
    _, test = train_test_split(labels, test_size=20, seed=3, stratify=labels)
    assert [test.count(name) for name in ("cat", "dog", "owl")] == [12, 6, 2]


def test_grouped_split_keeps_groups_whole():
    group = np.random.default_rng(0).integers(0, 30, 200)
    train, test = train_test_split(group, test_size=0.25, seed=5, group=group)
    assert not set(train) & set(test)
    assert 50 <= len(test) < 50 + np.bincount(group).max()


def test_split_by_class_and_group_keeps_groups_whole_and_proportions():
    rng = np.random.default_rng(0)
    group = np.concatenate([np.arange(160), rng.integers(0, 160, 40)])  # 40 copies
    labels = np.array(["rare", "often", "often", "often"])[group % 4]
    train, test, _, classes = train_test_split(
        group, labels, test_size=40, seed=6, stratify=labels, group=group
    )
    assert not set(train) & set(test)
    assert 37 <= len(test) <= 40
    assert abs((classes == "rare").sum() - 40 * (labels == "rare").mean()) <= 2


def test_a_group_of_two_classes_counts_for_both():
    group, labels = np.array([0, 0, 1, 2, 3, 4]), np.array([0, 1, 0, 0, 1, 1])
    for seed in range(9):
        train, test, _, classes = train_test_split(
            group, labels, test_size=2, seed=seed, stratify=labels, group=group
        )
        assert not set(train) & set(test)
        assert sorted(classes) == [0, 1]


def test_folds_test_every_row_once():
    folds = list(k_folds(23, 5, seed=1))
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(23))
    assert all(sorted([*train, *test]) == list(range(23)) for train, test in folds)
    assert {len(test) for _, test in folds} == {4, 5}


def test_stratified_folds_differ_by_at_most_one_per_class():
    labels = np.repeat([0, 1, 2], [17, 9, 5])
    counts = [np.bincount(labels[test]) for _, test in k_folds(31, 4, stratify=labels)]
    assert (np.ptp(counts, axis=0) <= 1).all()


def test_grouped_folds_keep_groups_whole_and_are_even():
    group = np.random.default_rng(1).integers(0, 40, 400)
    for train, test in k_folds(400, 4, group=group):
        assert not set(group[train]) & set(group[test])
        assert 85 <= len(test) <= 115


def test_folds_that_are_stratified_and_grouped_keep_groups_whole_and_classes_even():
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1, 2], [120, 60, 12])[order := rng.permutation(192)]
    alone = list(k_folds(192, 4, stratify=labels, group=np.arange(192)))
    for _, test in alone:
        assert np.bincount(labels[test]).tolist() == [30, 15, 3]
    group = np.where(order < 100, order, 1000 + order // 2)  # the rest in pairs
    for train, test in k_folds(192, 4, seed=3, stratify=labels, group=group):
        assert not set(group[train]) & set(group[test])
        assert (np.abs(np.bincount(labels[test]) - [30, 15, 3]) <= 1).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: train_test_split([1, 2], [1]), r"sequences of one length, got lengths \[2, 1\]"),
        (lambda: train_test_split(), r"sequences of one length, got lengths \[\]"),
        (lambda: train_test_split([1, 2, 3], test_size=3), "test_size=3 of 3 rows leaves an empty"),
        (lambda: train_test_split([1, 2, 3], test_size=1.5), "test_size=1.5 of 3 rows"),
        (lambda: train_test_split([1, 2, 3], test_size=0.01), "test_size=0.01 of 3 rows"),
        (lambda: train_test_split([1, 2, 3], stratify=[1, 2]), "stratify has 2 marks for 3 rows"),
        (
            lambda: train_test_split([1, 2], test_size=1, stratify=[1, 1], group=[7, 7]),
            "no group is small enough for 1 test rows of 2",
        ),
        (lambda: train_test_split([1, 2, 3], test_size=1, group=[7, 7, 7]), "need all 1 groups"),
        (lambda: k_folds(4, 1), "k must lie between 2 and the 4 rows, got 1"),
        (lambda: k_folds(4, 3, group=[0, 0, 1, 1]), "between 2 and the 2 groups, got 3"),
    ],
)
def test_impossible_splits_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
