"""What the learner has done: lessons/.progress.json, which git ignores.

{"01": {"ran": true, "solved": true, "hints": 2}}
"""

from __future__ import annotations

import json
from typing import Any

from minift import hub
from minift.learn import course
from minift.learn.course import Lesson

NAME = ".progress.json"


def read() -> dict[str, dict[str, Any]]:
    """All that is noted; nothing if there is no file. Raises ValueError if it is damaged."""
    file = course.LESSONS / NAME
    if not file.is_file():
        return {}
    try:
        noted = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        noted = None
    if not isinstance(noted, dict) or not all(isinstance(one, dict) for one in noted.values()):
        raise ValueError(f"{file} is damaged; delete it to start counting anew")
    return noted


def note(lesson: Lesson, **facts: Any) -> None:
    """Add facts about a lesson."""
    noted = read()
    noted[lesson.key] = noted.get(lesson.key, {}) | facts
    text = json.dumps(noted, indent=1, sort_keys=True) + "\n"
    hub.write(course.LESSONS / NAME, text.encode())
