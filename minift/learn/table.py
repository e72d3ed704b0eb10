"""The table of lessons, out of their heads and their measured results.

`python -m minift.learn.table` writes lessons/README.md, and a short form into README.md; a test
holds the committed files to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minift import hub
from minift.learn import stored
from minift.learn.course import LESSONS, ROOT, Lesson, all_lessons

INTRODUCTION = """\
# The lessons

From a number that remembers how it was made to a fine-tuned BERT. Each lesson builds one idea by
hand, shows that the library does the same, measures one number and prints an honest baseline
beside it. A lesson is a Python script with text in its comments: read it, run it, or open it as a
notebook.

```sh
minift learn list          # the lessons, and what you have done
minift learn run 1         # run lesson 1; its text is lessons/01_*.py
minift learn notebook 1    # the same as a Jupyter notebook
minift learn check 1       # check your exercise, lessons/exercises/ex01.py
minift learn hint 1        # a hint; three levels
minift learn watch         # check again whenever you save
```

Beside the lessons: [seventeen questions](FAQ.md) with short answers, a [glossary](GLOSSARY.md), the
[bibliography](BIBLIOGRAPHY.md), and what the articles [got wrong](ERRATA.md) from which the course
grew.

The numbers below were measured on two cores; those that depend on the machine's speed will differ.
"""
BEGIN, END = "<!-- lessons: written by python -m minift.learn.table -->", "<!-- end of lessons -->"


def page(lessons: Sequence[Lesson]) -> str:
    """The whole README of the lessons."""
    rows = [row(lesson) for lesson in lessons]
    head = "| lesson | result, beside its baseline | needs | picture |\n|--|--|--|--|\n"
    return f"{INTRODUCTION}\n{head}" + "\n".join(rows) + "\n"


def row(lesson: Lesson) -> str:
    """One lesson of the table."""
    found = stored.read(lesson)
    measured = found["measured"]
    title = f"**{lesson.key}** [{lesson.title}]({lesson.file.name}): {lesson.builds}"
    took = f"Time: {lesson.time}. Exercise: {lesson.form}."
    figure = f'<img src="figures/{lesson.figure.name}" width="300" alt="{lesson.title}">'
    return f"| {title}<br>{took} | {sentence(measured)} | {lesson.needs} | {figure} |"


def with_section(readme: str, lessons: Sequence[Lesson]) -> str:
    """README.md, with the short table between its two marks."""
    before, _, rest = readme.partition(BEGIN)
    head = "| lesson | result, beside its baseline | picture |\n|--|--|--|\n"
    rows = "\n".join(short_row(lesson) for lesson in lessons)
    return f"{before}{BEGIN}\n{head}{rows}\n{END}{rest.partition(END)[2]}"


def short_row(lesson: Lesson) -> str:
    """One lesson: its title, its number, its picture."""
    title = f"{lesson.key} [{lesson.title}](lessons/{lesson.file.name})"
    figure = f'<img src="lessons/figures/{lesson.figure.name}" width="220" alt="{lesson.title}">'
    return f"| {title} | {sentence(stored.read(lesson)['measured'])} | {figure} |"


def sentence(measured: Mapping[str, Any]) -> str:
    """The result in words: what, how much, against what."""
    said = f"{measured['metric']}: **{measured['value']:.4g}**"
    if measured["interval"] is not None:
        low, high = measured["interval"]
        said += f" ({low:.4g} to {high:.4g})"
    if measured["baseline"] is not None:
        said += f"; {measured['against']}: {measured['baseline']:.4g}"
    return said


if __name__ == "__main__":
    hub.write(LESSONS / "README.md", page(all_lessons()).encode())
    readme = ROOT / "README.md"
    hub.write(readme, with_section(readme.read_text(encoding="utf-8"), all_lessons()).encode())
