"""`minift learn`: what it says to a learner, and what it refuses."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from oracle import oracle

import minift as mf
from minift.cli import main
from minift.learn import checking, course, refuses, result, same, stored, true, watching
from minift.learn.checking import check_exercise
from minift.learn.notebook import to_notebook
from minift.learn.results import read_result


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    """Lesson 1 in a copy of the course, for a test to write into."""
    copied = tmp_path / "lessons"
    shutil.copytree(course.LESSONS, copied, ignore=shutil.ignore_patterns(".*", "notebooks"))
    monkeypatch.setattr(course, "LESSONS", copied)
    return course.find(1)


def run(capsys, *words):
    """(exit code, standard output, standard error)."""
    code = main(["learn", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def message(act) -> str:
    with pytest.raises(AssertionError) as raised:
        act()
    return str(raised.value)


# ---------------------------------------------------------------------------- what a check says


def test_same_shows_both_arrays():
    said = message(lambda: same("softmax of [0, 1]", [0.5, 0.5], [0.268941, 0.731059]))
    assert said == ("softmax of [0, 1]\n  yours:    [0.5 0.5]\n  expected: [0.268941 0.731059]")


def test_same_names_a_wrong_shape_a_forgotten_return_and_what_is_no_number():
    assert "the shape should be (2,), yours is (1, 2)" in message(
        lambda: same("x", [[1, 2]], [1, 2])
    )
    assert "returned None; did you forget to return?" in message(lambda: same("x", None, 1.0))
    assert "expected numbers, yours is object" in message(lambda: same("x", object(), 1.0))
    assert "expected numbers, yours is list" in message(lambda: same("x", [[1], [1, 2]], 1.0))


def test_same_accepts_tensors_nan_and_words():
    same("x", mf.Tensor([1.0, 2.0]), [1.0, 2.0])
    same("x", [np.nan], [np.nan])
    same("x", ["a", "b"], ["a", "b"])
    assert "yours:    ['a' 'c']" in message(lambda: same("x", ["a", "c"], ["a", "b"]))


def test_true_and_refuses_say_their_sentence():
    true("it is", True)
    refuses("x", lambda: int("a"), ValueError)
    assert message(lambda: true("it should be", False)) == "it should be"
    assert message(lambda: refuses("a cycle", lambda: None, ValueError)) == (
        "a cycle: it should raise ValueError, and nothing was raised"
    )


def test_an_error_in_the_exercise_is_told_with_its_line(lesson):
    text = lesson.solution.read_text(encoding="utf-8")
    lesson.exercise.write_text(text.replace("math.tanh(x.data)", "math.tan_h(x.data)"))
    verdict = check_exercise(lesson)
    assert not verdict.right
    assert "line 28: `y = math.tan_h(x.data)` raised AttributeError: " in verdict.message
    lesson.exercise.write_text("def tanh(x):\n    return (\n")
    assert "ex01.py, line 2: SyntaxError: '(' was never closed" in check_exercise(lesson).message


def test_a_file_that_is_missing_or_lacks_a_function_is_named(lesson):
    text = lesson.solution.read_text(encoding="utf-8")
    lesson.exercise.write_text(text.replace("def tanh(x)", "def tangent(x)"))
    assert check_exercise(lesson).message.endswith(
        "ex01.py has no `tanh`; the check asks for it by this name"
    )
    lesson.exercise.write_text(text.replace("def tanh(x)", "def tanh(x, y)"))
    said = check_exercise(lesson).message
    assert said.startswith("the check cannot work with your code, TypeError: tanh() missing 1")
    assert said.endswith("compare what your functions take and return with what the stub says")
    lesson.exercise.unlink()
    said = check_exercise(lesson).message
    assert "ex01.py is not there; for the stub as it was: git checkout " in said


def test_an_exercise_that_calls_exit_is_wrong(lesson, capsys):
    lesson.exercise.write_text("raise SystemExit('done')\n")
    code, out, err = run(capsys, "check", "1")
    assert (code, err) == (1, "")
    assert "ex01.py, line 1: `raise SystemExit('done')` raised SystemExit: done" in out


def test_ctrl_c_says_where_the_check_was(lesson, capsys):
    text = lesson.solution.read_text(encoding="utf-8")
    lesson.exercise.write_text(text.replace("    visit(out)\n", "    raise KeyboardInterrupt\n"))
    code, out, _ = run(capsys, "check", "1")
    assert code == 130
    assert "  FAIL  the walk begins with d out / d out = 1\n\nyou stopped the check at " in out
    assert "ex01.py, line 43: `raise KeyboardInterrupt`\n" in out


def test_a_case_that_takes_long_is_named(lesson, capsys, monkeypatch):
    monkeypatch.setattr(checking, "PATIENCE", 0.01)
    text = lesson.solution.read_text(encoding="utf-8")
    lesson.exercise.write_text(
        text.replace("    visit(out)\n", "    __import__('time').sleep(0.2)\n    visit(out)\n", 1)
    )
    assert check_exercise(lesson).right
    said = capsys.readouterr().err
    assert "  ...   the walk begins with d out / d out = 1 (for 0.01 s so far; Ctrl-C stops" in said


def test_a_check_stops_at_the_first_case_that_fails(lesson):
    verdict = check_exercise(lesson, lesson.exercises / "wrong" / "ex01_recursion.py")
    assert len(verdict.passed) == 4
    idea = "a value hands on what it got once, and only when all of it has arrived"
    assert verdict.failed == idea
    assert "yours:    [6.]\n  expected: [4.]" in verdict.message


# ------------------------------------------------------------------------------------- results


def test_a_result_is_one_line_that_can_be_read_back(capsys):
    result(3, "accuracy", np.float32(0.9), 0.5, "chance", True, (0.8, 0.95), timing={"s": 2})
    said = capsys.readouterr().out
    found = read_result("some text\n" + said)
    assert said.startswith('RESULT {"lesson": 3, "metric": "accuracy", "value": 0.9, "baseline"')
    assert (found["interval"], found["pass"], found["timing"]) == ([0.8, 0.95], True, {"s": 2})
    with pytest.raises(ValueError, match="the last line is no RESULT"):
        read_result(said + "more")
    with pytest.raises(ValueError, match="not JSON compliant"):
        result(3, "accuracy", float("nan"), 0.5, "chance", True)


def test_bounds_are_held():
    found = {"value": 2.0, "baseline": None, "pass": True, "also": {"error": 1.0}}
    assert stored.breaches(found, {"value": [1, 3], "error": [1, 1]}) == []
    assert stored.breaches(found, {"value": [0, 1]}) == ["value is 2, outside 0 to 1"]
    assert stored.breaches(found, {"speed": [0, 1]}) == ["speed has bounds and is not in RESULT"]
    assert stored.breaches({**found, "pass": False}, {}) == [
        "the lesson itself says that it did not pass"
    ]


# ---------------------------------------------------------------------------------- the command


def test_learn_list_shows_what_was_done(lesson, capsys):
    code, out, _ = run(capsys, "list")
    assert (code, out.splitlines()[0][:31]) == (0, "[ ] 01  Numbers that remember  ")
    shutil.copy(lesson.solution, lesson.exercise)
    assert run(capsys, "check", "1")[0] == 0
    run(capsys, "hint", "1")
    line = run(capsys, "list")[1].splitlines()[0]
    assert line.startswith("[x] 01")
    assert line.endswith("(solved, 1 of 3 hints)")


def test_learn_check_of_a_stub_fails_and_says_where_to_write(lesson, capsys):
    code, out, err = run(capsys, "check", "1")
    assert (code, err) == (1, "")
    assert "  todo  tanh returns a Value" in out
    assert "exercise 01: write tanh" in out
    assert out.rstrip().endswith("for a hint: minift learn hint 1")


def test_learn_hint_goes_one_level_further_each_time(lesson, capsys):
    said = [run(capsys, "hint", "1")[1] for _ in range(4)]
    assert [text[:11] for text in said] == [f"Hint {n} of 3" for n in (1, 2, 3, 3)]
    assert run(capsys, "hint", "1", "2")[1] == said[1]
    assert run(capsys, "hint", "1", "4")[2] == ("minift: learn: hint has levels 1 to 3, got 4\n")


def test_learn_run_prints_the_lesson_and_holds_its_bounds(lesson, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("MINIFT_FIGURES", str(tmp_path / "figures"))
    code, out, _ = run(capsys, "run", "1")
    assert code == 0
    assert "Result: largest error of a gradient: " in out
    assert (tmp_path / "figures" / lesson.figure.name).is_file()
    kept = json.loads(lesson.stored.read_text())
    lesson.stored.write_text(json.dumps(kept | {"bounds": {"value": [0, 1e-30]}}))
    code, out, _ = run(capsys, "run", "1")
    assert code == 1
    assert "Not as it should be: value is " in out
    lesson.file.write_text(lesson.file.read_text(encoding="utf-8") + "1 / 0\n", encoding="utf-8")
    code, _, err = run(capsys, "run", "1")
    assert (code, err) == (1, "minift: learn: lesson 01 ended with exit code 1\n")


def test_learn_notebook_writes_cells_and_overwrites_nothing(lesson, capsys, tmp_path):
    file = str(tmp_path / "one.ipynb")
    assert run(capsys, "notebook", "1", "--output", file)[0] == 0
    cells = json.loads((tmp_path / "one.ipynb").read_text(encoding="utf-8"))["cells"]
    assert cells[0]["source"][0] == "# Lesson 01: Numbers that remember\n"
    assert cells[0]["cell_type"] == "markdown"
    assert "class Value:\n" in next(c for c in cells if c["cell_type"] == "code")["source"]
    code, _, err = run(capsys, "notebook", "1", "--output", file)
    assert (code, err) == (
        2, f"minift: learn: {file} is there already; pass --overwrite or another --output\n"
    )  # fmt: skip
    assert run(capsys, "notebook", "1", "--output", file, "--overwrite")[0] == 0
    assert (
        "must name a file that ends in .ipynb"
        in run(capsys, "notebook", "1", "--output", "one.txt")[2]
    )


def test_a_notebook_is_what_jupyter_reads(lesson):
    nbformat = oracle("nbformat")
    for one in course.all_lessons():
        script = one.file.read_text(encoding="utf-8")
        nbformat.validate(nbformat.reads(to_notebook(script), as_version=4))
    with pytest.raises(ValueError, match="no cell: a lesson is written in cells"):
        to_notebook("x = 1\n")


def test_watch_checks_what_is_saved(lesson):
    saves = iter([None, lesson.solution, None])

    def wait():
        solution = next(saves)
        if solution is not None:
            lesson.exercise.write_text(solution.read_text(encoding="utf-8") + "# saved\n")

    saved = watching.saved([lesson], wait)
    assert next(saved) is lesson
    assert check_exercise(lesson).right
    with pytest.raises(RuntimeError, match="StopIteration"):
        next(saved)


def test_watch_ends_with_ctrl_c(lesson, capsys, monkeypatch):
    def ctrl_c(lessons):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(watching, "saved", ctrl_c)
    code, out, err = run(capsys, "watch")
    assert (code, err) == (0, "")
    assert out.startswith("Watching ")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "99"], "learn: there is no lesson 99; there are 1"),
        (["check", "first"], "N: must be a whole number, got 'first' (see minift learn check"),
        (["dance"], "ACT: invalid choice: 'dance'"),
        ([], "the following arguments are required: ACT (see minift learn --help)"),
    ],
)
def test_a_mistake_is_one_sentence(capsys, words, sentence):
    code, out, err = run(capsys, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"minift: {sentence}")


@pytest.mark.parametrize(
    "words", [["list"], ["run", "1"], ["check", "1"], ["hint", "1"], ["notebook", "1"], ["watch"]]
)
def test_outside_a_checkout_every_act_says_where_the_lessons_are(
    capsys, monkeypatch, tmp_path, words
):
    monkeypatch.setattr(course, "LESSONS", tmp_path / "lessons")
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert err == (
        f"minift: learn: the lessons lie in minift's checkout, and {tmp_path} has no lessons/: "
        "clone the repository, pip install -e . and run it there\n"
    )


def test_a_damaged_file_of_progress_is_named(lesson, capsys):
    (course.LESSONS / ".progress.json").write_text("[1]")
    code, _, err = run(capsys, "list")
    assert code == 2
    assert err.endswith(".progress.json is damaged; delete it to start counting anew\n")


def test_a_lesson_without_its_head_is_refused(lesson):
    text = lesson.file.read_text(encoding="utf-8")
    lesson.file.write_text(text.replace("**Time:**", "Time"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"the first cell lacks the line '# - \*\*Time:\*\* ...'"):
        course.all_lessons()
    lesson.file.write_text(text.replace("Lesson 01", "Lesson 02"), encoding="utf-8")
    with pytest.raises(ValueError, match="the first cell must begin '# # Lesson 01: TITLE'"):
        course.all_lessons()


def test_importing_what_lessons_share_leaves_matplotlib_alone():
    code = "import sys, minift.learn; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
