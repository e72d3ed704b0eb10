"""Numbers that judge a model, and how sure they are.

Classes are integers 0, 1, 2, ...; several labels a row are zeros and ones (n, L). `y_true` comes
first, as in scikit-learn, with whose results these agree. A class that nobody predicted has
precision 0, one that never occurs recall 0.

Not here: losses (`minift.objectives`).
"""

import math

import numpy as np
from numpy.typing import ArrayLike


def accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Share of rows predicted right, in [0, 1]."""
    true, predicted = _class_pairs(y_true, y_pred)
    return float(np.mean(true == predicted))


def confusion_matrix(
    y_true: ArrayLike, y_pred: ArrayLike, num_classes: int | None = None
) -> np.ndarray:
    """Counts (C, C): the row is the true class, the column the predicted one.

    Without `num_classes`, C is the largest class that occurs, plus one.
    """
    true, predicted = _class_pairs(y_true, y_pred)
    largest = int(max(true.max(), predicted.max()))
    C = largest + 1 if num_classes is None else num_classes
    if largest >= C:
        raise ValueError(f"metrics: class {largest} occurs, but num_classes={C}")
    return np.bincount(true * C + predicted, minlength=C * C).reshape(C, C)


def precision_recall_f1(
    y_true: ArrayLike, y_pred: ArrayLike, num_classes: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each class, (C,) float64: right / predicted, right / true, and their harmonic mean.

    F1 = 2 right / (predicted + true). Where a denominator is 0, so is the number.
    """
    confusion = confusion_matrix(y_true, y_pred, num_classes)
    return _rates(np.diag(confusion), confusion.sum(1), confusion.sum(0))


