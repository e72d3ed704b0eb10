"""Text files of any size: read several times over, a document at a time, and never held.

Which documents are held out is decided by a hash of their text: those in the lowest twentieth of
all hashes. So a document is on the same side whatever else the files hold, copies of it too, and
what was held out once stays unseen when the corpus grows. Of fewer than twenty documents, the end
of the last ones is held out. What fits into memory is kept: the held-out documents with the lowest
hashes, to judge on, and a sample of the others, from which vocabulary and frequencies are made.
The sample is drawn evenly from everywhere, for files are sorted as a rule: the first megabytes
may be of one author, one subject, one language.

Not here: what else texts may come from (`texts.py`), their ids on disk (`minift/data/corpus.py`).
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minift.data.tables import count, text_lines
from minift.jobs.examples import folded

HELD_OUT, MOST_HELD_OUT = 0.05, 2000  # of the texts
MANY = 20  # documents, from which on whole ones are held out
SAMPLE = 8_000_000  # characters, about 1.4 million words
RUN = 64  # texts of one document that are drawn into the sample together
LONGEST = 10_000  # texts of a document; more count as several, since one is held in memory
HASHES = 1 << 64

Document = list[str]  # its texts, one a line
Documents = list[Document]


@dataclass(frozen=True)
class TextFile:
    """A file of texts, one a line; `blocks`: blank lines divide documents, else each is a line."""

    path: Path
    blocks: bool

    def __iter__(self) -> Iterator[Document]:
        with lines_of(self.path) as lines:
            yield from paragraphs(lines, self.blocks)


@dataclass(frozen=True)
class Division:
    """What is held out of `files`: documents with a hash up to `highest`, or the last texts.

    Those begin at text number `end`, which, where hashes decide, is the number of all texts.
    """

    files: Sequence[TextFile]
    highest: int
    end: int

    def parts(self) -> Iterator[tuple[int, Document, Document]]:
        """Of each document its hash, what is learnt from, and what is held out."""
        before = 0
        for document in documents_in(self.files):
            key = hash_of(document)
            kept = 0 if key <= self.highest else max(0, min(len(document), self.end - before))
            yield key, document[:kept], document[kept:]
            before += len(document)

    def __iter__(self) -> Iterator[Document]:
        """The documents to learn from."""
        return (kept for _, kept, _ in self.parts() if kept)


class Lowest:
    """Of all that was added, what has the lowest keys, up to a size of `room` (two at least)."""

    def __init__(self, room: int):
        self.room, self.size, self.added = room, 0, 0
        self.heap: list[tuple[int, int, int, Any]] = []

    def add(self, key: int, size: int, item: Any) -> None:
        """`item`, which takes `size` of the room."""
        self.added += 1
        self.size += size
        heapq.heappush(self.heap, (-key, self.added, size, item))  # the highest key comes out first
        while self.size > self.room and len(self.heap) > 2:
            self.size -= heapq.heappop(self.heap)[2]

    def items(self) -> list[Any]:
        """In the order in which they were added."""
        return [item for _, _, _, item in sorted(self.heap, key=lambda entry: entry[1])]


@dataclass(frozen=True)
class TextFiles:
    """What is known of text files: both parts, how many texts are learnt from, a sample of them."""

    train: Division
    held: Documents
    size: int
    sample: Documents
    sha256: str


def read_text_files(paths: Sequence[Path], source: str) -> TextFiles:
    """Text files, UTF-8, one text a line, a blank line between documents.

    Raises OSError for a file that cannot be read, ValueError for one that is not UTF-8, and for
    fewer than two texts.
    """
    files = [TextFile(path, has_paragraphs(path)) for path in paths]
    train = divide(files, source)
    held, sample = Lowest(MOST_HELD_OUT), Lowest(SAMPLE)
    draw, size = random.Random(0), 0
    for key, kept, out in train.parts():
        size += len(kept)
        for i in range(0, len(kept), RUN):
            run = kept[i : i + RUN]
            sample.add(draw.getrandbits(64), sum(map(len, run)), run)
        if out:
            held.add(key, len(out), out)
    judged: Documents = held.items()
    return TextFiles(
        train, without_copies(judged, train) or judged, size, sample.items(), digest(paths)
    )


def divide(files: Sequence[TextFile], source: str) -> Division:
    """Decide what is held out, in one pass. Raises ValueError if there are not two texts."""
    documents = texts = highest = 0
    lowest: list[int] = []  # two different hashes
    for document in documents_in(files):
        key = hash_of(document)
        documents, texts, highest = documents + 1, texts + len(document), max(highest, key)
        if key not in lowest:
            lowest = sorted([*lowest, key])[:2]
    check_count(texts, source)
    if documents < MANY:
        return Division(files, -1, texts - wanted(texts))
    if len(lowest) < 2:
        raise ValueError(
            f"{source} holds {documents:,} copies of one document; pre-training needs two or more, "
            f"one to learn from and one held out"
        )
    limit = max(int(HELD_OUT * HASHES), lowest[1])
    return Division(files, limit if limit < highest else lowest[0], texts)


def check_count(texts: int, source: str) -> None:
    """Raise ValueError for fewer than two texts."""
    if texts < 2:
        raise ValueError(
            f"{source} holds {count(texts, 'text') if texts else 'no text'}; pre-training needs "
            f"two or more, one to learn from and one held out"
        )


def wanted(texts: int) -> int:
    """How many texts of so many are held out, where they are counted."""
    return min(max(1, round(HELD_OUT * texts)), MOST_HELD_OUT)


def without_copies(held: Documents, train: Iterable[Document]) -> Documents:
    """Held-out texts that stand nowhere in the other part."""
    asked = {folded(text) for document in held for text in document}
    known = {name for document in train for text in document if (name := folded(text)) in asked}
    left = [[text for text in document if folded(text) not in known] for document in held]
    return [document for document in left if document]


# ----------------------------------------------------------------------------------- the files


@contextmanager
def lines_of(path: Path) -> Iterator[Iterator[str]]:
    """The lines of a file, without white space around them. Raises OSError or ValueError."""
    with path.open("rb") as stream:
        yield (line.strip() for line in text_lines(stream, str(path)))


def has_paragraphs(path: Path) -> bool:
    """Whether a blank line stands between two others."""
    begun = blank = False
    with lines_of(path) as lines:
        for line in lines:
            if line and blank:
                return True
            begun = begun or bool(line)
            blank = begun and not line
    return False


def paragraphs(lines: Iterable[str], blocks: bool) -> Iterator[Document]:
    """Runs of lines between blank ones, or each line that is not blank."""
    document: Document = []
    for line in lines:
        if line:
            document.append(line)
        if document and not (line and blocks and len(document) < LONGEST):
            yield document
            document = []
    if document:
        yield document


def documents_in(files: Sequence[TextFile]) -> Iterator[Document]:
    """The documents of all files; a file's end ends one."""
    return (document for file in files for document in file)


def hash_of(document: Document) -> int:
    """64 bits that exact copies of a document share."""
    text = "\n".join(document).encode("utf-8")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())


def digest(paths: Sequence[Path]) -> str:
    """SHA-256 of all files, in their order."""
    joint = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            joint.update(hashlib.file_digest(stream, "sha256").digest())
    return joint.hexdigest()
