"""Whether the right rows have the higher scores, wherever one would draw the line.

Scores (n,) belong to classes of 0 and 1; scores (n, C) to classes 0 ... C-1, each against the rest;
scores (n, L) to labels (n, L) of zeros and ones, each for itself. Of several columns the mean is
taken over those that have rows of both kinds (macro). Only the order of the scores of a column
counts, so logits do as well as probabilities; of C classes give probabilities, whose order is
comparable from row to row. The results are those of scikit-learn.

Not here: whether the scores mean what they say (`calibration.py`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from minift.metrics.classes import class_pairs, label_pairs
from minift.metrics.intervals import bootstrap_interval_of


def roc_auc(y_true: ArrayLike, scores: ArrayLike) -> float:
    """The chance that a row of the class scores above one of the rest; a tie counts a half.

    The area under the curve of true against false positives: AUC = (R - P (P + 1) / 2) / (P N),
    where R is the sum of the ranks of the P positive rows among all P + N (Hanley & McNeil 1982).
    0.5 for guessing; NaN if no column has rows of both kinds.
    """
    return macro(y_true, scores, Ranking.auc)


def average_precision(y_true: ArrayLike, scores: ArrayLike) -> float:
    """Precision at each threshold, weighted by how much recall the threshold adds.

    AP = Σ (R_k - R_(k-1)) P_k from the highest score down, the area under the precision-recall
    curve without interpolation. The share of positive rows for guessing; NaN as in `roc_auc`.
    """
    return macro(y_true, scores, Ranking.average_precision)


def roc_auc_interval(
    y_true: ArrayLike, scores: ArrayLike, confidence: float = 0.95
) -> tuple[float, float]:
    """Bootstrap interval (low, high) of `roc_auc` over the rows."""
    return macro_interval(y_true, scores, Ranking.auc, confidence)


def average_precision_interval(
    y_true: ArrayLike, scores: ArrayLike, confidence: float = 0.95
) -> tuple[float, float]:
    """Bootstrap interval (low, high) of `average_precision` over the rows."""
    return macro_interval(y_true, scores, Ranking.average_precision, confidence)


class Ranking:
    """The rows of one column from the lowest score up, equal scores as one group.

    Its numbers take how often each row counts, (R, n), so that a resample costs no sorting.
    """

    def __init__(self, positive: np.ndarray, scores: np.ndarray):
        self.order = np.argsort(scores, kind="stable")
        self.positive = positive[self.order]
        ordered = scores[self.order]
        self.ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))  # of each group

    def groups(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positive and negative rows of each group, two of (R, groups)."""
        ordered = counts[:, self.order]
        sums = (
            np.cumsum(ordered * mark, axis=1)[:, self.ends]
            for mark in (self.positive, ~self.positive)
        )
        positive, negative = (np.diff(total, axis=1, prepend=0) for total in sums)
        return positive, negative

    def auc(self, counts: np.ndarray) -> np.ndarray:
        """(R,); each positive row beats the negative ones below it, and half of those beside it."""
        positive, negative = self.groups(counts)
        beaten = np.cumsum(negative, axis=1) - negative / 2
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        return divided((positive * beaten).sum(axis=1), pairs)

    def average_precision(self, counts: np.ndarray) -> np.ndarray:
        """(R,)"""
        positive, negative = (group[:, ::-1] for group in self.groups(counts))  # highest first
        found = np.cumsum(positive, axis=1)
        precision = found / np.maximum(found + np.cumsum(negative, axis=1), 1)
        total = positive.sum(axis=1) * (negative.sum(axis=1) > 0)
        return divided((positive * precision).sum(axis=1), total)


def macro(
    y_true: ArrayLike, scores: ArrayLike, number: Callable[[Ranking, np.ndarray], np.ndarray]
) -> float:
    """The mean of a number over the columns in which it is defined."""
    rankings, n = rankings_of(y_true, scores)
    return float(mean_of_defined([number(ranking, np.ones((1, n))) for ranking in rankings])[0])


def macro_interval(
    y_true: ArrayLike,
    scores: ArrayLike,
    number: Callable[[Ranking, np.ndarray], np.ndarray],
    confidence: float,
) -> tuple[float, float]:
    """Its bootstrap interval."""
    rankings, n = rankings_of(y_true, scores)

    def statistic(counts: np.ndarray) -> np.ndarray:
        return mean_of_defined([number(ranking, counts) for ranking in rankings])

    return bootstrap_interval_of(statistic, n, confidence)


def rankings_of(y_true: ArrayLike, scores: ArrayLike) -> tuple[list[Ranking], int]:
    """One ranking a column, and the number of rows. Raises ValueError for what does not fit."""
    given = np.asarray(scores, np.float64)
    if given.ndim not in (1, 2) or not np.isfinite(given).all():
        raise ValueError(f"metrics: scores must be finite numbers (n,) or (n, C), got {scores!r}")
    if np.ndim(y_true) == 2:
        positive = label_pairs(y_true, np.zeros(given.shape, bool))[0]
    else:
        classes = class_pairs(y_true, np.zeros(len(given), int))[0]
        C = 2 if given.ndim == 1 else given.shape[1]
        if classes.max() >= C:
            raise ValueError(f"metrics: class {classes.max()} occurs, but there are scores of {C}")
        positive = classes[:, None] == (np.arange(C) if given.ndim == 2 else [1])
    columns = zip(positive.T, given.reshape(len(given), -1).T)
    return [Ranking(mark, column) for mark, column in columns], len(given)


def divided(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b, NaN where b is 0."""
    return np.divide(a, b, out=np.full(len(a), np.nan), where=b > 0)


def mean_of_defined(numbers: list[np.ndarray]) -> np.ndarray:
    """The mean of columns (R,) over those that are not NaN, (R,); NaN where all are."""
    table = np.stack(numbers)
    return divided(np.nansum(table, axis=0), (~np.isnan(table)).sum(axis=0).astype(float))
