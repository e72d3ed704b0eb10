"""The order in which a data set is seen, and batches of it.

A *sampler* says which rows stand together: `batches(epoch)` is a list of index arrays, a pure
function of its seed and the epoch. The DataLoader walks along that list and remembers where it
is, so that its whole state is two integers and a run that was killed goes on with the very batch
that would have come next.

Not here: how rows become a padded batch (`datasets.py`), what is masked in it (`masking.py`).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from minift.data.datasets import Dataset, TokenDataset, stack_items

WINDOW = 2**18  # rows that are read in one neighbourhood of a file


class Sampler(Protocol):
    """Says which rows make up each batch of an epoch."""

    def batches(self, epoch: int) -> Sequence[np.ndarray]:
        """Index arrays that together hold every row (an OverSampler: at least) once."""


class UniformSampler:
    """Batches of `batch_size` rows (the last may be smaller), in order or shuffled every epoch."""

    def __init__(self, n: int, batch_size: int, shuffle: bool = False, seed: int = 0) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, got {batch_size}")
        self.n, self.batch_size, self.shuffle, self.seed = n, batch_size, shuffle, seed

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Rows cut every `batch_size`."""
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(self.n) if self.shuffle else np.arange(self.n)
        return [order[i : i + self.batch_size] for i in range(0, self.n, self.batch_size)]


