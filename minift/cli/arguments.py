"""What every command shares: the words it takes as options, and a mistake as one sentence.

Not here: any command. Each has a file of its own; `minift/cli/__init__.py` lists them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NoReturn

from minift.train.device import DEVICES, choose_device

EXIT_FAILURE, EXIT_MISTAKE, EXIT_INTERRUPTED = 1, 2, 130


class MistakeError(Exception):
    """What the user got wrong, in one sentence."""


class Parser(argparse.ArgumentParser):
    """argparse, but a mistake is one sentence and not a page of usage."""

    def __init__(self, **settings: Any):
        form = argparse.RawDescriptionHelpFormatter
        super().__init__(allow_abbrev=False, formatter_class=form, **settings)

    def error(self, message: str) -> NoReturn:
        raise MistakeError(f"{message.removeprefix('argument ')} (see {self.prog} --help)")


def count(word: str) -> int:
    """An integer of at least 1."""
    number = whole(word)
    if number == 0:
        raise argparse.ArgumentTypeError("must be 1 or more, got 0")
    return number


def whole(word: str) -> int:
    """An integer of at least 0."""
    try:
        number = int(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, got {word!r}") from None
    if number < 0:
        raise argparse.ArgumentTypeError(f"must not be negative, got {number}")
    return number


def positive(word: str) -> float:
    """A finite number above 0."""
    number = real(word)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {word!r}")
    return number


def share(word: str) -> float:
    """A number in [0, 1)."""
    number = real(word)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"must be a share in [0, 1), got {word!r}")
    return number


def real(word: str) -> float:
    """Any number that Python reads."""
    try:
        return float(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, got {word!r}") from None


def folder(word: str) -> Path:
    """A path that is not empty."""
    if not word.strip() or "\0" in word:
        raise argparse.ArgumentTypeError(f"must name a folder, got {word!r}")
    return Path(word)


def add_device(command: argparse.ArgumentParser) -> None:
    """`--device`, the same for every command; `chosen_device` reads it."""
    command.add_argument(
        "--device", choices=DEVICES, default="auto", help="auto: a GPU if one works here"
    )


def chosen_device(options: argparse.Namespace, command: str) -> str:
    """ "cpu" or "cuda". Raises MistakeError, with the reason, for a GPU that cannot be used."""
    try:
        return choose_device(options.device)
    except RuntimeError as error:
        raise MistakeError(f"{command}: {error}") from None
