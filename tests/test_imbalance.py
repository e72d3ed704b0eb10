"""Rare classes: curves agree with scikit-learn, intervals cover, thresholds are the best ones."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import oracle

from minift.data.loader import BucketSampler, OverSampler, UniformSampler
from minift.imbalance import (
    best_offsets,
    precision_band,
    precision_recall_curve,
)
from minift.metrics import average_precision, average_precision_interval, macro_f1


def rare(n=400, share=0.1, seed=0):
    """Labels of which a share is positive, and scores that know something."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < share).astype(int)
    return labels, rng.standard_normal(n) + 1.5 * labels


# ------------------------------------------------------------------------- precision and recall


@settings(max_examples=60, deadline=None)
@given(n=st.integers(2, 60), seed=st.integers(0, 10**6), digits=st.integers(0, 3))
def test_curves_agree_with_scikit_learn(n, seed, digits):
    sklearn = oracle("sklearn.metrics")
    rng = np.random.default_rng(seed)
    labels, scores = rng.integers(0, 2, n), rng.standard_normal(n).round(digits)  # with ties
    labels[0] = 1
    ours = precision_recall_curve(labels, scores)
    theirs = sklearn.precision_recall_curve(labels, scores)
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_a_perfect_order_has_area_1_and_a_constant_score_the_share_of_positives():
    assert average_precision([0, 1, 0, 1], [0.1, 0.8, 0.2, 0.9]) == 1
    assert average_precision([0, 1, 0, 0], [0.5] * 4) == 0.25


def test_the_interval_covers_the_true_area_about_as_often_as_it_says():
    truth = average_precision(*rare(200_000))
    covered = 0
    for seed in range(60):
        low, high = average_precision_interval(*rare(seed=seed))
        covered += low <= truth <= high
    assert 50 <= covered <= 60  # 95 % of 60 are 57; the percentile bootstrap is a little narrow


def test_the_band_encloses_the_curve_and_narrows_with_more_rows():
    recall = np.linspace(0.2, 1, 9)
    few, many = (precision_band(*rare(n), recall, resamples=200) for n in (300, 6000))
    for low, value, high in (few, many):
        assert (low <= value + 1e-12).all()
        assert (value <= high + 1e-12).all()
    assert (many[2] - many[0]).mean() < 0.5 * (few[2] - few[0]).mean()


def test_the_value_of_the_band_is_the_precision_where_that_recall_is_first_reached():
    labels, scores = [1, 0, 1, 0], [0.9, 0.8, 0.7, 0.6]
    band = precision_band(labels, scores, [0.5, 0.6, 1.0], resamples=50)
    np.testing.assert_allclose(band[1], [1, 2 / 3, 2 / 3])


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 2], [0.1, 0.2], "need zeros and ones (n,) and as many scores, got int64"),
        ([0, 1], [0.1], "and scores of shape (1,)"),
        ([0, 0], [0.1, 0.2], "need at least one positive row, and finite scores"),
        ([0, 1], [0.1, np.nan], "need at least one positive row, and finite scores"),
    ],
)
def test_rows_that_make_no_curve_are_refused(labels, scores, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        precision_recall_curve(labels, scores)


def test_a_confidence_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"confidence must lie in \(0, 1\), got 95"):
        precision_band(*rare(50), [0.5], confidence=95)


# ----------------------------------------------------------------------------- moved thresholds


def test_of_two_classes_the_threshold_is_the_best_there_is():
    labels, scores = rare(120)
    logits = np.stack([np.zeros(120), scores - 3], axis=1)  # a shy model
    offsets = best_offsets(labels, logits)
    reached = macro_f1(labels, (logits + offsets).argmax(1))
    cuts = np.sort(scores - 3)
    best = max(macro_f1(labels, (scores - 3 > cut).astype(int)) for cut in cuts)
    assert offsets[0] == 0
    assert reached == pytest.approx(best)
    assert reached > macro_f1(labels, logits.argmax(1))


@settings(max_examples=40, deadline=None)
@given(n=st.integers(3, 40), C=st.integers(2, 4), seed=st.integers(0, 10**6))
def test_moving_never_loses_on_the_rows_it_was_chosen_on(n, C, seed):
    rng = np.random.default_rng(seed)
    labels, logits = rng.integers(0, C, n), rng.standard_normal((n, C))
    moved = (logits + best_offsets(labels, logits)).argmax(1)
    assert macro_f1(labels, moved) >= macro_f1(labels, logits.argmax(1)) - 1e-12


def test_what_is_right_already_is_not_moved():
    logits = np.array([[2.0, 0.0], [0.0, 2.0], [1.0, 0.5]])
    np.testing.assert_array_equal(best_offsets([0, 1, 0], logits), [0, 0])


def test_scores_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"need scores \(n, L\) and classes \(n,\), got \(3,\)"):
        best_offsets([0, 1, 0], np.zeros(3))


# --------------------------------------------------------------------------------- over-sampling


def test_every_class_is_drawn_as_often_and_every_row_at_least_once():
    labels = np.array([0] * 50 + [1] * 7 + [2] * 20)
    sampler = OverSampler(labels, lambda rows: UniformSampler(len(rows), 16, True, seed=1))
    for epoch in range(3):
        rows = np.concatenate(sampler.batches(epoch))
        np.testing.assert_array_equal(np.bincount(labels[rows]), [50, 50, 50])
        counts = np.bincount(rows, minlength=len(labels))
        assert (counts[:50] == 1).all()
        assert set(counts[50:57]) <= {7, 8}  # 50 = 7 * 7 + 1
        assert set(counts[57:]) <= {2, 3}


def test_the_draw_depends_on_seed_and_epoch_alone():
    labels = np.array([0] * 9 + [1] * 4)

    def rows(seed, epoch):
        sampler = OverSampler(labels, lambda r: UniformSampler(len(r), 4, True, seed=seed), seed)
        return np.concatenate(sampler.batches(epoch)).tolist()

    assert rows(0, 0) == rows(0, 0)
    assert len({tuple(sorted(rows(0, epoch))) for epoch in range(8)}) > 1
    assert rows(0, 0) != rows(1, 0)


def test_buckets_are_cut_from_what_was_drawn():
    labels, lengths = np.array([0] * 30 + [1] * 3), np.arange(1, 34)
    sampler = OverSampler(labels, lambda rows: BucketSampler(lengths[rows], 64))
    batches = sampler.batches(0)
    assert all(len(rows) * lengths[rows].max() <= 64 for rows in batches)
    assert np.bincount(labels[np.concatenate(batches)]).tolist() == [30, 30]


@pytest.mark.parametrize("labels", [[], [[0, 1]], [0.5, 1.0]])
def test_labels_that_are_no_classes_are_refused(labels):
    with pytest.raises(ValueError, match=r"OverSampler: labels must be classes \(n,\), got"):
        OverSampler(labels, lambda rows: UniformSampler(len(rows), 2))
