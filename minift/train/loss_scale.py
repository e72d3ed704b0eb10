"""LossScale: gradients that float16 would round to 0 are computed larger, and divided later.

Micikevicius et al. 2018, section 3.2. Not here: float32 masters of the weights, which are the
optimizer's (`minift/optim/optimizer.py`).
"""

from __future__ import annotations

import math
from typing import Any

LARGEST = 2.0**24  # beyond, nothing is gained: float16's smallest number is 2⁻²⁴


class LossScale:
    """What the loss is multiplied by before backward: as large as the gradients allow.

    It is halved when a gradient overflows, and doubled after `patience` good ones in a row.
    """

    def __init__(self, scale: float = 2.0**16, patience: int = 2000):
        self.scale, self.patience = scale, patience
        self.good = 0  # in a row

    def accept(self, length: float) -> bool:
        """Whether scaled gradients of this joint length can be used; adapts the scale.

        Raises ValueError if they are not finite although nothing is left to halve.
        """
        if math.isfinite(length):
            self._grow()
            return True
        if self.scale <= 1:
            raise ValueError(
                f"the gradient's length is {length} even without loss scaling; lower the learning "
                f'rate, or train with precision="float32"'
            )
        self.scale, self.good = self.scale / 2, 0
        return False

    def _grow(self) -> None:
        self.good += 1
        if self.good >= self.patience:
            self.scale, self.good = min(2 * self.scale, LARGEST), 0

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs; plain values."""
        return {"scale": self.scale, "good": self.good}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.scale, self.good = state["scale"], state["good"]
