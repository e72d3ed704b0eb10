"""What a fine-tuning can be told, whatever it learns from, and which words contradict each other.

Texts have more to say in `plan.py`, images in `image_finetuning/plan.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from minift.finetune.layers import stacks_of
from minift.jobs import resuming
from minift.jobs.recipe import FROZEN_BODY, SCHEDULES, STRATEGIES, UNFREEZING
from minift.nn import BatchNorm2d, Module


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """What a user can say; None is decided by the data and the model (`recipe.py`)."""

    model: str | Path
    output: Path
    strategy: str = "full"
    epochs: int | None = None
    batch_size: int | None = None
    accumulate: int = 1  # batches that make up a step
    lr: float | None = None
    head_lr: float | None = None
    clip: float = 1.0  # the longest gradient; 0: of any length
    patience: int | None = None  # epochs without a better validation
    min_delta: float = 0.0  # by how much better
    freeze: Sequence[str] = ()  # patterns of weights that stay as they are
    ema: float | None = None  # decay of the averaged weights
    recompute: bool = False
    norms: bool = False  # lengths of weights and updates in the log
    val_split: float = 0.1
    test_split: float = 0.1
    balanced: bool = False
    focal: bool = False
    oversample: bool = False
    move_threshold: bool = False
    l2_sp: float | None = None
    schedule: str = "linear"
    unfreeze: str = "epoch"
    seed: int = 0
    device: str = "auto"
    checkpoint_minutes: float | None = resuming.MINUTES  # None: the run is never saved
    overwrite: bool = False


def check_training(options: TrainingOptions) -> None:
    """Raises ValueError for values that the command line would not have let through, and for
    words that contradict each other."""
    check_choice("strategy", options.strategy, STRATEGIES)
    check_choice("schedule", options.schedule, tuple(SCHEDULES))
    check_choice("unfreeze", options.unfreeze, UNFREEZING)
    if options.accumulate < 1:
        raise ValueError(f"accumulate must be 1 batch a step or more, got {options.accumulate}")
    if options.l2_sp is not None and options.strategy in FROZEN_BODY:
        raise ValueError(
            f"--l2-sp pulls the body back, which --strategy {options.strategy} never moves; leave "
            f"it out"
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
    if options.freeze and options.strategy not in ("full", "discriminative"):
        raise ValueError(
            f"--freeze holds fast a part of what --strategy full or discriminative moves; "
            f"--strategy {options.strategy} says itself what moves: leave it out"
        )
    if options.head_lr is not None and options.strategy == "head":
        raise ValueError("with --strategy head, --lr is the head's rate; leave --head-lr out")
    if options.recompute and options.strategy == "head":
        raise ValueError(
            "--recompute saves memory on the way back through the body, which --strategy head "
            "never goes; leave it out"
        )
    if options.ema is not None and not 0 < options.ema < 1:
        raise ValueError(
            f"--ema is a share of the average that stays, in (0, 1), got {options.ema}"
        )
    if (options.patience is not None or options.min_delta) and not options.val_split:
        raise ValueError(
            "--patience and --min-delta watch the validation, which --val-split 0 leaves out"
        )
    check_parts(options)
    check_output(options.output, options.model)


def check_weights(options: TrainingOptions, model: Module) -> None:
    """Raises ValueError for what cannot be frozen or recomputed in this model."""
    for pattern in options.freeze:
        model.freeze(pattern)  # raises if nothing matches
    moves = any(parameter.requires_grad for parameter in model.parameters())
    model.unfreeze()
    if not moves:
        raise ValueError(f"--freeze {' '.join(options.freeze)} leaves nothing to train")
    if options.recompute and any(isinstance(m, BatchNorm2d) for m in model.modules()):
        raise ValueError(
            f"--recompute goes through every block twice, and the batch norms of {options.model} "
            f"would count each batch twice; leave it out"
        )
    if options.recompute and not stacks_of(model):
        raise ValueError(f"--recompute needs a stack of blocks, {options.model} has none")


def check_choice(name: str, value: str, known: Sequence[str]) -> None:
    """Raise ValueError for a word that is none of those."""
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")


def check_parts(options: TrainingOptions) -> None:
    """Raise ValueError if nothing is left to train on."""
    shares = options.val_split, options.test_split
    if min(shares) < 0 or sum(shares) >= 1:
        raise ValueError(
            f"the validation and the test part must leave something to train on, got --val-split "
            f"{shares[0]:g} and --test-split {shares[1]:g}"
        )


def check_output(output: Path, model: str | Path) -> None:
    """Raise ValueError if the run would write over the model that it starts from."""
    place, start = output.resolve(), Path(model).resolve()
    if place in (start, *start.parents) and start.exists():
        raise ValueError(
            f"--output {output} holds the model that training starts from; name another folder"
        )


def check_known(kind: type[Any], record: dict[str, Any], folder: Path) -> None:
    """Raise ValueError if a run was told what this version does not understand."""
    strange = record["options"].keys() - {field.name for field in fields(kind)}
    if strange:
        raise ValueError(
            f"{folder} was made by minift {record['minift']} with options that this version does "
            f"not have: {', '.join(strange)}"
        )
