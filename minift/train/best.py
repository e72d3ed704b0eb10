"""Best: which evaluation was the best so far. Of equals the first; one that is NaN never is."""

from __future__ import annotations

import math
from typing import Any


class Best:
    """Follows one number of the evaluations, `metric`; `step` and `score` are of the best one."""

    def __init__(self, metric: str = "validation_loss", higher_is_better: bool = False):
        self.metric, self.higher_is_better = metric, higher_is_better
        self.step: int | None = None
        self.score = math.nan

    def improves(self, record: dict[str, Any]) -> bool:
        """Whether this evaluation is the best so far, and if so, remember it.

        Raises ValueError if it has no such number.
        """
        if self.metric not in record:
            known = ", ".join(name for name in record if name != "step")
            raise ValueError(f"no {self.metric} is evaluated, only {known}")
        score = record[self.metric]
        better = score > self.score if self.higher_is_better else score < self.score
        if math.isnan(score) or not (better or self.step is None):
            return False
        self.step, self.score = record["step"], score
        return True
