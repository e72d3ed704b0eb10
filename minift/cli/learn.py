"""`minift learn`: the course of the checkout. What it does is in `learn/`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minift.cli.arguments import EXIT_FAILURE, EXIT_INTERRUPTED, MistakeError, count, folder


def add(commands: Any) -> None:
    """The command and its acts."""
    command = commands.add_parser(
        "learn",
        help="the course: lessons, and exercises that check themselves",
        description=(
            "The lessons lie in the checkout's lessons/, exercises in lessons/exercises/.\n"
            "Start with: minift learn list"
        ),
    )
    acts = command.add_subparsers(title="acts", metavar="ACT", required=True, dest="act")
    add_act(acts, "list", list_lessons, "the lessons, and what you have done")
    lesson_of(add_act(acts, "run", run_one, "run a lesson and show its result"))
    lesson_of(add_act(acts, "check", check, "check the exercise of a lesson"))
    hints = add_act(acts, "hint", hint, "a hint for the exercise; each call goes one level further")
    lesson_of(hints)
    hints.add_argument("level", type=count, nargs="?", metavar="LEVEL", help="1, 2 or 3")
    notebook = add_act(acts, "notebook", write_notebook, "write a lesson as a Jupyter notebook")
    lesson_of(notebook)
    where = "by default in lessons/notebooks/"
    notebook.add_argument("--output", type=folder, metavar="FILE.ipynb", help=where)
    notebook.add_argument("--overwrite", action="store_true", help="replace FILE.ipynb")
    add_act(acts, "watch", watch, "check an exercise again whenever you save it")


def add_act(acts: Any, name: str, run: Callable[..., int], text: str) -> Any:
    """One act of `minift learn`."""
    act = acts.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    act.set_defaults(run=saying_what_is_wrong(run))
    return act


def lesson_of(act: Any) -> None:
    """The act concerns one lesson."""
    act.add_argument("number", type=count, metavar="N", help="number of the lesson")


def saying_what_is_wrong(run: Callable[..., int]) -> Callable[[argparse.Namespace], int]:
    """`run`, whose ValueError or OSError is the user's mistake."""

    def carried_out(options: argparse.Namespace) -> int:
        try:
            return run(options)
        except (ValueError, OSError) as error:
            raise MistakeError(f"learn: {error}") from None

    return carried_out


def list_lessons(_: argparse.Namespace) -> int:
    """One line a lesson: done or not, title, time, exercise."""
    from minift.learn import progress
    from minift.learn.course import all_lessons

    lessons, noted = all_lessons(), progress.read()
    width = max(len(lesson.title) for lesson in lessons)
    for lesson in lessons:
        facts = noted.get(lesson.key, {})
        mark = "x" if facts.get("solved") else "~" if facts else " "
        did = [word for word in ("ran", "solved") if facts.get(word)]
        did += [f"{facts['hints']} of 3 hints"] if facts.get("hints") else []
        line = f"[{mark}] {lesson.key}  {lesson.title:<{width}}  {lesson.time}"
        print(line + (f"  ({', '.join(did)})" if did else ""))
    solved = sum(bool(noted.get(lesson.key, {}).get("solved")) for lesson in lessons)
    print(f"{solved} of {len(lessons)} exercises solved; [~] begun, [x] solved")
    return 0


def run_one(options: argparse.Namespace) -> int:
    """Run a lesson, hold its result against the stored bounds, say where the picture is."""
    from minift.learn import progress, stored, table
    from minift.learn.checking import near
    from minift.learn.course import find
    from minift.learn.running import run_lesson

    lesson = find(options.number)
    bounds = stored.read(lesson)["bounds"]
    try:
        ran = run_lesson(lesson)
    except RuntimeError as error:
        print(f"minift: learn: {error}", file=sys.stderr)
        return EXIT_FAILURE
    wrong = stored.breaches(ran.result, bounds)
    print(f"\nResult: {table.sentence(ran.result)} ({ran.seconds:.1f} s)".replace("**", ""))
    print(f"Picture: {near(lesson.figure)}")
    print(f"Exercise: {near(lesson.exercise)}, then minift learn check {lesson.number}")
    for sentence in wrong:
        print(f"Not as it should be: {sentence}")
    if not wrong:
        progress.note(lesson, ran=True)
    return EXIT_FAILURE if wrong else 0


def check(options: argparse.Namespace) -> int:
    """Check the exercise of one lesson."""
    from minift.learn.course import find

    return check_and_note(find(options.number))


def check_and_note(lesson: Any) -> int:
    """Print the verdict on an exercise, and remember that it is solved."""
    from minift.learn import checking, progress

    verdict = checking.check_exercise(lesson)
    print(checking.explain(lesson, verdict))
    if verdict.right:
        progress.note(lesson, solved=True)
        return 0
    return EXIT_INTERRUPTED if verdict.interrupted else EXIT_FAILURE


def hint(options: argparse.Namespace) -> int:
    """The hint of the level asked for, or the next one."""
    from minift.learn import hints, progress
    from minift.learn.course import find

    lesson = find(options.number)
    texts = hints.read_hints(lesson)
    given = progress.read().get(lesson.key, {}).get("hints", 0)
    level = options.level or min(given + 1, hints.LEVELS)
    if level > hints.LEVELS:
        raise ValueError(f"hint has levels 1 to {hints.LEVELS}, got {level}")
    print(f"Hint {level} of {hints.LEVELS} for exercise {lesson.key}:\n\n{texts[level - 1]}")
    progress.note(lesson, hints=max(level, given))
    return 0


def write_notebook(options: argparse.Namespace) -> int:
    """The lesson as .ipynb."""
    from minift import hub
    from minift.learn.checking import near
    from minift.learn.course import find
    from minift.learn.notebook import to_notebook

    lesson = find(options.number)
    file: Path = options.output or lesson.notebook
    if file.suffix != ".ipynb":
        raise ValueError(f"--output must name a file that ends in .ipynb, got {file}")
    if file.is_dir() or (file.exists() and not options.overwrite):
        raise ValueError(f"{file} is there already; pass --overwrite or another --output")
    hub.write(file, to_notebook(lesson.file.read_text(encoding="utf-8")).encode())
    print(f"{near(file)}: open it with jupyter lab or VS Code")
    return 0


def watch(_: argparse.Namespace) -> int:
    """Check what is saved until Ctrl-C; one during a check ends this check only."""
    from minift.learn.checking import near
    from minift.learn.course import all_lessons
    from minift.learn.watching import saved

    lessons = all_lessons()
    where = near(lessons[0].exercises)
    print(f"Watching {where}; save an exercise to check it, Ctrl-C to end", flush=True)
    try:
        for lesson in saved(lessons):
            print(f"\n{near(lesson.exercise)}", flush=True)
            check_and_note(lesson)
            sys.stdout.flush()
    except KeyboardInterrupt:
        print()
    return 0
