"""The prose that ships: the 135 chapters of Herman Melville's "Moby-Dick" (1851), public domain.

1.2 million characters by one author: enough for a small model to learn spelling, words and some
grammar, and documents of many sentences for the next-sentence task. Every tenth chapter is held
out. See MOBY_DICK_LICENSE for the source.

Not here: how the file is made (`make_moby_dick.py`). Read next: `packing.py`, `sentence_pairs.py`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

MOBY_DICK_FILE = Path(__file__).with_name("moby_dick.txt.bz2")
MOBY_DICK_SHA256 = "9b65b798aab86c6d825e5a3f3ad4899d36471789702bd1278fedf7991af40031"
CHAPTERS = 135
BREAK = "\f"  # stands between chapters


@dataclass(frozen=True)
class MobyDick:
    """Chapters to learn from and to test on: 122 and 13, one text each, paragraphs as lines."""

    train: list[str]
    held_out: list[str]


def load_moby_dick() -> MobyDick:
    """Read the shipped file, in about 0.1 s. Raises ValueError if it is not what was shipped."""
    import bz2  # on use: a Python built without libbz2 must still be able to import minift

    packed = MOBY_DICK_FILE.read_bytes()
    if hashlib.sha256(packed).hexdigest() != MOBY_DICK_SHA256:
        raise ValueError(f"{MOBY_DICK_FILE} is damaged; install minift again")
    chapters = bz2.decompress(packed).decode("utf-8").split(BREAK)
    held_out = chapters[9::10]  # chapters 10, 20, …, 130
    return MobyDick([c for i, c in enumerate(chapters) if i % 10 != 9], held_out)
