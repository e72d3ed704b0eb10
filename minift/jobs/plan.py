"""What a fine-tuning is asked for, and everything about it that can be checked before it starts."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
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
from minift.jobs.parts import Parts, split
from minift.jobs.recipe import (
    FROZEN_BODY,
    SCHEDULES,
    STRATEGIES,
    UNFREEZING,
    Recipe,
    choose_recipe,
)
from minift.jobs.tasks import TASKS, ClassificationTask, RegressionTask, Task
from minift.models import BertForSequenceClassification
from minift.train import choose_device

JOB = "finetune"
POOLING = ("cls", "mean")
MAX_LENGTH = 256  # tokens, where the user names no limit and the model reads as many


@dataclass(frozen=True)
class Options:
    """What a user can say; None is decided by the data and the model (`recipe.py`)."""

    data: str | Path | Table
    text: str
    label: str
    model: str | Path
    output: Path
    text_pair: str | None = None
    strategy: str = "full"
    task: str = "classification"
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    max_length: int | None = None
    val_split: float = 0.1
    test_split: float = 0.1
    balanced: bool = False
    focal: bool = False
    oversample: bool = False
    move_threshold: bool = False
    pooling: str | None = None
    feature_cache: str | None = None
    l2_sp: float | None = None
    schedule: str = "linear"
    unfreeze: str = "epoch"
    seed: int = 0
    device: str = "auto"
    checkpoint_minutes: float | None = resuming.MINUTES  # None: the run is never saved
    overwrite: bool = False


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
    return replace(plan, recipe=Recipe(**record["recipe"]), record=record)


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
    said, where = record["options"], record["directory"]
    known = {field.name for field in fields(Options)}
    if not said.keys() <= known:
        raise ValueError(
            f"{folder} was made by minift {record['minift']} with options that this version does "
            f"not have: {', '.join(said.keys() - known)}"
        )
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
    max_length = limit(options, model.config.max_position_embeddings)
    classifier = Classifier(
        model.to(device), model.tokenizer, task, max_length, options.text, options.text_pair
    )
    targets = task.read(examples)
    parts = parts or split(
        task.strata(targets), examples.groups, options.val_split, options.test_split, options.seed
    )
    check_remedies(options, task, targets)
    recipe = choose_recipe(
        options.strategy,
        model.config.hidden_size,
        rows_an_epoch(options, targets[parts.train]),
        options.lr,
        options.epochs,
        options.batch_size,
        options.unfreeze,
    )
    lengths = classifier.lengths(examples.texts, examples.pairs)
    return Plan(options, examples, targets, parts, classifier, kept_head, recipe, device, lengths)


def check_options(options: Options) -> None:
    """Raises ValueError for values that the command line would not have let through."""
    for name, value, known in (
        ("strategy", options.strategy, STRATEGIES),
        ("task", options.task, tuple(TASKS)),
        ("schedule", options.schedule, tuple(SCHEDULES)),
        ("unfreeze", options.unfreeze, UNFREEZING),
        ("pooling", options.pooling or POOLING[0], POOLING),
    ):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    if options.l2_sp is not None and options.strategy in FROZEN_BODY:
        raise ValueError(
            f"--l2-sp pulls the body back, which --strategy {options.strategy} never moves; leave "
            f"it out"
        )
    if options.feature_cache is not None and options.strategy != "head":
        raise ValueError(
            f"--feature-cache keeps what --strategy head reads; --strategy {options.strategy} "
            f"changes it in every step: leave it out"
        )
    if options.unfreeze != UNFREEZING[0] and options.strategy != "gradual":
        raise ValueError(
            f"--unfreeze says when --strategy gradual thaws a layer, --strategy {options.strategy} "
            f"never does; leave it out"
        )
    if options.unfreeze == "stall" and not options.val_split:
        raise ValueError(
            "--unfreeze stall waits for the validation, which --val-split 0 leaves out"
        )
    shares = options.val_split, options.test_split
    if min(shares) < 0 or sum(shares) >= 1:
        raise ValueError(
            f"the validation and the test part must leave something to train on, got --val-split "
            f"{shares[0]:g} and --test-split {shares[1]:g}"
        )
    output, model = options.output.resolve(), Path(options.model).resolve()
    if output in (model, *model.parents) and model.exists():
        raise ValueError(
            f"--output {options.output} holds the model that is to be fine-tuned; name another "
            f"folder"
        )


def check_remedies(options: Options, task: Task, targets: np.ndarray) -> None:
    """Raises ValueError for a remedy against uneven classes that the task cannot have."""
    if options.balanced or options.focal:
        task.objective(targets, options.balanced, options.focal)
    if options.oversample and not isinstance(task, ClassificationTask):
        raise ValueError(f"--oversample needs one class a text; this is a {task.kind}")
    if options.oversample and options.balanced:
        raise ValueError(
            "--oversample and --class-weight balanced do the same twice over; give one of them"
        )
    if options.move_threshold and isinstance(task, RegressionTask):
        raise ValueError(f"--move-threshold needs classes; this is a {task.kind}")
    if options.move_threshold and not options.val_split:
        raise ValueError(
            "--move-threshold is chosen on the validation part, which --val-split 0 leaves out"
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


def rows_an_epoch(options: Options, targets: np.ndarray) -> int:
    """How many rows of training an epoch has."""
    if not options.oversample:
        return len(targets)
    counts = np.unique(targets, return_counts=True)[1]
    return int(len(counts) * counts.max())


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
