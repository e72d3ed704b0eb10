"""AUC, average precision and calibration agree with scikit-learn; their intervals with theory."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import oracle

from minift.metrics import (
    average_precision,
    average_precision_interval,
    bootstrap_interval,
    bootstrap_interval_of,
    calibration_error_interval,
    expected_calibration_error,
    macro_f1,
    macro_f1_interval,
    reliability,
    roc_auc,
    roc_auc_interval,
)


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


# ------------------------------------------------------------------------------------- ranking


def test_auc_by_hand_counts_pairs_and_half_of_the_ties():
    """Positives 3 and 2 against negatives 1, 2 and 4: 2 + 1.5 of 6 pairs."""
    assert roc_auc([1, 0, 1, 0, 0], [3, 1, 2, 2, 4]) == pytest.approx((2 + 1.5) / 6)


def test_average_precision_by_hand_takes_equal_scores_as_one_threshold():
    """From the top: 4 is wrong, 3 right (1 of 2), 2 right and wrong at once (2 of 4)."""
    expected = 1 / 2 * 1 / 2 + 1 / 2 * 2 / 4
    assert average_precision([1, 0, 1, 0, 0], [3, 1, 2, 2, 4]) == pytest.approx(expected)


rows = st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=2, max_size=40)


@settings(deadline=None, max_examples=60)
@given(rows)
def test_two_classes_agree_with_scikit_learn(pairs):
    sk = oracle("sklearn.metrics")
    true, scores = [int(y) for y, _ in pairs], [float(s) for _, s in pairs]
    if 0 < sum(true) < len(true):
        assert roc_auc(true, scores) == pytest.approx(sk.roc_auc_score(true, scores))
        theirs = sk.average_precision_score(true, scores)
        assert average_precision(true, scores) == pytest.approx(theirs)


@pytest.mark.parametrize("seed", range(6))
def test_several_classes_and_several_labels_agree_with_scikit_learn(seed):
    sk = oracle("sklearn.metrics")
    rng = np.random.default_rng(seed)
    scores = softmax(rng.integers(-3, 3, (60, 4)).astype(float))  # with ties
    classes = np.r_[np.arange(4), rng.integers(0, 4, 56)]
    theirs = sk.roc_auc_score(classes, scores, multi_class="ovr", average="macro")
    assert roc_auc(classes, scores) == pytest.approx(theirs)
    one_hot = np.eye(4, dtype=int)[classes]
    theirs = sk.average_precision_score(one_hot, scores, average="macro")
    assert average_precision(classes, scores) == pytest.approx(theirs)
    labels = rng.integers(0, 2, (60, 4))
    assert roc_auc(labels, scores) == pytest.approx(sk.roc_auc_score(labels, scores))
    theirs = sk.average_precision_score(labels, scores)
    assert average_precision(labels, scores) == pytest.approx(theirs)


def test_a_class_without_rows_of_both_kinds_is_left_out_and_none_gives_nan():
    scores = [[0.7, 0.2, 0.1], [0.4, 0.5, 0.1], [0.6, 0.1, 0.3]]
    assert roc_auc([0, 1, 1], scores) == pytest.approx((1 + 1 / 2) / 2)
    for number in (roc_auc, average_precision):
        assert math.isnan(number([1, 1], [0.3, 0.4]))
    assert all(map(math.isnan, roc_auc_interval([1, 1], [0.3, 0.4])))


def test_scores_without_any_worth_give_a_half_and_their_interval_holds_it():
    rng = np.random.default_rng(0)
    true, scores = rng.integers(0, 2, 400), rng.random(400)
    low, high = roc_auc_interval(true, scores)
    assert low < 0.5 < high
    assert low < roc_auc(true, scores) < high
    low, high = average_precision_interval(true, scores)
    assert low < true.mean() < high


def test_the_interval_of_auc_is_as_wide_as_hanley_and_mcneil_say():
    """Hanley & McNeil 1982, eq. 1, with Q1 = A / (2 - A) and Q2 = 2A² / (1 + A)."""
    rng = np.random.default_rng(1)
    true = np.repeat([0, 1], 300)
    scores = rng.exponential(size=600) * np.where(true, 3.0, 1.0)
    A = roc_auc(true, scores)
    variance = (A * (1 - A) + 299 * (A / (2 - A) - A**2) + 299 * (2 * A**2 / (1 + A) - A**2)) / 9e4
    low, high = roc_auc_interval(true, scores)
    assert (high - low) / (2 * 1.96) == pytest.approx(math.sqrt(variance), rel=0.1)


# ---------------------------------------------------------------------------------- calibration


def test_calibration_by_hand():
    confidence, right = [0.95, 0.91, 0.6, 0.55, 0.3], [1, 0, 1, 1, 0]
    sure, hit, counts = reliability(confidence, right)
    assert counts.tolist() == [0, 0, 1, 0, 0, 2, 0, 0, 0, 2]
    assert sure[[2, 5, 9]] == pytest.approx([0.3, 0.575, 0.93])
    assert hit[[2, 5, 9]] == pytest.approx([0, 1, 0.5])
    assert np.isnan(sure[0])
    expected = (1 * 0.3 + 2 * 0.425 + 2 * 0.43) / 5
    assert expected_calibration_error(confidence, right) == pytest.approx(expected)


def test_bins_are_those_of_scikit_learn():
    calibration = oracle("sklearn.calibration")
    rng = np.random.default_rng(2)
    confidence = rng.random(500)
    right = rng.random(500) < confidence**2
    hits, means = calibration.calibration_curve(right, confidence, n_bins=8)
    sure, hit, _ = reliability(confidence, right, bins=8)
    np.testing.assert_allclose(sure, means)
    np.testing.assert_allclose(hit, hits)


def test_who_is_right_as_often_as_it_says_has_little_error_and_the_boaster_much():
    rng = np.random.default_rng(3)
    confidence = rng.uniform(0.5, 1, 20_000)
    right = rng.random(20_000) < confidence
    assert expected_calibration_error(confidence, right) < 0.015
    boaster = expected_calibration_error(np.full(20_000, 0.99), right)
    assert boaster == pytest.approx(0.99 - 0.75, abs=0.01)
    low, high = calibration_error_interval(np.full(20_000, 0.99), right)
    assert low < boaster < high
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(0.75 * 0.25 / 20_000), rel=0.1)


# ------------------------------------------------------------------------------------ intervals


def test_the_interval_of_macro_f1_is_that_of_drawn_rows():
    rng = np.random.default_rng(4)
    true = rng.integers(0, 4, 80)
    guess = np.where(rng.random(80) < 0.6, true, rng.integers(0, 4, 80))
    draws = np.random.default_rng(0).integers(0, 80, (2000, 80))
    scores = [macro_f1(true[rows], guess[rows]) for rows in draws]
    assert macro_f1_interval(true, guess) == pytest.approx(np.quantile(scores, [0.025, 0.975]))


def test_draws_in_several_chunks_are_those_in_one(monkeypatch):
    values = np.random.default_rng(5).random(30)
    whole = bootstrap_interval(values)
    monkeypatch.setattr("minift.metrics.intervals.CHUNK", 1000)
    assert bootstrap_interval(values) == pytest.approx(whole, abs=1e-12)


def test_resamples_without_a_number_are_left_out():
    """Row 0 is not drawn in (1 - 1/5)^5 of the resamples, a third."""
    low, high = bootstrap_interval_of(lambda counts: np.where(counts[:, 0], 1.0, np.nan), 5)
    assert (low, high) == (1, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: roc_auc([0, 2], [[1, 2], [3, 4]]), "class 2 occurs, but there are scores of 2"),
        (lambda: roc_auc([0, 2], [1, 2]), "class 2 occurs, but there are scores of 2"),
        (lambda: roc_auc([0, 1], [1, math.nan]), r"scores must be finite numbers \(n,\) or \(n, C"),
        (lambda: average_precision([0, 1], [1, 2, 3]), "2 true classes against 3 predicted"),
        (lambda: average_precision([[0, 1]], [[1, 2, 3]]), r"labels \(1, 2\) against \(1, 3\) pr"),
        (lambda: reliability([1.2], [1]), r"confidences are probabilities in \[0, 1\], got 1.2 to"),
        (lambda: reliability([0.5, 0.5], [1]), "2 confidences against 1 answers"),
        (lambda: reliability([0.5], [2]), r"needs 1 bin or more and answers that are right \(1\)"),
        (lambda: reliability([0.5], [1], bins=0), "got 0 bins and answers from 1 to 1"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
