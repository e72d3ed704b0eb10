"""Documents end to end, cut into rows of one length: what a causal language model reads.

Radford et al. 2019: a text of any length fills its rows to the last place, and no token is padding.
After each document stands the end-of-text token, from which the model learns where one ends, and
from which it starts one of its own. A row may hold the end of one document and the start of the
next; attention is not cut there.

Not here: a stream larger than memory (`corpus.py`, whose file `Blocks` reads as well), the loss
(`minift/objectives/language.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from minift.data.bpe_files import END_OF_TEXT
from minift.data.datasets import Batch
from minift.data.tokenizer import Tokenizer


def pack(texts: Iterable[str], tokenizer: Tokenizer) -> np.ndarray:
    """The ids of all documents, each with end-of-text after it, int32 (N,).

    Raises ValueError if there is no text at all, or the tokenizer has no end-of-text token.
    """
    if END_OF_TEXT not in tokenizer.id_of:
        raise ValueError(
            f"the tokenizer has no {END_OF_TEXT}, which has to stand between documents"
        )
    documents = list(document_ids(texts, tokenizer))
    if not documents:
        raise ValueError("pack: the corpus is empty; it needs at least one document with text")
    return np.concatenate(documents)


def document_ids(texts: Iterable[str], tokenizer: Tokenizer) -> Iterator[np.ndarray]:
    """One array int32 for each document that is not blank: its ids, and end-of-text if there is."""
    end = [tokenizer.id_of[END_OF_TEXT]] if END_OF_TEXT in tokenizer.id_of else []
    for text in texts:
        if text.strip():
            yield np.array([*tokenizer.plain_ids(text.strip("\r\n")), *end], np.int32)


class Blocks:
    """A data set of rows of `context` + 1 ids, cut from one long array `ids` (N,).

    `context` tokens are read; each of them is to be followed by the next. A row begins with the
    last token of the one before it, so that every token but the very first is guessed once. The
    last row may be shorter: it is filled with id 0, under attention 0. Raises ValueError for
    fewer than two ids: nothing can be guessed.
    """

    def __init__(self, ids: np.ndarray, context: int) -> None:
        if context < 1:
            raise ValueError(f"Blocks: context must be 1 or more tokens, got {context}")
        if len(ids) < 2:
            raise ValueError(
                f"Blocks: {len(ids)} tokens; the corpus must hold two or more, one to guess from "
                f"and one to guess"
            )
        self.ids, self.context = ids, context

    def __len__(self) -> int:
        return -(-(len(self.ids) - 1) // self.context)

    def __getitem__(self, index: int) -> Batch:
        return {name: rows[0] for name, rows in self.__getitems__(np.array([index])).items()}

    def __getitems__(self, indices: np.ndarray) -> Batch:
        """input_ids and attention_mask, (B, context + 1) int64."""
        indices = np.asarray(indices)
        places = indices[:, None] * self.context + np.arange(self.context + 1)  # (B, context + 1)
        real = places < len(self.ids)
        ids = np.where(real, self.ids[np.minimum(places, len(self.ids) - 1)], 0)
        return {"input_ids": ids.astype(np.int64), "attention_mask": real.astype(np.int64)}
