"""Learning from unlabelled text: guess the words that were hidden, or the one that comes next.

Not here: which words are hidden (`data/masking.py`), how documents fill rows (`data/packing.py`).
Read next: `next_sentence.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minift import ops
from minift.backend import to_device
from minift.data.masking import IGNORED
from minift.nn import Module
from minift.objectives.classification import split_labels
from minift.objectives.numbers import Log, accuracy, number, perplexity
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
        positions, words = hidden_words("MaskedLM", labels)  # (n,) each
        scores = model(**inputs, positions=positions)  # (n, V)
        target = to_device(words, scores.device)
        loss = ops.cross_entropy(scores, target)
        right = accuracy(scores, target)
        return loss, {"loss": number(loss), "accuracy": right, "count": len(positions)}


def hidden_words(objective: str, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where words were hidden, as places in B·T, and their ids, (n,) each, from labels (B, T).

    Raises ValueError if there are none: nothing can be learned from such a batch.
    """
    flat = labels.reshape(-1)  # (B·T,)
    positions = np.flatnonzero(flat != IGNORED)  # (n,)
    if not len(positions):
        raise ValueError(f"{objective}: all labels are -100, so no word of the batch is hidden")
    return positions, flat[positions]


class CausalLM:
    """−1/n Σ log p(w_t | w_<t) over the n tokens that have one before them in their row.

    Radford et al. 2019, equation 1; p(v | w_<t) = exp(z_v) / Σ_u exp(z_u), z the model's scores.
    That is maximum likelihood: the lowest loss belongs to the distribution of the text itself.

    The batch holds `input_ids` (B, T + 1) and, where rows are padded on the right,
    `attention_mask`; nothing else is looked at. The model reads the first T tokens, and its row t
    is asked for token t + 1. The log holds loss, perplexity = exp(loss) and count (tokens).
    """

    def __call__(self, model: Module, batch: dict[str, Any]) -> tuple[Tensor, Log]:
        """Raises ValueError if no token of the batch has another before it."""
        if "input_ids" not in batch:
            raise ValueError(f"the batch has no input_ids, only {', '.join(batch)}")
        ids = np.asarray(batch["input_ids"])
        real = np.asarray(batch.get("attention_mask", np.ones_like(ids)))
        target = np.where(real[:, 1:] != 0, ids[:, 1:], IGNORED)  # (B, T)
        count = int((target != IGNORED).sum())
        if not count:
            raise ValueError(
                f"CausalLM: rows of {ids.shape[1]} tokens, padding included, in which none has "
                f"another before it; nothing can be guessed"
            )
        scores = model(input_ids=ids[:, :-1])  # (B, T, V); nobody looks ahead, at padding
        loss = ops.cross_entropy(scores, to_device(target, scores.device))
        return loss, {"loss": number(loss), "perplexity": perplexity(loss), "count": count}
