"""Learning what sentences mean by comparison: a sentence is its own twin, seen through dropout.

Gao et al. 2021 (SimCSE), section 3: the same sentence passes the encoder twice with different
dropout masks, which gives two views as augmentation does of an image; all others are negatives.
The loss is SimCLR's, `nt_xent`, which compares every view with all the others; the paper's
equation 1 compares the first views with the second ones only.

Not here: changes of the text itself (`data/text_augmentation.py`), vectors of finished models
(`models/embedding.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minift.models.embedding import mean_vectors
from minift.models.pretrained import PretrainedModel
from minift.objectives.contrastive import check_chunk, check_temperature, contrast, equal_rows
from minift.objectives.numbers import Log
from minift.tensor import Tensor

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class SimCSE:
    """NT-Xent between two passes of each sentence; its vector is the mean of its hidden states.

    The batch holds `input_ids` (N, T) and, where there are, `attention_mask` and `token_type_ids`;
    the model is a BERT of any head, whose head is not used. A sentence that stands twice in the
    batch is no negative of itself. With `chunk`, that many sentences pass at a time and give the
    same gradients in less memory (`cached.py`). In evaluation mode nothing is dropped: twins are
    equal, and the loss tells how far the others stay away. The log holds loss, alignment,
    uniformity, accuracy (views whose nearest other view is their twin) and count (sentences).
    """

    def __init__(self, temperature: float = 0.05, chunk: int | None = None):
        check_temperature("SimCSE", temperature)
        check_chunk("SimCSE", chunk)
        self.temperature, self.chunk = temperature, chunk

    def __call__(self, model: PretrainedModel, batch: dict[str, Any]) -> tuple[Tensor, Log]:
        """Raises ValueError for a batch of fewer than two sentences."""
        if "input_ids" not in batch:
            raise ValueError(f"the batch has no input_ids, only {', '.join(batch)}")
        inputs = {name: np.asarray(batch[name]) for name in INPUTS if name in batch}
        ids = inputs["input_ids"]
        views = np.tile(np.arange(len(ids)), 2)  # rows of the batch: each sentence twice

        def embed(rows: np.ndarray) -> Tensor:
            return mean_vectors(model, {name: array[rows] for name, array in inputs.items()})

        real = inputs.get("attention_mask", np.ones_like(ids))
        originals = equal_rows(np.where(real != 0, ids, -1))
        return contrast(model, embed, views, originals, self.temperature, self.chunk)
