"""BERT's basic tokenisation: text to words, before any vocabulary is involved.

Control characters go; Chinese characters and punctuation become words of their own; accents go
and capitals become small where the vocabulary is uncased; the rest is cut at white space. This is
`BasicTokenizer` of google-research/bert `tokenization.py`, and agrees with Hugging Face's
BertNormalizer followed by BertPreTokenizer in every character of Unicode.

There are two ways through the same steps: `BasicWords.__call__`, for speed, translates the whole
text by tables; `normalize` and `cut` go character by character and remember where in the text each
one came from. Read next: `wordpiece.py`.
"""

import re

from minift.data.unicode_classes import (
    CHINESE,
    DELETED,
    MARKS,
    PUNCTUATION,
    SMALL_LETTERS,
    SPACES,
    CharacterTable,
    decompose,
    decompose_with_origin,
)

Placed = tuple[str, list[int]]  # text, and for each character the place in the original


class BasicWords:
    """Callable: text to its list of words. Without `strip_accents` accents stay on capitals too."""

    def __init__(self, lowercase: bool = True, strip_accents: bool = True) -> None:
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self._clean = CharacterTable(clean_character)
        self._fold = CharacterTable(self.fold_character)
        self._separate = CharacterTable(separate_punctuation)

    def __call__(self, text: str) -> list[str]:
        """Three passes, because folding may change what the next table must look at."""
        text = text.translate(self._clean)
        if self.strip_accents and not text.isascii():
            text = decompose(text)
        return text.translate(self._fold).translate(self._separate).split()

    def normalize(self, text: str) -> Placed:
        """What the words are cut from, each character with the place of its origin in `text`."""
        placed = _translate((text, list(range(len(text)))), self._clean)
        if self.strip_accents and not text.isascii():
            placed = _decompose(placed)
        return _translate(placed, self._fold)

    def fold_character(self, character: str) -> str:
        """Drop accents (of decomposed text) and make capitals small, where so wished."""
        if self.strip_accents and character in MARKS:
            return ""
        return SMALL_LETTERS.get(character, character) if self.lowercase else character


def cut(normalized: Placed) -> list[Placed]:
    """Words of normalised text: runs of neither spaces nor punctuation, and each of the latter."""
    text, places = normalized
    found = (match.span() for match in _WORD.finditer(text.translate(_KINDS)))
    return [(text[start:end], places[start:end]) for start, end in found]


def clean_character(character: str) -> str:
    """Drop control characters except tab and line ends; set Chinese characters apart."""
    if character in DELETED:
        return ""
    if character in SPACES:
        return " "
    return f" {character} " if character in CHINESE else character


def separate_punctuation(character: str) -> str:
    """All of ASCII's symbols count ("$", "+" and "`" are not punctuation in Unicode)."""
    return f" {character} " if character in PUNCTUATION else character


_KINDS = CharacterTable(lambda c: " " if c in SPACES else "." if c in PUNCTUATION else "a")
_WORD = re.compile(r"a+|\.")


def _translate(placed: Placed, table: CharacterTable) -> Placed:
    """`str.translate` that carries the places along: all that a character becomes stays there."""
    text, places = placed
    parts = [table[ord(character)] for character in text]
    moved = [place for part, place in zip(parts, places) for _ in part]
    return "".join(parts), moved


def _decompose(placed: Placed) -> Placed:
    """NFD that carries the places along, as the reference does: in order of appearance.

    Where accents are sorted, the first one to appear takes the first place, not its own.
    """
    text, places = placed
    characters = decompose_with_origin(text)
    seen, moved = -1, []
    for _, is_first in characters:
        seen += is_first
        moved.append(places[seen])
    return "".join(character for character, _ in characters), moved
