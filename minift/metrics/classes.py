"""Right and wrong answers counted: of one class a row, and of several labels a row.

Classes are integers 0, 1, 2, ...; several labels a row are zeros and ones (n, L). `y_true` comes
first, as in scikit-learn, with whose results these agree. A class that nobody predicted has
precision 0, one that never occurs recall 0.

Not here: what needs scores rather than answers (`ranking.py`, `calibration.py`).
"""

import numpy as np
from numpy.typing import ArrayLike

from minift.metrics.intervals import bootstrap_interval_of


def accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Share of rows predicted right, in [0, 1]."""
    true, predicted = class_pairs(y_true, y_pred)
    return float(np.mean(true == predicted))


def confusion_matrix(
    y_true: ArrayLike, y_pred: ArrayLike, num_classes: int | None = None
) -> np.ndarray:
    """Counts (C, C): the row is the true class, the column the predicted one.

    Without `num_classes`, C is the largest class that occurs, plus one.
    """
    true, predicted = class_pairs(y_true, y_pred)
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
    return rates(np.diag(confusion), confusion.sum(1), confusion.sum(0))


def macro_f1(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean F1 over the classes that occur in either: every class weighs the same."""
    confusion = confusion_matrix(y_true, y_pred)
    occurs = confusion.sum(0) + confusion.sum(1) > 0
    return float(np.mean(precision_recall_f1(y_true, y_pred)[2][occurs]))


def macro_f1_interval(
    y_true: ArrayLike, y_pred: ArrayLike, confidence: float = 0.95
) -> tuple[float, float]:
    """Bootstrap interval (low, high) of `macro_f1` over the rows."""
    true, predicted = class_pairs(y_true, y_pred)
    classes = np.arange(max(true.max(), predicted.max()) + 1)
    is_true, is_predicted = (x[:, None] == classes for x in (true, predicted))  # (n, C)

    def macro(counts: np.ndarray) -> np.ndarray:
        t, p, r = (counts @ x for x in (is_true, is_predicted, is_true & is_predicted))  # (R, C)
        return rates(r, t, p)[2].sum(axis=1) / (t + p > 0).sum(axis=1)

    return bootstrap_interval_of(macro, len(true), confidence)


def label_precision_recall_f1(
    y_true: ArrayLike, y_pred: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of each label where a row may have several: (n, L) of zeros and ones -> (L,)."""
    true, predicted = label_pairs(y_true, y_pred)
    return rates((true & predicted).sum(0), true.sum(0), predicted.sum(0))


def micro_f1(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """F1 of all labels of all rows thrown together, (n, L): every occurrence weighs the same."""
    true, predicted = label_pairs(y_true, y_pred)
    return float(rates((true & predicted).sum(), true.sum(), predicted.sum())[2])


def exact_match(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Share of the rows (n, L) that have every label right, and no other."""
    true, predicted = label_pairs(y_true, y_pred)
    return float((true == predicted).all(axis=1).mean())


def class_pairs(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
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


def rates(right: ArrayLike, true: ArrayLike, predicted: ArrayLike) -> tuple:
    """Precision, recall and F1 from counts."""
    r, t, p = (np.asarray(counts) for counts in (right, true, predicted))
    return r / np.maximum(p, 1), r / np.maximum(t, 1), 2 * r / np.maximum(p + t, 1)


def label_pairs(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
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
