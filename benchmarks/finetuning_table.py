"""The rows of `finetuning_quality.py` as a table, with intervals over the seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minift.metrics import paired_interval, student_quantile

Row = dict[str, Any]
NAMES = {
    "naive_bayes": "naive Bayes",
    "tfidf_logistic": "TF-IDF + logistic",
    "head_only": "head only",
    "gradual_unfreezing": "gradual unfreezing",
    "lora": "LoRA, queries and values",
    "lora_all": "LoRA, all matrices",
    "l2_sp": "full + L2-SP",
}


def table(rows: Sequence[Row]) -> str:
    """A block a body, task and number of labels; a line a strategy."""
    blocks = []
    for block in dict.fromkeys((r["body"], r["task"], r["labels"]) for r in rows):
        own = [r for r in rows if (r["body"], r["task"], r["labels"]) == block]
        blocks.append("\n".join(lines_of(block, own)))
    return "\n\n".join(blocks)


def lines_of(block: tuple[str, str, int], rows: Sequence[Row]) -> list[str]:
    """The heading and the strategies, each with its difference from `full` of the same seeds."""
    body, task, labels = block
    heading = f"{body}, {task}, {labels} labels a class"
    columns = f"{'accuracy':>16}{'macro-F1':>9}{'- full (points)':>22}{'moved':>8}{'source':>8}"
    lines = [f"{heading:<44}{columns}{'s':>6}"]
    full = of(rows, "full", "minift")
    for strategy, library in dict.fromkeys((r["strategy"], r["library"]) for r in rows):
        own = of(rows, strategy, library)
        name = NAMES.get(strategy, strategy) + (" (PyTorch)" if library == "PyTorch" else "")
        f1 = np.mean([r["macro_f1"] for r in own])
        seconds = np.mean([r["seconds"] for r in own])
        lines.append(
            f"  {name:<42}{spread([r['accuracy'] for r in own]):>16}{share(float(f1)):>9}"
            f"{difference(own, full):>22}{moved(own[0]):>8}{forgot(own):>8}{seconds:>6.0f}"
        )
    return lines


def of(rows: Sequence[Row], strategy: str, library: str) -> list[Row]:
    """The runs of one line, by seed."""
    own = [r for r in rows if (r["strategy"], r["library"]) == (strategy, library)]
    return sorted(own, key=lambda r: r["seed"])


def spread(values: Sequence[float]) -> str:
    """Mean ± half of the 95 % interval (Student's) over the seeds."""
    if len(values) < 2:
        return f"{share(values[0])} (1 seed)"
    deviation = float(np.std(values, ddof=1))
    half = student_quantile(0.975, len(values) - 1) * deviation / math.sqrt(len(values))
    return f"{share(float(np.mean(values)))} ± {share(half)}"


def difference(rows: Sequence[Row], full: Sequence[Row]) -> str:
    """Points of accuracy above `full`, paired by seed, with the 95 % interval."""
    both = sorted({r["seed"] for r in rows} & {r["seed"] for r in full})
    ours, theirs = ([r["accuracy"] for r in part if r["seed"] in both] for part in (rows, full))
    if rows == full or len(both) < 2:
        return ""
    mean, low, high = (100 * number for number in paired_interval(ours, theirs))
    return f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"


def moved(row: Row) -> str:
    """The share of the weights that were trained."""
    return f"{row['trained'] / row['weights']:.1%}" if "trained" in row else ""


def forgot(rows: Sequence[Row]) -> str:
    """How much the source loss rose, in nats."""
    changes = [
        r["source_after"] - r["source_before"] for r in rows if r.get("source_after") is not None
    ]
    return f"{np.mean(changes):+.2f}" if changes else "-"


def share(number: float) -> str:
    """A number in [0, 1] without its zero."""
    return f"{number:.3f}".removeprefix("0")
