"""Run a lesson as a script, in a process of its own, and read its result."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from minift.learn.course import ROOT, Lesson
from minift.learn.results import START, read_result


@dataclass(frozen=True)
class Run:
    """What a lesson printed: its RESULT, and how long it took."""

    result: dict[str, Any]
    seconds: float


def run_lesson(
    lesson: Lesson, say: Callable[[str], Any] = print, settings: Mapping[str, str] | None = None
) -> Run:
    """Run it and pass on what it prints, line by line, but for the RESULT.

    `settings` are environment variables for it. Raises RuntimeError if it fails or ends without a
    RESULT.
    """
    begun, lines = time.perf_counter(), []
    with subprocess.Popen(
        [sys.executable, str(lesson.file)],
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **checkout_first(), **(settings or {})},
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            lines.append(line)
            if not line.startswith(START):
                say(line.rstrip("\n"))
    if child.returncode:
        raise RuntimeError(f"lesson {lesson.key} ended with exit code {child.returncode}")
    try:
        found = read_result("".join(lines))
    except ValueError as error:
        raise RuntimeError(f"lesson {lesson.key}: {error}") from None
    return Run(found, time.perf_counter() - begun)


def checkout_first() -> dict[str, str]:
    """A lesson imports the minift beside it."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths)}
