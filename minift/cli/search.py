"""`minift search`: which settings of a fine-tuning are best (`minift/jobs/searching/`)."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from minift.cli.arguments import (
    MistakeError,
    add_device,
    add_resume,
    check_resume_alone,
    count,
    folder,
    share,
    whole,
)
from minift.cli.finetune import (
    COLUMNS,
    TASKS,
    check_for_images,
    check_for_texts,
    job_of,
)
from minift.cli.stopping import carry_out

METHODS = ("random", "grid", "halving")


def add(commands: Any) -> None:
    """The command and its options."""
    command = commands.add_parser(
        "search",
        help="find the settings with which fine-tuning on a table, or on images, goes best",
        description=(
            "Fine-tune with many settings, compare them on validation rows, train the best once\n"
            "more and judge it on test rows that no trial has seen. The settings are those of\n"
            "minift finetune, in a TOML file: a list is a choice, a table a range, and anything\n"
            "else stays as it is in every trial:\n\n"
            "  lr = { log_uniform = [1e-5, 1e-3] }\n"
            "  epochs = { integer = [2, 10] }\n"
            '  strategy = ["full", "head", "discriminative"]\n'
            "  balanced = [true, false]\n"
            "  batch_size = 16\n\n"
            "With --folds K a trial is scored once on each row outside of the test part, by K\n"
            "fine-tunings that did not see it: a tenth of their own rows chooses the best epoch.\n"
            "Without a range or a choice to try that is the K-fold cross-validation of one\n"
            "fine-tuning, and needs no --space. With --outer-folds K the whole search is repeated\n"
            "in K folds, which tell what its choice is worth.\n\n"
            "A search that was killed goes on with: minift search --resume DIR"
        ),
    )
    option = command.add_argument
    option("--space", type=Path, metavar="FILE", help="the settings, as TOML")
    option("--model", required=True, metavar="DIR|NAME", help="a Hugging Face folder, or a run's")
    option("--data", required=True, metavar="FILE",
           help="the table, or images as minift finetune takes them")  # fmt: skip
    option("--text", metavar="COLUMN", help="the column of texts")
    option("--text-pair", metavar="COLUMN", help="a second text to each, for pairs")
    option("--label", metavar="COLUMN", help="the column of labels")
    option("--output", type=folder, required=True, metavar="DIR", help="where the search goes")
    option("--overwrite", action="store_true", help="replace a search that DIR already holds")
    option("--task", choices=TASKS, default=TASKS[0], help=f"what labels are ({TASKS[0]})")
    option("--method", choices=METHODS, default=METHODS[0],
           help="halving: many with few epochs, the best third with three times as many (random)",
           )  # fmt: skip
    option("--trials", type=count, default=20, metavar="N", help="settings that are tried (20)")
    option("--points", type=count, default=3, metavar="N",
           help="values of each range in a grid (3)")  # fmt: skip
    option("--metric", metavar="NAME",
           help="a number of metrics.json that chooses (accuracy, micro_f1 or r2, by task)",
           )  # fmt: skip
    option("--folds", type=count, default=0, metavar="K",
           help="score a trial by its mean over K folds, not on a validation part")  # fmt: skip
    option("--outer-folds", type=count, default=0, metavar="K",
           help="judge the search itself: repeat it in K folds (nested)")  # fmt: skip
    option("--jobs", type=count, default=1, metavar="N", help="trials at a time (1)")
    option("--epochs", type=count, metavar="N", help="of each trial; of the last ones of halving")
    option("--max-length", type=count, metavar="N", help="cut texts at N tokens (256)")
    option("--val-split", type=share, default=0.1, metavar="X",
           help="share of the rows that compares trials (0.1); not with --folds")  # fmt: skip
    option("--test-split", type=share, default=0.1, metavar="X",
           help="share of the rows that no trial sees (0.1)")  # fmt: skip
    option("--seed", type=whole, default=0, metavar="N", help="of the draws and the trials (0)")
    add_resume(command)
    add_device(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Search, or go on."""
    from minift.jobs import searching

    return carry_out(
        options, lambda: plan_of(options), lambda plan: searching.run(plan, options.command)
    )


def plan_of(options: argparse.Namespace) -> Any:
    """The plan of a new search or of the one that goes on; None if that one is finished."""
    from minift.jobs import searching
    from minift.jobs.searching.space_files import read_space

    if options.resume is not None:
        check_resume_alone(options.command)
        return searching.prepare_again(options.resume)
    if options.space is None and not options.folds:
        raise MistakeError("--space FILE is required (see minift search --help)")
    return searching.prepare(
        searching.Options(
            base=base_of(options),
            space={} if options.space is None else read_space(options.space),
            method=options.method,
            trials=options.trials,
            points=options.points,
            jobs=options.jobs,
            metric=options.metric,
            folds=options.folds,
            outer_folds=options.outer_folds,
            source=str(options.space or "no --space"),
        )
    )


def base_of(options: argparse.Namespace) -> Any:
    """The fine-tuning that all trials start from, on texts or on images.

    Raises MistakeError or ValueError if a column is not named, or if images are said to have some.
    """
    from minift.jobs import finetuning

    job = job_of(options)
    names = [
        "data", "model", "output", "epochs", "val_split", "test_split", "seed", "device",
        "checkpoint_minutes", "overwrite",
    ]  # fmt: skip
    if job is finetuning:
        check_for_texts(options)
        names += COLUMNS
    else:
        check_for_images(options, COLUMNS)
    return job.Options(**{name: getattr(options, name) for name in names})
