"""What a fine-tuning is asked for, and everything about it that can be checked before it starts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from minift import hub
from minift.backend.random import manual_seed
from minift.data import Table, read_csv
from minift.fetch import data_file
from minift.jobs import folder as run_folder
from minift.jobs import resuming
from minift.jobs.classifiers import Classifier, open_for_training
from minift.jobs.examples import Examples, read_examples
from minift.jobs.options import (
    TrainingOptions,
    check_choice,
    check_known,
    check_training,
    check_weights,
)
from minift.jobs.parts import Parts, split
from minift.jobs.recipe import Recipe, choose_recipe, rates_of, recipe_of
from minift.jobs.remedies import check_remedies, rows_an_epoch
from minift.jobs.tasks import TASKS
from minift.models import BertForSequenceClassification
from minift.train import choose_device

JOB = "finetune"
POOLING = ("cls", "mean")
MAX_LENGTH = 256  # tokens, where the user names no limit and the model reads as many


@dataclass(frozen=True, kw_only=True)
class Options(TrainingOptions):
    """What a user can say of texts."""

    data: str | Path | Table
    text: str
    label: str
    text_pair: str | None = None
    task: str = "classification"
    max_length: int | None = None
    pooling: str | None = None
    feature_cache: str | None = None


@dataclass
class Plan:
    """All that a run needs, checked. `record` is the run.json of a run that goes on."""

    options: Options
    examples: Examples
    targets: np.ndarray
    parts: Parts
    classifier: Classifier
    kept_head: bool
    recipe: Recipe
    device: str
    lengths: np.ndarray  # tokens of each text before it is cut, (n,)
    record: dict[str, Any] | None = None
    features: np.ndarray | None = None  # of the rows of training, where the body is frozen
    frozen: dict[str, Any] = field(default_factory=dict)  # the proof of what stayed as it was


def prepare(options: Options, parts: Parts | None = None) -> Plan:
    """Read and check everything; writes nothing. `parts` replace those that the seed would make.

    Raises ValueError, OSError or RuntimeError, in one sentence each, for a mistake in the options,
    the table, the model's folder or the output folder.
    """
    check_options(options)
    run_folder.check_folder(options.output, options.overwrite)
    return read(options, parts)


def prepare_again(folder: Path) -> Plan | None:
    """The plan of the run in `folder`, as it was when the run began; None if it is finished.

    Writes nothing. Raises ValueError, OSError or RuntimeError if there is no such run, or if its
    table or its model is no longer what it was.
    """
    record = resuming.begun(folder, JOB)
    if resuming.is_finished(folder):
        return None
    plan = read(options_of(record, folder))
    return replace(plan, recipe=recipe_of(record, folder), record=record)


def options_of(record: dict[str, Any], folder: Path) -> Options:
    """What the user said when the run began.

    Raises ValueError if it cannot be said again, or if the table or the model is another now.
    """
    options = said_options(record, folder)
    assert isinstance(options.data, Path)
    resuming.check_same(str(options.data), record["data"], run_folder.fingerprint(options.data))
    model = run_folder.fingerprint_of_folder(hub.resolve(options.model))
    resuming.check_same(str(options.model), record["model"], model)
    return options


def said_options(record: dict[str, Any], folder: Path) -> Options:
    """The options of a record, seen from here."""
    check_known(Options, record, folder)
    said, where = record["options"], record["directory"]
    data = said["data"]
    if data in (None, "-"):
        source = "Python" if data is None else "standard input"
        raise ValueError(
            f"the table of {folder} came from {source}, so it is not there to go on with; start "
            f"anew from a file"
        )
    return Options(
        **{
            **said,
            "data": data_file(resuming.said_then(data, where)),
            "model": resuming.said_then(said["model"], where),
            "output": folder,
            "device": record["machine"]["device"],
        }
    )


def read(options: Options, parts: Parts | None = None) -> Plan:
    """Read the table and the model, and check all that follows from them."""
    device = choose_device(options.device)
    table = options.data if isinstance(options.data, Table) else read_csv(data_file(options.data))
    examples = read_examples(table, options.text, options.text_pair, options.label)
    task = TASKS[options.task].learn(examples)
    manual_seed(options.seed)  # of the head's weights
    model, kept_head = open_for_training(
        options.model, task, options.text_pair is not None, options.pooling
    )
    check_for_model(options, model)
    check_weights(options, model)
    max_length = limit(options, model.config.max_position_embeddings)
    classifier = Classifier(
        model.to(device), model.tokenizer, task, max_length, options.text, options.text_pair
    )
    targets = task.read(examples)
    parts = parts or split(
        task.strata(targets), examples.groups, options.val_split, options.test_split, options.seed
    )
    check_remedies(options, task, targets)
    rows = rows_an_epoch(options, targets[parts.train])
    rates = rates_of(model.config.hidden_size)
    recipe = choose_recipe(options, rates, rows, new_head=not kept_head)
    lengths = classifier.lengths(examples.texts, examples.pairs)
    return Plan(options, examples, targets, parts, classifier, kept_head, recipe, device, lengths)


def check_options(options: Options) -> None:
    """Raises ValueError for values that the command line would not have let through."""
    check_choice("task", options.task, tuple(TASKS))
    check_choice("pooling", options.pooling or POOLING[0], POOLING)
    check_training(options)
    if options.feature_cache is not None and options.strategy != "head":
        raise ValueError(
            f"--feature-cache keeps what --strategy head reads; --strategy {options.strategy} "
            f"changes it in every step: leave it out"
        )


def check_for_model(options: Options, model: Any) -> None:
    """Raises ValueError for what can be done with an encoder alone."""
    if isinstance(model, BertForSequenceClassification):
        return
    for asked, option, reason in (
        (options.strategy == "lora", "--strategy lora", "whose attention is one fused matrix"),
        (options.move_threshold, "--move-threshold", "whose head has no bias to shift"),
        (options.feature_cache is not None, "--feature-cache", "whose features are not kept"),
    ):
        if asked:
            raise ValueError(f"{options.model} holds a {model.architecture}, {reason}: no {option}")


def limit(options: Options, most: int) -> int:
    """Tokens at which texts are cut. Raises ValueError for more than the model can read."""
    if options.max_length is None:
        return min(MAX_LENGTH, most)
    if not 3 <= options.max_length <= most:
        raise ValueError(
            f"--max-length must lie between 3 and the {most} tokens that {options.model} can "
            f"read, got {options.max_length}"
        )
    return options.max_length
