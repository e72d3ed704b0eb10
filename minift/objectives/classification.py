"""Learning from labels: cross-entropy between the model's scores and the right class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minift import ops
from minift.backend import to_device
from minift.nn import Module
from minift.tensor import Tensor

Log = dict[str, float]


class Classification:
    """-log p(label | input), averaged over the batch.

    The batch holds `labels` (B,) and whatever the model's forward takes by name; the model gives
    scores (B, L). `weight` (L,) counts classes more or less (the mean is weighted as well);
    `label_smoothing` s gives every class s / L of the target (Szegedy et al. 2016, section 7). The
    log holds loss, accuracy and count (examples).
    """

    def __init__(self, weight: Sequence[float] | None = None, label_smoothing: float = 0.0):
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must lie in [0, 1), got {label_smoothing}")
        self.weight = None if weight is None else np.asarray(weight, np.float32)
        self.label_smoothing = label_smoothing

    def __call__(self, model: Module, batch: dict[str, Any]) -> tuple[Tensor, Log]:
        inputs, target = split_labels(batch)
        scores = model(**inputs)  # (B, L)
        on_device = to_device(target, scores.device)
        weight = None if self.weight is None else to_device(self.weight, scores.device)
        loss = ops.cross_entropy(
            scores, on_device, weight=weight, label_smoothing=self.label_smoothing
        )
        log = {"loss": loss.item(), "accuracy": accuracy(scores, target), "count": len(target)}
        return loss, log


def split_labels(batch: dict[str, Any]) -> tuple[dict[str, Any], np.ndarray]:
    """What the model is given, by name, and the labels."""
    if "labels" not in batch:
        raise ValueError(f"the batch has no labels, only {', '.join(batch)}")
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    return inputs, np.asarray(batch["labels"])


def accuracy(scores: Tensor, target: np.ndarray) -> float:
    """Share of rows whose largest score is the target's."""
    return float((scores.argmax(axis=-1).numpy() == target).mean())
