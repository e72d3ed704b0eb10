"""The picture of a lesson: one message, labelled axes, colours that everybody tells apart.

`new_figure` gives axes of the width of a README; the lesson draws on them with matplotlib's own
methods. `picture` writes the file, and a notebook shows what it returns.
"""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import Any

from minift import hub
from minift.learn.course import LESSONS

# Okabe & Ito's colours, for colour-blind readers too. On white, yellow is not seen: left out.
BLACK, ORANGE, SKY, GREEN, BLUE = "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2"
RED, PINK, GREY = "#D55E00", "#CC79A7", "#555555"
FIGURES = "MINIFT_FIGURES"  # a folder for the pictures of a test, so that the checkout stays as is


class Picture:
    """A PNG file that a notebook shows when it is a cell's last value."""

    def __init__(self, file: Path):
        self.file = file

    def __repr__(self) -> str:
        return f"Picture({self.file})"

    def _repr_png_(self) -> bytes:
        return self.file.read_bytes()


def new_figure(columns: int = 1, width: float = 7.0, height: float = 3.9) -> tuple[Any, Any]:
    """(figure, axes), with `columns` axes side by side in an array if there are several; inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    axes = figure.subplots(1, columns)
    for one in axes if columns > 1 else [axes]:
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def picture(figure: Any, name: str) -> Picture:
    """Write the figure to lessons/figures/NAME.png; return what a notebook shows."""
    png = BytesIO()
    figure.savefig(png, format="png", metadata={"Software": None})  # the same bytes every time
    file = Path(os.environ.get(FIGURES) or LESSONS / "figures") / f"{name}.png"
    hub.write(file, png.getvalue())
    return Picture(file)
