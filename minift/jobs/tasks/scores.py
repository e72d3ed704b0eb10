"""The numbers that tasks with classes or labels share, as metrics.json holds them.

Not here: their definitions (`minift/metrics/`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minift.metrics import (
    average_precision,
    average_precision_interval,
    calibration_error_interval,
    expected_calibration_error,
    reliability,
    roc_auc,
    roc_auc_interval,
)


def finite(number: float) -> float | None:
    """A number as JSON can hold it; None where it is not defined."""
    return number if math.isfinite(number) else None


def finite_pair(interval: tuple[float, float]) -> list[float] | None:
    """An interval as JSON can hold it."""
    return list(interval) if all(map(math.isfinite, interval)) else None


def ranking_scores(targets: np.ndarray, chances: np.ndarray) -> dict[str, Any]:
    """AUC and average precision: (n,) classes or (n, L) labels, chances (n, L)."""
    true = targets.astype(np.int64)
    two = (
        true.ndim == 1 and chances.shape[1] == 2
    )  # of two classes, the second one's scores say all
    scores = chances[:, 1] if two else chances
    return {
        "auc": finite(roc_auc(true, scores)),
        "auc_interval": finite_pair(roc_auc_interval(true, scores)),
        "average_precision": finite(average_precision(true, scores)),
        "average_precision_interval": finite_pair(average_precision_interval(true, scores)),
    }


def calibration_scores(confidence: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """ECE, and the bins of which it is made: those that hold rows."""
    sure, hit, counts = reliability(confidence, right)
    held = np.flatnonzero(counts)
    return {
        "calibration_error": expected_calibration_error(confidence, right),
        "calibration_error_interval": list(calibration_error_interval(confidence, right)),
        "reliability": [
            {"confidence": float(sure[b]), "right": float(hit[b]), "rows": int(counts[b])}
            for b in held
        ],
    }


def per_class(
    names: Sequence[str],
    precision: np.ndarray,
    recall: np.ndarray,
    f1: np.ndarray,
    support: np.ndarray,
) -> dict[str, dict[str, Any]]:
    """A line of numbers for each class."""
    return {
        name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(n)}
        for name, p, r, f, n in zip(names, precision, recall, f1, support)
    }
