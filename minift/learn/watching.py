"""Tell when the file of an exercise was saved, so that it is checked again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from minift.learn.course import Lesson


def saved(
    lessons: Sequence[Lesson], wait: Callable[[], None] = lambda: time.sleep(0.5)
) -> Iterator[Lesson]:
    """Yield a lesson each time its exercise is saved; never ends."""
    seen = {lesson: written(lesson.exercise) for lesson in lessons}
    while True:
        wait()
        for lesson in lessons:
            now = written(lesson.exercise)
            if now != seen[lesson]:
                seen[lesson] = now
                if now:  # some editors delete a file and write it anew
                    yield lesson


def written(file: Path) -> int:
    """When the file was written, in nanoseconds; 0 if it is not there."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0
