"""`minift evaluate`: how good a fine-tuned model is on a table. The work: `minift/jobs/`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from minift.cli.arguments import EXIT_FAILURE, MistakeError, add_device, folder

OUTPUT = Path("runs/evaluate")


def add(commands: Any) -> None:
    """The command and its options."""
    command = commands.add_parser(
        "evaluate",
        help="judge a fine-tuned model on the texts and labels of a CSV file",
        description=(
            "Print and write how good a fine-tuned model is on a table: of classes accuracy,\n"
            "macro-F1 and a line for each; of several labels a text their F1; of numbers R² and\n"
            "correlations; each with a bootstrap interval."
        ),
    )
    option = command.add_argument
    option("--model", required=True, metavar="DIR", help="a fine-tuned model's folder, or a run's")
    option("--data", required=True, metavar="FILE", help="CSV, TSV or JSON lines; - standard input")
    option("--text", required=True, metavar="COLUMN", help="the column of texts")
    option("--text-pair", metavar="COLUMN", help="the second texts, for a model of pairs")
    option("--label", required=True, metavar="COLUMN", help="the column of labels")
    option("--output", type=folder, metavar="DIR",
           help=f"where the results go ({OUTPUT}, written anew each time)")  # fmt: skip
    option("--overwrite", action="store_true", help="replace results that DIR already holds")
    add_device(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Judge a model."""
    from minift.jobs import evaluation

    asked = evaluation.Options(
        model=options.model,
        data=options.data,
        text=options.text,
        label=options.label,
        output=options.output or OUTPUT,
        text_pair=options.text_pair,
        device=options.device,
        overwrite=options.overwrite or options.output is None,
    )
    try:
        plan = evaluation.prepare(asked)
    except (ValueError, RuntimeError, OSError) as error:
        raise MistakeError(f"evaluate: {error}") from None
    try:
        evaluation.run(plan, options.command)
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk, say
        print(f"minift: evaluate: {error}", file=sys.stderr)
        return EXIT_FAILURE
    return 0
