"""The picture of a `minift gpu-check`: seconds of a step on both devices as the model grows."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

from minift import hub


def draw_crossover(results: dict[str, Any], file: Path) -> None:
    """Both axes logarithmic; the lines cross where the GPU begins to pay."""
    from matplotlib.figure import Figure

    rows = results["crossover"]
    widths = [row["width"] for row in rows]
    figure = Figure(figsize=(6, 4.2), dpi=130, layout="constrained")
    axes = figure.subplots()
    for key, label, color, mark in (
        ("cpu_seconds", "CPU (NumPy)", "#E69F00", "s"),
        ("gpu_seconds", f"GPU ({results['device']['name']})", "#0072B2", "o"),
    ):
        milliseconds = [1e3 * row[key] for row in rows]
        axes.loglog(widths, milliseconds, color=color, marker=mark, label=label)
    axes.set_xticks(widths, [str(width) for width in widths])
    axes.minorticks_off()
    axes.set_xlabel("width of a 2-layer BERT, 16 × 64 tokens")
    axes.set_ylabel("milliseconds a training step")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    picture = BytesIO()
    figure.savefig(picture, format="png")
    hub.write(file, picture.getvalue())
