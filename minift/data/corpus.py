"""Text larger than memory: tokenised once into a file, which is then mapped instead of read.

    corpus = open_corpus(["a.txt", "b.txt"], tokenizer, "cache")      # seconds a megabyte, once
    blocks = Blocks(corpus.ids, 128)                                  # a data set, for CausalLM
    loader = DataLoader(blocks, sampler=WindowSampler(len(blocks), 32))

Ids lie end to end, two bytes each (four where the vocabulary needs them), beside the places where
documents begin. The files are named by a fingerprint of the texts, the tokenizer and this format:
the same corpus is found again, any other is made anew. What is in memory is a document while it is
tokenised, and later the rows of a batch.

Not here: the order in which rows are seen, and the position of a run that goes on (`loader.py`);
rows that run across documents (`packing.py`).
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minift import hub
from minift.data.datasets import Batch, TokenDataset
from minift.data.packing import document_ids
from minift.data.tables import text_lines
from minift.data.tokenizer import Tokenizer

FORMAT = 1  # another one makes all files anew
DOCUMENTS = ("line", "block")


@dataclass(frozen=True)
class Corpus:
    """Documents as ids, mapped from a file.

    `ids` (N,), uint16 or uint32, all documents end to end, each with its end-of-text token if the
    tokenizer has one; `offsets` int64 (n + 1,): document i is `ids[offsets[i]:offsets[i + 1]]`.
    """

    ids: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        """How many documents there are."""
        return len(self.offsets) - 1


def open_corpus(
    files: str | Path | Sequence[str | Path],
    tokenizer: Tokenizer,
    folder: str | Path,
    document: str = "line",
) -> Corpus:
    """The corpus of text files (UTF-8), tokenised into `folder` unless it is there already.

    A document is a "line", or a "block" of lines up to a blank one; blank ones are none. Raises
    OSError for a file that cannot be read, and ValueError for one that is not UTF-8 and for files
    without any text.
    """
    if document not in DOCUMENTS:
        raise ValueError(f"document must be one of {', '.join(DOCUMENTS)}, got {document!r}")
    paths = [Path(file) for file in ([files] if isinstance(files, str | Path) else files)]
    place = Path(folder) / fingerprint(paths, tokenizer, document)
    if not _is_whole(place):
        _write(place, paths, tokenizer, document)
    notes = json.loads(_index(place).read_text(encoding="utf-8"))
    ids = np.memmap(place.with_suffix(".ids"), notes["dtype"], "r")
    return Corpus(ids, np.memmap(place.with_suffix(".offsets"), "<i8", "r"))


def fingerprint(paths: Sequence[Path], tokenizer: Tokenizer, document: str) -> str:
    """A name for texts and tokenizer: 16 hexadecimal digits that change with any byte of them."""
    with tempfile.TemporaryDirectory() as own:
        tokenizer.save_pretrained(own)
        parts = [_digest(path) for path in sorted(Path(own).iterdir())]
    parts += [_digest(path) for path in paths]
    return hashlib.sha256(json.dumps([FORMAT, document, parts]).encode()).hexdigest()[:16]


def documents(paths: Iterable[Path], document: str) -> Iterator[str]:
    """The documents of files, one after the other; a file's end ends one."""
    for path in paths:
        with path.open("rb") as stream:
            lines = text_lines(stream, str(path))
            yield from lines if document == "line" else _blocks(lines)


class Passages:
    """A data set of the pieces of a corpus's documents, each framed, at most `max_length` tokens.

    What MaskedLM and SimCSE read: [CLS] … [SEP] without a token of another document. Raises
    ValueError if the frame leaves no room.
    """

    def __init__(self, corpus: Corpus, tokenizer: Tokenizer, max_length: int = 128) -> None:
        frame = [*tokenizer.frame.first, *tokenizer.frame.last]
        if max_length <= len(frame):
            raise ValueError(
                f"Passages: max_length must be {len(frame) + 1} or more, got {max_length}"
            )
        self.corpus, self.tokenizer = corpus, tokenizer
        self.size = max_length - len(frame)
        counts = -(-np.diff(corpus.offsets) // self.size)  # pieces of each document
        self.ends = np.cumsum(counts)

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {name: rows[0] for name, rows in self.__getitems__(np.array([index])).items()}

    def __getitems__(self, indices: np.ndarray) -> Batch:
        """input_ids, attention_mask, token_type_ids (B, T), as a TokenDataset's."""
        rows = [self._row(int(index)) for index in indices]
        return TokenDataset.from_lists(rows, self.tokenizer.pad_id).padded(np.arange(len(rows)))

    def _row(self, index: int) -> list[int]:
        document = int(np.searchsorted(self.ends, index, side="right"))
        before = int(self.ends[document - 1]) if document else 0
        start = int(self.corpus.offsets[document]) + (index - before) * self.size
        end = min(start + self.size, int(self.corpus.offsets[document + 1]))
        frame = self.tokenizer.frame
        return [*frame.first, *self.corpus.ids[start:end].tolist(), *frame.last]


def _blocks(lines: Iterable[str]) -> Iterator[str]:
    block: list[str] = []
    for line in lines:
        if line.strip():
            block.append(line)
        elif block:
            yield "".join(block)
            block = []
    yield "".join(block)


def _write(place: Path, paths: Sequence[Path], tokenizer: Tokenizer, document: str) -> None:
    """Tokenise; the index comes last, so that without it there is no corpus."""
    dtype = "<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4"
    tokens = count = 0
    with (
        hub.writing(place.with_suffix(".ids")) as ids,
        hub.writing(place.with_suffix(".offsets")) as offsets,
    ):
        offsets.write(np.int64(0).astype("<i8").tobytes())
        for row in document_ids(documents(paths, document), tokenizer):
            tokens, count = tokens + len(row), count + 1
            ids.write(row.astype(dtype).tobytes())
            offsets.write(np.int64(tokens).astype("<i8").tobytes())
        if not tokens:
            raise ValueError(f"{', '.join(map(str, paths)) or 'no file'}: the corpus is empty")
    notes = {"dtype": dtype, "tokens": tokens, "documents": count, "files": list(map(str, paths))}
    hub.write(_index(place), (json.dumps(notes, indent=1) + "\n").encode())


def _is_whole(place: Path) -> bool:
    """Whether all three files are there, as long as the index says."""
    if not _index(place).is_file():
        return False
    notes = json.loads(_index(place).read_text(encoding="utf-8"))
    sizes = {
        ".ids": notes["tokens"] * np.dtype(notes["dtype"]).itemsize,
        ".offsets": (notes["documents"] + 1) * 8,
    }
    files = {place.with_suffix(suffix): size for suffix, size in sizes.items()}
    return all(file.is_file() and file.stat().st_size == size for file, size in files.items())


def _index(place: Path) -> Path:
    return place.with_suffix(".json")


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
