"""lessons/results/NN.json: between which bounds a lesson's numbers must lie, and what was measured.

    {
      "bounds": {"value": [0, 1e-8], "baseline": [0.1, 1]},   names as in RESULT, `also`, `timing`
      "limit": 60,                                            seconds that it may take
      "measured": {...}, "seconds": 1.9                       the RESULT, for the table of lessons
    }

The bounds are written by hand, wide enough for another machine's rounding and no wider. The rest is
written by `python -m minift.learn.stored NN ...`, which runs lessons and keeps what they print.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from minift import hub
from minift.learn.course import Lesson, find
from minift.learn.results import numbers_of


def read(lesson: Lesson) -> dict[str, Any]:
    """What is stored of a lesson. Raises ValueError if there is nothing."""
    if not lesson.stored.is_file():
        raise ValueError(f"lesson {lesson.key} has no stored bounds, {lesson.stored}")
    found: dict[str, Any] = json.loads(lesson.stored.read_text(encoding="utf-8"))
    return found


def breaches(result: Mapping[str, Any], bounds: Mapping[str, list[float]]) -> list[str]:
    """What of a RESULT is not as it should be, each in a sentence."""
    numbers = numbers_of(result)
    said = [] if result["pass"] else ["the lesson itself says that it did not pass"]
    for name, (low, high) in bounds.items():
        if name not in numbers:
            said.append(f"{name} has bounds and is not in RESULT")
        elif not low <= numbers[name] <= high:
            said.append(f"{name} is {numbers[name]:g}, outside {low:g} to {high:g}")
    return said


def store(lesson: Lesson, result: Mapping[str, Any], seconds: float) -> None:
    """Keep what was measured beside the bounds."""
    kept = {"bounds": {}, "limit": 60}
    if lesson.stored.is_file():
        kept = read(lesson)
    kept |= {"measured": dict(result), "seconds": round(seconds, 1)}
    text = json.dumps(kept, indent=2, ensure_ascii=False)
    hub.write(lesson.stored, (text + "\n").encode())


if __name__ == "__main__":
    from minift.learn.running import run_lesson

    for word in sys.argv[1:]:
        ran = run_lesson(find(int(word)))
        store(find(int(word)), ran.result, ran.seconds)
