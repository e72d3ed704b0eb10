"""When one class is rare: curves of precision and recall, and thresholds that were chosen.

Accuracy says little where 95 of 100 rows are of one class. A curve shows every exchange between
finding more of the rare rows and being right about them; a moved threshold picks one point of it.

Not here: weights of classes and the focal loss (`minift/objectives/classification.py`), rows that
are drawn more often (`minift/data/loader.py`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from minift.metrics import macro_f1

CANDIDATES = 200  # thresholds that are tried at most for each class, evenly among the rows


# ------------------------------------------------------------------------- precision and recall


def precision_recall_curve(
    y_true: ArrayLike, scores: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision (m + 1,), recall (m + 1,) and thresholds (m,) of "positive from this score on".

    `y_true` (n,) is 1 for positive rows and 0 for others. Thresholds ascend, one for each different
    score; the last pair is (1, 0), that of a threshold above all scores. As scikit-learn's.
    """
    positive, rows = ranked("precision_recall_curve", y_true, scores)
    precision, recall, last = rates(positive, np.ones(len(positive)), rows)
    return np.append(precision[::-1], 1.0), np.append(recall[::-1], 0.0), rows[last][::-1]


def precision_band(
    y_true: ArrayLike,
    scores: ArrayLike,
    recall: ArrayLike,
    confidence: float = 0.95,
    resamples: int = 500,
    seed: int = 0,
) -> np.ndarray:
    """The precision at each `recall` (k,) that at least is reached: (3, k), low, value and high.

    The value is that of the rows, low and high are of the percentile bootstrap over them.
    """
    wanted = np.asarray(recall, np.float64)

    def at(precision: np.ndarray, reached: np.ndarray) -> np.ndarray:
        places = np.searchsorted(reached, wanted - 1e-12)  # the first threshold that reaches it
        return precision[np.minimum(places, len(precision) - 1)]

    positive, rows = ranked("precision_band", y_true, scores)
    value = at(*rates(positive, np.ones(len(positive)), rows)[:2])
    found = resampled(y_true, scores, at, resamples, seed)
    low, high = np.quantile(found, middle(confidence), axis=0)
    return np.stack([low, value, high])


def rates(
    positive: np.ndarray, weight: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision and recall at each different score, from the highest on, and where each ends.

    Rows are sorted by falling score and count `weight` times; equal scores fall together.
    """
    last = np.flatnonzero(np.append(np.diff(scores) != 0, True))
    found = np.cumsum(positive * weight)[last]
    called = np.cumsum(weight)[last]
    total = found[-1]
    return found / np.maximum(called, 1), found / max(total, 1), last


def resampled(
    y_true: ArrayLike,
    scores: ArrayLike,
    number: Callable[[np.ndarray, np.ndarray], np.ndarray],
    resamples: int,
    seed: int,
) -> np.ndarray:
    """`number` of precision and recall of rows drawn anew with replacement, (resamples, ...).

    Draws without a positive row have no curve and are left out.
    """
    positive, rows = ranked("bootstrap", y_true, scores)
    rng, n = np.random.default_rng(seed), len(rows)
    found = []
    for _ in range(resamples):
        weight = np.bincount(rng.integers(0, n, n), minlength=n)
        if weight @ positive:
            found.append(number(*rates(positive, weight, rows)[:2]))
    return np.stack(found)


def ranked(name: str, y_true: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Marks of positive rows and scores, both sorted by falling score. Raises ValueError."""
    positive, values = np.asarray(y_true), np.asarray(scores, np.float64)
    if positive.ndim != 1 or positive.shape != values.shape or not np.isin(positive, (0, 1)).all():
        raise ValueError(
            f"{name}: need zeros and ones (n,) and as many scores, got {positive.dtype} of shape "
            f"{positive.shape} and scores of shape {values.shape}"
        )
    if not positive.any() or not np.isfinite(values).all():
        raise ValueError(f"{name}: need at least one positive row, and finite scores")
    order = np.argsort(-values, kind="stable")
    return positive[order].astype(np.float64), values[order]


def middle(confidence: float) -> list[float]:
    """The two quantiles that enclose the middle `confidence`. Raises ValueError."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1), got {confidence}")
    return [(1 - confidence) / 2, (1 + confidence) / 2]


# ----------------------------------------------------------------------------- moved thresholds


def best_offsets(y_true: ArrayLike, scores: ArrayLike) -> np.ndarray:
    """What to add to each class's score so that the largest sum gives the best macro-F1, (L,).

    `scores` (n, L) are logits, `y_true` (n,) classes. For two classes that is a threshold: class 1
    from the probability 1 / (1 + exp(offset₁ - offset₀)) on. Choose on validation rows, never on
    those that judge. Class 0 keeps 0; the others are moved one after the other, to the best of the
    places between rows, until none gains: a local optimum. Of equals the smallest move wins.
    """
    true, logits = np.asarray(y_true), np.asarray(scores, np.float64)
    if logits.ndim != 2 or true.shape != logits.shape[:1] or true.dtype.kind not in "iu":
        raise ValueError(
            f"best_offsets: need scores (n, L) and classes (n,), got {logits.shape} and "
            f"{true.dtype} of shape {true.shape}"
        )
    offsets = np.zeros(logits.shape[1])
    best, gained = macro_f1(true, logits.argmax(1)), True
    while gained:
        gained = False
        for c in range(1, len(offsets)):
            for candidate in places_between(logits + offsets, c) + offsets[c]:
                moved = np.where(np.arange(len(offsets)) == c, candidate, offsets)
                score = macro_f1(true, (logits + moved).argmax(1))
                smaller = score == best and abs(candidate) < abs(offsets[c])
                if score > best + 1e-12 or smaller:
                    gained = gained or score > best + 1e-12
                    best, offsets = score, moved
    return offsets


def places_between(scores: np.ndarray, c: int) -> np.ndarray:
    """Moves of class c that change an answer: the middles between neighbouring rows' margins."""
    others = np.delete(scores, c, axis=1).max(axis=1)
    margins = np.unique(others - scores[:, c])  # c wins a row from this move on
    middles = (margins[1:] + margins[:-1]) / 2
    if len(middles) > CANDIDATES:
        middles = middles[np.linspace(0, len(middles) - 1, CANDIDATES).astype(int)]
    return middles
