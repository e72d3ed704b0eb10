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
from minift.jobs.image_classifiers import Classifier, open_for_training, targets_of
from minift.jobs.images import Images, check_labelled, own_test_part, read_images
from minift.jobs.options import TrainingOptions, check_known, check_training, check_weights
from minift.jobs.parts import Parts
from minift.jobs.parts import split as split_rows
from minift.jobs.recipe import Recipe, choose_recipe, rates_of, recipe_of
from minift.jobs.remedies import check_remedies, rows_an_epoch
from minift.jobs.tasks import ClassificationTask
from minift.models import (
    ImageClassifier,
    ResNetConfig,
    ResNetForImageClassification,
    ViTForImageClassification,
)
from minift.models.config import ModelConfig
from minift.models.pretrained import PretrainedModel
from minift.train import choose_device

JOB = "finetune"  # as run.json calls it
# Peak rates; those of a ViT are those of texts (`recipe.py`). Our own small nets have no norms, so
# that no width tells. A ResNet's are for a last width of 768, and by that rule for another: on
# Fashion-MNIST last widths of 32, 128 and 256 wanted about 3e-3, 1e-3 and 3e-4 in full.
OWN_LR = {"full": 3e-4, "discriminative": 1e-3, "gradual": 1e-3, "head": 1e-2}
RESNET_LR = {"full": 1e-4, "discriminative": 3e-4, "gradual": 3e-4, "head": 3e-3}


@dataclass(frozen=True, kw_only=True)
class Options(TrainingOptions):
    """What a user can say of images."""

    data: str | Images


@dataclass
class Plan:
    """All that a run needs, checked. `record` is the run.json of a run that goes on."""

    options: Options
    images: Images
    targets: np.ndarray
    parts: Parts
    classifier: Classifier
    kept_head: bool
    recipe: Recipe
    device: str
    record: dict[str, Any] | None = None
    frozen: dict[str, Any] = field(default_factory=dict)  # the proof of what stayed as it was
    offsets: dict[str, float] | None = None  # moved thresholds, which the head's biases contain


def prepare(options: Options, parts: Parts | None = None) -> Plan:
    """Read and check everything; writes nothing. `parts` replace those that the seed would make.

    Raises ValueError, OSError or RuntimeError, in one sentence each, for a mistake in the options,
    the images, the model's folder or the output folder.
    """
    check_training(options)
    run_folder.check_folder(options.output, options.overwrite)
    return read(options, parts)


def prepare_again(folder: Path) -> Plan | None:
    """The plan of the run in `folder`, as it was when the run began; None if it is finished.

    Errors as in `minift.jobs.plan.prepare_again`.
    """
    record = resuming.begun(folder, JOB)
    if resuming.is_finished(folder):
        return None
    plan = read(options_of(record, folder))
    return replace(plan, recipe=recipe_of(record, folder), record=record)


def options_of(record: dict[str, Any], folder: Path) -> Options:
    """What the user said when the run began.

    Raises ValueError if the images or the model are others now.
    """
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
    images = {"sha256": read_images(again["data"]).digest()}
    resuming.check_same(again["data"], record["data"], images)
    return options


def is_of_images(folder: Path) -> bool:
    """Whether the run in a folder was a fine-tuning on images."""
    if not run_folder.is_run(folder):
        return False
    return hub.read_json(folder / run_folder.RUN).get("kind") == "images"


def read(options: Options, parts: Parts | None = None) -> Plan:
    """Read the images and the model, and check all that follows from them."""
    device = choose_device(options.device)
    images = options.data if isinstance(options.data, Images) else read_images(options.data)
    task = task_of(images)
    manual_seed(options.seed)  # of the head's weights
    classifier, kept_head = open_for_training(options.model, task, images)
    model = classifier.model.to(device)
    check_for_model(options, model)
    check_weights(options, model)
    targets = targets_of(images, task)  # now: a kept head has its own order
    parts = parts or divide(options, images, targets)
    check_remedies(options, task, targets)
    rows = rows_an_epoch(options, targets[parts.train])
    recipe = choose_recipe(options, rates_for(model), rows, new_head=not kept_head)
    check_batches(options, recipe, model.config, rows, images.images.shape[2])
    return Plan(options, images, targets, parts, classifier, kept_head, recipe, device)


def check_for_model(options: Options, model: PretrainedModel) -> None:
    """Raise ValueError for a strategy that this model cannot have."""
    if options.strategy == "lora" and not isinstance(model, ViTForImageClassification):
        raise ValueError(
            f"{options.model} holds no transformer, beside whose matrices LoRA would learn: no "
            f"--strategy lora"
        )


def rates_for(model: PretrainedModel) -> dict[str, float]:
    """Peak rates by strategy: one of the tables above, or that of texts."""
    if isinstance(model, ImageClassifier):
        return OWN_LR
    if isinstance(model, ResNetForImageClassification):
        return {s: lr * 768 / model.config.hidden_sizes[-1] for s, lr in RESNET_LR.items()}
    return rates_of(model.config.hidden_size)


def check_batches(
    options: Options, recipe: Recipe, config: ModelConfig, rows: int, size: int
) -> None:
    """Raise ValueError if batch norm would be given one number a channel.

    `rows` images of `size` pixels a side are seen in an epoch.
    """
    if not isinstance(config, ResNetConfig) or recipe.strategy == "head":
        return
    alone = recipe.batch_size == 1 or rows % recipe.batch_size == 1
    if alone and size <= config.stride:
        raise ValueError(
            f"{rows:,} images in batches of {recipe.batch_size} leave one alone, and of a single "
            f"image of {size} × {size} pixels the batch norms of {options.model} can take no "
            f"variance; give another --batch-size"
        )


def task_of(images: Images) -> ClassificationTask:
    """The classes of the images. Raises ValueError if there are fewer than two."""
    check_labelled(images, "to learn from")
    assert images.classes is not None
    if len(images.classes) < 2:
        raise ValueError(f"{images.source} holds one class only, {images.classes[0]!r}; need two")
    return ClassificationTask(list(images.classes))


def divide(options: Options, images: Images, targets: np.ndarray) -> Parts:
    """Rows of each part; a data set's own test part, if it has one, is the test part."""
    n = len(images)
    own = 0 if isinstance(options.data, Images) else own_test_part(options.data)
    if not own or not options.test_split:
        groups = images.groups
        return split_rows(targets, groups, options.val_split, options.test_split, options.seed)
    rest = np.arange(n - own)
    parts = split_rows(targets[rest], images.groups[rest], options.val_split, 0.0, options.seed)
    return Parts(parts.train, parts.validation, np.arange(n - own, n))
