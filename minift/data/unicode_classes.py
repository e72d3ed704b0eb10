"""Classes of characters that are the same under every Python: letters, accents, white space, ...

`unicodedata` speaks the Unicode of the Python it comes with, so that a tokenizer built on it cuts
a text differently next year. Here the classes come from a table that is written down
(`unicode_tables.py`), and decomposition (NFD) leaves alone what that table calls inert. The rest
of NFD is Python's own: Unicode promises never to change it for a character once it is assigned.

Not here: what tokenizers do with the classes. Read next: `basic_words.py`.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable
from operator import itemgetter

from minift.data import unicode_tables


class CharacterTable(dict[int, str]):
    """What each code point becomes, computed by `rule` at its first appearance.

    For `str.translate`, which then does the work in C.
    """

    def __init__(self, rule: Callable[[str], str]) -> None:
        super().__init__()
        self.rule = rule

    def __missing__(self, code: int) -> str:
        self[code] = self.rule(chr(code))
        return self[code]


class CharacterClass:
    """A set of characters, `character in MARKS`, from a table of ranges such as "41-5a 61"."""

    def __init__(self, table: str) -> None:
        ends = [part.split("-") for part in table.split()]
        self.ranges = [(int(end[0], 16), int(end[-1], 16)) for end in ends]
        self._firsts = [first for first, _ in self.ranges]

    def __contains__(self, character: str) -> bool:
        i = bisect_right(self._firsts, ord(character)) - 1
        return i >= 0 and ord(character) <= self.ranges[i][1]

    def pattern(self) -> str:
        """The inside of a regular expression's [...]."""
        return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in self.ranges)


def read_small_letters(table: str) -> dict[str, str]:
    """Capital to small letter, from runs such as "100-12e/2+1": every second one, itself + 1."""
    small = {"\u0130": "i\u0307"}
    for run in table.split():
        first, last, step, shift = _RUN.fullmatch(run).groups()  # type: ignore[union-attr]  # ours
        for code in range(int(first, 16), int(last, 16) + 1, int(step or 1)):
            small[chr(code)] = chr(code + int(shift, 16))
    return small


_RUN = re.compile(r"([0-9a-f]+)-([0-9a-f]+)(?:/(\d))?([+-][0-9a-f]+)")

DELETED = CharacterClass(unicode_tables.DELETED)
SPACES = CharacterClass(unicode_tables.SPACES)
CHINESE = CharacterClass(unicode_tables.CHINESE)
MARKS = CharacterClass(unicode_tables.MARKS)
PUNCTUATION = CharacterClass(unicode_tables.PUNCTUATION)
LETTERS = CharacterClass(unicode_tables.LETTERS)
NUMBERS = CharacterClass(unicode_tables.NUMBERS)
INERT = CharacterClass(unicode_tables.INERT)
SMALL_LETTERS = read_small_letters(unicode_tables.LOWER)
WHITE_SPACE = "".join(chr(code) for a, b in SPACES.ranges for code in range(a, b + 1))


# --- canonical decomposition --------------------------------------------------------------------


def decompose(text: str) -> str:
    """NFD: "é" to "e" and a combining accent, the accents of a letter in canonical order."""
    if _PERHAPS_INERT.search(text):
        return "".join(character for character, _ in decompose_with_origin(text))
    return unicodedata.normalize("NFD", text)


def decompose_with_origin(text: str) -> list[tuple[str, bool]]:
    """NFD by hand: each character, and whether it is the first of those its origin became.

    Between two characters of combining class 0, the others are sorted by class, stably.
    """
    result: list[tuple[str, bool]] = []
    accents: list[tuple[int, str, bool]] = []
    for character in text:
        for kind, part, is_first in _PARTS[character]:
            if kind:
                accents.append((kind, part, is_first))
                continue
            if accents:
                result += _sorted(accents)
                accents = []
            result.append((part, is_first))
    return result + _sorted(accents)


class _Parts(dict[str, list[tuple[int, str, bool]]]):
    """What a character decomposes into: combining class, character, whether it is the first."""

    def __missing__(self, character: str) -> list[tuple[int, str, bool]]:
        inert = character in INERT
        parts = character if inert else unicodedata.normalize("NFD", character)
        kinds = [0] if inert else map(unicodedata.combining, parts)
        self[character] = [(k, part, i == 0) for i, (k, part) in enumerate(zip(kinds, parts))]
        return self[character]


_PARTS = _Parts()


def _sorted(accents: list[tuple[int, str, bool]]) -> list[tuple[str, bool]]:
    return [accent[1:] for accent in sorted(accents, key=itemgetter(0))]


def _perhaps_inert() -> re.Pattern[str]:
    """All inert characters below U+10000, and everything above: a class that `re` looks up fast."""
    below = [(a, min(b, 0xFFFF)) for a, b in INERT.ranges if a <= 0xFFFF]
    ranges = "".join(f"\\U{a:08x}-\\U{b:08x}" for a, b in below)
    return re.compile(f"[{ranges}\\U00010000-\\U0010ffff]")


_PERHAPS_INERT = _perhaps_inert()


# --- text that is no text -----------------------------------------------------------------------


def check_text(text: object, name: str) -> str:
    """The text itself. Raises TypeError if it is none, ValueError if it holds half a character."""
    if not isinstance(text, str):
        raise TypeError(f"{name} is {text!r}; the tokenizer takes a str or several")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name} holds a lone surrogate, U+{ord(text[error.start]):04X} at character "
            f"{error.start}, which is half a character; read it anew in its right encoding"
        ) from None
    return text
