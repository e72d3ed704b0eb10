"""What every metric asks of its numbers."""

import numpy as np
from numpy.typing import ArrayLike


def finite_row(name: str, values: ArrayLike, least: int) -> np.ndarray:
    row = np.asarray(values, np.float64)
    if row.ndim != 1 or len(row) < least or not np.isfinite(row).all():
        raise ValueError(f"{name}: need {least} or more finite numbers (n,), got {values!r}")
    return row


def check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1), got {confidence}")
