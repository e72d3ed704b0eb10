"""Learning without labels: guess the words that were hidden."""

from __future__ import annotations

from typing import Any

import numpy as np

from minift import ops
from minift.backend import to_device
from minift.nn import Module
from minift.objectives.classification import split_labels
from minift.objectives.numbers import Log, accuracy, number
from minift.tensor import Tensor


class MaskedLM:
    """Masked language modelling: -log p(hidden word | the rest), averaged over the hidden words.

    Devlin et al. 2019, section 3.1. The batch holds `input_ids` (B, T) with some tokens replaced,
    and `labels` (B, T): the original id where a token was chosen, -100 elsewhere. Only the chosen
    positions pass through the output layer. The log holds loss, accuracy and count (words).
    """

    def __call__(self, model: Module, batch: dict[str, Any]) -> tuple[Tensor, Log]:
        """Raises ValueError if no word is hidden: there is nothing to learn from such a batch."""
        inputs, labels = split_labels(batch)
        labels = labels.reshape(-1)  # (B·T,)
        positions = np.flatnonzero(labels != -100)  # (n,)
        if not len(positions):
            raise ValueError("MaskedLM: all labels are -100, so no word of the batch is hidden")
        scores = model(**inputs, positions=positions)  # (n, V)
        target = to_device(labels[positions], scores.device)  # (n,)
        loss = ops.cross_entropy(scores, target)
        right = accuracy(scores, target)
        return loss, {"loss": number(loss), "accuracy": right, "count": len(positions)}
