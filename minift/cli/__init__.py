"""The command line: words to options, mistakes to one sentence. The work is done elsewhere.

Exit codes: 0 success, 1 failure, 2 a user's mistake (one line on standard error), 130 Ctrl-C.
A command's work is imported when it runs, so that `minift --help` answers at once.

Each command is a file of this folder: `add` names its options, `run` carries it out. What they
share is in `arguments.py`.
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Iterable, Sequence

from minift.cli import (
    bench,
    doctor,
    embed,
    evaluate,
    fetch,
    finetune,
    generate,
    gpu_check,
    learn,
    predict,
    pretrain,
    profile,
    quickstart,
    search,
)
from minift.cli.arguments import (
    EXIT_FAILURE,
    EXIT_INTERRUPTED,
    EXIT_MISTAKE,
    MistakeError,
    Parser,
)

COMMANDS = (  # in the order of --help
    quickstart, pretrain, finetune, search, evaluate, predict, embed, generate, fetch, learn,
    doctor, bench, profile, gpu_check,
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    try:
        code = run_command(sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # nobody reads on, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILURE


def run_command(arguments: list[str]) -> int:
    """The command that the words name, its mistakes and its interruption put into a line."""
    try:
        options = parse(arguments)
        return options.run(options)
    except MistakeError as mistake:
        print(f"minift: {one_line(str(mistake))}", file=sys.stderr)
        return EXIT_MISTAKE
    except SystemExit as done:  # after --help or --version
        return int(done.code or 0)
    except KeyboardInterrupt:
        print("minift: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def one_line(text: str, most: int = 4) -> str:
    """A message of several lines on one; of a long list only its beginning."""
    lines = [line.strip() for line in text.splitlines()]
    rest = len(lines) - most
    return " ".join(lines[:most] + ([f"… and {rest} more"] if rest > 0 else []))


def parse(arguments: list[str]) -> argparse.Namespace:
    """Options of the command that was named. Raises MistakeError."""
    parser, commands = build_parser()
    if not arguments:
        raise MistakeError(f"name a command: {', '.join(commands)} (see minift --help)")
    first = arguments[0]
    if not first.startswith("-") and first not in commands:
        raise MistakeError(f"unknown command {first!r}{suggestion(first, commands)}")
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        command = commands.get(first, parser)
        known = list(command._option_string_actions)
        kind = "option" if unknown[0].startswith("-") else "argument"
        hint = suggestion(unknown[0], known, command.prog)
        raise MistakeError(f"unknown {kind} {unknown[0]!r}{hint}")
    options.command = ["minift", *arguments]  # for the record of a run
    return options


def suggestion(word: str, known: Iterable[str], program: str = "minift") -> str:
    """What the user may have meant, or where to look."""
    close = difflib.get_close_matches(word.partition("=")[0], list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else f" (see {program} --help)"


def build_parser() -> tuple[Parser, dict[str, Parser]]:
    """The parser of `minift`, and that of each command."""
    parser = Parser(
        prog="minift",
        description="Pre-train a model on unlabelled data, then fine-tune it on few labels.",
        epilog="Each command has its own --help. Start with: minift quickstart",
    )
    from minift import __version__

    parser.add_argument("--version", action="version", version=f"minift {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser, dict(commands.choices)
