"""The course: what lessons, exercises and their checks share, and what `minift learn` does.

The lessons themselves lie beside the package, in the checkout's `lessons/`:

    lessons/NN_name.py                  the lesson: `# %%` cells, Markdown in comments
    lessons/figures/NN_name.png         its picture, as the lesson writes it
    lessons/data/                       small files that lessons read, with their licences
    lessons/results/NN.json             the bounds of its result, and what was measured
    lessons/exercises/exNN.py           a stub; the learner writes into it
    lessons/exercises/checks/checkNN.py `case_*(exercise)`: the checks, easiest first
    lessons/exercises/hints/NN.md       three headings, `## 1`, `## 2`, `## 3`
    lessons/exercises/solutions/exNN.py
    lessons/exercises/wrong/exNN_*.py   at least three; each must be rejected

**A lesson** is at most 150 lines of code around one idea. Its first cell is Markdown:

    # # Lesson 01: Numbers that remember
    #
    # - **You build:** ...
    # - **You need:** what was learnt before, and the data; "nothing but what ships" if so
    # - **Time:** 30 minutes to read, 2 seconds to run
    # - **Exercise:** implement it            (or: fix the bug · predict before you run)

Then text, code, text, code: each thing is built by hand, run, and asserted to equal the library's.
One box is a quotation, `# > **Erratum E12.** ...`: which formula the articles print, and what is
right. One cell draws one picture with `new_figure` and ends in `picture(figure, "01_name")`, which
a notebook shows. The last cell calls `result`, which prints the line that CI holds against the
bounds of `lessons/results/NN.json`. `minift/learn/stored.py` says what stands in that file.

**An exercise** of 5-20 lines raises `NotImplementedError("exercise 01: ...")` until it is written.
To fix a bug, the stub shows the broken function under another name. To predict, a function returns
what the learner expects to see. **A case** is a function of the exercise's module; its docstring is
the idea, one sentence that a learner may read. It calls `same`, `true` or `refuses`, which raise an
AssertionError that shows the case with both arrays, never the solution. The first docstring line of
a **wrong solution** names the confusion. tests/test_lessons.py proves all of it.

Not here: any lesson. Read `lessons/01_numbers_that_remember.py` as the model of the others.
"""

from minift.learn.comparing import refuses, same, true
from minift.learn.course import DATA
from minift.learn.pictures import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PINK,
    RED,
    SKY,
    new_figure,
    picture,
)
from minift.learn.results import result

__all__ = [
    "BLACK",
    "BLUE",
    "DATA",
    "GREEN",
    "GREY",
    "ORANGE",
    "PINK",
    "RED",
    "SKY",
    "new_figure",
    "picture",
    "refuses",
    "result",
    "same",
    "true",
]
