"""Rows of a table as examples: a text, perhaps a second one, a label, and the line it stands on.

What cannot be learnt from is left out here and counted: rows with an empty text. Rows that repeat
a text stay, but share a group, so that no copy of what was learnt is ever tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from minift.data import Table
from minift.data.tables import count


@dataclass(frozen=True)
class Examples:
    """Texts, second texts (None: no pairs), labels as they stand in the file, and their lines."""

    source: str
    label_column: str
    texts: list[str]
    pairs: list[str] | None
    labels: list[str]
    lines: list[int]
    empty: int = 0  # rows left out

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int] | np.ndarray) -> Examples:
        """Those rows, in that order."""
        chosen = [int(row) for row in rows]
        return replace(
            self,
            texts=[self.texts[i] for i in chosen],
            pairs=None if self.pairs is None else [self.pairs[i] for i in chosen],
            labels=[self.labels[i] for i in chosen],
            lines=[self.lines[i] for i in chosen],
        )

    @property
    def groups(self) -> np.ndarray:
        """(n,) integers, equal for rows of one text, whatever its capitals and spaces."""
        seconds = self.pairs or [""] * len(self)
        keys = [(folded(text), folded(second)) for text, second in zip(self.texts, seconds)]
        number = {key: i for i, key in enumerate(dict.fromkeys(keys))}
        return np.array([number[key] for key in keys], int)

    @property
    def words(self) -> list[str]:
        """Both texts in one, for baselines that only count words."""
        if self.pairs is None:
            return self.texts
        return [f"{text} {second}" for text, second in zip(self.texts, self.pairs)]

    def wrong(self, row: int, problem: str) -> ValueError:
        """The error for the label of a row."""
        return ValueError(f"{self.source}, line {self.lines[row]}: {problem}")


def folded(text: str) -> str:
    """The text as two copies of it agree."""
    return " ".join(text.split()).casefold()


def read_examples(table: Table, text: str, pair: str | None, label: str) -> Examples:
    """The columns of that name as examples, without the rows whose text is empty.

    Raises ValueError for a column that is not there or named for two things, a row without a label,
    and a table without any text.
    """
    columns = [name for name in (text, pair, label) if name is not None]
    if len(set(columns)) < len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise ValueError(f"the column {twice!r} cannot be two of text, second text and label")
    texts, labels = table[text], table[label]
    pairs = None if pair is None else table[pair]
    everything = Examples(table.source, label, texts, pairs, labels, table.lines)
    filled = [i for i, words in enumerate(zip(texts, pairs or texts)) if is_filled(words)]
    if not filled:
        raise ValueError(
            f"{table.source} has {count(len(table), 'row')} and no text in the column {text!r}"
        )
    return replace(everything.take(filled), empty=len(table) - len(filled))


def is_filled(texts: Sequence[str]) -> bool:
    """Whether each of the texts says something."""
    return all(text.strip() for text in texts)
