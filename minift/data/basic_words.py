"""BERT's basic tokenisation: text to words, before any vocabulary is involved.

Control characters go; Chinese characters and punctuation become words of their own; accents go
and capitals become small where the vocabulary is uncased; the rest is cut at white space. This is
`BasicTokenizer` of google-research/bert `tokenization.py`, character by character, and agrees
with Hugging Face's BertNormalizer followed by BertPreTokenizer.

Each step is a table from character to text that fills itself as characters are met, so that
`str.translate` does the work in C. Read next: `wordpiece.py`.
"""

import string
import unicodedata
from collections.abc import Callable

# The CJK Unified Ideographs and their extensions; not Hangul or kana, which are spelt in words.
_CHINESE_RANGES = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class CharacterTable(dict[int, str]):
    """What each code point becomes, computed by `rule` at its first appearance."""

    def __init__(self, rule: Callable[[str], str]) -> None:
        super().__init__()
        self.rule = rule

    def __missing__(self, code: int) -> str:
        self[code] = self.rule(chr(code))
        return self[code]


class BasicWords:
    """Callable: text to its list of words. Without `strip_accents` accents stay on capitals too."""

    def __init__(self, lowercase: bool = True, strip_accents: bool = True) -> None:
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self._clean = CharacterTable(clean_character)
        self._fold = CharacterTable(self._fold_character)
        self._separate = CharacterTable(separate_punctuation)

    def __call__(self, text: str) -> list[str]:
        """Three passes, because folding may change what the next table must look at."""
        text = text.translate(self._clean)
        if self.strip_accents and not text.isascii():
            text = unicodedata.normalize("NFD", text)  # "é" to "e" and a combining accent
        return text.translate(self._fold).translate(self._separate).split()

    def _fold_character(self, character: str) -> str:
        if self.strip_accents and unicodedata.category(character) == "Mn":
            return ""
        return character.lower() if self.lowercase else character


def clean_character(character: str) -> str:
    """Drop control characters except tab and line ends; set Chinese characters apart."""
    if character in "\t\n\r":
        return " "
    if character == "\ufffd" or unicodedata.category(character).startswith("C"):
        return ""
    return f" {character} " if _is_chinese(ord(character)) else character


def separate_punctuation(character: str) -> str:
    """All of ASCII's symbols count ("$", "+" and "`" are not punctuation in Unicode)."""
    is_punctuation = unicodedata.category(character).startswith("P")
    return f" {character} " if character in string.punctuation or is_punctuation else character


def _is_chinese(code: int) -> bool:
    return any(first <= code <= last for first, last in _CHINESE_RANGES)
