"""Callback: something that happens beside the training loop, at points that have names.

A callback overrides the methods it needs; the Trainer calls each point of all callbacks, in the
order of its list. What they need to know they read from the trainer (`step`, `epoch`, `log`,
`batches`, `model`, `optimizer`). Progress (`progress.py`) and the run's log (`records.py`) are
callbacks, and so are checkpoints (`checkpoints.py`) and gradual unfreezing (`minift/finetune/`).
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minift.train.trainer import Trainer


class Callback:
    """Base class; a public method that is none of the points below raises when it is defined."""

    def on_fit_start(self, trainer: Trainer) -> None:
        """Before the first step."""

    def on_epoch_start(self, trainer: Trainer) -> None:
        """Before the first batch of epoch `trainer.epoch`, from 0; not if resumed after it."""

    def on_step_end(self, trainer: Trainer) -> None:
        """After an update: `trainer.log` holds its numbers, `trainer.batches` its batches."""

    def on_evaluate_start(self, trainer: Trainer) -> None:
        """Before the validation data are evaluated: the place to put other weights in."""

    def on_evaluate(self, trainer: Trainer) -> None:
        """After the validation data were evaluated, into `trainer.history.evaluations[-1]`."""

    def on_evaluate_end(self, trainer: Trainer) -> None:
        """After all `on_evaluate`: what `on_evaluate_start` changed is put back."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        """After the last batch of an epoch; `trainer.epoch` counts the finished ones."""

    def on_between_steps(self, trainer: Trainer) -> None:
        """After all that belongs to a step, evaluation and end of the epoch included.

        The place to save the run, and to change nothing.
        """

    def on_fit_end(self, trainer: Trainer) -> None:
        """After the last step, and also when an error or Ctrl-C ended training before it."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs; plain values."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""

    def __init_subclass__(cls, **settings: Any) -> None:
        """Raises TypeError for a misspelt point, which nobody would ever call."""
        super().__init_subclass__(**settings)
        points = [name for name in vars(Callback) if not name.startswith("_")]
        for name, value in vars(cls).items():
            if callable(value) and not name.startswith("_") and name not in points:
                raise TypeError(unknown_point(cls.__name__, name, points))


def unknown_point(who: str, name: str, points: list[str]) -> str:
    """The sentence for a method that is no point of the loop, with the one that was meant."""
    close = difflib.get_close_matches(name, points, n=1)
    hint = f"did you mean {close[0]}?" if close else f"the points are {', '.join(points)}"
    return (
        f"{who}.{name} is no point of the training loop, so it would never be called; {hint} "
        f"(names of your own start with _)"
    )
