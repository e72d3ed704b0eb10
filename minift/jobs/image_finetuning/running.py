"""Train a classifier of images, keep the weights of its best epoch, judge it, write the folder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

import minift
from minift import hub
from minift.data import ArrayDataset
from minift.jobs import folder as run_folder
from minift.jobs import remedies, resuming, training, words
from minift.jobs.image_classifiers import Head
from minift.jobs.image_finetuning.judging import announce, conclude, judge
from minift.jobs.image_finetuning.plan import JOB, Plan
from minift.train import EarlyStopping, History
from minift.train.machine import machine


def run(plan: Plan, command: Sequence[str] = ()) -> dict[str, Any]:
    """Train, judge and write, after `prepare`; returns the content of metrics.json."""
    output = plan.options.output
    for line in announce(plan):
        print(line, flush=True)
    if plan.record is None:
        record = record_of(plan, command)
        run_folder.clear(output)
        run_folder.write_json(output / run_folder.RUN, record)
    else:
        record = resuming.record_again(output, plan.record)
    started = time.perf_counter()
    stopping, history = train(plan)
    seconds = time.perf_counter() - started
    plan.recipe.finish(plan.classifier.model, output)
    plan.classifier.save(output / "model")
    results = judge(plan, stopping, history, seconds)
    run_folder.write_json(output / run_folder.RUN, {**record, "seconds": round(seconds, 2)})
    run_folder.write_json(output / run_folder.METRICS, results)  # last: now the run is finished
    print("\n" + conclude(plan, results))
    return results


def record_of(plan: Plan, command: Sequence[str]) -> dict[str, Any]:
    """What run.json says before the run."""
    options = plan.options
    paths = {"model": str(options.model), "output": str(options.output)}
    return {
        "minift": minift.__version__,
        "command": list(command),
        **resuming.beginning(JOB),
        "kind": "images",
        "options": {**vars(options), **paths},
        "recipe": asdict(plan.recipe),
        "labels": plan.classifier.task.names,
        "pixels": asdict(plan.classifier.processor),
        "data": {"source": plan.images.source, "sha256": plan.images.digest()},
        "model": run_folder.fingerprint_of_folder(hub.resolve(options.model)),
        "machine": machine(plan.device),
    }


def train(plan: Plan) -> tuple[EarlyStopping | None, History]:
    """Fine-tune the model in the plan; afterwards it has the weights of its best epoch."""
    trained = training.train(assemble(plan), plan.options.output, plan.record is not None)
    plan.frozen = trained.frozen
    if plan.options.move_threshold:
        rows, classifier = plan.parts.validation, plan.classifier
        outputs = classifier.scores(plan.images.images[rows])
        plan.offsets = remedies.move_threshold(
            classifier.task, classifier.model, plan.targets[rows], outputs
        )
    return trained.stopping, trained.history


def assemble(plan: Plan) -> training.Assembled:
    """The Trainer of the model in the plan."""
    options, recipe, model = plan.options, plan.recipe, plan.classifier.model
    targets = plan.targets[plan.parts.train]
    objective = plan.classifier.task.objective(targets, options.balanced, options.focal)
    return training.assemble(options, recipe, model, learner_of(plan), objective, plan.device)


def learner_of(plan: Plan) -> training.Learner:
    """The whole model on images, or a head alone on what a body that rests makes of them."""
    classifier, parts = plan.classifier, (plan.parts.train, plan.parts.validation)
    settings = plan.targets[parts[0]], plan.options, plan.recipe
    if plan.recipe.strategy != "head":
        images = [
            classifier.dataset(plan.images.images[rows], plan.targets[rows]) for rows in parts
        ]
        return training.learner(classifier.model, images, *settings)
    rows, train = np.concatenate(parts), len(parts[0])
    watch = words.ReadingLines(len(rows), what="image")
    found = classifier.features(plan.images.images[rows], watch)
    features = [
        ArrayDataset(features=found[part], labels=plan.targets[rows[part]])
        for part in (slice(train), slice(train, None))
    ]
    return training.learner(Head(classifier.model), features, *settings)


def find_rate(plan: Plan) -> None:
    """Say and draw which learning rate may serve; trains nothing."""
    print(training.find_rate(assemble(plan), plan.recipe, plan.options.output))
