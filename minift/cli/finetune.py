"""`minift finetune`: from a pre-trained model and a table to a classifier (`minift/jobs/`)."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from minift.cli.arguments import (
    MistakeError,
    add_device,
    add_resume,
    check_resume_alone,
    count,
    folder,
    not_negative,
    positive,
    share,
    whole,
)
from minift.cli.stopping import carry_out

STRATEGIES = ("full", "head", "gradual", "discriminative", "lora")
SCHEDULES = ("linear", "cosine", "constant", "one_cycle", "slanted_triangular")
POOLING = ("cls", "mean")
UNFREEZING = ("epoch", "stall")
TASKS = ("classification", "multilabel", "regression")
COLUMNS = {"text": None, "label": None, "text_pair": None, "max_length": None, "task": TASKS[0]}
TEXTS_ONLY = {**COLUMNS, "pooling": None, "feature_cache": None}


def add(commands: Any) -> None:
    """The command and its options."""
    command = commands.add_parser(
        "finetune",
        help="fine-tune a pre-trained model on the texts and labels of a CSV file, or on images",
        description=(
            "Fine-tune a pre-trained model on a table of texts and labels, keep the weights of\n"
            "its best epoch, judge them on rows that had no say in anything, beside naive Bayes.\n"
            "The table is CSV (separated by , ; tab or |) or JSON lines, in UTF-8; - reads\n"
            "standard input. Labels of --task multilabel are separated by ; or | in their cell.\n"
            "Images: --data names an .npz (images, labels), a folder with one sub-folder of PNGs\n"
            "a class, digits, fashion-mnist or mnist; --model a ViT or ResNet folder, or what\n"
            "minift pretrain made of images like these.\n"
            "A run that was killed goes on with: minift finetune --resume DIR"
        ),
    )
    add_data(command.add_argument_group("what to learn from"))
    add_moving(command.add_argument_group("which weights move"))
    add_training(command.add_argument_group("how they move"))
    add_remedies(command.add_argument_group("against uneven classes"))
    add_resume(command)
    add_device(command)
    command.set_defaults(run=run)


def add_data(group: Any) -> None:
    """The model, the rows and where the result goes."""
    option = group.add_argument
    option("--model", required=True, metavar="DIR|NAME",
           help="a model folder, a run's, or tiny")  # fmt: skip
    option("--data", required=True, metavar="FILE", help="the table, or images (see above)")
    option("--text", metavar="COLUMN", help="the column of texts")
    option("--text-pair", metavar="COLUMN", help="a second text to each, for pairs")
    option("--label", metavar="COLUMN", help="the column of labels")
    option("--output", type=folder, required=True, metavar="DIR", help="where the run goes")
    option("--overwrite", action="store_true", help="replace a run that DIR already holds")
    option("--task", choices=TASKS, default=TASKS[0], help=f"what labels are ({TASKS[0]})")
    option("--max-length", type=count, metavar="N", help="cut texts at N tokens (256)")
    option("--val-split", type=share, default=0.1, metavar="X",
           help="share of the rows that chooses the best epoch (0.1)")  # fmt: skip
    option("--test-split", type=share, default=0.1, metavar="X",
           help="share of the rows that is only for the final numbers (0.1)")  # fmt: skip
    option("--seed", type=whole, default=0, metavar="N", help="of split, head and order (0)")


def add_moving(group: Any) -> None:
    """The strategy and what belongs to it."""
    option = group.add_argument
    option("--strategy", choices=STRATEGIES, default=STRATEGIES[0],
           help="all, the head, thawed from the top, slower with depth, or adapters (full)",
           )  # fmt: skip
    option("--freeze", action="append", default=[], metavar="PATTERN",
           help="hold these fast as well, as '*.embeddings.*' (may be repeated)")  # fmt: skip
    option("--unfreeze", choices=UNFREEZING, default=UNFREEZING[0],
           help="--strategy gradual thaws a layer by epoch, or when validation stalls")  # fmt: skip
    option("--l2-sp", type=positive, metavar="X",
           help="pull the body to its pre-trained weights, this strongly (0.01)")  # fmt: skip
    option("--pooling", choices=POOLING,
           help="a text is its first token (cls) or the mean of all of them")  # fmt: skip
    option("--feature-cache", metavar="DIR",
           help="keep what --strategy head reads, for further runs on the same texts")  # fmt: skip


def add_training(group: Any) -> None:
    """Rates, steps, and when it ends."""
    option = group.add_argument
    option("--epochs", type=count, metavar="N", help="passes over the rows (more for few rows)")
    option("--batch-size", type=count, metavar="N", help="texts of average length a batch (32)")
    option("--accumulate", type=count, default=1, metavar="N",
           help="N batches make one step, in the memory of one batch (1)")  # fmt: skip
    option("--recompute", action="store_true",
           help="keep less of each block for the way back: less memory, a third more time",
           )  # fmt: skip
    option("--lr", type=positive, metavar="X", help="peak learning rate (by strategy and model)")
    option("--head-lr", type=positive, metavar="X",
           help="that of a new head (by model; a kept one has --lr)")  # fmt: skip
    option("--find-lr", action="store_true",
           help="only try rates, draw the loss at each and name one; train nothing")  # fmt: skip
    option("--schedule", choices=SCHEDULES, default=SCHEDULES[0],
           help="how the learning rate rises and falls (linear)")  # fmt: skip
    option("--clip", type=not_negative, default=1.0, metavar="X",
           help="shorten gradients longer than X (1; 0: never)")  # fmt: skip
    option("--ema", type=share, metavar="X",
           help="judge and keep averaged weights, of which the share X stays in a step",
           )  # fmt: skip
    option("--patience", type=count, metavar="N",
           help="end after N epochs without a better validation (by strategy)")  # fmt: skip
    option("--min-delta", type=not_negative, default=0.0, metavar="X",
           help="better means by more than X (0)")  # fmt: skip
    option("--norms", action="store_true", help="log the length of weights and of their updates")


def add_remedies(group: Any) -> None:
    """What can be done for rare classes."""
    option = group.add_argument
    option("--class-weight", choices=("none", "balanced"), default="none",
           help="balanced: every class counts the same, however rare")  # fmt: skip
    option("--loss", choices=("plain", "focal"), default="plain",
           help="focal: rows of which the model is sure count less (plain)")  # fmt: skip
    option("--oversample", action="store_true", help="show rows of rare classes several times")
    option("--move-threshold", action="store_true",
           help="move thresholds to the best macro-F1 on the validation part")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Fine-tune, or go on."""

    def prepare() -> Any:
        job = job_of(options)
        plan = plan_of(options, job)
        return None if plan is None else (job, plan)

    def run_job(prepared: Any) -> None:
        job, plan = prepared
        if options.find_lr:
            job.find_rate(plan)
        else:
            job.run(plan, options.command)

    return carry_out(options, prepare, run_job)


