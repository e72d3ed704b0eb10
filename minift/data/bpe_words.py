"""GPT-2's way from text to words, and from words to bytes that can be read.

Nothing is dropped and nothing changed: the words, put together, are the text. A word takes the one
space before it along; contractions ('s, 're), letters, numbers and signs come apart. GPT-2 says
so in one regular expression,

    's|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+

whose classes Python's `re` does not know. Here each character is first replaced by one letter for
its kind, from tables that are the same under every Python; the expression then reads kinds.

A byte is shown as a character: those of printable Latin-1 as themselves, the others as the
characters from U+0100 on; so a space is "Ġ". Not here: joining bytes to pieces. Read next:
`bpe.py`. Radford et al. 2019 (GPT-2), section 2.2, and `encoder.py` of openai/gpt-2.
"""

import re

from minift.data.unicode_classes import LETTERS, NUMBERS, SPACES, CharacterTable

_ITSELF = set(" 'delmrstv")  # what the expression asks for by name


def kind_of(character: str) -> str:
    """L a letter, N a number, S white space, O anything else; what matters itself stays."""
    if character in _ITSELF:
        return character
    kinds = {"L": LETTERS, "N": NUMBERS, "S": SPACES}
    return next((kind for kind, members in kinds.items() if character in members), "O")


_KINDS = CharacterTable(kind_of)
_WORD = re.compile(
    r"'(?:[stmd]|re|ve|ll)"  # a contraction, in small letters only
    r"| ?[Ldelmrstv]+"
    r"| ?N+"
    r"| ?[O']+"
    r"|[ S]+(?![^ S])"  # white space, but for the last one before a word
    r"|[ S]+"
)


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where each word starts and ends, one behind the other."""
    return [match.span() for match in _WORD.finditer(text.translate(_KINDS))]


def words_of(text: str) -> list[str]:
    """The words; joined, they are the text."""
    return [text[start:end] for start, end in word_spans(text)]


# --- bytes as characters ------------------------------------------------------------------------


def _byte_characters() -> list[str]:
    readable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in readable]
    return [chr(b) if b in readable else chr(0x100 + others.index(b)) for b in range(256)]


BYTE_CHARACTERS = _byte_characters()  # the character of each byte
_SHOWN = dict(enumerate(BYTE_CHARACTERS))
_BYTES = {character: byte for byte, character in enumerate(BYTE_CHARACTERS)}


def show_bytes(text: str) -> str:
    """The UTF-8 bytes of a text, a character for each: "é " is "Ã©Ġ"."""
    return text.encode("utf-8").decode("latin-1").translate(_SHOWN)


def bytes_shown(piece: str) -> bytes:
    """The bytes that a piece stands for; its own if it holds other characters than those."""
    if all(character in _BYTES for character in piece):
        return bytes(_BYTES[character] for character in piece)
    return piece.encode("utf-8")
