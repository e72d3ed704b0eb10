"""Tokens that are found in a text before anything else happens to it: "[MASK]", "<|endoftext|>".

A tokenizer's vocabulary is cut from words; added tokens stand beside it. They are looked for in
the text itself, the longest first, and what lies between them is tokenised as usual. One that is
`normalized` is looked for after cleaning and lower-casing, so that "Covid" also finds "COVID".

Not here: how ids are given to them (`wordpiece.py`, `bpe.py`). Read next: `tokenizer.py`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from minift.data.unicode_classes import WHITE_SPACE


@dataclass(frozen=True)
class AddedToken:
    """`content` as it stands in the text; with `lstrip` (`rstrip`) it swallows white space there.

    `special` tokens are left out when ids become text again. Names as in Hugging Face's files.
    """

    content: str
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False
    special: bool = True

    def __post_init__(self) -> None:
        if not self.content:
            raise ValueError("an added token is empty; it needs a content")

    @classmethod
    def from_json(cls, entry: Any) -> "AddedToken":
        """Read an entry of `added_tokens`. Raises ValueError for what is not supported."""
        if not isinstance(entry, Mapping) or not isinstance(entry.get("content"), str):
            raise ValueError(f"an added token should be an object with a content, got {entry!r}")
        if entry.get("single_word"):
            raise ValueError(
                f"the added token {entry['content']!r} has single_word=true, which minift does "
                f"not support"
            )
        names = [field.name for field in fields(cls)]
        return cls(**{name: entry[name] for name in names if name in entry})

    def to_json(self) -> dict[str, Any]:
        """The entry of `added_tokens`, but for its id."""
        return asdict(self) | {"single_word": False}


Part = tuple[int, int, AddedToken | None]  # start, end, and the token or None for plain text


class AddedTokens:
    """Cuts a text into added tokens and what lies between.

    `normalize` is what the tokenizer does to all text; the contents of normalised tokens go
    through it, too.
    """

    def __init__(self, tokens: Iterable[AddedToken], normalize: Callable[[str], str]) -> None:
        tokens = list(tokens)
        self._raw = _Finder({t.content: t for t in tokens if not t.normalized})
        self._normalized = _Finder({normalize(t.content): t for t in tokens if t.normalized})
        self.any_normalized = any(token.normalized for token in tokens)

    def split(self, text: str) -> list[Part]:
        """Parts of a text as it came, in order, none of them empty."""
        return self._raw.split(text)

    def split_normalized(self, text: str) -> list[Part]:
        """Parts of text that is normalised already."""
        return self._normalized.split(text)


class _Finder:
    """One regular expression for many contents; where two begin, the longest wins."""

    def __init__(self, tokens: Mapping[str, AddedToken]) -> None:
        self.tokens = {content: token for content, token in tokens.items() if content}
        longest_first = sorted(self.tokens, key=len, reverse=True)
        self.pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def split(self, text: str) -> list[Part]:
        parts: list[Part] = []
        done = 0
        for match in self.pattern.finditer(text):
            start, end = match.span()
            token = self.tokens[match.group()]
            if token.lstrip:
                start = max(done, len(text[:start].rstrip(WHITE_SPACE)))
            if token.rstrip:
                end = len(text) - len(text[end:].lstrip(WHITE_SPACE))
            if done < start:
                parts.append((done, start, None))
            parts.append((start, end, token))
            done = end
        if done < len(text):
            parts.append((done, len(text), None))
        return parts
