"""`minift quickstart`: the main job on the data that ship. What it does is in `quickstart/`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from minift.cli.arguments import (
    EXIT_FAILURE,
    EXIT_INTERRUPTED,
    MistakeError,
    add_device,
    count,
    folder,
    whole,
)

OUTPUT = Path("runs/quickstart")


def add(commands: Any) -> None:
    """The command and its options."""
    command = commands.add_parser(
        "quickstart",
        help="pre-train and fine-tune on the data that ship, with an honest table and a picture",
        description=(
            "Pre-train a small BERT on WordNet definitions, fine-tune it on few labels in three\n"
            "ways, and compare with from-scratch and two simple baselines. It takes minutes on a\n"
            "laptop's CPU. The same seed and steps give the same results.json, but for the times."
        ),
    )
    option = command.add_argument
    option(
        "--quick",
        action="store_true",
        help="the whole way in under a minute: too short for pre-training to pay",
    )
    option("--steps", type=count, metavar="N", help="updates of pre-training")
    option("--seeds", type=count, metavar="N", help="runs of each strategy (3)")
    option(
        "--seed", type=whole, metavar="N", default=0, help="first seed of weights and labels (0)"
    )
    option("--labels-per-class", type=count, nargs="+", metavar="N", help="labels per class (8 32)")
    option(
        "--output",
        type=folder,
        metavar="DIR",
        default=OUTPUT,
        help=f"where the results go ({OUTPUT}); an earlier quickstart there is replaced, a folder "
        "that holds anything else is refused",
    )
    add_device(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the main job; Ctrl-C leaves whole files and says where."""
    from minift.quickstart import job

    asked = job_options(options)
    try:
        glosses, device = job.prepare(asked)
    except (ValueError, RuntimeError, OSError) as error:
        raise MistakeError(f"quickstart: {error}") from None
    try:
        job.run(asked, glosses, device)
        return 0
    except KeyboardInterrupt:
        reason, code = "interrupted", EXIT_INTERRUPTED
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk, say
        reason, code = f"quickstart: {error}", EXIT_FAILURE
    written = ", ".join(sorted(path.name for path in asked.output.iterdir())) or "nothing yet"
    print(f"\nminift: {reason}; {asked.output} holds: {written}", file=sys.stderr)
    return code


def job_options(options: argparse.Namespace) -> Any:
    """The job's options; what the user left out is decided by `--quick`."""
    from minift.quickstart import DEFAULT, QUICK, Options

    recipe = QUICK if options.quick else DEFAULT
    if options.steps:
        recipe = replace(recipe, steps=options.steps)
    labels = options.labels_per_class or ([8] if options.quick else [8, 32])
    return Options(
        recipe=recipe,
        labels_per_class=tuple(sorted(set(labels))),
        seeds=options.seeds or (1 if options.quick else 3),
        seed=options.seed,
        output=options.output,
        device=options.device,
    )
