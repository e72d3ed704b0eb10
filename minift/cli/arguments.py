"""What every command shares: the words it takes as options, and a mistake as one sentence.

Not here: any command. Each has a file of its own; `minift/cli/__init__.py` lists them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
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


def not_negative(word: str) -> float:
    """A finite number of at least 0."""
    number = real(word)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of at least 0, got {word!r}")
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


class Resume(argparse.Action):
    """`--resume DIR` stands alone: what else there is to say was said when the run began."""

    def __call__(self, parser: Any, namespace: Any, value: Any, option: Any = None) -> None:
        for action in parser._actions:
            action.required = False
        setattr(namespace, self.dest, value)


def add_resume(command: argparse.ArgumentParser) -> None:
    """`--resume DIR`, the same for every command that trains."""
    command.add_argument(
        "--resume", action=Resume, type=folder, metavar="DIR",
        help="go on exactly where the killed run in DIR stopped; stands alone",
    )  # fmt: skip
    command.add_argument(
        "--checkpoint-minutes", type=not_negative, default=2.0, metavar="X",
        help="save the run every X minutes, for --resume (2; 0: after every step)",
    )  # fmt: skip


def check_resume_alone(words: Sequence[str]) -> None:
    """Raise MistakeError if a command ("minift", its name, ...) says more than --resume DIR."""
    said = [word.partition("=")[0] for word in words[2:] if word.startswith("--")]
    more = [word for word in said if word != "--resume"]
    if more:
        raise MistakeError(
            f"{words[1]}: --resume goes on with the run as it was begun, so leave out {more[0]}"
        )


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


def check_for_images(options: argparse.Namespace, texts_only: Sequence[str]) -> None:
    """Raise ValueError if an option that only texts have is given with a model of images."""
    for name in texts_only:
        if getattr(options, name) is not None:
            option = name.replace("_", "-")
            raise ValueError(f"{options.model} reads images, for which there is no --{option}")


def check_for_texts(options: argparse.Namespace) -> None:
    """Raise ValueError if a model of texts is given images."""
    from minift.jobs.images import is_images

    if options.data is not None and is_images(options.data):
        raise ValueError(
            f"{options.model} reads texts, but {options.data} is no table of them; give CSV, TSV "
            f"or JSON lines"
        )
