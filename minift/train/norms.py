"""Norms: how long each step is, beside the weights that it moves.

A step of about a thousandth of the weights' length is usual; one of a tenth destroys what was
learnt, one of a millionth learns nothing. The gradient's own length, before clipping, is in every
log as `grad_norm` if `max_grad_norm` is set (to infinity, to measure and never to clip).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minift.kernels.gradients import joint_length
from minift.train.callbacks import Callback
from minift.train.logs import read_log

if TYPE_CHECKING:
    from minift.train.trainer import Trainer


class Norms(Callback):
    """Logs `weight_norm` ‖θ‖ and `update_norm` ‖Δθ‖ over all parameters of the model.

    It stands in the list before the callbacks that write the log. Holds a copy of all weights.
    """

    def on_fit_start(self, trainer: Trainer) -> None:
        self._before = [parameter.data.copy() for parameter in trainer.model.parameters()]

    def on_step_end(self, trainer: Trainer) -> None:
        weights = [parameter.data for parameter in trainer.model.parameters()]
        moved = [now - then.astype(now.dtype) for now, then in zip(weights, self._before)]
        self._before = [weight.copy() for weight in weights]
        lengths = {"weight_norm": joint_length(weights), "update_norm": joint_length(moved)}
        trainer.log.update(read_log(lengths))
