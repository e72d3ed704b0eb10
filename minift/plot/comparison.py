"""The picture of a quickstart: the curve of pre-training, accuracy against labels.

Not here: any number of it (`minift/quickstart/`).
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from minift import hub
from minift.train.records import read_records

STRATEGY_NAMES = {  # key in results.json: how tables and pictures call it
    "scratch": "from scratch",
    "head_only": "head only, frozen body",
    "gradual_unfreezing": "gradual unfreezing",
    "discriminative": "full, layer-wise rates",
    "tiny": "tiny, pre-trained beforehand",
    "naive_bayes": "naive Bayes",
    "tfidf_logistic": "TF-IDF + logistic regression",
}

# Okabe & Ito's colours, which colour-blind readers tell apart; the marks differ as well
LOOKS = {
    "scratch": ("#000000", "o", "-"),
    "head_only": ("#E69F00", "s", "-"),
    "gradual_unfreezing": ("#0072B2", "D", "-"),
    "discriminative": ("#009E73", "^", "-"),
    "tiny": ("#D55E00", "*", "--"),
    "naive_bayes": ("#999999", "v", ":"),
    "tfidf_logistic": ("#CC79A7", "P", ":"),
}


def report(results: dict[str, Any], folder: str | Path) -> Path:
    """Draw `report.png` in `folder` from the results and the run's train.jsonl; returns its path.

    Left the learning curve of pre-training, right accuracy against labels per class.
    """
    from matplotlib.figure import Figure

    folder = Path(folder)
    figure = Figure(figsize=(10, 4.8), dpi=130, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    log = read_records(folder / "train.jsonl")
    draw_pretraining(left, log, results["pretraining"])
    draw_comparison(right, results["finetuning"])
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    picture = BytesIO()
    figure.savefig(picture, format="png")
    hub.write(folder / "report.png", picture.getvalue())
    return folder / "report.png"


def draw_pretraining(axes: Any, log: Sequence[dict[str, Any]], reached: dict[str, float]) -> None:
    """Masked-LM loss against the step, what unigram frequencies give, and the held-out loss."""
    records = [record for record in log if record.get("run") == "pre-training" and "step" in record]
    steps = np.array([record["step"] for record in records])
    loss = np.array([record["loss"] for record in records])
    blue = LOOKS["gradual_unfreezing"][0]
    axes.plot(steps, loss, color=blue, alpha=0.25, linewidth=0.8)
    axes.plot(steps, running_mean(loss), color=blue, linewidth=2, label="training (running mean)")
    axes.axhline(reached["unigram"], color="#555555", linestyle="--", linewidth=1.2)
    axes.annotate(
        f"word frequencies: {reached['unigram']:.2f}",
        (steps[-1], reached["unigram"]),
        xytext=(0, 4),
        textcoords="offset points",
        ha="right",
    )
    axes.plot(steps[-1:], [reached["loss"]], "o", color="#D55E00", clip_on=False, zorder=3)
    axes.annotate(
        f"held out: {reached['loss']:.2f}",
        (steps[-1], reached["loss"]),
        xytext=(-4, -14),
        textcoords="offset points",
        ha="right",
        color="#D55E00",
    )
    axes.set(xlabel="pre-training step", ylabel="masked-LM loss (nats per hidden word)")
    axes.set_title("Learning to guess hidden words", fontsize=11)
    axes.set_xlim(0, steps[-1])
    axes.legend(frameon=False, loc="lower left")


def running_mean(numbers: np.ndarray) -> np.ndarray:
    """Each value averaged with its neighbours, a fortieth of the curve to each side."""
    reach = len(numbers) // 40
    total = np.cumsum(np.concatenate([[0.0], numbers]))
    places = np.arange(len(numbers))
    start, end = np.maximum(places - reach, 0), np.minimum(places + reach + 1, len(numbers))
    return (total[end] - total[start]) / (end - start)


def draw_comparison(axes: Any, runs: Sequence[dict[str, Any]]) -> None:
    """Mean accuracy of each strategy against labels per class, ± the deviation over seeds."""
    counts = sorted({run["labels_per_class"] for run in runs})
    strategies = list(dict.fromkeys(run["strategy"] for run in runs))
    for i, strategy in enumerate(strategies):
        by_count = [
            [
                100 * run["accuracy"]
                for run in runs
                if (run["strategy"], run["labels_per_class"]) == (strategy, count)
            ]
            for count in counts
        ]
        color, mark, line = LOOKS[strategy]
        shift = 1.018 ** (i - (len(strategies) - 1) / 2)  # so that error bars do not overlap
        axes.errorbar(
            [count * shift for count in counts],
            [np.mean(accuracies) for accuracies in by_count],
            [np.std(accuracies, ddof=min(1, len(accuracies) - 1)) for accuracies in by_count],
            color=color,
            marker=mark,
            linestyle=line,
            capsize=3,
            label=STRATEGY_NAMES[strategy],
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.set_xlim(counts[0] / 1.3, counts[-1] * 1.3)
    axes.set(xlabel="labels per class", ylabel="accuracy on test (%)")
    axes.set_title("24 classes, few labels: mean ± standard deviation over seeds", fontsize=11)
    axes.legend(
        frameon=False, fontsize=8.5, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.14)
    )
