"""Early stopping: end when the validation no longer improves, and keep the best weights.

The last weights are rarely the best. What is kept is chosen on the validation data, whose score is
thereby an optimistic one: report on data that had no say (`minift/jobs/finetuning.py` does).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from minift.train.callbacks import Callback

if TYPE_CHECKING:
    from minift.train.trainer import Trainer


class EarlyStopping(Callback):
    """When training ends, the model has the weights of its best evaluation.

    `metric` is a number of `trainer.history.evaluations`; with `higher_is_better`, such as
    accuracy, a larger one wins. Training ends after `patience` evaluations in a row that were no
    better than the best by more than `min_delta`; None: never before the last step. It ends at once
    when the metric reaches `threshold`. Of equals the first is kept, a small gain is kept as well;
    NaN never is. `best_step` and `best_score` are those of the weights that the model has.
    """

    def __init__(
        self,
        patience: int | None = None,
        metric: str = "validation_loss",
        higher_is_better: bool = False,
        min_delta: float = 0.0,
        threshold: float | None = None,
    ):
        if patience is not None and patience < 1:
            raise ValueError(f"EarlyStopping: patience must be 1 or more, got {patience}")
        if not min_delta >= 0:
            raise ValueError(f"EarlyStopping: min_delta must be 0 or more, got {min_delta}")
        self.patience, self.metric = patience, metric
        self.min_delta, self.threshold = min_delta, threshold
        self.sign = -1.0 if higher_is_better else 1.0
        self.best_score, self.best_step, self.waited = math.nan, 0, 0
        self._renewed = math.nan  # the score that last renewed the patience
        self._weights: dict[str, np.ndarray] | None = None

    def on_fit_start(self, trainer: Trainer) -> None:
        """Raises ValueError without validation data, on which there is nothing to choose."""
        if trainer.validation is None:
            raise ValueError("EarlyStopping: the Trainer has no validation data to choose on")

    def on_evaluate(self, trainer: Trainer) -> None:
        """Raises ValueError if the objective logs no such metric."""
        record = trainer.history.evaluations[-1]
        if self.metric not in record:
            known = ", ".join(name for name in record if name != "step")
            raise ValueError(f"EarlyStopping: no {self.metric} is evaluated, only {known}")
        score = record[self.metric]
        if self._is_better(score, self.best_score, 0.0):
            self.best_score, self.best_step = score, trainer.step
            self._weights = trainer.model.state_dict()
        if self._is_better(score, self._renewed, self.min_delta):
            self._renewed, self.waited = score, 0
        else:
            self.waited += 1
        if self.waited == self.patience or self._is_reached(score):
            trainer.total_steps = trainer.step  # this step was the last

    def on_fit_end(self, trainer: Trainer) -> None:
        if self._weights is not None:
            trainer.model.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        return {
            "best_score": self.best_score,
            "best_step": self.best_step,
            "waited": self.waited,
            "renewed": self._renewed,
            "weights": self._weights,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best_score, self.best_step = state["best_score"], state["best_step"]
        self.waited, self._renewed = state["waited"], state["renewed"]
        self._weights = state["weights"]

    def _is_better(self, score: float, other: float, by: float) -> bool:
        """Whether a score is better by more than `by`; any is better than NaN, which none is."""
        if math.isnan(score) or math.isnan(other):
            return not math.isnan(score)
        return self.sign * score < self.sign * other - by

    def _is_reached(self, score: float) -> bool:
        return self.threshold is not None and self.sign * score <= self.sign * self.threshold
