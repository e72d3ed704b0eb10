"""Predicted numbers beside the true ones.

`y_true` comes first, as in scikit-learn, with whose results these agree.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from minift.metrics.checks import finite_row


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean of |true - predicted|, in the unit of the labels."""
    true, predicted = number_pairs(y_true, y_pred)
    return float(np.abs(true - predicted).mean())


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean of (true - predicted)²."""
    true, predicted = number_pairs(y_true, y_pred)
    return float(((true - predicted) ** 2).mean())


def r2_score(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """1 - mean squared error / variance of the true ones: 0 for guessing their mean.

    NaN if all true numbers are equal, so that there is no variance to explain.
    """
    true, predicted = number_pairs(y_true, y_pred)
    variance = true.var()
    return float(1 - ((true - predicted) ** 2).mean() / variance) if variance else math.nan


def pearson(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Linear correlation, in [-1, 1]; NaN if either side does not vary."""
    a, b = (x - x.mean() for x in number_pairs(y_true, y_pred))
    lengths = math.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / lengths) if lengths else math.nan


def spearman(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Correlation of the ranks: whether the order is right. Equal numbers share their mean rank."""
    return pearson(*(ranks(x) for x in number_pairs(y_true, y_pred)))


def perplexity(mean_nll: float) -> float:
    """exp of the mean negative log-likelihood per token, in nats; inf where that overflows."""
    try:
        return math.exp(mean_nll)
    except OverflowError:
        return math.inf


def number_pairs(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    true, predicted = (finite_row("metrics", numbers, 1) for numbers in (y_true, y_pred))
    if len(true) != len(predicted):
        raise ValueError(f"metrics: {len(true)} true numbers against {len(predicted)} predicted")
    return true, predicted


def ranks(numbers: np.ndarray) -> np.ndarray:
    """1 for the smallest; of equal numbers each gets the mean of their places."""
    _, place, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[place]
