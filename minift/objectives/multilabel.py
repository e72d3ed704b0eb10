"""Learning which of several labels a text has, each for itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minift import ops
from minift.backend import to_device
from minift.nn import Module
from minift.objectives.classification import split_labels
from minift.objectives.numbers import Log, all_right, number
from minift.tensor import Tensor


class MultiLabel:
    """-t·log σ(z) - (1 - t)·log(1 - σ(z)), averaged over the texts and labels of the batch.

    The batch holds `labels` (B, L), 1 where a text has the label and 0 where not; the model gives
    scores z (B, L). `pos_weight` (L,) multiplies the first term: a rare label's few ones then count
    as much as its many zeros. The log holds loss, accuracy (share of texts with every label right,
    at a probability of a half) and count (texts); on a GPU as `numbers.py` says.
    """

    def __init__(self, pos_weight: Sequence[float] | None = None):
        self.pos_weight = None if pos_weight is None else np.asarray(pos_weight, np.float32)

    def __call__(self, model: Module, batch: dict[str, Any]) -> tuple[Tensor, Log]:
        inputs, target = split_labels(batch)
        scores = model(**inputs)  # (B, L)
        on_device = to_device(target.astype(scores.dtype), scores.device)
        weight = None if self.pos_weight is None else to_device(self.pos_weight, scores.device)
        loss = ops.binary_cross_entropy_with_logits(scores, on_device, pos_weight=weight)
        right = all_right(scores, on_device)
        return loss, {"loss": number(loss), "accuracy": right, "count": len(target)}
