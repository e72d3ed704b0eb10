"""Metrics agree with scikit-learn and SciPy; intervals cover what they promise."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import oracle

from minift.metrics import (
    accuracy,
    bootstrap_interval,
    confusion_matrix,
    exact_match,
    label_precision_recall_f1,
    macro_f1,
    mean_absolute_error,
    mean_squared_error,
    micro_f1,
    paired_interval,
    pearson,
    perplexity,
    precision_recall_f1,
    r2_score,
    spearman,
    student_quantile,
)

TRUE, PREDICTED = [0, 0, 1, 1, 3], [0, 1, 1, 1, 0]


def test_by_hand():
    assert accuracy(TRUE, PREDICTED) == pytest.approx(3 / 5)
    assert confusion_matrix(TRUE, PREDICTED).tolist() == [
        [1, 1, 0, 0],
        [0, 2, 0, 0],
        [0, 0, 0, 0],
        [1, 0, 0, 0],
    ]
    precision, recall, f1 = precision_recall_f1(TRUE, PREDICTED)
    assert precision == pytest.approx([1 / 2, 2 / 3, 0, 0])
    assert recall == pytest.approx([1 / 2, 1, 0, 0])
    assert f1 == pytest.approx([1 / 2, 4 / 5, 0, 0])
    assert macro_f1(TRUE, PREDICTED) == pytest.approx((1 / 2 + 4 / 5 + 0) / 3)


def test_number_of_classes_can_be_given():
    assert confusion_matrix([0, 1], [1, 1], num_classes=5).shape == (5, 5)
    assert len(precision_recall_f1([0, 1], [1, 1], num_classes=5)[0]) == 5


classes = st.integers(0, 6)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(classes, classes), min_size=1, max_size=60))
def test_all_agree_with_scikit_learn(pairs):
    sk = oracle("sklearn.metrics")
    true, predicted = map(list, zip(*pairs))
    labels = list(range(7))
    ours = precision_recall_f1(true, predicted, num_classes=7)
    theirs = sk.precision_recall_fscore_support(true, predicted, labels=labels, zero_division=0)
    for mine, reference in zip(ours, theirs):
        assert mine == pytest.approx(reference)
    expected = sk.confusion_matrix(true, predicted, labels=labels)
    assert (confusion_matrix(true, predicted, num_classes=7) == expected).all()
    assert accuracy(true, predicted) == pytest.approx(sk.accuracy_score(true, predicted))
    expected = sk.f1_score(true, predicted, average="macro", zero_division=0)
    assert macro_f1(true, predicted) == pytest.approx(expected)


def test_perplexity_is_the_exponential_and_overflows_to_infinity():
    assert perplexity(math.log(50)) == pytest.approx(50)
    assert perplexity(1e4) == math.inf


@pytest.mark.parametrize("degrees", [1, 2, 4, 9, 99])
@pytest.mark.parametrize("probability", [0.6, 0.9, 0.975, 0.995])
def test_student_quantile_agrees_with_scipy(probability, degrees):
    expected = oracle("scipy.stats").t.ppf(probability, degrees)
    assert student_quantile(probability, degrees) == pytest.approx(expected, rel=1e-5)


def test_paired_interval_by_hand():
    """d = 1, 2, 3: mean 2, std 1, t at 2 degrees 4.3027."""
    mean, low, high = paired_interval([0.5, 0.7, 0.9], [0.4, 0.5, 0.6])
    assert mean == pytest.approx(0.2)
    assert (low, high) == pytest.approx((0.2 - 0.43027 / 3**0.5, 0.2 + 0.43027 / 3**0.5), rel=1e-4)


def test_paired_interval_cancels_what_the_seeds_share():
    easy_and_hard_seeds = np.array([0.1, 0.5, 0.9])
    mean, low, high = paired_interval(easy_and_hard_seeds + 0.05, easy_and_hard_seeds)
    assert (mean, low, high) == pytest.approx((0.05, 0.05, 0.05))


def test_bootstrap_agrees_with_the_normal_interval_of_many_rows():
    right = np.random.default_rng(0).random(3000) < 0.4
    low, high = bootstrap_interval(right)
    half = 1.96 * right.std() / 3000**0.5
    assert (low, high) == pytest.approx((right.mean() - half, right.mean() + half), abs=0.002)
    narrow = bootstrap_interval(right, confidence=0.5)
    assert low < narrow[0] < right.mean() < narrow[1] < high


def test_bootstrap_is_repeatable_and_its_seed_counts():
    values = np.random.default_rng(1).random(40)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(values) != bootstrap_interval(values, seed=1)


def test_bootstrap_of_differences_is_sharper_than_two_intervals():
    """Two models that err on mostly the same rows."""
    rng = np.random.default_rng(2)
    worse = rng.random(2000) < 0.5
    better = worse | (rng.random(2000) < 0.06)
    low, high = bootstrap_interval(better.astype(int) - worse)
    assert low > 0
    assert high - low < 0.5 * np.subtract(*bootstrap_interval(worse)[::-1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: accuracy([0, 1], [0]), "2 true classes against 1 predicted"),
        (lambda: accuracy([], []), r"integers \(n,\) with n > 0, got float64 of shape \(0,\)"),
        (lambda: accuracy([0.5], [1]), "classes must be integers .* got float64"),
        (lambda: macro_f1([[0]], [[0]]), r"got int64 of shape \(1, 1\)"),
        (lambda: macro_f1([0, -1], [0, 0]), "classes must be 0 or more, got -1"),
        (lambda: confusion_matrix([0, 4], [0, 0], 3), "class 4 occurs, but num_classes=3"),
        (lambda: bootstrap_interval([]), "bootstrap_interval: need 1 or more finite numbers"),
        (lambda: bootstrap_interval([1, float("nan")]), "finite numbers"),
        (lambda: bootstrap_interval([1, 2], confidence=1), r"must lie in \(0, 1\), got 1"),
        (lambda: paired_interval([1], [1]), "paired_interval: need 2 or more finite numbers"),
        (lambda: paired_interval([1, 2], [1, 2, 3]), "2 scores against 3"),
        (lambda: paired_interval([1, 2], [1, 2], 95), r"must lie in \(0, 1\), got 95"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ------------------------------------------------------------------ several labels, and numbers


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 20), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_several_labels_agree_with_scikit_learn(n, L, seed):
    sk = oracle("sklearn.metrics")
    true, predicted = np.random.default_rng(seed).integers(0, 2, (2, n, L))
    theirs = sk.precision_recall_fscore_support(
        true.reshape(n, L), predicted, average=None, zero_division=0
    ) if L > 1 else sk.precision_recall_fscore_support(
        true[:, 0], predicted[:, 0], labels=[1], average=None, zero_division=0
    )  # fmt: skip
    for mine, reference in zip(label_precision_recall_f1(true, predicted), theirs):
        assert mine == pytest.approx(reference)
    flat = true.ravel(), predicted.ravel()
    assert micro_f1(true, predicted) == pytest.approx(sk.f1_score(*flat, zero_division=0))
    rows = [(a == b).all() for a, b in zip(true, predicted)]
    assert exact_match(true, predicted) == pytest.approx(np.mean(rows))


numbers = st.integers(-5, 5)  # few, so that ranks are shared


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=30))
def test_numbers_agree_with_scikit_learn_and_scipy(pairs):
    sk, stats = oracle("sklearn.metrics"), oracle("scipy.stats")
    true, predicted = (np.array(side, float) for side in zip(*pairs))
    assert mean_absolute_error(true, predicted) == sk.mean_absolute_error(true, predicted)
    assert mean_squared_error(true, predicted) == pytest.approx(
        sk.mean_squared_error(true, predicted)
    )
    if np.ptp(true):
        assert r2_score(true, predicted) == pytest.approx(sk.r2_score(true, predicted))
    if np.ptp(true) and np.ptp(predicted):
        assert pearson(true, predicted) == pytest.approx(stats.pearsonr(true, predicted)[0])
        assert spearman(true, predicted) == pytest.approx(stats.spearmanr(true, predicted)[0])


def test_what_does_not_vary_has_no_r2_and_no_correlation():
    assert math.isnan(r2_score([1, 1], [1, 2]))
    assert math.isnan(pearson([1, 2], [3, 3]))
    assert math.isnan(spearman([1, 1], [3, 4]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: micro_f1([[0, 2]], [[0, 1]]),
            r"zeros and ones \(n, L\) .*int64 of shape \(1, 2\)",
        ),
        (lambda: exact_match([0, 1], [0, 1]), r"zeros and ones \(n, L\) with n > 0, got int64"),
        (lambda: micro_f1([[0, 1]], [[0], [1]]), r"labels \(1, 2\) against \(2, 1\) predicted"),
        (lambda: pearson([1, 2], [1]), "metrics: 2 true numbers against 1 predicted"),
        (lambda: r2_score([1, math.nan], [1, 2]), "metrics: need 1 or more finite numbers"),
    ],
)
def test_labels_and_numbers_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
