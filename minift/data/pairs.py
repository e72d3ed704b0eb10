"""Pairs of texts for one model: [CLS] first [SEP] second [SEP], as BERT reads two sentences.

Not here: single texts (`wordpiece.py`). Read next: `datasets.py`.
"""

from collections.abc import Sequence

import numpy as np

from minift.data.datasets import TokenDataset
from minift.data.wordpiece import WordPieceTokenizer


def pair_dataset(
    tokenizer: WordPieceTokenizer,
    firsts: Sequence[str],
    seconds: Sequence[str],
    max_length: int,
    **targets: np.ndarray,
) -> TokenDataset:
    """Pairs as a TokenDataset, each cut to `max_length` tokens. Raises ValueError below 3."""
    if max_length < 3:
        raise ValueError(f"max_length must be 3 or more, for [CLS] and two [SEP]; got {max_length}")
    rows, lengths = [], []
    for first, second in zip(tokenizer.encode_all(firsts), tokenizer.encode_all(seconds)):
        a, b = kept(len(first) - 2, len(second) - 2, max_length - 3)
        rows.append([*first[: a + 1], tokenizer.sep_id, *second[1 : b + 1], tokenizer.sep_id])
        lengths.append(a + 2)
    dataset = TokenDataset.from_lists(rows, tokenizer.pad_id, **targets)
    dataset.first_lengths = np.array(lengths, np.int64)
    return dataset


def kept(first: int, second: int, room: int) -> tuple[int, int]:
    """How many tokens of each text remain: the longer one is cut first, then both alike.

    Hugging Face's "longest_first"; an odd place goes to the longer text, of equals the second.
    """
    if first + second <= room:
        return first, second
    shorter = min(first, second, room // 2)
    return (room - shorter, shorter) if first > second else (shorter, room - shorter)
