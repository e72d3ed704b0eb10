"""Texts to pre-train on: the shipped glosses, a fetched name, .txt files, tables.

    glosses                definitions; the labelled ones judge
    moby-dick              135 chapters, every tenth held out
    FILE.txt               one text a line, a blank line between documents; of any size
    FILE.csv, .jsonl …     one text a row, each a document; a column of labels judges
    spam, gcide, …         what `minift fetch` brought

All but text files alone are read into memory. Not here: text files (`text_files.py`), what is
learnt from texts, or how they become ids (`text_work.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minift.data import load_glosses, load_moby_dick, read_csv
from minift.fetch import data_file
from minift.jobs.pretraining.text_files import (
    MANY,
    Document,
    Documents,
    TextFile,
    check_count,
    has_paragraphs,
    read_text_files,
    wanted,
    without_copies,
)


@dataclass(frozen=True)
class Labelled:
    """Texts with numbers into the classes of their corpus."""

    texts: list[str]
    labels: np.ndarray


@dataclass(frozen=True)
class Corpus:
    """Documents to learn from and held-out ones; labelled texts of both parts, if there are any.

    `train` may be read from files each time it is gone through: `size` says how many texts it
    holds, `sample` are documents of it that fit into memory (of a list all), `sha256` changes with
    anything in either part.
    """

    source: str
    train: Iterable[Document]
    held: Documents
    size: int
    sample: Documents
    sha256: str
    labelled: Labelled | None = None
    judged: Labelled | None = None
    classes: list[str] | None = None

    @property
    def held_texts(self) -> list[str]:
        return [text for document in self.held for text in document]


def in_memory(source: str, train: Documents, held: Documents, **labels: Any) -> Corpus:
    """A corpus of lists."""
    found = hashlib.sha256()
    for document in (*train, [], *held):
        found.update("\0".join([*document, "\0"]).encode("utf-8"))
    return Corpus(source, train, held, sum(map(len, train)), train, found.hexdigest(), **labels)


def read_corpus(words: Sequence[str | Path], text: str, label: str | None, seed: int) -> Corpus:
    """All that --data names, as one corpus.

    Raises OSError for a file that is not there, and ValueError for an empty corpus, one of a
    single text, or a table without the columns.
    """
    if [str(word) for word in words] == ["glosses"] and not Path("glosses").exists():
        return glosses()
    if [str(word) for word in words] == ["moby-dick"] and not Path("moby-dick").exists():
        return moby_dick()
    source = ", ".join(str(word) for word in words)
    files = [data_file(word) for word in words]
    if all(file.suffix == ".txt" and file.is_file() for file in files):
        return Corpus(source, **vars(read_text_files(files, source)))
    documents: Documents = []
    labels: list[str | None] = []
    for file in files:
        found, of_rows = read_file(file, text, label)
        documents += found
        labels += of_rows
    check_count(sum(map(len, documents)), source)
    return divided(source, documents, labels, seed)


def glosses() -> Corpus:
    """The shipped definitions: those of the development split are held out."""
    found = load_glosses()
    return in_memory(
        "glosses",
        [[text] for text in found.unlabelled],
        [[text] for text in found.dev[0]],
        labelled=Labelled(*found.train),
        judged=Labelled(*found.dev),
        classes=found.classes,
    )


def moby_dick() -> Corpus:
    """The shipped prose: a chapter is a document, a paragraph a text."""
    found = load_moby_dick()
    train, held = (
        [[line for line in chapter.splitlines() if line.strip()] for chapter in part]
        for part in (found.train, found.held_out)
    )
    return in_memory("moby-dick", train, held)


def divided(source: str, documents: Documents, labels: Sequence[str | None], seed: int) -> Corpus:
    """Documents held out at random, or, of few, the end of the last ones.

    A held-out text that also stands in the other part is dropped from it.
    """
    least = wanted(sum(map(len, documents)))
    if len(documents) < MANY:
        train, held = cut_end(documents, least)
        return in_memory(source, train, without_copies(held, train) or held)
    order = np.random.default_rng(seed).permutation(len(documents))
    reached = np.cumsum([len(documents[i]) for i in order])
    last = int(np.searchsorted(reached, least)) + 1
    out, stay = np.sort(order[:last]), np.sort(order[last:])
    train, held = ([documents[i] for i in rows] for rows in (stay, out))
    kept = without_copies(held, train) or held
    if not any(labels):
        return in_memory(source, train, kept)
    classes, numbers = np.unique([label or "" for label in labels], return_inverse=True)
    labelled, judged = (
        Labelled([documents[i][0] for i in rows], numbers[rows]) for rows in (stay, out)
    )
    return in_memory(
        source, train, kept, labelled=labelled, judged=judged, classes=classes.tolist()
    )


def cut_end(documents: Documents, wanted: int) -> tuple[Documents, Documents]:
    """The last `wanted` texts off."""
    train, held = [list(document) for document in documents], list[list[str]]()
    while wanted > 0:
        document = train.pop()
        taken = min(wanted, len(document))
        held.insert(0, document[len(document) - taken :])
        if taken < len(document):
            train.append(document[: len(document) - taken])
        wanted -= taken
    return train, held


# ----------------------------------------------------------------------------------- the files


def read_file(file: Path, text: str, label: str | None) -> tuple[Documents, list[str | None]]:
    """Documents of one file, and the label of each (None: it has none)."""
    if file.suffix in (".npz", ".png") or file.is_dir():
        raise ValueError(f"{file} holds images; this objective learns from text")
    if file.suffix == ".txt":
        documents = list(TextFile(file, has_paragraphs(file)))
        return documents, [None] * len(documents)
    table = read_csv(file)
    texts = table[table.names[0] if len(table.names) == 1 else text]
    marks = labels_of(table, label)
    rows = [(row.strip(), mark) for row, mark in zip(texts, marks) if row.strip()]
    return [[row] for row, _ in rows], [mark for _, mark in rows]


def labels_of(table: Any, label: str | None) -> list[str | None]:
    """The column of labels: the one that was named, or `label` if there is one."""
    name = label or ("label" if "label" in table.names else None)
    if name is None:
        return [None] * len(table)
    return [mark.strip() or None for mark in table[name]]


def texts_of(documents: Documents) -> list[str]:
    """One text each, its parts as lines."""
    return ["\n".join(document) for document in documents]
