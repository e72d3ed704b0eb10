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
    `label_smoothing` s gives every class s / L of the target (Szegedy et al. 2016, section 7).
    `focal_gamma` γ counts a row (1 - p)^γ times, less the surer the model is of its label, so that
    many easy rows do not drown few hard ones (Lin et al. 2017; they took 2). The log holds loss,
    accuracy and count (examples); on a GPU as `numbers.py` says. Where the loss is not a mean over
    all examples, because of `weight` or labels of -100, `divisor` says over what.
    """

    def __init__(
        self,
        weight: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        focal_gamma: float = 0.0,
    ):
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must lie in [0, 1), got {label_smoothing}")
        if not 0 <= focal_gamma < float("inf"):
            raise ValueError(f"focal_gamma must be a number of at least 0, got {focal_gamma}")
        if focal_gamma and label_smoothing:
            raise ValueError(
                "give label_smoothing or focal_gamma: the focal loss has no smooth form"
            )
        self.weight = None if weight is None else np.asarray(weight, np.float32)
        self._weights: dict[str, Array] = {}  # by device: moved there once
        self.label_smoothing, self.focal_gamma = label_smoothing, focal_gamma

    def __call__(self, model: Module, batch: dict[str, Any]) -> tuple[Tensor, Log]:
        inputs, target = split_labels(batch)
        scores = model(**inputs)  # (B, L)
        on_device = to_device(target, scores.device)
        loss = self.loss_of(scores, on_device, self.weight_on(scores.device))
        right = accuracy(scores, on_device)
        log: Log = {"loss": number(loss), "accuracy": right, "count": len(target)}
        counted = target[target != IGNORED]
        if self.weight is not None:
            weights = self.weight.take(counted, mode="clip")  # a wrong label is the op's to name
            log["divisor"] = float(weights.sum(dtype=np.float64))
        elif len(counted) < len(target):
            log["divisor"] = len(counted)
        return loss, log

    def loss_of(self, scores: Tensor, target: Array, weight: Array | None) -> Tensor:
        """The loss that was chosen."""
        if self.focal_gamma:
            return ops.focal_loss(scores, target, self.focal_gamma, weight=weight)
        smoothing = self.label_smoothing
        return ops.cross_entropy(scores, target, weight=weight, label_smoothing=smoothing)

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
