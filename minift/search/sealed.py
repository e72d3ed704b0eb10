"""Sealed: the test part, shut until the search is over.

A score that chose something is an optimistic one, so the test part must have no say. Three things
see to it:

- a search takes no test part, and its objective gets settings, a budget and a seed, no data;
- a test part that an objective has at hand all the same, in a closure say, is `Sealed`: to open it
  while trials or folds run raises, in this process and in those that a search starts;
- `check_apart` compares fingerprints, and names training rows that are test rows as well.

It guards against mistakes: Python cannot keep anyone from reading a file twice on purpose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np


class LeakError(RuntimeError):
    """A search was about to see the test part: no failure of a trial, but of its objective."""


class Sealed:
    """Sequences of one length, a row each: `Sealed(texts, labels)`; `open()` gives them back."""

    searches: ClassVar[int] = 0  # that run in this process, one inside the other

    def __init__(self, *items: Sequence[Any]):
        lengths = {len(item) for item in items}
        if len(lengths) != 1:
            raise ValueError(
                f"Sealed: give sequences of one length, got {[len(item) for item in items]}"
            )
        self._items = items
        self._fingerprints = set(map(fingerprint, items[0]))

    def __len__(self) -> int:
        return len(self._items[0])

    def __repr__(self) -> str:
        return f"Sealed({len(self)} rows)"

    def open(self) -> tuple[Sequence[Any], ...]:
        """The sequences. Raises LeakError while a search or a cross-validation runs."""
        if Sealed.searches:
            raise LeakError(
                f"the test part ({len(self)} rows) was opened inside a search: what chooses "
                f"settings must not see it; score trials on validation rows, and open it after"
            )
        return self._items

    def check_apart(self, rows: Sequence[Any]) -> None:
        """Raise ValueError if inputs of these rows (texts, images) are test rows as well."""
        shared = [i for i, row in enumerate(rows) if fingerprint(row) in self._fingerprints]
        if shared:
            named = ", ".join(map(str, shared[:5])) + (", …" if len(shared) > 5 else "")
            raise ValueError(
                f"{len(shared)} of the {len(rows)} rows to train on stand in the sealed test part "
                f"too (rows {named}); take them out of one of the two"
            )


@contextmanager
def searching() -> Iterator[None]:
    """While this is entered, nothing sealed can be opened."""
    Sealed.searches += 1
    try:
        yield
    finally:
        Sealed.searches -= 1


def fingerprint(row: Any) -> bytes:
    """SHA-256 of a text, or of an array's shape and values whatever their type."""
    if isinstance(row, str):
        content = row.encode("utf-8", "surrogatepass")
    else:
        values = np.asarray(row, np.float64)
        content = repr(values.shape).encode() + values.tobytes()
    return hashlib.sha256(content).digest()
