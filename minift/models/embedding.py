"""Sentence vectors: one vector a text, of length 1, so that a dot product is the cosine.

The vector is the average of the encoder's last hidden states over the text's real tokens, [CLS] and
[SEP] among them, divided by its length: what MiniLM and its like were trained for (Reimers &
Gurevych 2019). An encoder that was only pre-trained to guess words gives vectors, too, but worse
ones. A text without any token has no vector: its row is NaN.

Not here: features for a classifier's head, which are not of length 1 (`minift/finetune/`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minift.data import BucketSampler, TokenDataset
from minift.models.bert import mean_over_tokens
from minift.models.pretrained import PretrainedModel, is_bare
from minift.tensor import Tensor, no_grad

BATCH_TOKENS = 4096


def sentence_dataset(
    model: PretrainedModel, texts: str | Sequence[str]
) -> tuple[TokenDataset, int]:
    """The texts as the model reads them, and how many of them it has to cut.

    Raises ValueError if the model has no tokenizer, TypeError for a text that is none.
    """
    texts = [texts] if isinstance(texts, str) else list(texts)
    tokenizer, limit = model.own_tokenizer(), model.config.max_position_embeddings
    rows = tokenizer.encode_all(texts)
    long = [i for i, row in enumerate(rows) if len(row) > limit]
    for i, row in zip(long, tokenizer.encode_all([texts[i] for i in long], limit, True)):
        rows[i] = row
    return TokenDataset.from_lists(rows, tokenizer.pad_id), len(long)


@no_grad()
def sentence_vectors(
    model: PretrainedModel, dataset: TokenDataset, done: Callable[[int], None] = lambda n: None
) -> np.ndarray:
    """The vectors (N, C), float32, in the order of the data set; `done` is told of each batch.

    Texts of nearly one length share a batch, so that hardly any work is padding.
    """
    vectors = np.full((len(dataset), model.config.hidden_size), np.nan, np.float32)
    lengths = dataset.lengths
    readable = np.flatnonzero(lengths > 2)  # more than [CLS] [SEP]
    longest = int(lengths.max(initial=1))
    sampler = BucketSampler(lengths[readable], max(BATCH_TOKENS, longest))
    with model.evaluating():
        for places in sampler.batches(0):
            rows = readable[places]
            batch = dataset.padded(rows)
            vectors[rows] = unit_rows(mean_vectors(model, batch).numpy())
            done(len(rows))
    return vectors


def mean_vectors(model: PretrainedModel, batch: dict[str, Any]) -> Tensor:
    """The average of each text's last hidden states, (B, C), not of length 1, with its graph."""
    body = model if is_bare(model) else getattr(model, model.prefix)
    return mean_over_tokens(body(**batch), batch.get("attention_mask"))


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Each row divided by its length; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths == 0, 1, lengths)
