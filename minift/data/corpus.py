"""Token ids larger than memory: written once into files, which are then mapped instead of read.

    rows = ([tokenizer.encode(line)] for line in open("a.txt", encoding="utf-8"))
    corpus = open_corpus("cache", "a.txt", rows, tokenizer.vocab_size)  # a second a megabyte, once
    data = TokenDataset(corpus.ids, corpus.offsets, tokenizer.pad_id)
    loader = DataLoader(data, sampler=TokenWindowSampler(corpus.offsets, 32))

Whoever writes a corpus has cut its documents into rows: framed texts for MaskedLM and SimCSE
(a TokenDataset), segments for NextSentence (`Segments.mapped`), or one row each, all end to end,
for CausalLM (`Blocks(corpus.ids, 128)`). Ids take two bytes each (four where the vocabulary needs
them) and stand beside the places where rows and documents begin. What is in memory is a document
while it is written, and later the rows of a batch.

Not here: which texts they are (`minift/jobs/pretraining/text_files.py`), the order in which rows
are seen, and the position of a run that goes on (`loader.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minift import hub

FORMAT = 2  # another one makes all files anew
ARRAYS = ("ids", "offsets", "documents")
INDEX = "index.json"
PLACES = "<i8"

Rows = Sequence[Sequence[int]] | Sequence[np.ndarray]  # of one document


@dataclass(frozen=True)
class Corpus:
    """Documents of rows of ids, mapped from files; `corpus[i]` is row i.

    `ids` (N,), uint16 or uint32: all rows end to end. `offsets` int64 (n + 1,): row i is
    `ids[offsets[i]:offsets[i + 1]]`. `documents` int64 (d + 1,): document j is the rows from
    `documents[j]` to `documents[j + 1]`, at least one.
    """

    ids: np.ndarray
    offsets: np.ndarray
    documents: np.ndarray

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        return self.ids[self.offsets[row] : self.offsets[row + 1]]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[row] for row in range(len(self)))


def open_corpus(
    folder: str | Path,
    key: str,
    documents: Iterable[Rows],
    vocab_size: int,
) -> Corpus:
    """The corpus that `folder` holds under this key, or, if it holds another or none, a new one.

    Only then are the `documents` asked for, each a list of rows; one without rows is left out. The
    key has to change with anything that changes the rows. Raises ValueError if there is no id at
    all, and what the documents raise.
    """
    folder = Path(folder)
    if not _is_whole(folder, key):
        _write(folder, key, documents, vocab_size)
    notes = hub.read_json(folder / INDEX)
    return Corpus(**{name: np.memmap(folder / name, kind, "r") for name, kind in _kinds(notes)})


def _write(folder: Path, key: str, documents: Iterable[Rows], vocab_size: int) -> None:
    """Lay the rows down; the index comes last, so that without it there is no corpus."""
    _remove_remains(folder)
    dtype = "<u2" if vocab_size <= 1 << 16 else "<u4"
    counts = {"ids": 0, "offsets": 1, "documents": 1}
    with (
        hub.writing(folder / "ids") as ids,
        hub.writing(folder / "offsets") as offsets,
        hub.writing(folder / "documents") as starts,
    ):
        for places in (offsets, starts):
            places.write(np.array([0], PLACES).tobytes())
        for rows in documents:
            if not rows:
                continue
            ends = counts["ids"] + np.cumsum([len(row) for row in rows])
            ids.write(np.concatenate(rows).astype(dtype).tobytes())
            offsets.write(ends.astype(PLACES).tobytes())
            counts["ids"], counts["offsets"] = int(ends[-1]), counts["offsets"] + len(rows)
            starts.write(np.array([counts["offsets"] - 1], PLACES).tobytes())
            counts["documents"] += 1
        if not counts["ids"]:
            raise ValueError("open_corpus: the documents hold no token")
    notes = {"format": FORMAT, "key": key, "dtype": dtype, **counts}
    hub.write(folder / INDEX, (json.dumps(notes, indent=1) + "\n").encode())


def _remove_remains(folder: Path) -> None:
    """What another corpus, or a kill in the midst of writing, has left."""
    (folder / INDEX).unlink(missing_ok=True)  # first: it speaks of what goes next
    for name in ARRAYS:
        for part in (folder / name, *folder.glob(f".{name}.*")):
            part.unlink(missing_ok=True)


def _is_whole(folder: Path, key: str) -> bool:
    """Whether all files are there, as long as the index says, and of this key."""
    if not (folder / INDEX).is_file():
        return False
    notes = hub.read_json(folder / INDEX)
    if (notes.get("format"), notes.get("key")) != (FORMAT, key):
        return False
    sizes = {folder / name: notes[name] * np.dtype(kind).itemsize for name, kind in _kinds(notes)}
    return all(file.is_file() and file.stat().st_size == size for file, size in sizes.items())


def _kinds(notes: dict[str, Any]) -> list[tuple[str, str]]:
    """Each array's name and type."""
    return [(name, notes["dtype"] if name == "ids" else PLACES) for name in ARRAYS]
