"""What a fine-tuning on images is asked for, and all of it that can be checked before it starts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from minift import hub
from minift.backend.random import manual_seed
from minift.jobs import folder as run_folder
from minift.jobs import resuming
from minift.jobs.classifiers import quiet, same_names
from minift.jobs.image_classifiers import check_size, targets_of
from minift.jobs.images import Images, check_labelled, own_test_part, read_images
from minift.jobs.options import TrainingOptions, check_known, check_training, check_weights
from minift.jobs.parts import Parts
from minift.jobs.parts import split as split_rows
from minift.jobs.recipe import Recipe, choose_recipe
from minift.jobs.remedies import check_remedies, rows_an_epoch
from minift.jobs.tasks import ClassificationTask
from minift.models import ImageClassifier
from minift.nn import init
from minift.train import choose_device

JOB = "finetune"  # as run.json calls it
STRATEGIES = ("full", "head", "gradual", "discriminative")
# peak rates: these nets are small and have no norms, so they do not fit the rule of `recipe.py`
LR = {"full": 3e-4, "discriminative": 1e-3, "gradual": 1e-3, "head": 1e-2}


@dataclass(frozen=True, kw_only=True)
class Options(TrainingOptions):
    """What a user can say of images."""

    data: str


@dataclass
class Plan:
    """All that a run needs, checked. `record` is the run.json of a run that goes on."""

    options: Options
    images: Images
    targets: np.ndarray
    parts: Parts
    task: ClassificationTask
    model: ImageClassifier
    kept_head: bool
    recipe: Recipe
    device: str
    record: dict[str, Any] | None = None
    frozen: dict[str, Any] = field(default_factory=dict)  # the proof of what stayed as it was
    offsets: dict[str, float] | None = None  # moved thresholds, which the head's biases contain


def prepare(options: Options) -> Plan:
    """Read and check everything; writes nothing.

    Raises ValueError, OSError or RuntimeError, in one sentence each, for a mistake in the options,
    the images, the model's folder or the output folder.
    """
    check_options(options)
    run_folder.check_folder(options.output, options.overwrite)
    return read(options)


def prepare_again(folder: Path) -> Plan | None:
    """The plan of the run in `folder`, as it was when the run began; None if it is finished.

    Errors as in `minift.jobs.plan.prepare_again`.
    """
    record = resuming.begun(folder, JOB)
    if resuming.is_finished(folder):
        return None
    check_known(Options, record, folder)
    said, where = record["options"], record["directory"]
    again = {
        "data": str(resuming.said_then(said["data"], where)),
        "model": str(resuming.said_then(said["model"], where)),
        "output": folder,
        "device": record["machine"]["device"],
    }
    options = Options(**{**said, **again})
    model = run_folder.fingerprint_of_folder(hub.resolve(options.model))
    resuming.check_same(str(options.model), record["model"], model)
    plan = read(options)
    resuming.check_same(options.data, record["data"], {"sha256": plan.images.digest()})
    return replace(plan, recipe=Recipe(**record["recipe"]), record=record)


def is_of_images(folder: Path) -> bool:
    """Whether the run in a folder was a fine-tuning on images."""
    if not run_folder.is_run(folder):
        return False
    return hub.read_json(folder / run_folder.RUN).get("kind") == "images"


def read(options: Options) -> Plan:
    """Read the images and the model, and check all that follows from them."""
    device = choose_device(options.device)
    images = read_images(options.data)
    task = task_of(images)
    manual_seed(options.seed)  # of the head's weights
    model, kept_head = open_for_training(options.model, task, images)
    check_weights(options, model)
    targets = targets_of(images, task)  # now: a kept head has its own order
    parts = divide(options, images, targets)
    check_remedies(options, task, targets)
    rows = rows_an_epoch(options, targets[parts.train])
    recipe = choose_recipe(options, LR, rows, new_head=not kept_head)
    return Plan(options, images, targets, parts, task, model.to(device), kept_head, recipe, device)


def check_options(options: Options) -> None:
    """Raises ValueError for values that make no run."""
    if options.strategy not in STRATEGIES:
        raise ValueError(
            f"on images --strategy is one of {', '.join(STRATEGIES)}, got {options.strategy!r}"
        )
    check_training(options)


def task_of(images: Images) -> ClassificationTask:
    """The classes of the images. Raises ValueError if there are fewer than two."""
    check_labelled(images, "to learn from")
    assert images.classes is not None
    if len(images.classes) < 2:
        raise ValueError(f"{images.source} holds one class only, {images.classes[0]!r}; need two")
    return ClassificationTask(list(images.classes))


def open_for_training(
    place: str | Path, task: ClassificationTask, images: Images
) -> tuple[ImageClassifier, bool]:
    """The encoder in a folder with a head for the classes, and whether the head was kept.

    It is only if it was made for the same classes; the task then takes their order. Raises
    FileNotFoundError, or ValueError for a folder that holds no encoder of images of this size.
    """
    folder = hub.resolve(place)
    saved = hub.read_config(folder)
    kinds = ImageClassifier.config_class.model_types
    if saved.get("model_type") not in kinds:
        raise ValueError(
            f"{place} holds a model of the type {saved.get('model_type')!r}, no encoder of images "
            f"that minift pretrain makes"
        )
    known = same_names(saved, task)
    task.names = known or task.names
    with quiet():
        model = ImageClassifier.from_pretrained(
            folder,
            num_labels=len(task.names),
            id2label=dict(enumerate(task.names)),
            problem_type=task.problem_type,
        )
    check_size(place, model, images)
    if known is None:
        weights = model.classifier.weight
        weights.data = init.normal(weights.shape, 0.01)
    return model, known is not None


def divide(options: Options, images: Images, targets: np.ndarray) -> Parts:
    """Rows of each part; a data set's own test part, if it has one, is the test part."""
    n, own = len(images), own_test_part(options.data)
    if not own or not options.test_split:
        groups = images.groups
        return split_rows(targets, groups, options.val_split, options.test_split, options.seed)
    rest = np.arange(n - own)
    parts = split_rows(targets[rest], images.groups[rest], options.val_split, 0.0, options.seed)
    return Parts(parts.train, parts.validation, np.arange(n - own, n))
