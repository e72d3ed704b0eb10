"""How many steps fit into some minutes.

The rate of learning is planned over all steps, so their number must be known at the start: it is
measured on a few steps whose result is thrown away. If the machine gets slower later, the end
comes earlier.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from minift.train import Callback, Trainer

WARM_UP, MOST_SECONDS, SHARE = 2, 5.0, 0.05  # steps; seconds and share of the time to measure in
LEAST = 0.2  # of the time that is for steps, however long evaluations take


def steps_for(
    minutes: float, trainer: Trainer, evaluate: Callable[[], Any], evaluations: int
) -> tuple[int, float]:
    """Steps that fit beside the evaluations, and steps a second.

    Measured with a trainer that is not needed any more, and one evaluation.
    """
    seconds = 60 * minutes
    started = time.perf_counter()
    evaluate()
    left = seconds - evaluations * (time.perf_counter() - started)
    stop = Stop(min(MOST_SECONDS, SHARE * seconds))
    trainer.validation, trainer.callbacks = None, [stop]
    trainer.fit()
    pace = pace_of(stop.times)
    return max(1, int(max(left, LEAST * seconds) * pace)), pace


class Stop(Callback):
    """Ends training after so many seconds, and knows when each step ended."""

    def __init__(self, seconds: float):
        self.seconds, self.times = seconds, [time.perf_counter()]

    def on_step_end(self, trainer: Trainer) -> None:
        self.times.append(time.perf_counter())
        warm = len(self.times) > WARM_UP + 1
        if warm and self.times[-1] - self.times[0] > self.seconds:
            trainer.total_steps = trainer.step


def pace_of(times: list[float]) -> float:
    """Steps a second, from the times at which they ended, without the first ones."""
    steady = times[min(WARM_UP, len(times) - 2) :]
    return (len(steady) - 1) / max(steady[-1] - steady[0], 1e-9)


class Deadline(Callback):
    """Shortens the run at an evaluation if at its pace it would take longer than its minutes."""

    def __init__(self, minutes: float):
        self.seconds, self.used = 60 * minutes, 0.0

    def on_fit_start(self, trainer: Trainer) -> None:
        self._started = time.perf_counter() - self.used

    def on_evaluate(self, trainer: Trainer) -> None:
        self.used = time.perf_counter() - self._started
        left = trainer.step * (self.seconds - self.used) / self.used
        possible = trainer.step + max(0, int(left))
        trainer.total_steps = min(trainer.total_steps, possible)

    def state_dict(self) -> dict[str, Any]:
        return {"used": self.used}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.used = state["used"]
