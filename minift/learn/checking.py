"""Check an exercise: run the cases in order, stop at the first that fails, explain it.

A case is a function `case_*(exercise)` of the lesson's check. What it must say is in
`comparing.py`. Nothing of a solution is ever shown: only the case, both arrays and the idea.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
import threading
import traceback
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from minift.learn.course import ROOT, Lesson

Case = Callable[[Any], None]
BRING_BACK = "for the stub as it was: git checkout"
READ = "your file can be read"
PATIENCE = 10.0  # seconds after which a case that still runs is named


@dataclass(frozen=True)
class Verdict:
    """How far an exercise came: the ideas of the cases that passed, and of the one that failed."""

    passed: Sequence[str]
    failed: str | None = None
    message: str = ""
    unwritten: bool = False  # the stub is as it was
    interrupted: bool = False  # by Ctrl-C

    @property
    def right(self) -> bool:
        return self.failed is None


def check_exercise(lesson: Lesson, file: Path | None = None) -> Verdict:
    """Run the lesson's cases on its exercise, or on another file."""
    cases = cases_of(load(lesson.check))
    file = file or lesson.exercise
    passed: list[str] = []
    idea = READ
    try:
        if not file.is_file():
            return Verdict(passed, idea, f"{near(file)} is not there; {BRING_BACK} {near(file)}")
        with named_if_slow(idea):
            exercise = load(file)
        for case in cases:
            idea = inspect.getdoc(case) or case.__name__
            with warnings.catch_warnings(), named_if_slow(idea):
                warnings.simplefilter("ignore")  # the case says what is wrong, in better words
                case(exercise)
            passed.append(idea)
    except NotImplementedError as error:
        return Verdict(passed, idea, str(error), unwritten=idea != READ)
    except AssertionError as error:
        return Verdict(passed, idea, (idea != READ and str(error)) or where(error, file))
    except KeyboardInterrupt as error:
        return Verdict(passed, idea, where(error, file), interrupted=True)
    except (Exception, SystemExit) as error:  # an exercise may call exit()
        return Verdict(passed, idea, where(error, file))
    return Verdict(passed)


@contextmanager
def named_if_slow(idea: str) -> Iterator[None]:
    """Tell on standard error what is being checked if it takes long: it may never end."""
    text = f"  ...   {idea} (for {PATIENCE:g} s so far; Ctrl-C stops it and says where it is)"
    timer = threading.Timer(PATIENCE, lambda: print(text, file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def load(file: Path) -> ModuleType:
    """Run a file as a module of its own, anew every time."""
    name = f"lesson_{file.stem}_{uuid.uuid4().hex}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look themselves up there
    writes = sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # a file saved twice in a second would be taken from the cache
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = writes
        del sys.modules[name]
    return module


def cases_of(check: ModuleType) -> list[Case]:
    """Its `case_*` functions, in the order in which they are written."""
    return [value for name, value in vars(check).items() if name.startswith("case_")]


def where(error: BaseException, file: Path) -> str:
    """What was raised, and the last line of the learner's own file on the way there."""
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return f"{near(file)}, line {error.lineno}: SyntaxError: {error.msg}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file)]
    place = f"{near(file)}, line {frames[-1].lineno}: `{frames[-1].line}`" if frames else ""
    if isinstance(error, KeyboardInterrupt):
        return f"you stopped the check at {place or 'a place outside your file'}"
    if place:
        return f"{place} raised {said}"
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        return f"{near(file)} has no `{error.name}`; the check asks for it by this name"
    return (
        f"the check cannot work with your code, {said}; compare what your functions take and "
        "return with what the stub says"
    )


def near(file: Path) -> str:
    """The path as seen from the checkout."""
    return str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else str(file)


def explain(lesson: Lesson, verdict: Verdict) -> str:
    """The verdict for the learner."""
    lines = [f"  ok    {idea}" for idea in verdict.passed]
    if verdict.right:
        return "\n".join([*lines, f"Exercise {lesson.key} is solved."])
    mark = "todo" if verdict.unwritten else "FAIL"
    lines += [f"  {mark}  {verdict.failed}", "", verdict.message, ""]
    where_to = f"Write in {near(lesson.exercise)}, then check again"
    return "\n".join([*lines, f"{where_to}; for a hint: minift learn hint {lesson.number}"])
