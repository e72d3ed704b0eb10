"""Data sets: things with a length whose items can be fetched, singly or a batch at a time.

PyTorch's protocol: `len(dataset)`, `dataset[i]`, and for those that can do it faster than item by
item `dataset.__getitems__(indices)`, which returns a finished batch. Both classes here can:
collating a batch is a handful of NumPy calls, whatever its size.

Not here: the order of the items (`loader.py`). Read next: `loader.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

Batch = dict[str, np.ndarray]


class Dataset(Protocol):
    """What DataLoader needs: any list will do."""

    def __len__(self) -> int:
        """How many items there are."""

    def __getitem__(self, index: int, /) -> Any:
        """One item."""


class ArrayDataset:
    """Named arrays with one row an item: `ArrayDataset(images=images, labels=labels)`.

    Raises ValueError if there are no arrays or they differ in length.
    """

    def __init__(self, **arrays: np.ndarray) -> None:
        self.arrays = {name: np.asarray(array) for name, array in arrays.items()}
        lengths = {name: len(array) for name, array in self.arrays.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"ArrayDataset: need arrays of one length, got {lengths}")

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {name: array[index] for name, array in self.arrays.items()}

    def __getitems__(self, indices: np.ndarray) -> Batch:
        """The batch of those rows, a copy."""
        return {name: array[indices] for name, array in self.arrays.items()}


class TokenDataset:
    """Tokenised texts of unequal length, stored end to end, with optional targets.

    `ids`: int32 (N,), all texts one after another; `offsets`: int64 (n + 1,), text i is
    `ids[offsets[i]:offsets[i + 1]]`; `second_starts` (n,), of pairs of texts: from there on, the
    tokens of row i are the second text's (type 1); `targets`: arrays with one row a text, passed
    through under their names (`labels=...`). A corpus of a million tokens thus costs 4 MB and no
    Python objects; one that is mapped from a file (`corpus.py`) costs next to nothing.
    """

    def __init__(
        self,
        ids: np.ndarray,
        offsets: np.ndarray,
        pad_id: int,
        second_starts: Sequence[int] | np.ndarray | None = None,
        **targets: np.ndarray,
    ) -> None:
        mapped = isinstance(ids, np.memmap)  # of a corpus on disk, which stays there
        self.ids = ids if mapped else np.asarray(ids, np.int32)
        self.offsets = np.asarray(offsets, np.int64)
        self.pad_id = pad_id
        self.second_starts = None if second_starts is None else np.asarray(second_starts, np.int64)
        self.targets = {name: np.asarray(target) for name, target in targets.items()}
        for name, target in self.targets.items():
            if len(target) != len(self):
                raise ValueError(f"TokenDataset: {len(target)} {name} for {len(self)} texts")

    @classmethod
    def from_lists(
        cls,
        texts: Sequence[Sequence[int]],
        pad_id: int,
        second_starts: Sequence[int] | np.ndarray | None = None,
        **targets: np.ndarray,
    ) -> "TokenDataset":
        """Lay lists of ids end to end."""
        offsets = np.cumsum([0, *map(len, texts)])
        flat = (token for text in texts for token in text)
        ids = np.fromiter(flat, np.int32, count=offsets[-1])
        return cls(ids, offsets, pad_id, second_starts, **targets)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text, (n,)."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {name: rows[0] for name, rows in self.__getitems__(np.array([index])).items()}

    def __getitems__(self, indices: np.ndarray) -> Batch:
        """input_ids, attention_mask, token_type_ids (B, T), int64, and the targets' rows."""
        batch = self.padded(np.asarray(indices))
        return batch | {name: target[indices] for name, target in self.targets.items()}

    def padded(self, indices: np.ndarray, length: int | None = None) -> Batch:
        """The texts as rows of `length` tokens (that of the longest, if None), padded on the right.

        Padding carries `pad_id` and attention 0. `length` must not be below the longest text's.
        """
        starts = self.offsets[indices]
        counts = self.offsets[indices + 1] - starts
        longest = counts.max(initial=0)
        assert length is None or length >= longest, "the tokenizer truncates before it pads"
        columns = np.arange(longest if length is None else length)
        real = columns < counts[:, None]  # (B, T)
        places = np.where(real, starts[:, None] + columns, 0)  # (B, T)
        ids = np.where(real, self.ids[places], self.pad_id) if len(self.ids) else real
        return {
            "input_ids": ids.astype(np.int64),
            "attention_mask": real.astype(np.int64),
            "token_type_ids": self._types(indices, columns, real),
        }

    def _types(self, indices: np.ndarray, columns: np.ndarray, real: np.ndarray) -> np.ndarray:
        if self.second_starts is None:
            return np.zeros(real.shape, np.int64)
        return (real & (columns >= self.second_starts[indices][:, None])).astype(np.int64)


def stack_items(items: Sequence[Any]) -> Any:
    """Items to a batch: mappings and tuples field by field, everything else as an array.

    Raises ValueError if the items' shapes differ (texts of unequal length want a TokenDataset).
    """
    first = items[0]
    if isinstance(first, Mapping):
        return {name: stack_items([item[name] for item in items]) for name in first}
    if isinstance(first, tuple):
        return tuple(stack_items(field) for field in zip(*items))
    shapes = {np.shape(item) for item in items}
    if len(shapes) > 1:
        raise ValueError(f"cannot stack items of different shapes {sorted(shapes)} into a batch")
    return np.stack([np.asarray(item) for item in items])
