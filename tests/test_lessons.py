"""The course: each exercise can be solved, and be got wrong in ways that are told apart."""

import ast
import re

import pytest

from minift.learn import stored
from minift.learn.checking import cases_of, check_exercise, load
from minift.learn.course import FORMS, LESSONS, ROOT, all_lessons
from minift.learn.hints import read_hints
from minift.learn.table import page, with_section

LINES = 150
PAGES = "FAQ.md", "GLOSSARY.md", "BIBLIOGRAPHY.md", "ERRATA.md", "README.md"
LESSONS_HERE = all_lessons()
each_lesson = pytest.mark.parametrize("lesson", LESSONS_HERE, ids=lambda lesson: lesson.key)
each_wrong = pytest.mark.parametrize(
    ("lesson", "wrong"),
    [(lesson, file) for lesson in LESSONS_HERE for file in lesson.wrong],
    ids=lambda value: getattr(value, "stem", None),
)


def code_lines(source: str) -> list[str]:
    """Lines that hold code: no comment, no docstring, nothing empty."""
    tree, documentation = ast.parse(source), set()
    documented = ast.FunctionDef | ast.ClassDef | ast.Module
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node):
            text = node.body[0]
            documentation |= set(range(text.lineno, text.end_lineno + 1))
    lines = enumerate(source.splitlines(), 1)
    return [
        line.strip() for number, line in lines
        if number not in documentation and line.strip() and not line.strip().startswith("#")
    ]  # fmt: skip


# --------------------------------------------------------------------------------------- lessons


@each_lesson
def test_a_lesson_has_all_its_parts(lesson):
    source = lesson.file.read_text(encoding="utf-8")
    assert lesson.form in FORMS
    assert len(code_lines(source)) <= LINES
    assert re.search(r"^# > \*\*Erratum E\d\d+", source, re.MULTILINE)
    assert re.search(rf"^# ## Exercise \({lesson.form}\)", source, re.MULTILINE)
    assert f'picture(figure, "{lesson.file.stem}")' in source
    assert "assert " in source
    last_cell = source.rpartition("# %%")[2]
    assert re.search(rf"^learn.result\(\n    lesson={lesson.number},", last_cell, re.MULTILINE)


@each_lesson
def test_its_picture_and_its_result_are_stored(lesson):
    assert lesson.figure.read_bytes().startswith(b"\x89PNG")
    kept = stored.read(lesson)
    assert kept["measured"]["lesson"] == lesson.number
    assert "value" in kept["bounds"]
    assert stored.breaches(kept["measured"], kept["bounds"]) == []
    assert kept["seconds"] < kept["limit"] <= 120


def test_the_lessons_table_is_what_lessons_and_results_say():
    written = (LESSONS / "README.md").read_text(encoding="utf-8")
    assert written == page(LESSONS_HERE), "run: python -m minift.learn.table"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert with_section(readme, LESSONS_HERE) == readme, "run: python -m minift.learn.table"


# ------------------------------------------------------------------------------------- exercises


@each_lesson
def test_a_stub_says_what_is_to_be_written(lesson):
    verdict = check_exercise(lesson)
    assert verdict.unwritten
    assert verdict.message.startswith(f"exercise {lesson.key}: ")


@each_lesson
def test_the_solution_passes(lesson):
    verdict = check_exercise(lesson, lesson.solution)
    assert verdict.right, verdict.message


@each_lesson
def test_there_are_three_hints_and_three_ways_to_go_wrong(lesson):
    assert len(read_hints(lesson)) == 3
    assert len(lesson.wrong) >= 3
    assert all((load(file).__doc__ or "").strip() for file in lesson.wrong)


@each_lesson
def test_every_case_says_its_idea(lesson):
    cases = cases_of(load(lesson.check))
    assert cases
    assert all(case.__doc__ for case in cases)


@each_wrong
def test_a_wrong_solution_is_rejected_by_a_message_that_gives_nothing_away(lesson, wrong):
    verdict = check_exercise(lesson, wrong)
    assert not verdict.right
    assert not verdict.unwritten
    assert len(verdict.message) > 20
    ours = set(code_lines(lesson.solution.read_text(encoding="utf-8")))
    given = set(code_lines(lesson.exercise.read_text(encoding="utf-8")))
    written = set(code_lines(wrong.read_text(encoding="utf-8")))  # the learner knows these
    secret = {line for line in ours - given - written if len(line) > 10}
    assert not [line for line in secret if line in f"{verdict.failed}\n{verdict.message}"]


# --------------------------------------------------------------------------------------- errata


def test_every_answer_points_to_a_lesson_and_every_link_goes_somewhere():
    pages = {name: (LESSONS / name).read_text(encoding="utf-8") for name in PAGES}
    for name, text in pages.items():
        targets = re.findall(r"\]\(([^)#]+)\)|^\[\d+\]: (\S+)$", text, re.MULTILINE)
        local = [a or b for a, b in targets if not (a or b).startswith("http")]
        assert [link for link in local if not (LESSONS / link).exists()] == [], name
    answers = re.split(r"^\*\*\d+\. ", pages["FAQ.md"], flags=re.MULTILINE)[1:]
    assert len(answers) == 17
    assert all(re.search(r"[Ll]essons?\s\[\d+\]", answer) for answer in answers)
    for number, file in re.findall(r"^\[(\d+)\]: (\S+)$", pages["FAQ.md"], re.MULTILINE):
        assert file.startswith(f"{int(number):02d}_")


def test_lessons_name_the_errata_that_point_to_them():
    """A row of ERRATA.md ends in its lessons; those that are there name a number of the row."""
    errata = (LESSONS / "ERRATA.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:E\d\d+ ?)+)\|.*\| ([\d, ]+) \|$", errata, re.MULTILINE)
    assert len(rows) > 30
    text_of = {lesson.number: lesson.file.read_text(encoding="utf-8") for lesson in LESSONS_HERE}
    for numbers, pointed in rows:
        texts = [text_of[n] for n in map(int, pointed.split(", ")) if n in text_of]
        named = [number for number in numbers.split() if number in "".join(texts)]
        assert named or not texts, f"lesson {pointed} names none of {numbers}"
