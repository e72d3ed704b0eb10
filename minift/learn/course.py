"""Where the lessons are, and what the head of each says.

Not here: running them (`running.py`), checking exercises (`checking.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LESSONS = ROOT / "lessons"
DATA = LESSONS / "data"  # small files that lessons read
TITLE = re.compile(r"# # Lesson (\d\d): (.+)")
FORMS = ("implement it", "fix the bug", "predict before you run")


@dataclass(frozen=True)
class Lesson:
    """A lesson and what its head says: see the form in `minift/learn/__init__.py`."""

    number: int
    file: Path
    title: str
    builds: str
    needs: str
    time: str
    form: str

    @property
    def key(self) -> str:
        """ "01", as in the names of its files."""
        return f"{self.number:02d}"

    @property
    def figure(self) -> Path:
        return self.file.parent / "figures" / f"{self.file.stem}.png"

    @property
    def stored(self) -> Path:
        """Its bounds and measured result."""
        return self.file.parent / "results" / f"{self.key}.json"

    @property
    def notebook(self) -> Path:
        return self.file.parent / "notebooks" / f"{self.file.stem}.ipynb"

    @property
    def exercises(self) -> Path:
        return self.file.parent / "exercises"

    @property
    def exercise(self) -> Path:
        return self.exercises / f"ex{self.key}.py"

    @property
    def check(self) -> Path:
        return self.exercises / "checks" / f"check{self.key}.py"

    @property
    def hints(self) -> Path:
        return self.exercises / "hints" / f"{self.key}.md"

    @property
    def solution(self) -> Path:
        return self.exercises / "solutions" / f"ex{self.key}.py"

    @property
    def wrong(self) -> list[Path]:
        """The solutions that the check must reject."""
        return sorted((self.exercises / "wrong").glob(f"ex{self.key}_*.py"))


def all_lessons() -> list[Lesson]:
    """The lessons in order. Raises ValueError outside a checkout, and for a damaged head."""
    if not LESSONS.is_dir():
        raise ValueError(
            f"the lessons lie in minift's checkout, and {LESSONS.parent} has no lessons/: clone "
            "the repository, pip install -e . and run it there"
        )
    return [read_head(file) for file in sorted(LESSONS.glob("[0-9][0-9]_*.py"))]


def find(number: int) -> Lesson:
    """Lesson `number`. Raises ValueError if there is none."""
    lessons = all_lessons()
    for lesson in lessons:
        if lesson.number == number:
            return lesson
    known = ", ".join(str(lesson.number) for lesson in lessons)
    raise ValueError(f"there is no lesson {number}; there are {known}")


def read_head(file: Path) -> Lesson:
    """What the first cell says. Raises ValueError if a line of it is missing."""
    head = file.read_text(encoding="utf-8").partition("\n# %%")[0]
    title = TITLE.search(head)
    if title is None or title[1] != file.name[:2]:
        raise ValueError(f"{file}: the first cell must begin '# # Lesson {file.name[:2]}: TITLE'")
    return Lesson(
        number=int(title[1]),
        file=file,
        title=title[2].strip(),
        builds=item(head, "You build", file),
        needs=item(head, "You need", file),
        time=item(head, "Time", file),
        form=item(head, "Exercise", file),
    )


def item(head: str, name: str, file: Path) -> str:
    """The text after `- **NAME:**`, which may go on over indented lines."""
    found = re.search(rf"# - \*\*{name}:\*\* (.+(?:\n#   .+)*)", head)
    if found is None:
        raise ValueError(f"{file}: the first cell lacks the line '# - **{name}:** ...'")
    return " ".join(line.removeprefix("#").strip() for line in found[1].splitlines())