class BucketSampler:
    """Batches of texts of nearly one length, each of at most `batch_tokens` tokens with padding.

    The rows are shuffled, then sorted by length within windows of `window` rows, cut into batches,
    and the batches shuffled. Hence few tokens are padding (1-2 % instead of half), a batch holds
    many short texts or few long ones, and neighbours change every epoch. `lengths` are in tokens,
    as `TokenDataset.lengths`. Raises ValueError if a text alone exceeds `batch_tokens`.
    """

    def __init__(
        self, lengths: np.ndarray, batch_tokens: int, window: int = 16384, seed: int = 0
    ) -> None:
        self.lengths = np.asarray(lengths)
        longest = int(self.lengths.max(initial=1))
        if batch_tokens < longest:
            raise ValueError(
                f"batch_tokens={batch_tokens} is below the longest text's {longest} tokens; raise "
                f"it or truncate the texts"
            )
        if window < 1:
            raise ValueError(f"window must be 1 or more rows, got {window}")
        self.batch_tokens, self.window, self.seed = batch_tokens, window, seed

    def batches(self, epoch: int) -> list[np.ndarray]:
        """The epoch's batches."""
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(len(self.lengths))
        cut: list[np.ndarray] = []
        for start in range(0, len(order), self.window):
            rows = order[start : start + self.window]
            cut += self._cut(rows[np.argsort(self.lengths[rows], kind="stable")])
        return [cut[i] for i in rng.permutation(len(cut))]

    def _cut(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Rows sorted by length, cut so that rows times the longest stays within the budget."""
        lengths = np.maximum(self.lengths[rows], 1)
        start = 0
        while start < len(rows):
            most = self.batch_tokens // lengths[start]  # no batch from here can have more rows
            ahead = lengths[start : start + most]
            fits = ahead * np.arange(1, len(ahead) + 1) <= self.batch_tokens  # true, then false
            yield rows[start : start + int(fits.sum())]
            start += int(fits.sum())


class WindowSampler:
    """Batches for data larger than memory: neighbours on disk are read together.

    The rows are cut into windows of `window` neighbours (2¹⁸, or a batch if that is larger). Every
    epoch visits the windows in a new random order and the rows of each in a new one, so that no
    list of all rows is ever made. The last batch of a window may be smaller; `drop_last` leaves it
    out.
    """

    def __init__(
        self,
        n: int,
        batch_size: int,
        window: int | None = None,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, got {batch_size}")
        window = max(WINDOW, batch_size) if window is None else window
        if window < batch_size:
            raise ValueError(f"window must hold a batch of {batch_size} rows or more, got {window}")
        self.n, self.batch_size, self.window, self.seed = n, batch_size, window, seed
        self.drop_last = drop_last

    def batches(self, epoch: int) -> "WindowBatches":
        """The epoch's batches, those of a window drawn when the first of them is asked for."""
        return WindowBatches(self, epoch)

    def counts(self, sizes: np.ndarray) -> np.ndarray:
        """How many batches windows of so many rows have."""
        return sizes // self.batch_size if self.drop_last else -(-sizes // self.batch_size)

    def cut(self, start: int, size: int, rng: np.random.Generator) -> list[np.ndarray]:
        """The batches of the window of `size` rows that begins at `start`."""
        rows = start + rng.permutation(size)
        batches = [rows[i : i + self.batch_size] for i in range(0, size, self.batch_size)]
        return batches[: int(self.counts(np.array(size)))]


class TokenWindowSampler(WindowSampler):
    """The same for texts: those of nearly one length share a batch, hence few tokens are padding.

    Each window is sorted by length and cut into as many batches as if each had `batch_size` rows,
    but of equally many tokens: many short texts or few long ones. `offsets` (n + 1,): where each
    text begins, as `TokenDataset.offsets`.
    """

    def __init__(
        self, offsets: np.ndarray, batch_size: int, window: int | None = None, seed: int = 0
    ) -> None:
        super().__init__(len(offsets) - 1, batch_size, window, seed)
        self.offsets = offsets

    def cut(self, start: int, size: int, rng: np.random.Generator) -> list[np.ndarray]:
        """The batches of a window, in random order; none is empty."""
        lengths = np.diff(self.offsets[start : start + size + 1])
        rows = rng.permutation(size)
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        tokens = np.cumsum(lengths[rows])
        count = int(self.counts(np.array(size)))
        numbers = np.arange(count + 1)
        edges = np.searchsorted(tokens * count, tokens[-1] * numbers, side="right")
        edges = np.maximum.accumulate(edges - numbers) + numbers  # one row at least in each
        edges = np.minimum(edges, size - count + numbers)
        batches = np.split(start + rows, edges[1:-1])
        return [batches[i] for i in rng.permutation(count)]


class WindowBatches(Sequence[np.ndarray]):
    """The batches of one epoch of a WindowSampler."""

    def __init__(self, sampler: WindowSampler, epoch: int) -> None:
        self.sampler, self.epoch = sampler, epoch
        starts = np.arange(0, sampler.n, sampler.window)
        rng = np.random.default_rng([sampler.seed, epoch])
        self.starts = starts[rng.permutation(len(starts))]
        self.sizes = np.minimum(sampler.n - self.starts, sampler.window)
        self.ends = np.cumsum(sampler.counts(self.sizes))  # in batches
        self._drawn: tuple[int, list[np.ndarray]] = (-1, [])

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def __getitem__(self, place: Any) -> Any:
        """The rows of a batch; windows are drawn one at a time."""
        if not 0 <= place < len(self):
            raise IndexError(f"batch {place} of {len(self)}")
        number = int(np.searchsorted(self.ends, place, side="right"))
        if self._drawn[0] != number:
            start = int(self.starts[number])
            rng = np.random.default_rng([self.sampler.seed, self.epoch, start])
            self._drawn = number, self.sampler.cut(start, int(self.sizes[number]), rng)
        return self._drawn[1][place - (int(self.ends[number - 1]) if number else 0)]


class OverSampler:
    """Rows of rare classes several times an epoch: every class is seen as often as the largest.

    Each row of a class that occurs k times, of N in the largest, stands there ⌊N / k⌋ times, and N
    mod k of them, drawn anew each epoch, once more. `batches_of` makes the sampler that cuts the
    drawn rows into batches, as `lambda rows: BucketSampler(lengths[rows], 4096)`. Raises ValueError
    for labels that are no classes.
    """

    def __init__(
        self, labels: ArrayLike, batches_of: Callable[[np.ndarray], Sampler], seed: int = 0
    ) -> None:
        self.labels = np.asarray(labels)
        if self.labels.ndim != 1 or self.labels.dtype.kind not in "iu" or not len(self.labels):
            raise ValueError(
                f"OverSampler: labels must be classes (n,), got {self.labels.dtype} of shape "
                f"{self.labels.shape}"
            )
        self.batches_of, self.seed = batches_of, seed

    def batches(self, epoch: int) -> list[np.ndarray]:
        """The epoch's batches, as row numbers of the data set."""
        rows = self.rows(epoch)
        return [rows[places] for places in self.batches_of(rows).batches(epoch)]

    def rows(self, epoch: int) -> np.ndarray:
        """The rows of an epoch, classes one after the other."""
        rng = np.random.default_rng([self.seed, epoch])
        classes, counts = np.unique(self.labels, return_counts=True)
        drawn = []
        for c in classes:
            own = rng.permutation(np.flatnonzero(self.labels == c))
            drawn.append(np.resize(own, counts.max()))  # over and over until it is full
        return np.concatenate(drawn)


class DataLoader:
    """Iterating yields the rest of the current epoch; the next iteration is the next epoch.

    `collate_fn` gets the list of a batch's items, or, of a data set with `__getitems__`, the
    finished batch (PyTorch's rule); without one, items are stacked. `sampler` replaces
    `batch_size` and `shuffle`. There is one position, however many iterators are made.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int | None = None,
        shuffle: bool = False,
        seed: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        sampler: Sampler | None = None,
    ) -> None:
        if (batch_size is None) == (sampler is None) or (sampler is not None and shuffle):
            raise ValueError("DataLoader: give batch_size (and shuffle) or a sampler, not both")
        self.dataset = dataset
        self.collate_fn: Any = collate_fn  # some have state_dict, too
        if batch_size is not None:
            sampler = UniformSampler(len(dataset), batch_size, shuffle, seed)
        self.sampler: Sampler = sampler  # type: ignore[assignment]  # one of the two is given
        self.epoch = 0
        self.position = 0  # batches of this epoch that were handed out
        self._batches = self.sampler.batches(0)

    def __len__(self) -> int:
        """Batches of the current epoch; with a BucketSampler epochs may differ a little."""
        return len(self._batches)

    def __iter__(self) -> Iterator[Any]:
        if self.position >= len(self._batches):  # also when the state was saved at an epoch's end
            self._go_to(self.epoch + 1, 0)
        while self.position < len(self._batches):
            indices = self._batches[self.position]
            self.position += 1  # before the yield: a state saved while it is used counts it
            yield self._fetch(indices)

    def state_dict(self) -> dict[str, Any]:
        """Epoch, position and, where it has one, the collate function's state: plain numbers."""
        state: dict[str, Any] = {"epoch": self.epoch, "position": self.position}
        if hasattr(self.collate_fn, "state_dict"):
            state["collate_fn"] = self.collate_fn.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after the last batch that was handed out before `state_dict()`.

        Raises ValueError if the position lies beyond the epoch, as with another data set.
        """
        self._go_to(state["epoch"], state["position"])
        if hasattr(self.collate_fn, "load_state_dict"):
            self.collate_fn.load_state_dict(state["collate_fn"])

    def _go_to(self, epoch: int, position: int) -> None:
        batches = self.sampler.batches(epoch)
        if not 0 <= position <= len(batches):
            raise ValueError(
                f"DataLoader: the state stands at batch {position} of epoch {epoch}, which has "
                f"{len(batches)}; it belongs to other data or another batch size"
            )
        self.epoch, self.position, self._batches = epoch, position, batches

    def _fetch(self, indices: np.ndarray) -> Any:
        if hasattr(self.dataset, "__getitems__"):
            batch = self.dataset.__getitems__(indices)
            return batch if self.collate_fn is None else self.collate_fn(batch)
        items = [self.dataset[i] for i in indices.tolist()]
        return stack_items(items) if self.collate_fn is None else self.collate_fn(items)


def padding_share(dataset: TokenDataset, batches: list[np.ndarray]) -> float:
    """The part of all token places in `batches` that is padding, in [0, 1)."""
    places = sum(len(rows) * int(dataset.lengths[rows].max()) for rows in batches)
    return 1 - int(dataset.lengths.sum()) / places
