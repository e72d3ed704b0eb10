"""The learning-rate range test: train with a rate that rises at every step, and look at the loss.

Smith 2017 (arXiv:1506.01186), section 3.3: a good peak lies where the loss falls fastest, well
below the rate at which it rises again. It says where to begin a search; it does not replace one.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from minift.train.precision import weights_in
from minift.train.trainer import Trainer, in_groups

SMOOTHING = 0.9  # of the losses, which are those of single batches
DIVERGED = 4.0  # times the best smoothed loss: larger rates have nothing to say


class RateCurve(NamedTuple):
    """The rates that were tried, the smoothed loss at each, and the rate of the steepest fall."""

    rates: list[float]
    losses: list[float]
    suggestion: float


def find_learning_rate(
    trainer: Trainer, lowest: float = 1e-7, highest: float = 1.0, steps: int = 100
) -> RateCurve:
    """Try rates from `lowest` to `highest`, which rise by the same factor at each of `steps`.

    They are rates of the optimizer's first group; others keep their proportion to it. It ends when
    the loss has diverged. The trainer is left as it was; its callbacks see nothing of this.
    Raises ValueError for a range or a number of steps that gives no curve.
    """
    if not 0 < lowest < highest or steps < 3:
        raise ValueError(
            f"find_learning_rate: needs 0 < lowest < highest and 3 steps or more, got lowest="
            f"{lowest}, highest={highest}, steps={steps}"
        )
    rates = np.geomspace(lowest, highest, steps)
    callbacks, trainer.callbacks = trainer.callbacks, []
    before, config = trainer.state_dict(), trainer.config
    factors = rates / trainer.peak_rates[0]
    start = trainer.step

    def rising(step: int, total: int, warmup: int) -> float:
        return float(factors[step - start])

    trainer.config = dataclasses.replace(config, schedule=rising)
    trainer.model.train()
    try:
        with weights_in(config.precision, trainer.model, trainer.optimizer):
            losses = losses_of(trainer, steps)
    finally:
        trainer.config = config
        trainer.load_state_dict(before)
        trainer.callbacks = callbacks
    tried = rates[: len(losses)].tolist()
    return RateCurve(tried, losses, tried[steepest(losses)])


def losses_of(trainer: Trainer, steps: int) -> list[float]:
    """The smoothed losses of that many steps, or of fewer if training diverges."""
    losses: list[float] = []
    mean = 0.0
    while True:
        for batches in in_groups(trainer.loader, trainer.config.accumulate):
            try:
                trainer.train_step(*batches)
            except (FloatingPointError, ValueError):  # not finite: as diverged as can be
                return losses
            mean = SMOOTHING * mean + (1 - SMOOTHING) * trainer.log["loss"]
            losses.append(mean / (1 - SMOOTHING ** (len(losses) + 1)))
            if len(losses) == steps or losses[-1] > DIVERGED * min(losses):
                return losses


def steepest(losses: list[float]) -> int:
    """Where the loss falls fastest on its way to the lowest one; 0 if it never falls."""
    until = int(np.argmin(losses)) + 1
    slopes = np.gradient(losses[:until]) if until > 1 else [math.inf]
    return int(np.argmin(slopes))
