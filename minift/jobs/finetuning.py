"""Fine-tune a pre-trained model on a table: what `minift finetune` does.

    plan = prepare(Options(data="reviews.csv", text="text", label="label", model="minilm",
                           output=Path("out")))
    results = run(plan)

`prepare` finds every mistake that can be found and writes nothing; `run` trains, keeps the weights
of the best epoch, judges them once on rows that had no say in anything, and writes the folder.
A run that was killed goes on after `prepare_again(folder)` (`resuming.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

import minift
from minift import finetune, hub
from minift.data import ArrayDataset, Table, TokenDataset
from minift.jobs import folder as run_folder
from minift.jobs import remedies, resuming, training, words
from minift.jobs.classifiers import rescale_head
from minift.jobs.judging import judge
from minift.jobs.plan import JOB, Options, Plan, prepare, prepare_again
from minift.jobs.tasks import RegressionTask
from minift.jobs.training import Learner
from minift.models import BertForSequenceClassification
from minift.train import EarlyStopping, History
from minift.train.machine import machine

__all__ = ["Options", "Plan", "find_rate", "prepare", "prepare_again", "run"]


def run(plan: Plan, command: Sequence[str] = ()) -> dict[str, Any]:
    """Train, judge and write, after `prepare`; returns the content of metrics.json."""
    output = plan.options.output
    for line in words.announce(plan):
        print(line, flush=True)
    record = begin(plan, command) if plan.record is None else go_on(plan, plan.record)
    started = time.perf_counter()
    stopping, history = train(plan)
    seconds = time.perf_counter() - started
    plan.recipe.finish(plan.classifier.model, output)
    plan.classifier.save(output / "model")
    results = judge(plan, stopping, history, seconds)
    run_folder.write_json(output / run_folder.RUN, {**record, "seconds": round(seconds, 2)})
    run_folder.write_json(output / run_folder.METRICS, results)  # last: now the run is finished
    print("\n" + words.conclude(plan, results))
    return results


def begin(plan: Plan, command: Sequence[str]) -> dict[str, Any]:
    """A new run's folder, with its record."""
    record = record_of(plan, command)
    run_folder.clear(plan.options.output)
    run_folder.write_json(plan.options.output / run_folder.RUN, record)
    return record


def go_on(plan: Plan, record: dict[str, Any]) -> dict[str, Any]:
    """The folder of a run that was killed, and its record."""
    return resuming.record_again(plan.options.output, record)


def record_of(plan: Plan, command: Sequence[str]) -> dict[str, Any]:
    """What run.json says before the run."""
    options = plan.options
    data = None if isinstance(options.data, Table) else str(options.data)
    paths = {"data": data, "model": str(options.model), "output": str(options.output)}
    return {
        "minift": minift.__version__,
        "command": list(command),
        **resuming.beginning(JOB),
        "options": {**vars(options), **paths},
        "recipe": asdict(plan.recipe),
        "max_length": plan.classifier.max_length,
        "labels": plan.classifier.task.names,
        "data": {**run_folder.fingerprint(plan.examples.source), "rows": len(plan.examples)},
        "model": run_folder.fingerprint_of_folder(hub.resolve(options.model)),
        "machine": machine(plan.device),
    }


def train(plan: Plan) -> tuple[EarlyStopping | None, History]:
    """Fine-tune the classifier in the plan; afterwards it has the weights of its best epoch."""
    task, model = plan.classifier.task, plan.classifier.model
    trained = training.train(assemble(plan), plan.options.output, plan.record is not None)
    plan.frozen = trained.frozen
    if isinstance(task, RegressionTask):
        rescale_head(model, task.deviation, task.mean)
    if plan.options.move_threshold:
        move_threshold(plan)
    return trained.stopping, trained.history


def assemble(plan: Plan) -> training.Assembled:
    """The Trainer of the classifier in the plan."""
    task, model, options = plan.classifier.task, plan.classifier.model, plan.options
    objective = task.objective(plan.targets[plan.parts.train], options.balanced, options.focal)
    if plan.kept_head and isinstance(task, RegressionTask):
        rescale_head(model, 1 / task.deviation, -task.mean / task.deviation)
    learner = learner_of(plan)
    return training.assemble(options, plan.recipe, model, learner, objective, plan.device)


def find_rate(plan: Plan) -> None:
    """Say and draw which learning rate may serve; trains nothing."""
    print(training.find_rate(assemble(plan), plan.recipe, plan.options.output))


def move_threshold(plan: Plan) -> None:
    """Shift the head's biases to where the validation part has its best macro-F1."""
    rows, classifier = plan.parts.validation, plan.classifier
    part = plan.examples.take(rows)
    outputs = classifier.outputs(part.texts, part.pairs)
    classifier.offsets = remedies.move_threshold(
        classifier.task, classifier.model, plan.targets[rows], outputs
    )


def learner_of(plan: Plan) -> Learner:
    """The whole model on texts, or of an encoder whose body rests a head alone on its features."""
    model, parts = plan.classifier.model, plan.parts
    texts = [dataset_of(plan, rows) for rows in (parts.train, parts.validation)]
    settings = plan.targets[parts.train], plan.options, plan.recipe
    if plan.recipe.strategy != "head" or not isinstance(model, BertForSequenceClassification):
        return training.learner(model, texts, *settings)
    watch = words.ReadingLines(sum(map(len, texts)))
    cache = plan.options.feature_cache
    features = [features_of(model, part, watch, cache) for part in texts]
    plan.features = features[0].arrays["features"]
    return training.learner(finetune.Head(model), features, *settings)


def dataset_of(plan: Plan, rows: np.ndarray) -> TokenDataset:
    """Texts of a part as tokens, and their targets as the loss sees them."""
    part, task = plan.examples.take(rows), plan.classifier.task
    return plan.classifier.dataset(part.texts, part.pairs, labels=task.scaled(plan.targets[rows]))


def features_of(
    model: Any, dataset: TokenDataset, watch: Callable[[int], None], cache: str | None
) -> ArrayDataset:
    """What the frozen body says of each text, computed here and never again."""
    features = finetune.extract_features(model, dataset, watch=watch, cache=cache)
    return ArrayDataset(features=features, labels=dataset.targets["labels"])
