"""AverageWeights: an exponential moving average of the weights, which is what training ends with.

Averaged weights lie nearer to the middle of the valley along whose walls the steps jump (Polyak &
Juditsky 1992; with exponential weights as in Tarvainen & Valpola 2017, eq. 1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minift.backend import to_device, to_numpy
from minift.train.callbacks import Callback

if TYPE_CHECKING:
    from minift.train.trainer import Trainer


class AverageWeights(Callback):
    """θ̄ ← d θ̄ + (1 - d) θ after step t, from the first weights on; the model ends with θ̄.

    d is `decay`, and (1 + t) / (10 + t) as long as that is less: the weights at the start, and a
    head that was drawn at random with them, are forgotten soon (as in TensorFlow's
    ExponentialMovingAverage). Later the mean reaches back about 1 / (1 - d) steps. Evaluations are
    of θ̄ too, so it stands in the list before EarlyStopping, which keeps the best of what is
    evaluated.
    """

    def __init__(self, decay: float = 0.999):
        if not 0 <= decay < 1:
            raise ValueError(f"AverageWeights: decay must lie in [0, 1), got {decay}")
        self.decay = decay
        self._mean: dict[str, Any] = {}
        self._weights: dict[str, Any] = {}  # of the model, while it has the mean

    def on_fit_start(self, trainer: Trainer) -> None:
        for name, parameter in trainer.model.named_parameters():
            start = to_device(self._mean.get(name, parameter.data), parameter.device)
            self._mean[name] = start.copy()

    def on_step_end(self, trainer: Trainer) -> None:
        decay = min(self.decay, (1 + trainer.step) / (10 + trainer.step))
        for name, parameter in trainer.model.named_parameters():
            mean = self._mean[name]
            mean += (1 - decay) * (parameter.data - mean)

    def on_evaluate_start(self, trainer: Trainer) -> None:
        for name, parameter in trainer.model.named_parameters():
            self._weights[name] = parameter.data.copy()  # assigning writes into the array
            parameter.data = self._mean[name].astype(parameter.dtype)

    def on_evaluate_end(self, trainer: Trainer) -> None:
        for name, parameter in trainer.model.named_parameters():
            parameter.data = self._weights.pop(name)

    def on_fit_end(self, trainer: Trainer) -> None:
        self._weights.clear()  # an evaluation that an error ended
        for name, parameter in trainer.model.named_parameters():
            parameter.data = self._mean[name].copy()

    def state_dict(self) -> dict[str, Any]:
        return {name: np.array(to_numpy(mean)) for name, mean in self._mean.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._mean = dict(state)
