"""How good a classifier of images is, where it errs, and how that is said.

Beside it stand the majority, and two simple readers of the raw pixels with the same labels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minift import plot
from minift.data.tables import count
from minift.jobs import folder as run_folder
from minift.jobs import words
from minift.jobs.classifiers import describe_loading
from minift.jobs.image_finetuning.plan import Plan
from minift.jobs.judging import MISTAKES, best_epoch
from minift.metrics import accuracy, macro_f1
from minift.probes import LinearProbe, NearestNeighbours
from minift.tape import no_grad
from minift.train import EarlyStopping, History
from minift.train.records import read_records

CHUNK = 500  # images that are judged at once
MOST_FITTED = 3000  # images that the simple readers get
SHOWN = 32  # mistakes of the picture
NAMES = {"pixel_neighbours": "5-NN, raw pixels", "pixel_probe": "linear, raw pixels"}


def judge(
    plan: Plan, stopping: EarlyStopping | None, history: History, seconds: float
) -> dict[str, Any]:
    """The content of metrics.json; pictures and the worst mistakes are written on the way."""
    parts, task, output = plan.parts, plan.task, plan.options.output
    results: dict[str, Any] = {
        "task": task.kind,
        "rows": {
            "train": len(parts.train),
            "validation": len(parts.validation),
            "test": len(parts.test),
            "duplicates": len(plan.images) - len(set(plan.images.groups.tolist())),
        },
        "epochs": len(history.evaluations) or plan.recipe.epochs,
        "best_epoch": best_epoch(stopping, history),
    }
    for name, rows in (("validation", parts.validation), ("test", parts.test)):
        if len(rows):
            outputs, targets = outputs_of(plan, rows), plan.targets[rows]
            results[name] = task.scores(targets, outputs)
            results["baselines"] = baselines(plan, rows)
            results["warning"] = task.warning(outputs)
            plot.confusion(results[name]["confusion"], task.names, output / "confusion.png")
            write_mistakes(plan, rows, outputs)
    plot.learning_curves(read_records(output / "train.jsonl"), output / "learning_curves.png")
    return {**results, "seconds": round(seconds, 2)}


@no_grad()
def outputs_of(plan: Plan, rows: np.ndarray) -> np.ndarray:
    """Raw scores (n, L) of those images, in evaluation mode."""
    images = plan.images.images[rows]
    with plan.model.evaluating():
        blocks = [images[i : i + CHUNK] for i in range(0, len(images), CHUNK)]
        return np.concatenate([plan.model(block).numpy() for block in blocks])


def baselines(plan: Plan, rows: np.ndarray) -> dict[str, Any]:
    """What the same labels, or the first few thousand of them, give without a network."""
    train = plan.parts.train
    fitted = np.random.default_rng(0).permutation(train)[:MOST_FITTED]
    pixels, labels = plan.images.images[fitted], plan.targets[fitted]
    asked, right = plan.images.images[rows], plan.targets[rows]
    most = np.bincount(plan.targets[train]).argmax()
    guesses = {
        "majority": np.full(len(rows), most),
        "pixel_neighbours": NearestNeighbours(5).fit(pixels, labels).predict(asked),
        "pixel_probe": LinearProbe().fit(pixels, labels).predict(asked),
    }
    return {
        name: {"accuracy": accuracy(right, said), "macro_f1": macro_f1(right, said)}
        for name, said in guesses.items()
    }


def write_mistakes(plan: Plan, rows: np.ndarray, outputs: np.ndarray) -> None:
    """worst_mistakes.csv and .png: wrong answers, the surest first."""
    task, targets, output = plan.task, plan.targets[rows], plan.options.output
    losses = task.losses(targets, outputs)
    wrong = np.flatnonzero(task.is_wrong(targets, outputs))
    worst = wrong[np.argsort(-losses[wrong], kind="stable")][:MISTAKES]
    run_folder.write_table(
        output / "worst_mistakes.csv",
        ("image", "label", "predicted", "loss"),
        [
            (
                int(rows[i]),
                task.names[targets[i]],
                task.answer(outputs[i])["label"],
                f"{losses[i]:.4f}",
            )
            for i in worst.tolist()
        ],
    )
    if len(worst):
        shown = plan.images.images[rows[worst[:SHOWN]]]
        plot.image_grid(shown[None], output / "worst_mistakes.png")


# ------------------------------------------------------------------------------- what is said


def announce(plan: Plan) -> list[str]:
    """The data, the model and the recipe, before anything happens."""
    _, c, H, W = plan.images.images.shape
    parts, recipe = plan.parts, plan.recipe
    return [
        f"{plan.images.source}: {count(len(plan.images), 'image')} of {H} × {W} pixels"
        f"{'' if c == 1 else f' in {c} colours'}",
        *(f"  {line}" for line in plan.task.describe(plan.targets)),
        f"  {len(parts.train):,} to train, {len(parts.validation):,} to choose the best epoch, "
        f"{len(parts.test):,} to test",
        f"{plan.options.model}: {describe_loading(plan.model, plan.kept_head)}",
        f"strategy {recipe.strategy}, at most {count(recipe.epochs, 'epoch')}, learning rate "
        f"{recipe.lr:.2g}, {recipe.batch_size} images a batch, on {plan.device}",
    ]


def conclude(plan: Plan, results: dict[str, Any]) -> str:
    """The table and where everything lies."""
    part = next((name for name in ("test", "validation") if name in results), None)
    lines = []
    if part is not None:
        lines += [words.judged_on(results, part, "image"), ""]
        rows = {NAMES.get(name, name): row for name, row in results["baselines"].items()}
        ours = {"fine-tuned": results[part], **rows}
        lines += [words.table(plan.task.headline, ours), ""]
        lines += [words.interval(results[part]), ""]
    if results.get("warning"):
        lines += [results["warning"], ""]
    output = plan.options.output
    files = ", ".join(sorted(path.name for path in output.iterdir()))
    return "\n".join([*lines, f"{output} holds {files}"])
