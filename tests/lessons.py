"""Run the course: each result within its bounds and its time, some twice, some as notebooks.

    python tests/lessons.py [--slow] [N ...]

All lessons, or those that are named. The lessons of TWICE run twice and must print the same numbers
both times; with --slow, all do. Those of AS_NOTEBOOK are executed in Jupyter from the first cell to
the last, and must show their picture and the same result. Exits 1 if anything is not as it should
be. Pictures go to a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from minift.learn import stored
from minift.learn.course import Lesson, all_lessons
from minift.learn.notebook import to_notebook
from minift.learn.pictures import FIGURES
from minift.learn.results import read_result, repeatable
from minift.learn.running import checkout_first, run_lesson
from minift.learn.table import sentence

TWICE = (1, 6, 8)
AS_NOTEBOOK = (1, 3, 5)
TOTAL = 600  # seconds for all lessons together


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slow", action="store_true", help="every lesson twice")
    parser.add_argument("numbers", type=int, nargs="*", metavar="N")
    options = parser.parse_args()
    lessons = [one for one in all_lessons() if not options.numbers or one.number in options.numbers]
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update({FIGURES: folder, **checkout_first()})
        failures = [
            f"lesson {lesson.key}: {failure}"
            for lesson in lessons
            for failure in failures_of(lesson, options.slow or lesson.number in TWICE, folder)
        ]
    total = sum(stored.read(lesson)["seconds"] for lesson in lessons)
    if total > TOTAL:
        failures.append(f"all lessons take {total:.0f} s by their records, more than {TOTAL} s")
    print("\n".join([*failures, f"{len(lessons)} lessons, {len(failures)} failures"]))
    return 1 if failures or not lessons else 0


def failures_of(lesson: Lesson, twice: bool, folder: str) -> list[str]:
    """What is wrong with a lesson, each in a sentence."""
    kept = stored.read(lesson)
    quiet = lambda line: None
    try:
        ran = run_lesson(lesson, say=quiet)
    except RuntimeError as error:
        return [str(error)]
    print(
        f"{lesson.key}  {ran.seconds:5.1f} s  {sentence(ran.result)}".replace("**", ""), flush=True
    )
    found = stored.breaches(ran.result, kept["bounds"])
    if ran.seconds > kept["limit"]:
        found.append(f"took {ran.seconds:.0f} s, more than {kept['limit']} s")
    if not (Path(folder) / lesson.figure.name).is_file():
        found.append(f"drew no picture {lesson.figure.name}")
    if twice and repeatable(run_lesson(lesson, say=quiet).result) != repeatable(ran.result):
        found.append("two runs gave two results")
    if lesson.number in AS_NOTEBOOK:
        found += notebook_failures(lesson, repeatable(ran.result), kept["limit"])
    return found


def notebook_failures(lesson: Lesson, expected: dict, limit: float) -> list[str]:
    """Execute the lesson's notebook whole."""
    import nbclient
    import nbformat

    begun = time.perf_counter()
    notebook = nbformat.reads(to_notebook(lesson.file.read_text(encoding="utf-8")), as_version=4)
    nbformat.validate(notebook)
    try:
        nbclient.NotebookClient(notebook, timeout=2 * limit).execute()
    except nbclient.exceptions.CellExecutionError as error:
        return [f"notebook: {error.ename}: {error.evalue}"]
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", ())]
    print(f"    notebook: {len(notebook.cells)} cells, {time.perf_counter() - begun:.1f} s")
    found = []
    if not any("image/png" in one.get("data", {}) for one in outputs):
        found.append("notebook: it shows no picture")
    printed = "".join(one.text for one in outputs if one.get("name") == "stdout")
    if repeatable(read_result(printed)) != expected:
        found.append("notebook: its result is not the script's")
    return found


if __name__ == "__main__":
    sys.exit(main())
