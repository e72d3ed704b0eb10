"""From what an archive holds to files that the commands read: contents in, contents out.

Each function takes the contents of the members by path and returns those of the files to keep by
name. Text becomes CSV (UTF-8, lines end in \\n) or plain lines, images an `.npz` with `images`
(n, height, width) uint8 and `labels` (n,) int64.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tarfile
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from typing import Any

import numpy as np

Files = dict[str, bytes]


def as_they_are(files: Files) -> Files:
    """Every file under its own name."""
    return {PurePosixPath(path).name: content for path, content in files.items()}


# ---------------------------------------------------------------------------------------- text


def rated_sentences(member: str, name: str) -> Callable[[Files], Files]:
    """The rows (id, mean rating, text) of one file of a tar archive as `text,label,rating`.

    People rated each sentence from -4 (extremely negative) to 4, and the file holds their mean. The
    label is its sign, `negative` or `positive`; a sentence with a mean of exactly 0 is neither
    and is left out.
    """

    def prepare(files: Files) -> Files:
        (content,) = files.values()
        with tarfile.open(fileobj=io.BytesIO(content)) as opened:
            stream = opened.extractfile(member)
            assert stream is not None
            lines = stream.read().decode("utf-8").splitlines()
        rows = [line.split("\t") for line in lines if line.strip()]
        labelled = [
            (text.strip(), "positive" if float(rating) > 0 else "negative", rating)
            for _, rating, text in rows
            if float(rating) != 0
        ]
        return {name: table(("text", "label", "rating"), labelled)}

    return prepare


def mails(files: Files) -> Files:
    """`text,label` of e-mails, spam or ham by their folder. Headers leak the label: they go."""
    rows = [
        (body(content), "spam" if PurePosixPath(path).parts[-2].startswith("spam") else "ham")
        for path, content in sorted(files.items())
    ]
    return {"mails.csv": table(("text", "label"), rows)}


def body(mail: bytes) -> str:
    """What a mail says: its first part of plain text, else of any text, else nothing."""
    import email

    parts = [part for part in email.message_from_bytes(mail).walk() if not part.is_multipart()]
    texts = [part for part in parts if part.get_content_maintype() == "text"]
    texts.sort(key=lambda part: part.get_content_subtype() != "plain")
    if not texts:
        return ""
    content: Any = texts[0].get_payload(decode=True)
    return str(content, declared_charset(texts[0]), "replace").strip().replace("\0", "")


def declared_charset(part: Any) -> str:
    """The part's own character set, or Latin-1, in which any byte is a character."""
    import codecs

    try:
        return codecs.lookup(part.get_content_charset() or "latin-1").name
    except LookupError:
        return "latin-1"


# the dictionary that an entry was taken from, pronunciations, marks around cross-references
_NOT_PROSE = re.compile(r"\[[^]]*(?:Webster|WordNet|PJC)[^]]*\]|\\[^\\]*\\,?|[{}]")


def dictionary(files: Files) -> Files:
    """One paragraph a line, without the file's preface, sources and pronunciations."""
    (content,) = files.values()
    text = content.decode("utf-8", "replace")  # three of its 40 million bytes are no UTF-8
    text = text[text.index("\n0 \\0\\") :]  # the first entry
    paragraphs = (" ".join(_NOT_PROSE.sub("", part).split()) for part in text.split("\n\n"))
    return {"gcide.txt": "".join(f"{line}\n" for line in paragraphs if line).encode()}


def translations(files: Files) -> Files:
    """All pairs as `german,english`, and those of which both sides are sentences.

    A line is "German | more German :: English | more English", the parts in the same order.
    """
    (content,) = files.values()
    lines = content.decode("utf-8").splitlines()
    entries = (line.split(" :: ", 1) for line in lines if not line.startswith("#"))
    pairs = [
        (german.strip(), english.strip())
        for entry in entries
        if len(entry) == 2
        for german, english in zip(entry[0].split(" | "), entry[1].split(" | "))
    ]
    sentences = [pair for pair in pairs if all(side.endswith((".", "?", "!")) for side in pair)]
    names = ("german", "english")
    return {"sentences.csv": table(names, sentences), "pairs.csv": table(names, pairs)}


def table(names: Iterable[str], rows: Iterable[Iterable[str]]) -> bytes:
    """A CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return text.getvalue().encode()


# -------------------------------------------------------------------------------------- images


def idx_images(files: Files) -> Files:
    """The four files of MNIST's format as train.npz and test.npz."""
    by_name = as_they_are(files)
    return {
        f"{split}.npz": npz(
            idx(by_name[f"{prefix}-images-idx3-ubyte.gz"]),
            idx(by_name[f"{prefix}-labels-idx1-ubyte.gz"]),
        )
        for split, prefix in (("train", "train"), ("test", "t10k"))
    }


def idx(content: bytes) -> np.ndarray:
    """An array of bytes in LeCun's IDX format: 0, 0, 8 (uint8), axes, sizes, big-endian.

    Raises ValueError if the numbers do not fill the shape.
    """
    axes = content[3]
    shape = np.frombuffer(content, ">u4", axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def digits(files: Files) -> Files:
    """One file a digit, {"data": 784 numbers in [0, 1] for each picture}, as one digits.npz."""
    images, labels = [], []
    for path, content in sorted(files.items()):
        pictures = np.array(json.loads(content)["data"]).reshape(-1, 28, 28)
        images.append(np.rint(255 * pictures).astype(np.uint8))
        labels.append(np.full(len(pictures), int(PurePosixPath(path).stem)))
    return {"digits.npz": npz(np.concatenate(images), np.concatenate(labels))}


def npz(images: np.ndarray, labels: np.ndarray) -> bytes:
    """Images and labels as the content of a compressed .npz file."""
    stream = io.BytesIO()
    np.savez_compressed(stream, images=images, labels=labels.astype(np.int64))
    return stream.getvalue()
