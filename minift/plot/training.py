"""Pictures of a fine-tuning: how it learnt, and what it takes for what.

Not here: the numbers (`minift/metrics/`), and when they are drawn (`minift/jobs/`).
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from minift import hub, metrics
from minift.imbalance import precision_band
from minift.plot.comparison import running_mean

BLUE, RED, GREY = "#0072B2", "#D55E00", "#555555"  # Okabe & Ito's
MOST_NAMED = 30  # classes; of more the names would not be readable


def learning_curves(records: Sequence[dict[str, Any]], file: Path) -> None:
    """Training and validation loss against the step, from the records of train.jsonl."""
    axes, figure = new_axes(6.4, 4.2)
    trained = [record for record in records if "loss" in record]
    loss = np.array([record["loss"] for record in trained])
    steps = [record["step"] for record in trained]
    axes.plot(steps, loss, color=BLUE, alpha=0.25, linewidth=0.8)
    axes.plot(steps, running_mean(loss), color=BLUE, linewidth=2, label="training (running mean)")
    judged = [record for record in records if "validation_loss" in record]
    if judged:
        steps = [record["step"] for record in judged]
        losses = [record["validation_loss"] for record in judged]
        axes.plot(steps, losses, "o-", color=RED, label="validation")
        best = int(np.argmin(losses))
        axes.plot(steps[best], losses[best], "o", markersize=12, fillstyle="none", color=RED,
                  label="best: kept")  # fmt: skip
    axes.set(xlabel="step", ylabel="loss", title="Learning curves")
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    save(figure, file)


def learning_rates(
    rates: Sequence[float], losses: Sequence[float], suggestion: float, file: Path
) -> None:
    """The loss while the learning rate rises, and where it falls fastest."""
    axes, figure = new_axes(6.4, 4.2)
    axes.plot(rates, losses, color=BLUE, linewidth=2)
    axes.axvline(suggestion, color=RED, linestyle="--", label=f"falls fastest: {suggestion:.2g}")
    axes.set(xlabel="learning rate", ylabel="loss (running mean)", xscale="log")
    axes.set(title="What a rising rate does to the loss")
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    save(figure, file)


def confusion(counts: Sequence[Sequence[int]], names: Sequence[str], file: Path) -> None:
    """Rows: the true class; columns: the predicted one; the shade is the share of the row."""
    matrix = np.asarray(counts)
    side = min(3.5 + 0.45 * len(names), 16)
    axes, figure = new_axes(side, side)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(names) <= MOST_NAMED:
        places = range(len(names))
        axes.set_xticks(places, [shortened(name) for name in names], rotation=45, ha="right")
        axes.set_yticks(places, [shortened(name) for name in names])
        for i, j in np.ndindex(matrix.shape):
            color = "white" if shares[i, j] > 0.5 else "black"
            axes.text(j, i, f"{matrix[i, j]:,}", ha="center", va="center", color=color, fontsize=8)
    axes.set(xlabel="predicted", ylabel="true", title="Confusion matrix")
    save(figure, file)


def precision_recall(positive: np.ndarray, scores: np.ndarray, name: str, file: Path) -> None:
    """Precision against recall of one class, with its bootstrap band, above what chance gives.

    `positive` (n,) marks the rows of the class, `scores` (n,) say how much a row looks like it.
    """
    axes, figure = new_axes(5, 4.2)
    recall = np.linspace(0.02, 1, 50)
    low, value, high = precision_band(positive, scores, recall)
    area = metrics.average_precision(positive, scores)
    axes.fill_between(recall, low, high, color=BLUE, alpha=0.2, label="95 % of redrawn rows")
    axes.plot(recall, value, color=BLUE, linewidth=2, label=f"average precision {area:.3f}")
    chance = float(np.mean(positive))
    axes.axhline(chance, color=GREY, linestyle="--", linewidth=1, label=f"chance {chance:.3f}")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axes.set_title(f"Finding “{shortened(name)}”")
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    save(figure, file)


def predictions(true: np.ndarray, predicted: np.ndarray, file: Path) -> None:
    """Predicted numbers against the true ones; on the line they are equal."""
    axes, figure = new_axes(5, 5)
    axes.plot(true, predicted, ".", color=BLUE, alpha=0.5)
    ends = [min(true.min(), predicted.min()), max(true.max(), predicted.max())]
    axes.plot(ends, ends, "--", color=GREY, linewidth=1)
    axes.set(xlabel="true", ylabel="predicted", title="Predictions")
    save(figure, file)


def reliability(confidence: np.ndarray, right: np.ndarray, file: Path) -> None:
    """Above: the share of right answers of each bin against its mean confidence, with the middle
    95 % of what chance would do to a model that is calibrated. Below: how many answers each has."""
    sure, hit, counts = metrics.reliability(confidence, right)
    held = counts > 0
    figure = new_figure(4.8, 5.6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    noise = 1.96 * np.sqrt(sure[held] * (1 - sure[held]) / counts[held])
    above.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1)
    chance = np.minimum(noise, sure[held]), np.minimum(noise, 1 - sure[held])
    above.errorbar(sure[held], sure[held], chance, fmt="none", ecolor=GREY, alpha=0.5, capsize=3,
                   label="chance, if calibrated")  # fmt: skip
    above.plot(sure[held], hit[held], "o-", color=BLUE, label="answers")
    error = metrics.expected_calibration_error(confidence, right)
    above.set(ylabel="share that is right", ylim=(-0.02, 1.05), xlim=(-0.02, 1.02),
              title=f"Calibration (error {error:.3f})")  # fmt: skip
    above.legend(frameon=False, loc="lower right")
    width = 1 / len(counts)
    below.bar((np.arange(len(counts)) + 0.5) * width, counts, 0.9 * width, color=BLUE, alpha=0.6)
    below.set(xlabel="probability of the answer", ylabel="answers")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, file)


def shortened(name: str) -> str:
    """A name that leaves room for the picture; $ would be taken for mathematics."""
    name = name.replace("$", r"\$")
    return name if len(name) <= 20 else name[:19] + "…"


def new_axes(width: float, height: float) -> tuple[Any, Any]:
    """One pair of axes, in inches."""
    figure = new_figure(width, height)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return axes, figure


def new_figure(width: float, height: float) -> Any:
    """An empty picture, in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=130, layout="constrained")


def save(figure: Any, file: Path) -> None:
    """Write it as PNG, whole or not at all."""
    picture = BytesIO()
    figure.savefig(picture, format="png")
    hub.write(file, picture.getvalue())
