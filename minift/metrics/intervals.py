"""How sure a number is: intervals over the rows of one test, and over the seeds of several runs."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from minift.metrics.checks import check_confidence, finite_row

RESAMPLES = 2000
CHUNK = 2**20  # drawn rows in memory at a time


def bootstrap_interval(
    values: ArrayLike, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """(low, high) of the mean of `values` (n,), by the percentile bootstrap.

    The n rows are drawn anew with replacement, `resamples` times; the interval is the middle
    `confidence` of the means (Efron & Tibshirani 1993, section 13.3). Of one model give 1 per
    right answer and 0 per wrong one; to compare two models on the same test rows give the
    row-wise *differences* of these, which makes it the paired bootstrap.
    """
    rows = finite_row("bootstrap_interval", values, 1)
    return bootstrap_interval_of(
        lambda counts: counts @ rows / len(rows), len(rows), confidence, resamples, seed
    )


def bootstrap_interval_of(
    statistic: Callable[[np.ndarray], np.ndarray],
    n: int,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """The same of any number of n rows that can be computed from how often each row was drawn.

    `statistic` maps counts (R, n), which sum to n in each resample, to R numbers; those that are
    NaN (a resample without any row of a class) are left out. NaN if all are.
    """
    check_confidence(confidence)
    rng = np.random.default_rng(seed)
    size = max(1, CHUNK // n)
    sizes = [min(size, resamples - start) for start in range(0, resamples, size)]
    found = np.concatenate([statistic(drawn(rng, R, n)) for R in sizes])
    defined = found[~np.isnan(found)]
    if not len(defined):
        return math.nan, math.nan
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def drawn(rng: np.random.Generator, R: int, n: int) -> np.ndarray:
    """How often each of n rows is among n draws with replacement, R times: (R, n) float64."""
    rows = rng.integers(0, n, (R, n)) + n * np.arange(R)[:, None]
    return np.bincount(rows.ravel(), minlength=R * n).reshape(R, n).astype(np.float64)


def paired_interval(
    a: ArrayLike, b: ArrayLike, confidence: float = 0.95
) -> tuple[float, float, float]:
    """(mean, low, high) of a - b, where a[i] and b[i] are scores with the same seed.

    With d = a - b over n seeds: mean(d) ± t std(d) / sqrt(n), t being Student's quantile at
    n - 1 degrees of freedom. It answers "would another seed say the same"; with three seeds t is
    4.30, so that small differences stay undecided. Raises ValueError for fewer than two pairs.
    """
    first, second = (finite_row("paired_interval", x, 2) for x in (a, b))
    if len(first) != len(second):
        raise ValueError(f"paired_interval: {len(first)} scores against {len(second)}")
    check_confidence(confidence)
    d = first - second
    half = student_quantile((1 + confidence) / 2, len(d) - 1) * d.std(ddof=1) / math.sqrt(len(d))
    return float(d.mean()), float(d.mean() - half), float(d.mean() + half)


def student_quantile(probability: float, degrees: int) -> float:
    """The value that Student's t stays below with `probability` in (0.5, 1), to 5 digits.

    With t = sqrt(degrees) tan(angle) the density becomes cos(angle)^(degrees - 1) over
    (-pi/2, pi/2), up to a constant, which the trapezoid rule sums on half the range.
    """
    angle = np.linspace(0, np.pi / 2, 200_001)
    density = np.cos(angle) ** (degrees - 1)
    area = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    found = np.interp(2 * probability - 1, area / area[-1], angle)
    return math.sqrt(degrees) * math.tan(found)
