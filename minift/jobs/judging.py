"""How good a classifier is, in numbers and pictures, and where it errs.

The numbers of a run are those of its test part, which chose nothing; without one, of the part that
chose the best epoch.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from minift import plot
from minift.data import load_glosses
from minift.finetune import SourceTask, extract_features
from minift.jobs import folder as run_folder
from minift.jobs.examples import Examples
from minift.jobs.plan import Plan
from minift.jobs.tasks import ClassificationTask, RegressionTask, Task
from minift.jobs.tasks.classification import softmax
from minift.metrics import accuracy, confusion_matrix, macro_f1
from minift.probes import LinearProbe, NearestNeighbours, Prototypes
from minift.train import EarlyStopping, History
from minift.train.records import read_records

SOURCE_TEXTS = 300  # WordNet definitions, about 700 hidden words
MISTAKES = 100  # of the worst, how many are listed


def judge(
    plan: Plan, stopping: EarlyStopping | None, history: History, seconds: float
) -> dict[str, Any]:
    """The content of metrics.json; pictures and the worst mistakes are written on the way."""
    parts, task, output = plan.parts, plan.classifier.task, plan.options.output
    results: dict[str, Any] = {
        "task": plan.options.task,
        "rows": counts_of(plan),
        "epochs": len(history.evaluations) or plan.recipe.epochs,
        "best_epoch": best_epoch(stopping, history),
        "frozen": plan.frozen,
        "moved_thresholds": plan.classifier.offsets,
    }
    for name, rows in (("validation", parts.validation), ("test", parts.test)):
        if len(rows):
            examples, targets = plan.examples.take(rows), plan.targets[rows]
            outputs = plan.classifier.outputs(examples.texts, examples.pairs)
            results[name] = task.scores(targets, outputs)
            results["baselines"] = {
                **baselines_of(plan, examples, targets),
                **heads_of(plan, examples, targets),
            }
            results["warning"] = task.warning(outputs)
            draw(task, targets, outputs, output)
            write_mistakes(task, examples, targets, outputs, output)
    results["forgetting"] = forgetting_of(plan)
    plot.learning_curves(read_records(output / "train.jsonl"), output / "learning_curves.png")
    return {**results, "seconds": round(seconds, 2)}


def forgetting_of(plan: Plan) -> dict[str, Any]:
    """The source loss before and after, on definitions of WordNet; or why there is none."""
    source = SourceTask.of(plan.options.model, source_texts())
    if source is None:
        return {"unknown": "the folder holds no head for its pre-training objective"}
    source.model.to(plan.device)
    before, after = source.loss(), source.loss(plan.classifier.model)
    return {"objective": "masked words", "texts": SOURCE_TEXTS, "before": before, "after": after}


@cache
def source_texts() -> list[str]:
    """General English that no fine-tuning trains on, and the quickstart's pre-training neither."""
    return load_glosses().dev[0][:SOURCE_TEXTS]


def counts_of(plan: Plan) -> dict[str, int]:
    """Rows of each part, and those of which something had to be said."""
    examples, parts = plan.examples, plan.parts
    return {
        "train": len(parts.train),
        "validation": len(parts.validation),
        "test": len(parts.test),
        "empty": examples.empty,
        "duplicates": len(examples) - len(set(examples.groups.tolist())),
        "truncated": int((plan.lengths > plan.classifier.max_length).sum()),
    }


def best_epoch(stopping: EarlyStopping | None, history: History) -> int | None:
    """The epoch, from 1, whose weights the model has; None if nothing was validated."""
    steps = [record["step"] for record in history.evaluations]
    if stopping is None or stopping.best_step not in steps:
        return None
    return steps.index(stopping.best_step) + 1


def baselines_of(plan: Plan, examples: Examples, targets: np.ndarray) -> dict[str, Any]:
    """What the same training labels give without a network, on the same rows."""
    rows = plan.parts.train
    train, train_targets = plan.examples.take(rows), plan.targets[rows]
    return plan.classifier.task.baselines(train, train_targets, examples, targets)


def heads_of(plan: Plan, examples: Examples, targets: np.ndarray) -> dict[str, Any]:
    """What other heads make of the same frozen features; {} where the body moved."""
    if plan.features is None or not isinstance(plan.classifier.task, ClassificationTask):
        return {}
    dataset = plan.classifier.dataset(examples.texts, examples.pairs)
    cache = plan.options.feature_cache
    features = extract_features(plan.classifier.model, dataset, cache=cache)
    labels = plan.targets[plan.parts.train]
    guesses = {
        name: head.fit(plan.features, labels).predict(features) for name, head in heads().items()
    }
    return {
        name: {"accuracy": accuracy(targets, guess), "macro_f1": macro_f1(targets, guess)}
        for name, guess in guesses.items()
    }


def heads() -> dict[str, Any]:
    """Any head may stand on features: a linear one fitted to its optimum, neighbours, means."""
    return {
        "linear_probe": LinearProbe(),
        "nearest_neighbours": NearestNeighbours(5),
        "prototypes": Prototypes(),
    }


def draw(
    task: Task,
    targets: np.ndarray,
    outputs: np.ndarray,
    output: Path,
) -> None:
    """The pictures of the answers: of classes a confusion matrix and how well the rarest is found,
    of numbers a scatter plot, of chances whether they hold."""
    if isinstance(task, ClassificationTask):
        counts = confusion_matrix(targets, outputs.argmax(axis=1), len(task.names))
        plot.confusion(counts.tolist(), task.names, output / "confusion.png")
        rarest = task.rarest(targets)
        positive, scores = targets == rarest, softmax(outputs)[:, rarest]
        plot.precision_recall(positive, scores, task.names[rarest], output / "precision_recall.png")
    elif isinstance(task, RegressionTask):
        plot.predictions(targets, outputs[:, 0], output / "predictions.png")
    confidences = task.calibration(targets, outputs)
    if confidences is not None:
        plot.reliability(*confidences, output / "reliability.png")


def write_mistakes(
    task: Task,
    examples: Examples,
    targets: np.ndarray,
    outputs: np.ndarray,
    output: Path,
) -> None:
    """worst_mistakes.csv: wrong answers with their lines, the surest first."""
    losses = task.losses(targets, outputs)
    wrong = np.flatnonzero(task.is_wrong(targets, outputs))
    worst = wrong[np.argsort(-losses[wrong], kind="stable")][:MISTAKES]
    seconds = examples.pairs or [""] * len(examples)
    run_folder.write_table(
        output / "worst_mistakes.csv",
        ("line", "label", "predicted", "loss", "text", "text_pair"),
        [
            (
                examples.lines[i],
                examples.labels[i],
                said(task.answer(outputs[i])["label"]),
                f"{losses[i]:.4f}",
                examples.texts[i],
                seconds[i],
            )
            for i in worst.tolist()
        ],
    )


def said(label: Any) -> str:
    """An answer as it stands in a cell."""
    return ";".join(label) if isinstance(label, list) else str(label)
