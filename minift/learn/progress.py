"""What the learner has done: lessons/.progress.json, which git ignores.

{"01": {"ran": true, "solved": true, "hints": 2}}
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from minift import hub
from minift.learn.course import LESSONS, Lesson

FILE = LESSONS / ".progress.json"


def read(file: Path = FILE) -> dict[str, dict[str, Any]]:
    """All that is noted; nothing if there is no file. Raises ValueError if it is damaged."""
    if not file.is_file():
        return {}
    try:
        noted = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        noted = None
    if not isinstance(noted, dict) or not all(isinstance(one, dict) for one in noted.values()):
        raise ValueError(f"{file} is damaged; delete it to start counting anew")
    return noted


def note(lesson: Lesson, file: Path = FILE, **facts: Any) -> None:
    """Add facts about a lesson."""
    noted = read(file)
    noted[lesson.key] = noted.get(lesson.key, {}) | facts
    hub.write(file, (json.dumps(noted, indent=1, sort_keys=True) + "\n").encode())
