"""The next-sentence task: two segments of text; does the second follow the first?

Devlin et al. 2019, section 3.1: half of the pairs stand so in a document, label 0; in the other
half the second segment is a random one, label 1 (transformers' numbers). A segment of *another*
document makes it a task of topics, which counting words nearly solves; one of the *same* document
leaves only what holds neighbours together (Lan et al. 2020, ALBERT, section 3.1).

`Segments` cuts documents once, `PairingCollator` draws the pairs anew whenever a batch is fetched.
In both halves the first segment is one that has a next, the second one that has a previous, so that
neither alone gives the answer away.

Not here: the loss (`minift/objectives/next_sentence.py`), hidden words (`masking.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from minift.data.corpus import Corpus
from minift.data.datasets import Batch, TokenDataset
from minift.data.masking import MaskingCollator
from minift.data.tokenizer import Tokenizer

IS_NEXT, IS_RANDOM = 0, 1
NEGATIVES = ("other-documents", "same-document")
_SENTENCE_END = re.compile(r"([.!?][\"'”’)\]]*)\s+")


def sentences(text: str) -> list[str]:
    """Cut at line ends, and at white space after . ! ? and what closes quotes or brackets.

    "Mr. Starbuck" is cut, too: for segments of several sentences it does no harm.
    """
    return [line for line in _SENTENCE_END.sub(r"\1\n", text).splitlines() if line.strip()]


class Segments:
    """Documents as runs of whole sentences, of at most (max_length − 3) / 2 tokens each.

    A data set of the segments that have a next one; an item is {"segment": its number}. A sentence
    that is longer alone is cut. Documents of fewer than `least` segments are left out. Raises
    ValueError if none stays.
    """

    def __init__(
        self,
        documents: Sequence[str],
        tokenizer: Tokenizer,
        max_length: int = 128,
        least: int = 2,
    ) -> None:
        if max_length < 5:
            raise ValueError(
                f"Segments: max_length must be 5 or more, for two tokens and three special ones; "
                f"got {max_length}"
            )
        self.tokenizer = tokenizer
        size = segment_size(max_length)
        by_document = [cut(text, tokenizer, size) for text in documents]
        by_document = [parts for parts in by_document if len(parts) >= max(least, 2)]
        if not by_document:
            raise ValueError(
                f"Segments: of {len(documents)} documents none holds {max(least, 2)} segments of "
                f"{size} tokens; give longer documents or a smaller max_length"
            )
        self.ids: Sequence[Sequence[int]] | Corpus = [ids for parts in by_document for ids in parts]
        self.starts = np.cumsum([0, *map(len, by_document)])  # (documents + 1,)

    @classmethod
    def mapped(cls, corpus: Corpus, tokenizer: Tokenizer) -> Segments:
        """Those of a corpus on disk, whose rows are segments: two or more of each document."""
        own = cls.__new__(cls)
        own.tokenizer, own.ids, own.starts = tokenizer, corpus, corpus.documents
        return own

    def __len__(self) -> int:
        return len(self.ids) - (len(self.starts) - 1)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"segment": self.number(np.array([index]))[0]}

    def __getitems__(self, indices: np.ndarray) -> Batch:
        """{"segment": (B,)}, for a PairingCollator."""
        return {"segment": self.number(np.asarray(indices))}

    def document(self, segments: np.ndarray) -> np.ndarray:
        """In which document each segment stands, (B,)."""
        return np.searchsorted(self.starts, segments, side="right") - 1

    def number(self, items: np.ndarray) -> np.ndarray:
        """The segments of items, (B,): every document has one more of those.

        Before document j lie starts[j] − j items; the last j with no more than that is searched
        by halving, so that no list of all items is ever made.
        """
        low, high = np.zeros_like(items), np.full_like(items, len(self.starts) - 1)
        while (high - low > 1).any():
            middle = (low + high) // 2
            before = self.starts[middle] - middle <= items
            low, high = np.where(before, middle, low), np.where(before, high, middle)
        return items + low

    def pairs(self, first: np.ndarray, second: np.ndarray) -> Batch:
        """[CLS] first [SEP] second [SEP]: input_ids, attention_mask, token_type_ids (B, T)."""
        open_, middle, last = self.tokenizer.frame
        heads = [[*open_, *self.ids[a], *middle] for a in first]
        rows = [[*head, *self.ids[b], *last] for head, b in zip(heads, second)]
        data = TokenDataset.from_lists(rows, self.tokenizer.pad_id, list(map(len, heads)))
        return data.padded(np.arange(len(rows)))


def segment_size(max_length: int) -> int:
    """Tokens of a segment at most: two of them share a row with [CLS] and two [SEP]."""
    return (max_length - 3) // 2


def cut(text: str, tokenizer: Tokenizer, size: int) -> list[list[int]]:
    """A document as segments of at most `size` ids, each of as many whole sentences as fit."""
    segments: list[list[int]] = []
    room = 0
    for sentence in sentences(text):
        ids = tokenizer.plain_ids(sentence)
        if len(ids) <= room:
            segments[-1] += ids
        else:
            segments += [ids[i : i + size] for i in range(0, len(ids), size)]
        room = size - len(segments[-1]) if segments else 0
    return segments


class PairingCollator:
    """A `collate_fn` for a DataLoader over `Segments`: pairs with `next_sentence_label` (B,).

    Each pair is a real one (label 0) with probability ½, else its second segment is drawn evenly
    from the "other-documents", or from the "same-document" without the first itself and the one
    that follows it. `window` is that of a `WindowSampler`: while it reads a window, strangers come
    from there, too, for a document from elsewhere would only ever be a stranger, which can be
    learnt by heart. `masking` then hides words as well: BERT's two tasks at once. The state goes
    with the DataLoader's. Raises ValueError where the documents cannot give such negatives.
    """

    def __init__(
        self,
        segments: Segments,
        negatives: str = "other-documents",
        masking: MaskingCollator | None = None,
        seed: int = 0,
        window: int | None = None,
    ) -> None:
        if negatives not in NEGATIVES:
            raise ValueError(f"negatives must be one of {', '.join(NEGATIVES)}, got {negatives!r}")
        if negatives == "other-documents" and len(segments.starts) < 3:
            raise ValueError(
                "negatives from other documents need two or more documents of two or more "
                "segments, got 1; give more documents or choose 'same-document'"
            )
        shortest = np.diff(segments.starts).min() if negatives == "same-document" else 4
        if shortest < 4:
            raise ValueError(
                f"negatives from the same document need four or more segments in each, but the "
                f"shortest has {shortest}; make the Segments with least=4"
            )
        self.segments, self.negatives, self.masking = segments, negatives, masking
        self.rng = np.random.default_rng(seed)
        self.window = len(segments) if window is None else window

    def __call__(self, batch: Batch) -> Batch:
        first = np.asarray(batch["segment"])
        labels = self.rng.integers(0, 2, len(first))  # IS_NEXT or IS_RANDOM
        second = np.where(labels == IS_NEXT, first + 1, self._draw(first))
        pairs = self.segments.pairs(first, second)
        if self.masking is not None:
            pairs = self.masking(pairs)
        return pairs | {"next_sentence_label": labels}

    def _draw(self, first: np.ndarray) -> np.ndarray:
        own = self.segments.document(first)
        starts, ends = self.segments.starts[own], self.segments.starts[own + 1]
        if self.negatives == "same-document":
            # from start + 1 … end − 1 without first and first + 1; the start is no candidate anyway
            lowest = np.maximum(first, starts + 1)
            left_out = first + 2 - lowest
            drawn = starts + 1 + self.rng.integers(0, ends - starts - 1 - left_out)
            return drawn + left_out * (drawn >= lowest)
        # The k-th segment with a previous one follows the k-th with a next one, which is item k.
        n, items, own_items = len(self.segments), first - own, (starts - own, ends - own - 1)
        low = items - items % self.window
        high = np.minimum(low + self.window, n)
        alone = (own_items[0] <= low) & (high <= own_items[1])  # with no stranger in its window
        low, high = np.where(alone, 0, low), np.where(alone, n, high)
        own_low, own_high = (np.clip(ends, low, high) for ends in own_items)
        drawn = low + self.rng.integers(0, high - low - (own_high - own_low))
        drawn += (own_high - own_low) * (drawn >= own_low)
        return self.segments.number(drawn) + 1

    def state_dict(self) -> dict[str, Any]:
        """The generators' states: plain numbers, fit for JSON."""
        state: dict[str, Any] = {"generator": self.rng.bit_generator.state}
        return state if self.masking is None else state | {"masking": self.masking.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the draws that would have come next."""
        self.rng.bit_generator.state = state["generator"]
        if self.masking is not None:
            self.masking.load_state_dict(state["masking"])
