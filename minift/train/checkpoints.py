"""Checkpoint: save the run every so often, so that whatever kills it costs a few minutes.

    Trainer(model, data, objective=..., config=..., callbacks=[Checkpoint("run", every=100)]).fit()

and after a crash, in a Trainer that was made in the same way:

    trainer.resume("run").fit()

Not here: how a checkpoint is written (`minift/checkpoint.py`), what is in it (`state.py`).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minift import checkpoint
from minift.train.best import Best
from minift.train.callbacks import Callback

if TYPE_CHECKING:
    from minift.train.trainer import Trainer


class Checkpoint(Callback):
    """Saves the run in folder/checkpoints/step-N at its start, every `every` steps and at its end.

    Or, instead of `every`, whenever `minutes` have passed since the last time, and at its end: a
    run that is killed before the first one starts anew, and has lost no more than that.

    The last `keep` stay, and the one of the best evaluation (by `metric`, a number of
    `trainer.history.evaluations`), for which one is saved as well; None: no evaluation is better
    than another. If the disk is full, OSError ends training and the older checkpoints stay.
    """

    def __init__(
        self,
        folder: str | Path,
        every: int | None = None,
        keep: int = 2,
        metric: str | None = "validation_loss",
        higher_is_better: bool = False,
        minutes: float | None = None,
    ):
        if (every is not None and every < 1) or keep < 1:
            raise ValueError(
                f"Checkpoint: every and keep must be 1 or more, got every={every}, keep={keep}"
            )
        if (every is None) == (minutes is None) or (minutes is not None and not minutes >= 0):
            raise ValueError(
                f"Checkpoint: give every (steps) or minutes (0 or more), got every={every}, "
                f"minutes={minutes}"
            )
        self.folder, self.every, self.keep = Path(folder) / "checkpoints", every, keep
        self.minutes = minutes
        self.best = None if metric is None else Best(metric, higher_is_better)
        self._resumed, self._saved_at = False, 0.0

    def on_fit_start(self, trainer: Trainer) -> None:
        """Saves the start as well. Raises ValueError if the folder is that of an earlier run."""
        found = checkpoint.checkpoints_in(self.folder)
        if found and not self._resumed:
            raise ValueError(
                f"{self.folder} holds step-{max(found)} of an earlier run; go on with it by "
                f"trainer.resume({str(self.folder.parent)!r}), or choose another folder"
            )
        damaged = {step for step in found if step > trainer.step}  # else it would be this one
        checkpoint.prune(self.folder, keep=set(found) - damaged)
        self._saved_at = time.monotonic()
        if not found and self.every is not None:
            self._save(trainer)

    def on_evaluate(self, trainer: Trainer) -> None:
        if self.best is not None:
            self.best.improves(trainer.history.evaluations[-1])

    def on_between_steps(self, trainer: Trainer) -> None:
        best = None if self.best is None else self.best.step
        if self._is_due(trainer) or best == trainer.step:
            self._save(trainer)
            last = list(checkpoint.checkpoints_in(self.folder))[-self.keep :]
            checkpoint.prune(self.folder, keep={*last, best or trainer.step})

    def _is_due(self, trainer: Trainer) -> bool:
        if trainer.step >= trainer.total_steps:
            return True
        if self.minutes is not None:
            return time.monotonic() - self._saved_at >= 60 * self.minutes
        assert self.every is not None
        return trainer.step % self.every == 0

    def _save(self, trainer: Trainer) -> None:
        state = trainer.state_dict()
        check_weights(trainer.step, state["model"])
        checkpoint.save(self.folder, trainer.step, state)
        self._saved_at = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {} if self.best is None else {"step": self.best.step, "score": self.best.score}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.best is not None:
            self.best.step, self.best.score = state["step"], state["score"]
        self._resumed = True


def check_weights(step: int, weights: dict[str, np.ndarray]) -> None:
    """Raise FloatingPointError rather than replace a good checkpoint by one that is lost."""
    for name, array in weights.items():
        if not np.isfinite(array).all():
            raise FloatingPointError(
                f"step {step}: {name} is no longer finite, so that no checkpoint is "
                f"saved; resume from the last one with a lower learning rate"
            )
