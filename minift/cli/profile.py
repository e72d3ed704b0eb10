"""`minift profile`: any other command, with an account of where its time and memory went.

What is looked at and how is in `minift/profiling/`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from minift.cli.arguments import EXIT_FAILURE, EXIT_MISTAKE, MistakeError, folder

OUTPUT = Path("runs/profile")
IN_OTHER_PROCESSES = ("profile", "bench", "gpu-check")


def add(commands: Any) -> None:
    """The command and its options."""
    command = commands.add_parser(
        "profile",
        help="where the time and memory of a command go, by op and layer",
        description=(
            "Run another command of minift and look on: seconds and memory of every op and every\n"
            "layer, forward and backward. Prints the top ten, writes all and a picture. Memory is\n"
            "looked at in the first three calls of each model, time in the others. For example:\n"
            "minift profile quickstart --quick"
        ),
    )
    command.add_argument(
        "--output", type=folder, metavar="DIR", default=OUTPUT,
        help=f"for profile.json and profile.png ({OUTPUT}); stands before COMMAND",
    )  # fmt: skip
    command.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="COMMAND ...",
        help="the command and its own options",
    )  # fmt: skip
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command under the profile; its exit code is ours."""
    from minift import cli
    from minift.profiling import profile

    words = options.words
    if not words:
        raise MistakeError("profile: name the command, as in minift profile quickstart --quick")
    if words[0] in IN_OTHER_PROCESSES:
        raise MistakeError(
            f"profile: minift {words[0]} works in processes of its own, which are not seen"
        )
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MistakeError(f"profile: {options.output}: {error.strerror}") from None
    with profile() as report:
        code = cli.run_command(words)
    if code == EXIT_MISTAKE:
        return code
    if not report.costs:
        raise MistakeError(f"profile: minift {words[0]} ran no op, so there is nothing to tell")
    print(f"\n{report}")
    try:
        report.save(options.output)
    except OSError as error:
        print(f"\nminift: profile: {error}", file=sys.stderr)
        return EXIT_FAILURE
    print(f"\n{options.output} holds profile.json, profile.png")
    return code