def macro_f1(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean F1 over the classes that occur in either: every class weighs the same."""
    confusion = confusion_matrix(y_true, y_pred)
    occurs = confusion.sum(0) + confusion.sum(1) > 0
    return float(np.mean(precision_recall_f1(y_true, y_pred)[2][occurs]))


def label_precision_recall_f1(
    y_true: ArrayLike, y_pred: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of each label where a row may have several: (n, L) of zeros and ones -> (L,)."""
    true, predicted = _label_pairs(y_true, y_pred)
    return _rates((true & predicted).sum(0), true.sum(0), predicted.sum(0))


def micro_f1(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """F1 of all labels of all rows thrown together, (n, L): every occurrence weighs the same."""
    true, predicted = _label_pairs(y_true, y_pred)
    return float(_rates((true & predicted).sum(), true.sum(), predicted.sum())[2])


def exact_match(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Share of the rows (n, L) that have every label right, and no other."""
    true, predicted = _label_pairs(y_true, y_pred)
    return float((true == predicted).all(axis=1).mean())


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean of |true - predicted|, in the unit of the labels."""
    true, predicted = _number_pairs(y_true, y_pred)
    return float(np.abs(true - predicted).mean())


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean of (true - predicted)²."""
    true, predicted = _number_pairs(y_true, y_pred)
    return float(((true - predicted) ** 2).mean())


def r2_score(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """1 - mean squared error / variance of the true ones: 0 for guessing their mean.

    NaN if all true numbers are equal, so that there is no variance to explain.
    """
    true, predicted = _number_pairs(y_true, y_pred)
    variance = true.var()
    return float(1 - ((true - predicted) ** 2).mean() / variance) if variance else math.nan


def pearson(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Linear correlation, in [-1, 1]; NaN if either side does not vary."""
    a, b = (x - x.mean() for x in _number_pairs(y_true, y_pred))
    lengths = math.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / lengths) if lengths else math.nan


def spearman(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Correlation of the ranks: whether the order is right. Equal numbers share their mean rank."""
    return pearson(*(_ranks(x) for x in _number_pairs(y_true, y_pred)))


def perplexity(mean_nll: float) -> float:
    """exp of the mean negative log-likelihood per token, in nats; inf where that overflows."""
    try:
        return math.exp(mean_nll)
    except OverflowError:
        return math.inf


def bootstrap_interval(
    values: ArrayLike, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """(low, high) of the mean of `values` (n,), by the percentile bootstrap.

    The n rows are drawn anew with replacement, `resamples` times; the interval is the middle
    `confidence` of the means (Efron & Tibshirani 1993, section 13.3). Of one model give 1 per
    right answer and 0 per wrong one; to compare two models on the same test rows give the
    row-wise *differences* of these, which makes it the paired bootstrap.
    """
    rows = _finite_row("bootstrap_interval", values, 1)
    _check_confidence(confidence)
    rng = np.random.default_rng(seed)
    means = [rows[rng.integers(0, len(rows), len(rows))].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def paired_interval(
    a: ArrayLike, b: ArrayLike, confidence: float = 0.95
) -> tuple[float, float, float]:
    """(mean, low, high) of a - b, where a[i] and b[i] are scores with the same seed.

    With d = a - b over n seeds: mean(d) ± t std(d) / sqrt(n), t being Student's quantile at
    n - 1 degrees of freedom. It answers "would another seed say the same"; with three seeds t is
    4.30, so that small differences stay undecided. Raises ValueError for fewer than two pairs.
    """
    first, second = (_finite_row("paired_interval", x, 2) for x in (a, b))
    if len(first) != len(second):
        raise ValueError(f"paired_interval: {len(first)} scores against {len(second)}")
    _check_confidence(confidence)
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


def _class_pairs(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    pair = np.asarray(y_true), np.asarray(y_pred)
    for classes in pair:
        if classes.ndim != 1 or classes.dtype.kind not in "iub" or not len(classes):
            raise ValueError(
                f"metrics: classes must be integers (n,) with n > 0, got {classes.dtype} of shape "
                f"{classes.shape}"
            )
        if classes.min() < 0:
            raise ValueError(f"metrics: classes must be 0 or more, got {classes.min()}")
    if len(pair[0]) != len(pair[1]):
        raise ValueError(f"metrics: {len(pair[0])} true classes against {len(pair[1])} predicted")
    return pair[0].astype(np.int64), pair[1].astype(np.int64)


def _rates(right: ArrayLike, true: ArrayLike, predicted: ArrayLike) -> tuple:
    """Precision, recall and F1 from counts."""
    r, t, p = (np.asarray(counts) for counts in (right, true, predicted))
    return r / np.maximum(p, 1), r / np.maximum(t, 1), 2 * r / np.maximum(p + t, 1)


def _label_pairs(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    pair = np.asarray(y_true), np.asarray(y_pred)
    for labels in pair:
        if labels.ndim != 2 or not len(labels) or not np.isin(labels, (0, 1)).all():
            raise ValueError(
                f"metrics: labels must be zeros and ones (n, L) with n > 0, got {labels.dtype} of "
                f"shape {labels.shape}"
            )
    if pair[0].shape != pair[1].shape:
        raise ValueError(f"metrics: labels {pair[0].shape} against {pair[1].shape} predicted")
    return pair[0].astype(bool), pair[1].astype(bool)


def _number_pairs(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    true, predicted = (_finite_row("metrics", numbers, 1) for numbers in (y_true, y_pred))
    if len(true) != len(predicted):
        raise ValueError(f"metrics: {len(true)} true numbers against {len(predicted)} predicted")
    return true, predicted


def _ranks(numbers: np.ndarray) -> np.ndarray:
    """1 for the smallest; of equal numbers each gets the mean of their places."""
    _, place, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[place]


def _finite_row(name: str, values: ArrayLike, least: int) -> np.ndarray:
    row = np.asarray(values, np.float64)
    if row.ndim != 1 or len(row) < least or not np.isfinite(row).all():
        raise ValueError(f"{name}: need {least} or more finite numbers (n,), got {values!r}")
    return row


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1), got {confidence}")
