"""A percent-format script as a Jupyter notebook: the same cells, in nbformat 4.

`# %% [markdown]` begins a cell of text, in comments; `# %%` one of code. Nothing is run: Jupyter
runs it, and shows the picture, because `minift.learn.picture` returns something that shows itself.
"""

from __future__ import annotations

import json
import re
from typing import Any

CELL = re.compile(r"^# %%(.*)$", re.MULTILINE)


def to_notebook(script: str) -> str:
    """The notebook's JSON. Raises ValueError if there is no cell."""
    parts = CELL.split(script)
    if len(parts) < 3:
        raise ValueError("no cell: a lesson is written in cells that begin with '# %%'")
    cells = [cell(i, *part) for i, part in enumerate(zip(parts[1::2], parts[2::2]))]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def cell(index: int, head: str, body: str) -> dict[str, Any]:
    """One cell; text loses the signs that made it a comment."""
    lines = body.strip("\n").splitlines()
    is_text = "[markdown]" in head
    if is_text:
        lines = [line.removeprefix("#").removeprefix(" ") for line in lines]
    made: dict[str, Any] = {
        "cell_type": "markdown" if is_text else "code",
        "id": f"cell-{index}",
        "metadata": {},
        "source": [line + "\n" for line in lines[:-1]] + lines[-1:],
    }
    return made if is_text else {**made, "execution_count": None, "outputs": []}
