"""What every tokenizer shares: from the ids of one text to a batch of texts, or pairs of texts.

A tokenizer knows how to cut one text (`_ids_of`, and `_placed_ids_of` with the places); this file
puts the special tokens around it, cuts what is too long, pads, and makes arrays. Names and
meanings are transformers', results equal those of the Rust library behind it.

Not here: cutting a text into pieces. Read next: `wordpiece.py`, then `bpe.py`.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minift.data.added_tokens import AddedToken, AddedTokens
from minift.data.datasets import TokenDataset
from minift.data.truncation import check_strategy, kept_lengths
from minift.data.unicode_classes import check_text

_CACHED_WORDS = 500_000  # then the cache starts anew, so that endless text costs bounded memory
_CACHED_LENGTH = 64  # longer words hardly come twice: a Chinese sentence is one "word"


class PlacedId(NamedTuple):
    """A token and what it stands for: characters `start` to `end` of its text, (0, 0) if none."""

    id: int
    start: int = 0
    end: int = 0


class Frame(NamedTuple):
    """The special tokens of a row: `first` a `last`, or for a pair `first` a `middle` b `last`."""

    first: tuple[int, ...] = ()
    middle: tuple[int, ...] = ()
    last: tuple[int, ...] = ()


class WordCache(dict[str, list[int]]):
    """Word to ids, cut at its first appearance: natural text has the same words again."""

    def __init__(self, cut: Callable[[str], list[int]]) -> None:
        super().__init__()
        self._cut = cut

    def __missing__(self, word: str) -> list[int]:
        ids = self._cut(word)
        if len(word) <= _CACHED_LENGTH:
            if len(self) >= _CACHED_WORDS:
                self.clear()
            self[word] = ids
        return ids


class Tokenizer(ABC):
    """A vocabulary with its added tokens. `pieces[i]` is the piece with id i.

    Added tokens that are no piece yet get the ids after the last. Raises ValueError if a piece is
    empty or stands twice.
    """

    frame: Frame
    pad_id: int

    def __init__(
        self,
        pieces: Sequence[str],
        added_tokens: Iterable[AddedToken],
        normalize: Callable[[str], str],
    ) -> None:
        known = _numbered(pieces)
        self.added_tokens = {token.content: token for token in added_tokens}
        self.pieces = [*pieces, *(token for token in self.added_tokens if token not in known)]
        self.id_of = {piece: i for i, piece in enumerate(self.pieces)}
        self._vocabulary = known  # what words are cut into
        self._added = AddedTokens(self.added_tokens.values(), normalize)

    @property
    def vocab_size(self) -> int:
        """How many pieces there are, the added tokens among them."""
        return len(self.pieces)

    # --- what a tokenizer must know -------------------------------------------------------------

    @abstractmethod
    def _ids_of(self, text: str) -> list[int]:
        """Ids of one text, without the frame: the fast way."""

    @abstractmethod
    def _placed_ids_of(self, text: str) -> list[PlacedId]:
        """The same ids, each with its place."""

    @abstractmethod
    def save_pretrained(self, folder: str | Path) -> None:
        """Write the files from which `from_pretrained` makes the same tokenizer."""

    # --- texts to ids ---------------------------------------------------------------------------

    def __call__(
        self,
        texts: str | Sequence[str],
        pairs: str | Sequence[str] | None = None,
        *,
        max_length: int | None = None,
        padding: bool | str = True,
        truncation: bool | str = False,
        return_offsets_mapping: bool = False,
    ) -> dict[str, Any]:
        """Encode a text or several: input_ids, attention_mask, token_type_ids, int64 (B, T).

        With `pairs`, row i is texts[i] and then pairs[i], whose tokens are of type 1. `padding`:
        True or "longest" (to the longest row), "max_length", or False; unpadded rows differ in
        length, so that False gives lists of lists. `truncation` keeps the first `max_length`
        tokens, special ones among them: True or "longest_first" cuts the longer text of a pair
        first, "only_first" and "only_second" that text alone. `return_offsets_mapping` adds
        offset_mapping (B, T, 2): token t stands for the characters [start, end) of its text.

        One text counts as a batch of one. Raises TypeError for anything but texts, and ValueError
        if a row is longer than `max_length` without `truncation`, or cannot be cut as told.
        """
        if padding not in (True, False, "longest", "max_length"):
            raise ValueError(f'padding is True, False, "longest" or "max_length", got {padding!r}')
        if max_length is None and (truncation or padding == "max_length"):
            raise ValueError("truncation and padding to max_length need a max_length")
        rows, starts = self._rows(texts, pairs, max_length, truncation, return_offsets_mapping)
        ids = [[token.id for token in row] for row in rows] if return_offsets_mapping else rows
        if not padding:
            return _lists(ids, starts, rows if return_offsets_mapping else None)
        data = TokenDataset.from_lists(ids, self.pad_id, starts)
        length = max_length if padding == "max_length" else None
        batch: dict[str, Any] = dict(data.padded(np.arange(len(ids)), length))
        if return_offsets_mapping:
            batch["offset_mapping"] = _padded_places(rows, batch["input_ids"].shape)
        return batch

    def dataset(
        self,
        texts: Sequence[str],
        max_length: int | None = None,
        pairs: Sequence[str] | np.ndarray | None = None,
        **targets: np.ndarray,
    ) -> TokenDataset:
        """Texts, or pairs, as a TokenDataset, truncated to `max_length`; `targets` as there."""
        seconds = None if pairs is None else list(pairs)
        rows, starts = self._rows(texts, seconds, max_length, max_length is not None)
        return TokenDataset.from_lists(rows, self.pad_id, starts, **targets)

    def encode_all(
        self,
        texts: str | Sequence[str],
        max_length: int | None = None,
        truncation: bool | str = False,
        pairs: str | Sequence[str] | None = None,
    ) -> list[list[int]]:
        """Ids of each row, special tokens included, as lists; arguments as in `__call__`."""
        return self._rows(texts, pairs, max_length, truncation)[0]

    def encode(self, text: str) -> list[int]:
        """Ids of one text, special tokens included."""
        return self.encode_all(text)[0]

    def plain_ids(self, text: str) -> list[int]:
        """Ids of one text, without the special tokens around it."""
        return self._ids_of(check_text(text, "the text"))

    def tokenize(self, text: str) -> list[str]:
        """The pieces of one text, without the special tokens around it."""
        return [self.pieces[i] for i in self.plain_ids(text)]

    def _rows(
        self,
        texts: str | Sequence[str],
        pairs: str | Sequence[str] | None,
        max_length: int | None,
        truncation: bool | str,
        placed: bool = False,
    ) -> tuple[list[list[Any]], list[int] | None]:
        """Framed tokens of each row, ids or (`placed`) PlacedIds; where the second texts begin."""
        strategy = check_strategy(truncation)
        texts, pairs = _listed(texts), None if pairs is None else _listed(pairs)
        if pairs is None and strategy == "only_second":
            raise ValueError('truncation="only_second" needs pairs; got single texts')
        if pairs is not None and len(pairs) != len(texts):
            raise ValueError(f"{len(texts)} texts but {len(pairs)} pairs; need one for each text")
        cut: Callable[[str], list[Any]] = self._placed_ids_of if placed else self._ids_of
        first, middle, last = self._frame_for(pairs is not None, placed)
        room = self._room(max_length, len(first) + len(middle) + len(last))
        rows, starts = [], []
        for i, text in enumerate(texts):
            a = cut(check_text(text, f"text {i}"))
            b = [] if pairs is None else cut(check_text(pairs[i], f"pair {i}"))
            if room is not None and strategy:
                n, m = kept_lengths(len(a), len(b), room, strategy)
                a, b = a[:n], b[:m]
            rows.append([*first, *a, *middle, *b, *last])
            starts.append(len(first) + len(a) + len(middle))
            if max_length is not None and len(rows[-1]) > max_length:
                raise ValueError(
                    f"text {i} has {len(rows[-1])} tokens, more than max_length={max_length}; "
                    f"pass truncation=True to cut it"
                )
        return rows, None if pairs is None else starts

    def _frame_for(self, pair: bool, placed: bool) -> tuple[list[Any], list[Any], list[Any]]:
        first, middle, last = (list(map(PlacedId, ids)) if placed else ids for ids in self.frame)
        return list(first), list(middle) if pair else [], list(last)

    def _room(self, max_length: int | None, specials: int) -> int | None:
        if max_length is not None and max_length < max(specials, 1):
            names = " ".join(self.pieces[i] for part in self.frame for i in part)
            raise ValueError(
                f"max_length must be {max(specials, 1)} or more, for {names or 'one token'}; "
                f"got {max_length}"
            )
        return None if max_length is None else max_length - specials

    # --- ids to text ----------------------------------------------------------------------------

    def _kept_pieces(self, ids: Iterable[int], skip_special_tokens: bool) -> list[str]:
        """Pieces of ids. Raises ValueError for an id outside the vocabulary."""
        pieces = []
        for token in map(int, ids):
            if not 0 <= token < self.vocab_size:
                raise ValueError(
                    f"id {token} is outside the vocabulary of {self.vocab_size} pieces"
                )
            added = self.added_tokens.get(self.pieces[token])
            if not (skip_special_tokens and added and added.special):
                pieces.append(self.pieces[token])
        return pieces


def _listed(texts: str | Sequence[str]) -> Sequence[str]:
    return [texts] if isinstance(texts, str) else texts


def _lists(
    ids: list[list[int]], starts: list[int] | None, placed: list[list[PlacedId]] | None
) -> dict[str, Any]:
    """A batch without padding."""
    ends = list(map(len, ids))
    batch: dict[str, Any] = {
        "input_ids": ids,
        "attention_mask": [[1] * end for end in ends],
        "token_type_ids": [[0] * a + [1] * (end - a) for a, end in zip(starts or ends, ends)],
    }
    if placed is not None:
        batch["offset_mapping"] = [[(token.start, token.end) for token in row] for row in placed]
    return batch


def _padded_places(rows: Sequence[Sequence[PlacedId]], shape: tuple[int, int]) -> np.ndarray:
    places = np.zeros((*shape, 2), np.int64)  # (B, T, 2)
    for i, row in enumerate(rows):
        if row:
            places[i, : len(row)] = [(token.start, token.end) for token in row]
    return places


def _numbered(pieces: Sequence[str]) -> dict[str, int]:
    number = {piece: i for i, piece in enumerate(pieces)}
    if "" in number:
        raise ValueError(f"the vocabulary has an empty piece, number {number['']} from 0")
    if len(number) < len(pieces):
        twice = [piece for piece, n in Counter(pieces).items() if n > 1]
        raise ValueError(f"the vocabulary holds {len(twice)} pieces twice, the first {twice[0]!r}")
    return number
