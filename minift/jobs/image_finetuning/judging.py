"""How good a classifier of images is, where it errs, and how that is said.

Beside it stand the majority, and two simple readers of the raw pixels with the same labels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minift import plot
from minift.data.tables import count
from minift.jobs import words
from minift.jobs.classifiers import describe_loading
from minift.jobs.image_evaluation import write_mistakes
from minift.jobs.image_finetuning.forgetting import forgetting_of
from minift.jobs.image_finetuning.plan import Plan
from minift.jobs.judging import best_epoch, draw
from minift.metrics import accuracy, macro_f1
from minift.probes import LinearProbe, NearestNeighbours
from minift.train import EarlyStopping, History
from minift.train.records import read_records

MOST_FITTED = 3000  # images that the simple readers get
NAMES = {"pixel_neighbours": "5-NN, raw pixels", "pixel_probe": "linear, raw pixels"}


def judge(
    plan: Plan, stopping: EarlyStopping | None, history: History, seconds: float
) -> dict[str, Any]:
    """The content of metrics.json; pictures and the worst mistakes are written on the way."""
    parts, images, output = plan.parts, plan.images, plan.options.output
    task = plan.classifier.task
    results: dict[str, Any] = {
        "task": task.kind,
        "rows": {
            "train": len(parts.train),
            "validation": len(parts.validation),
            "test": len(parts.test),
            "duplicates": len(images) - len(set(images.groups.tolist())),
        },
        "epochs": len(history.evaluations) or plan.recipe.epochs,
        "best_epoch": best_epoch(stopping, history),
        "frozen": plan.frozen,
        "moved_thresholds": plan.offsets,
    }
    for name, rows in (("validation", parts.validation), ("test", parts.test)):
        if len(rows):
            outputs, targets = plan.classifier.scores(images.images[rows]), plan.targets[rows]
            results[name] = task.scores(targets, outputs)
            results["baselines"] = baselines(plan, rows)
            results["warning"] = task.warning(outputs)
            draw(task, targets, outputs, output)
            write_mistakes(task, images, rows, targets, outputs, output)
    results["forgetting"] = forgetting_of(plan)
    plot.learning_curves(read_records(output / "train.jsonl"), output / "learning_curves.png")
    return {**results, "seconds": round(seconds, 2)}


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


# ------------------------------------------------------------------------------- what is said


def announce(plan: Plan) -> list[str]:
    """The data, the model and the recipe, before anything happens."""
    _, c, H, W = shape = plan.images.images.shape
    parts, recipe, classifier = plan.parts, plan.recipe, plan.classifier
    return [
        f"{plan.images.source}: {count(len(plan.images), 'image')} of {H} × {W} pixels"
        f"{'' if c == 1 else f' in {c} colours'}",
        *(f"  {line}" for line in classifier.task.describe(plan.targets)),
        f"  {len(parts.train):,} to train, {len(parts.validation):,} to choose the best epoch, "
        f"{len(parts.test):,} to test",
        f"{plan.options.model}: {describe_loading(classifier.model, plan.kept_head)}",
        f"  {classifier.processor.describe(shape[1:])}",
        f"strategy {recipe.strategy}, at most {count(recipe.epochs, 'epoch')}, learning rate "
        f"{words.rates(recipe)}, {recipe.batch_size} images a batch{words.a_step(plan.options)}, "
        f"on {plan.device}",
        *(f"  {line}" for line in [*words.remedies(plan.options), *words.besides(plan.options)]),
    ]


def conclude(plan: Plan, results: dict[str, Any]) -> str:
    """The table and where everything lies."""
    part = next((name for name in ("test", "validation") if name in results), None)
    lines = []
    if part is not None:
        lines += [words.judged_on(results, part, "image"), ""]
        rows = {NAMES.get(name, name): row for name, row in results["baselines"].items()}
        ours = {"fine-tuned": results[part], **rows}
        lines += [words.table(plan.classifier.task.headline, ours), ""]
        lines += [words.intervals(results[part]), ""]
    lines += words.findings(results)
    output = plan.options.output
    files = ", ".join(sorted(path.name for path in output.iterdir()))
    return "\n".join([*lines, f"{output} holds {files}"])
