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
from minift.data import ArrayDataset, BucketSampler, DataLoader, OverSampler, Table, TokenDataset
from minift.data.loader import Sampler, UniformSampler
from minift.jobs import folder as run_folder
from minift.jobs import resuming, words
from minift.jobs.classifiers import rescale_head
from minift.jobs.judging import judge
from minift.jobs.plan import JOB, Options, Plan, prepare, prepare_again
from minift.jobs.recipe import ADAPTER, SCHEDULES
from minift.jobs.tasks import RegressionTask
from minift.models import BertForSequenceClassification
from minift.nn import Module
from minift.train import (
    Callback,
    EarlyStopping,
    History,
    Progress,
    TrainConfig,
    Trainer,
    adamw,
)
from minift.train.machine import machine
from minift.train.trainer import Objective

__all__ = ["Options", "Plan", "prepare", "prepare_again", "run"]


def run(plan: Plan, command: Sequence[str] = ()) -> dict[str, Any]:
    """Train, judge and write, after `prepare`; returns the content of metrics.json."""
    output = plan.options.output
    for line in words.announce(plan):
        print(line, flush=True)
    record = begin(plan, command) if plan.record is None else go_on(plan, plan.record)
    started = time.perf_counter()
    stopping, history = train(plan)
    seconds = time.perf_counter() - started
    if plan.recipe.strategy == "lora":
        ADAPTER.save(plan.classifier.model, output / "adapter")
        ADAPTER.merge(plan.classifier.model)
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
    objective: Objective = task.objective(
        plan.targets[plan.parts.train], plan.options.balanced, plan.options.focal
    )
    if plan.kept_head and isinstance(task, RegressionTask):
        rescale_head(model, 1 / task.deviation, -task.mean / task.deviation)
    strategy = plan.recipe.prepare(model)
    proof = finetune.FrozenProof(model)
    if plan.options.l2_sp is not None:
        strategy, objective = finetune.l2_sp(model, strategy, objective, plan.options.l2_sp)
    validates = len(plan.parts.validation) > 0
    stopping = EarlyStopping(plan.recipe.patience) if validates else None
    learner, train_part, validation_part = data_of(plan)
    trainer = Trainer(
        learner,
        train_part,
        validation_part if validates else None,
        objective=objective,
        config=config_of(plan),
        optimizer=adamw(strategy.param_groups, plan.recipe.lr, weight_decay=0.01),
        callbacks=[
            *strategy.callbacks,
            proof,
            *callbacks_of(plan),
            *([stopping] if stopping else []),
        ],
    )
    if plan.record is not None:
        print(resuming.stand(trainer, plan.options.output), flush=True)
    history = fit(trainer)
    plan.frozen = proof.numbers
    model.unfreeze()
    if isinstance(task, RegressionTask):
        rescale_head(model, task.deviation, task.mean)
    if plan.options.move_threshold:
        move_threshold(plan)
    return stopping, history


def move_threshold(plan: Plan) -> None:
    """Shift the head's biases to where the validation part has its best macro-F1.

    The threshold is thus a part of the model: whoever opens it, transformers too, answers by it.
    """
    rows, classifier = plan.parts.validation, plan.classifier
    part = plan.examples.take(rows)
    outputs = classifier.outputs(part.texts, part.pairs)
    offsets = classifier.task.offsets(plan.targets[rows], outputs)
    rescale_head(classifier.model, 1.0, offsets)
    classifier.offsets = dict(zip(classifier.task.names, offsets.round(4).tolist()))


def fit(trainer: Trainer) -> History:
    """Train. Raises RuntimeError, with the step and a remedy, where the numbers explode."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # said below, once
            return trainer.fit()
    except FloatingPointError as error:  # it begins with the step
        reason = str(error)
    except ValueError as error:
        reason = f"step {trainer.step + 1}: {error}"
    raise RuntimeError(f"training broke off at {reason}; try a smaller --lr")


def config_of(plan: Plan) -> TrainConfig:
    """The Trainer's settings."""
    schedule, warmup = SCHEDULES[plan.options.schedule]
    return TrainConfig(
        epochs=plan.recipe.epochs,
        batch_size=plan.recipe.batch_size,
        lr=plan.recipe.lr,
        schedule=schedule,
        warmup=warmup,
        seed=plan.options.seed,
        device=plan.device,
        output=plan.options.output,
    )


def callbacks_of(plan: Plan) -> list[Callback]:
    """What is said and saved on the way."""
    minutes = plan.options.checkpoint_minutes
    saving = [] if minutes is None else [resuming.saving(plan.options.output, minutes)]
    progress = Progress("fine-tuning", keep=False)
    return [progress, words.EpochLines(plan.recipe.epochs), *saving]


def data_of(plan: Plan) -> tuple[Module, DataLoader, DataLoader]:
    """What learns and what it is given: the whole model texts, a head alone finished features."""
    model, parts = plan.classifier.model, plan.parts
    texts = [dataset_of(plan, rows) for rows in (parts.train, parts.validation)]
    stored = isinstance(model, BertForSequenceClassification)  # whose features can be
    if plan.recipe.strategy != "head" or not stored:
        return model, loader_of(plan, texts[0], repeats=True), loader_of(plan, texts[1])
    watch = words.ReadingLines(sum(map(len, texts)))
    cache = plan.options.feature_cache
    features = [features_of(model, part, watch, cache) for part in texts]
    plan.features = features[0].arrays["features"]
    return finetune.Head(model), loader_of(plan, features[0], True), loader_of(plan, features[1])


def dataset_of(plan: Plan, rows: np.ndarray) -> TokenDataset:
    """Texts of a part as tokens, and their targets as the loss sees them."""
    part, task = plan.examples.take(rows), plan.classifier.task
    return plan.classifier.dataset(part.texts, part.pairs, labels=task.scaled(plan.targets[rows]))


def loader_of(
    plan: Plan, dataset: TokenDataset | ArrayDataset, repeats: bool = False
) -> DataLoader:
    """Batches for training or, in order, for validation; texts of nearly one length together.

    With `repeats`, those that train: rows of rare classes several times, where that was asked for.
    """
    seed, size = plan.options.seed, plan.recipe.batch_size

    def batches_of(rows: np.ndarray) -> Sampler:
        if isinstance(dataset, ArrayDataset):
            return UniformSampler(len(rows), size, repeats, seed)
        lengths = dataset.lengths[rows]
        mean = float(lengths.mean()) if len(lengths) else 1.0
        tokens = max(round(size * mean), int(lengths.max(initial=1)))
        return BucketSampler(lengths, tokens, seed=seed)

    if repeats and plan.options.oversample:
        targets = plan.targets[plan.parts.train]
        return DataLoader(dataset, sampler=OverSampler(targets, batches_of, seed))
    return DataLoader(dataset, sampler=batches_of(np.arange(len(dataset))))


def features_of(
    model: Any, dataset: TokenDataset, watch: Callable[[int], None], cache: str | None
) -> ArrayDataset:
    """What the frozen body says of each text, computed here and never again."""
    features = finetune.extract_features(model, dataset, watch=watch, cache=cache)
    return ArrayDataset(features=features, labels=dataset.targets["labels"])
