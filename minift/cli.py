"""The command line: words to options, mistakes to one sentence. The work is done elsewhere.

Exit codes: 0 success, 1 failure, 2 a user's mistake (one line on standard error), 130 Ctrl-C.
Commands are imported when they run, so that `minift --help` answers at once.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

EXIT_FAILURE, EXIT_MISTAKE, EXIT_INTERRUPTED = 1, 2, 130
OUTPUT = Path("runs/quickstart")


class MistakeError(Exception):
    """What the user got wrong, in one sentence."""


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


# ------------------------------------------------------------------------------------ parsing


class Parser(argparse.ArgumentParser):
    """argparse, but a mistake is one sentence and not a page of usage."""

    def __init__(self, **settings: Any):
        form = argparse.RawDescriptionHelpFormatter
        super().__init__(allow_abbrev=False, formatter_class=form, **settings)

    def error(self, message: str) -> NoReturn:
        raise MistakeError(f"{message.removeprefix('argument ')} (see {self.prog} --help)")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Options of the command that was named. Raises MistakeError."""
    parser, commands = build_parser()
    if not arguments:
        raise MistakeError(f"name a command: {' or '.join(commands)} (see minift --help)")
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
    add_quickstart(commands)
    add_predict(commands)
    return parser, dict(commands.choices)


def add_quickstart(commands: Any) -> None:
    """`minift quickstart`."""
    command = commands.add_parser(
        "quickstart",
        help="pre-train and fine-tune on the data that ship, with an honest table and a picture",
        description=(
            "Pre-train a small BERT on WordNet definitions, fine-tune it on few labels in three\n"
            "ways, and compare with from-scratch and two simple baselines. It takes minutes on a\n"
            "laptop's CPU. The same seed and steps give the same results.json, but for the times."
        ),
    )
    add = command.add_argument
    add(
        "--quick",
        action="store_true",
        help="the whole way in under a minute: too short for pre-training to pay",
    )
    add("--steps", type=count, metavar="N", help="updates of pre-training")
    add("--seeds", type=count, metavar="N", help="runs of each strategy (3)")
    add("--seed", type=whole, metavar="N", default=0, help="first seed of weights and labels (0)")
    add("--labels-per-class", type=count, nargs="+", metavar="N", help="labels per class (8 32)")
    add(
        "--output",
        type=folder,
        metavar="DIR",
        default=OUTPUT,
        help=f"where the results go ({OUTPUT}); an earlier quickstart there is replaced, a folder "
        "that holds anything else is refused",
    )
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: a GPU if there")
    command.set_defaults(run=quickstart)


def add_predict(commands: Any) -> None:
    """`minift predict`."""
    command = commands.add_parser(
        "predict",
        help="classify a text with a fine-tuned model",
        description=(
            "Print one line of JSON: the label, and the probability of every class, the most\n"
            "probable first."
        ),
    )
    add = command.add_argument
    add("--model", type=folder, required=True, metavar="DIR", help="a model folder, or a run's")
    add("--text", required=True, help="the text to classify")
    command.set_defaults(run=predict)


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


def folder(word: str) -> Path:
    """A path that is not empty."""
    if not word.strip() or "\0" in word:
        raise argparse.ArgumentTypeError(f"must name a folder, got {word!r}")
    return Path(word)


# ----------------------------------------------------------------------------------- commands


def quickstart(options: argparse.Namespace) -> int:
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


def predict(options: argparse.Namespace) -> int:
    """Classify one text."""
    model = load_classifier(options.model)
    problem = model.problem(options.text)
    if problem is not None:
        raise MistakeError(f"predict: {problem}")
    labels, probabilities = model.predict([options.text])
    names = [model.config.id2label[i] for i in range(model.config.num_labels)]
    ranked = sorted(zip(names, probabilities[0].tolist()), key=lambda pair: -pair[1])
    shown = {name: round(probability, 4) for name, probability in ranked}
    print(json.dumps({"label": labels[0], "probabilities": shown}, ensure_ascii=False))
    return 0


def load_classifier(folder: Path) -> Any:
    """The classifier in a model folder, or in `model/` of a run's folder. Raises MistakeError."""
    from minift.models import BertForSequenceClassification, load

    inner = folder / "model"
    try:
        model = load(inner if inner.is_dir() else folder)
    except (ValueError, OSError) as error:
        raise MistakeError(f"predict: {error}") from None
    if not isinstance(model, BertForSequenceClassification):
        raise MistakeError(
            f"predict: {folder} holds a {model.architecture}, which does not classify"
        )
    return model
