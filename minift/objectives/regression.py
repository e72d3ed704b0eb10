"""Learning a number."""

from __future__ import annotations

from typing import Any

from minift import ops
from minift.backend import to_device
from minift.nn import Module
from minift.objectives.classification import split_labels
from minift.objectives.numbers import Log, number
from minift.tensor import Tensor


class Regression:
    """(score - label)², averaged over the batch.

    The batch holds `labels` (B,); the model gives one score a text, (B, 1). The log holds loss,
    absolute_error (its mean) and count (texts); on a GPU as `numbers.py` says.
    """

    def __call__(self, model: Module, batch: dict[str, Any]) -> tuple[Tensor, Log]:
        """Raises ValueError for a model that gives more than one score."""
        inputs, target = split_labels(batch)
        scores = model(**inputs)  # (B, 1)
        if scores.shape != (len(target), 1):
            raise ValueError(
                f"Regression: need one score for each of {len(target)} texts, got {scores.shape}; "
                f"make the model with num_labels=1"
            )
        scores = scores.reshape(-1)  # (B,)
        on_device = to_device(target.astype(scores.dtype), scores.device)
        loss = ops.mse_loss(scores, on_device)
        error = number(ops.l1_loss(scores.detach(), on_device))
        return loss, {"loss": number(loss), "absolute_error": error, "count": len(target)}