def job_of(options: argparse.Namespace) -> Any:
    """The job on texts, or that on images."""
    from minift.jobs import finetuning, image_finetuning
    from minift.jobs.images import is_images

    if options.resume is not None:
        return image_finetuning if image_finetuning.is_of_images(options.resume) else finetuning
    texts_in_a_folder = options.text is not None and Path(options.data).is_dir()
    return image_finetuning if is_images(options.data) and not texts_in_a_folder else finetuning


def plan_of(options: argparse.Namespace, job: Any) -> Any:
    """The plan of a new run or of the one that goes on; None if that one is finished."""
    from minift.jobs import image_finetuning

    if options.resume is not None:
        check_resume_alone(options.command)
        return job.prepare_again(options.resume)
    if job is image_finetuning:
        check_for_images(options, TEXTS_ONLY)
    else:
        check_for_texts(options)
    return job.prepare(job.Options(**told(options, job.Options)))


def told(options: argparse.Namespace, kind: type[Any]) -> dict[str, Any]:
    """What was said, in the names of a job's options."""
    said = {
        **vars(options),
        "balanced": options.class_weight == "balanced",
        "focal": options.loss == "focal",
    }
    return {field.name: said[field.name] for field in fields(kind)}


def check_for_texts(options: argparse.Namespace) -> None:
    """Raise MistakeError if a column is not named."""
    for name in ("text", "label"):
        if getattr(options, name) is None:
            command = options.command[1]
            raise MistakeError(f"--{name} COLUMN is required (see minift {command} --help)")


def check_for_images(options: argparse.Namespace, texts_only: Mapping[str, Any]) -> None:
    """Raise ValueError for an option that only texts have; `texts_only` are their usual values."""
    for name, value in texts_only.items():
        if getattr(options, name) != value:
            option = name.replace("_", "-")
            raise ValueError(f"{options.data} holds images, for which there is no --{option}")
