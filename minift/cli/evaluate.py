"""`minift evaluate`: how good a fine-tuned model is, on a table or images: see `minift/jobs/`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from minift.cli.arguments import (
    EXIT_FAILURE,
    MistakeError,
    add_device,
    check_for_images,
    check_for_texts,
    folder,
)

OUTPUT = Path("runs/evaluate")


def add(commands: Any) -> None:
    """The command and its options."""
    command = commands.add_parser(
        "evaluate",
        help="judge a fine-tuned model on labelled texts or images",
        description=(
            "Print and write how good a fine-tuned model is on a table: of classes accuracy,\n"
            "macro-F1 and a line for each; of several labels a text their F1; of numbers R² and\n"
            "correlations; each with a bootstrap interval. A model of images takes an .npz\n"
            "(images, labels), a folder of PNGs (one sub-folder a class), digits, fashion-mnist\n"
            "or mnist."
        ),
    )
    option = command.add_argument
    option("--model", required=True, metavar="DIR", help="a fine-tuned model's folder, or a run's")
    option("--data", required=True, metavar="FILE|NAME",
           help="CSV, TSV or JSON lines, - standard input; or images")  # fmt: skip
    option("--text", metavar="COLUMN", help="the column of texts (not with images)")
    option("--text-pair", metavar="COLUMN", help="the second texts, for a model of pairs")
    option("--label", metavar="COLUMN", help="the column of labels (not with images)")
    option("--output", type=folder, metavar="DIR",
           help=f"where the results go ({OUTPUT}, written anew each time)")  # fmt: skip
    option("--overwrite", action="store_true", help="replace results that DIR already holds")
    add_device(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Judge a model."""
    from minift.jobs import evaluation, image_evaluation
    from minift.jobs.image_classifiers import reads_images

    try:
        job: Any = image_evaluation if reads_images(options.model) else evaluation
        plan = job.prepare(job.Options(**asked(options, job is image_evaluation)))
    except (ValueError, RuntimeError, OSError) as error:
        raise MistakeError(f"evaluate: {error}") from None
    try:
        job.run(plan, options.command)
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk, say
        print(f"minift: evaluate: {error}", file=sys.stderr)
        return EXIT_FAILURE
    return 0


def asked(options: argparse.Namespace, of_images: bool) -> dict[str, Any]:
    """The job's options. Raises MistakeError or ValueError for those of the other kind."""
    shared = {
        "model": options.model,
        "data": options.data,
        "output": options.output or OUTPUT,
        "device": options.device,
        "overwrite": options.overwrite or options.output is None,
    }
    if of_images:
        check_for_images(options, ("text", "text_pair", "label"))
        return shared
    check_for_texts(options)
    for name in ("text", "label"):
        if getattr(options, name) is None:
            raise MistakeError(f"--{name} COLUMN is required (see minift evaluate --help)")
    columns = {name: getattr(options, name) for name in ("text", "text_pair", "label")}
    return {**shared, **columns}
