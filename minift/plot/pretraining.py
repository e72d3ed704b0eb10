"""Pictures of a pre-training: its curves beside the baselines, where the codes lie, who is alike.

Not here: images side by side (`images.py`), any number of these (`minift/jobs/pretraining/`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minift.plot.comparison import running_mean
from minift.plot.training import BLUE, GREY, RED, new_axes, save, shortened

GREEN = "#009E73"
STYLES = ("--", ":", "-.")
MOST_CLASSES = 20  # of which a legend can be read


def pretraining_curves(
    records: Sequence[dict[str, Any]],
    baselines: Mapping[str, float],
    judged: Mapping[str, Mapping[str, float]],
    file: Path,
) -> None:
    """Left the loss against the step, beside `baselines`; right what the features are worth.

    `records` are those of train.jsonl. `judged`: for each reader ("probe", "neighbours") its
    accuracy on the raw data; without any there is no right half.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10 if judged else 6.4, 4.2), dpi=130, layout="constrained")
    panels = figure.subplots(1, 2 if judged else 1, squeeze=False)[0]
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    draw_loss(panels[0], records, baselines)
    if judged:
        draw_readers(panels[1], records, judged)
    save(figure, file)


def draw_loss(axes: Any, records: Sequence[dict[str, Any]], baselines: Mapping[str, float]) -> None:
    """Training and held-out loss, and a line for each baseline."""
    trained = [record for record in records if "loss" in record]
    loss = np.array([record["loss"] for record in trained])
    steps = [record["step"] for record in trained]
    axes.plot(steps, loss, color=BLUE, alpha=0.25, linewidth=0.8)
    axes.plot(steps, running_mean(loss), color=BLUE, linewidth=2, label="training (running mean)")
    held = [record for record in records if "validation_loss" in record]
    axes.plot([r["step"] for r in held], [r["validation_loss"] for r in held], "o-", color=RED,
              label="held out")  # fmt: skip
    for (name, value), style in zip(baselines.items(), STYLES):
        axes.axhline(value, color=GREY, linestyle=style, linewidth=1.2, label=name)
    limit = max([*baselines.values(), float(np.quantile(loss, 0.98))])
    lowest = min(0.0, float(loss.min()))
    axes.set_ylim(lowest, 1.15 * limit)  # the first steps may lie far above
    axes.set(xlabel="step", ylabel="loss", title="What is learnt")
    axes.legend(edgecolor="none", fontsize=9)


def draw_readers(
    axes: Any, records: Sequence[dict[str, Any]], judged: Mapping[str, Mapping[str, float]]
) -> None:
    """Accuracy of each reader on the features, and on the raw data as a line."""
    names = {"probe": "linear probe", "neighbours": "5 nearest neighbours"}
    for (reader, raw), color in zip(judged.items(), (BLUE, GREEN)):
        held = [record for record in records if reader in record]
        values = [record[reader] for record in held]
        axes.plot([r["step"] for r in held], values, "o-", color=color, label=names[reader])
        for name, value in raw.items():
            axes.axhline(value, color=color, linestyle="--", linewidth=1.2,
                         label=f"{names[reader]}, {name}")  # fmt: skip
    axes.set(xlabel="step", ylabel="accuracy", title="What it is for: few labels")
    axes.legend(edgecolor="none", fontsize=9)


def plane(
    points: np.ndarray, labels: np.ndarray | None, classes: Sequence[str] | None, file: Path
) -> None:
    """Points (n, 2), coloured by their labels if there are any."""
    axes, figure = new_axes(6.4 if labels is not None else 5, 5)
    if labels is None or classes is None:
        axes.plot(*points.T, ".", color=BLUE, alpha=0.5, markersize=4)
    else:
        import matplotlib

        palette: Any = matplotlib.colormaps["tab20" if len(classes) > 10 else "tab10"]
        for c in np.unique(labels):
            chosen = points[labels == c]
            name = shortened(classes[c]) if len(classes) <= MOST_CLASSES else None
            color = palette(int(c) % palette.N)
            axes.plot(*chosen.T, ".", color=color, alpha=0.7, markersize=4, label=name)
        if len(classes) <= MOST_CLASSES:
            axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5),
                        markerscale=2)  # fmt: skip
    axes.set(xlabel="first principal component", ylabel="second", title="Where the codes lie")
    save(figure, file)


def similarity(matrix: np.ndarray, rows: str, columns: str, file: Path) -> None:
    """Cosines (n, m), -1 blue to 1 red."""
    axes, figure = new_axes(5.4, 4.6)
    shown = axes.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1)
    figure.colorbar(shown, ax=axes, label="cosine")
    axes.set(xlabel=columns, ylabel=rows, title="Who is alike")
    save(figure, file)
