"""Learning from labels: cross-entropy between the model's scores and the right class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minift import ops
from minift.backend import Array, to_device
from minift.data.masking import IGNORED
from minift.nn import Module
from minift.objectives.numbers import Log, accuracy, number
from minift.tensor import Tensor


class Classification:
    """-log p(label | input), averaged over the batch.

    The batch holds `labels` (B,) and whatever the model's forward takes by name; the model gives
    scores (B, L). `weight` (L,) counts classes more or less (the mean is weighted as well);
    `label_smoothing` s gives every class s / L of the target (Szegedy et al. 2016, section 7). The
    log holds loss, accuracy and count (examples); on a GPU as `numbers.py` says. Where the loss is
    not a mean over all examples, because of `weight` or labels of -100, `divisor` says over what.
    """

    def __init__(self, weight: Sequence[float] | None = None, label_smoothing: float = 0.0):
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must lie in [0, 1), got {label_smoothing}")
        self.weight = None if weight is None else np.asarray(weight, np.float32)
        self._weights: dict[str, Array] = {}  # by device: moved there once
        self.label_smoothing = label_smoothing

    def __call__(self, model: Module, batch: dict[str, Any]) -> tuple[Tensor, Log]:
        inputs, target = split_labels(batch)
        scores = model(**inputs)  # (B, L)
        on_device = to_device(target, scores.device)
        loss = ops.cross_entropy(
            scores,
            on_device,
            weight=self.weight_on(scores.device),
            label_smoothing=self.label_smoothing,
        )
        right = accuracy(scores, on_device)
        log: Log = {"loss": number(loss), "accuracy": right, "count": len(target)}
        counted = target[target != IGNORED]
        if self.weight is not None:
            weights = self.weight.take(counted, mode="clip")  # a wrong label is the op's to name
            log["divisor"] = float(weights.sum(dtype=np.float64))
        elif len(counted) < len(target):
            log["divisor"] = len(counted)
        return loss, log

    def weight_on(self, device: str) -> Array | None:
        """The weights of the classes where the scores are."""
        if self.weight is None:
            return None
        if device not in self._weights:
            self._weights[device] = to_device(self.weight, device)
        return self._weights[device]


def split_labels(batch: dict[str, Any]) -> tuple[dict[str, Any], np.ndarray]:
    """What the model is given, by name, and the labels."""
    if "labels" not in batch:
        raise ValueError(f"the batch has no labels, only {', '.join(batch)}")
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    return inputs, np.asarray(batch["labels"])
