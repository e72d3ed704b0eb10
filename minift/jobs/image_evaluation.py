"""Judge a fine-tuned classifier on images that it has not seen: `minift evaluate` with images.

As on texts (`evaluation.py`, read that first), with the same numbers and files. Of a data set with
a test part of its own, that part is judged: the rest was there to learn from.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import minift
from minift import plot
from minift.data.tables import count
from minift.jobs import folder as run_folder
from minift.jobs import words
from minift.jobs.image_classifiers import Classifier, open_classifier, targets_of
from minift.jobs.images import Images, check_labelled, own_test_part, read_images
from minift.jobs.judging import MISTAKES, draw
from minift.jobs.tasks import ClassificationTask
from minift.train import choose_device
from minift.train.machine import machine

SHOWN = 32  # mistakes of the picture


@dataclass(frozen=True)
class Options:
    """What a user can say."""

    model: str | Path
    data: str
    output: Path
    device: str = "auto"
    overwrite: bool = False


@dataclass
class Plan:
    """All that is needed, checked. `targets` are those of the `rows` that are judged."""

    options: Options
    classifier: Classifier
    images: Images
    rows: np.ndarray
    targets: np.ndarray
    device: str


def prepare(options: Options) -> Plan:
    """Read and check everything; writes nothing. Raises ValueError, OSError or RuntimeError."""
    device = choose_device(options.device)
    run_folder.check_folder(options.output, options.overwrite)
    images = read_images(options.data)
    check_labelled(images, "to judge by")
    classifier = open_classifier(options.model, images)
    classifier.model.to(device)
    own = own_test_part(options.data)
    rows = np.arange(len(images) - own if own else 0, len(images))
    targets = targets_of(images, classifier.task)[rows]
    return Plan(options, classifier, images, rows, targets, device)


def run(plan: Plan, command: Sequence[str] = ()) -> dict[str, Any]:
    """Judge and write, after `prepare`; returns the content of metrics.json."""
    task, output = plan.classifier.task, plan.options.output
    started = time.perf_counter()
    outputs = plan.classifier.scores(plan.images.images[plan.rows])
    results = {
        "task": task.kind,
        "rows": {"judged": len(plan.rows)},
        **task.scores(plan.targets, outputs),
        "warning": task.warning(outputs),
        "seconds": round(time.perf_counter() - started, 2),
    }
    run_folder.clear(output)
    run_folder.write_json(output / run_folder.RUN, record_of(plan, command))
    run_folder.write_json(output / run_folder.METRICS, results)
    draw(task, plan.targets, outputs, output)
    write_mistakes(task, plan.images, plan.rows, plan.targets, outputs, output)
    print(report(plan, results))
    return results


def write_mistakes(
    task: ClassificationTask,
    images: Images,
    rows: np.ndarray,
    targets: np.ndarray,
    outputs: np.ndarray,
    output: Path,
) -> None:
    """worst_mistakes.csv and .png: wrong answers to those rows, the surest first."""
    losses = task.losses(targets, outputs)
    wrong = np.flatnonzero(task.is_wrong(targets, outputs))
    worst = wrong[np.argsort(-losses[wrong], kind="stable")][:MISTAKES]
    run_folder.write_table(
        output / "worst_mistakes.csv",
        ("image", "label", "predicted", "loss"),
        [
            (
                images.name(int(rows[i])),
                task.names[targets[i]],
                task.answer(outputs[i])["label"],
                f"{losses[i]:.4f}",
            )
            for i in worst.tolist()
        ],
    )
    if len(worst):
        shown = images.images[rows[worst[:SHOWN]]]
        plot.image_grid(shown[None], output / "worst_mistakes.png")


def record_of(plan: Plan, command: Sequence[str]) -> dict[str, Any]:
    """What run.json says."""
    images = plan.images
    return {
        "minift": minift.__version__,
        "command": list(command),
        "model": str(plan.options.model),
        "data": {"source": images.source, "sha256": images.digest(), "rows": len(plan.rows)},
        "machine": machine(plan.device),
    }


def report(plan: Plan, results: dict[str, Any]) -> str:
    """The numbers for the reader."""
    part = ", its test part" if len(plan.rows) < len(plan.images) else ""
    lines = [f"{plan.options.model} on {plan.images.source}{part}:"]
    lines += [count(len(plan.rows), "image")]
    lines += [plan.classifier.processor.describe(plan.images.images.shape[1:]), ""]
    lines += words.judged(plan.classifier.task.headline, results)
    files = ", ".join(sorted(path.name for path in plan.options.output.iterdir()))
    return "\n".join([*lines, "", f"{plan.options.output} holds {files}"])
