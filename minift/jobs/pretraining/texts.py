"""Texts to pre-train on: the shipped glosses, a fetched name, .txt files, tables.

    glosses                definitions; the labelled ones judge
    moby-dick              135 chapters, every tenth held out
    FILE.txt               one text a line, a blank line between documents
    FILE.csv, .jsonl …     one text a row, each a document; a column of labels judges
    spam, gcide, …         what `minift fetch` brought

Not here: what is learnt from them, or how they become ids (`text_work.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minift.data import load_glosses, load_moby_dick, read_csv
from minift.data.tables import count, text_lines
from minift.fetch import data_file
from minift.jobs.examples import folded

HELD_OUT, MOST_HELD_OUT = 0.05, 2000  # of the texts
MANY = 20  # documents, from which on whole ones are held out

Documents = list[list[str]]


@dataclass(frozen=True)
class Labelled:
    """Texts with numbers into the classes of their corpus."""

    texts: list[str]
    labels: np.ndarray


@dataclass(frozen=True)
class Corpus:
    """Documents to learn from and held-out ones; labelled texts of both parts, if there are any."""

    source: str
    train: Documents
    held: Documents
    labelled: Labelled | None = None
    judged: Labelled | None = None
    classes: list[str] | None = None

    @property
    def texts(self) -> list[str]:
        """All that may be learnt from."""
        return [text for document in self.train for text in document]

    @property
    def held_texts(self) -> list[str]:
        return [text for document in self.held for text in document]


def read_corpus(words: Sequence[str | Path], text: str, label: str | None, seed: int) -> Corpus:
    """All that --data names, as one corpus.

    Raises OSError for a file that is not there, and ValueError for an empty corpus, one of a
    single text, or a table without the columns.
    """
    if [str(word) for word in words] == ["glosses"] and not Path("glosses").exists():
        return glosses()
    if [str(word) for word in words] == ["moby-dick"] and not Path("moby-dick").exists():
        return moby_dick()
    documents: Documents = []
    labels: list[str | None] = []
    for word in words:
        found, of_rows = read_file(data_file(word), text, label)
        documents += found
        labels += of_rows
    source = ", ".join(str(word) for word in words)
    total = sum(map(len, documents))
    if total < 2:
        raise ValueError(
            f"{source} holds {count(total, 'text') if total else 'no text'}; pre-training needs "
            f"two or more, one to learn from and one held out"
        )
    return divided(source, documents, labels, seed)


def glosses() -> Corpus:
    """The shipped definitions: those of the development split are held out."""
    found = load_glosses()
    return Corpus(
        "glosses",
        [[text] for text in found.unlabelled],
        [[text] for text in found.dev[0]],
        Labelled(*found.train),
        Labelled(*found.dev),
        found.classes,
    )


def moby_dick() -> Corpus:
    """The shipped prose: a chapter is a document, a paragraph a text."""
    found = load_moby_dick()
    train, held = (
        [[line for line in chapter.splitlines() if line.strip()] for chapter in part]
        for part in (found.train, found.held_out)
    )
    return Corpus("moby-dick", train, held)


def divided(source: str, documents: Documents, labels: Sequence[str | None], seed: int) -> Corpus:
    """Documents held out at random, or, of few, the end of the last ones.

    A held-out text that also stands in the other part is dropped from it.
    """
    total = sum(map(len, documents))
    wanted = min(max(1, round(HELD_OUT * total)), MOST_HELD_OUT)
    if len(documents) < MANY:
        train, held = cut_end(documents, wanted)
        return Corpus(source, train, without_copies(held, train) or held)
    order = np.random.default_rng(seed).permutation(len(documents))
    reached = np.cumsum([len(documents[i]) for i in order])
    last = int(np.searchsorted(reached, wanted)) + 1
    out, stay = np.sort(order[:last]), np.sort(order[last:])
    train, held = ([documents[i] for i in rows] for rows in (stay, out))
    kept = without_copies(held, train) or held
    if not any(labels):
        return Corpus(source, train, kept)
    classes, numbers = np.unique([label or "" for label in labels], return_inverse=True)
    labelled, judged = (
        Labelled([documents[i][0] for i in rows], numbers[rows]) for rows in (stay, out)
    )
    return Corpus(source, train, kept, labelled, judged, classes.tolist())


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


def without_copies(held: Documents, train: Documents) -> Documents:
    """Held-out texts that stand nowhere in the other part."""
    known = {folded(text) for document in train for text in document}
    left = [[text for text in document if folded(text) not in known] for document in held]
    return [document for document in left if document]


# ----------------------------------------------------------------------------------- the files


def read_file(file: Path, text: str, label: str | None) -> tuple[Documents, list[str | None]]:
    """Documents of one file, and the label of each (None: it has none)."""
    if file.suffix in (".npz", ".png") or file.is_dir():
        raise ValueError(f"{file} holds images; this objective learns from text")
    if file.suffix == ".txt":
        with file.open("rb") as stream:
            documents = paragraphs([line.strip() for line in text_lines(stream, str(file))])
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


def paragraphs(lines: list[str]) -> Documents:
    """Runs of lines between blank ones; without any blank line, each line is a document."""
    if "" not in lines:
        return [[line] for line in lines]
    documents: Documents = [[]]
    for line in lines:
        if line:
            documents[-1].append(line)
        elif documents[-1]:
            documents.append([])
    return [document for document in documents if document]


def texts_of(documents: Documents) -> list[str]:
    """One text each, its parts as lines."""
    return ["\n".join(document) for document in documents]
