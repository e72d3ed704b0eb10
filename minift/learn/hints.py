"""Hints of three levels: the first asks a question, the last all but says it."""

from __future__ import annotations

import re

from minift.learn.course import Lesson

LEVELS = 3


def read_hints(lesson: Lesson) -> list[str]:
    """The texts below `## 1`, `## 2` and `## 3`. Raises ValueError if one is missing."""
    text = lesson.hints.read_text(encoding="utf-8")
    parts = re.split(r"^## (\d)\s*$", text, flags=re.MULTILINE)
    found = {int(level): hint.strip() for level, hint in zip(parts[1::2], parts[2::2])}
    if sorted(found) != list(range(1, LEVELS + 1)) or not all(found.values()):
        raise ValueError(f"{lesson.hints} must have the headings ## 1, ## 2 and ## 3, with text")
    return [found[level] for level in range(1, LEVELS + 1)]
