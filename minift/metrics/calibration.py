"""Whether a model that says 80 % is right 80 times in 100.

`confidence` (n,) is the probability of the answer that was given, `right` (n,) whether it was true.
Networks are mostly too sure of themselves, the larger the surer (Guo et al. 2017).

Not here: whether the answers are right (`classes.py`); the picture (`minift/plot/`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from minift.metrics.checks import finite_row
from minift.metrics.intervals import bootstrap_interval_of

BINS = 10


def reliability(
    confidence: ArrayLike, right: ArrayLike, bins: int = BINS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean confidence, share of right answers and number of rows of each bin, three of (bins,).

    Bin b holds the confidences in (b / bins, (b + 1) / bins]; where it holds none, both means are
    NaN.
    """
    sure, hit, place = binned(confidence, right, bins)
    counts = np.bincount(place, minlength=bins)
    sums = (np.bincount(place, weights=x, minlength=bins) for x in (sure, hit))
    means = [
        np.divide(total, counts, out=np.full(bins, np.nan), where=counts > 0) for total in sums
    ]
    return means[0], means[1], counts


def expected_calibration_error(confidence: ArrayLike, right: ArrayLike, bins: int = BINS) -> float:
    """ECE = Σ_b n_b / n · |right_b - confidence_b| (Guo et al. 2017, eq. 3), in [0, 1].

    Even a perfectly calibrated model has an ECE above 0 on few rows: chance moves each bin.
    """
    gaps, n = gaps_of(confidence, right, bins)
    return float(np.abs(np.ones(n) @ gaps).sum() / n)


def calibration_error_interval(
    confidence: ArrayLike, right: ArrayLike, bins: int = BINS, level: float = 0.95
) -> tuple[float, float]:
    """Bootstrap interval (low, high) of `expected_calibration_error` over the rows.

    A resample repeats rows, whose chance gaps add to the true ones: the interval errs upwards.
    """
    gaps, n = gaps_of(confidence, right, bins)
    return bootstrap_interval_of(lambda counts: np.abs(counts @ gaps).sum(axis=1) / n, n, level)


def gaps_of(confidence: ArrayLike, right: ArrayLike, bins: int) -> tuple[np.ndarray, int]:
    """right - confidence of each row in the column of its bin, (n, bins), and n."""
    sure, hit, place = binned(confidence, right, bins)
    gaps = np.zeros((len(sure), bins))
    gaps[np.arange(len(sure)), place] = hit - sure
    return gaps, len(sure)


def binned(
    confidence: ArrayLike, right: ArrayLike, bins: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Confidences, zeros and ones, and the bin of each row. Raises ValueError."""
    sure, hit = finite_row("calibration", confidence, 1), finite_row("calibration", right, 1)
    if len(sure) != len(hit):
        raise ValueError(f"calibration: {len(sure)} confidences against {len(hit)} answers")
    if sure.min() < 0 or sure.max() > 1:
        raise ValueError(
            f"calibration: confidences are probabilities in [0, 1], got {sure.min():g} to "
            f"{sure.max():g}"
        )
    if bins < 1 or not np.isin(hit, (0, 1)).all():
        raise ValueError(
            f"calibration: needs 1 bin or more and answers that are right (1) or wrong (0), got "
            f"{bins} bins and answers from {hit.min():g} to {hit.max():g}"
        )
    return sure, hit, np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
