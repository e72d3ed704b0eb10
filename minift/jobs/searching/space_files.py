"""Search spaces as TOML files, in the names of `minift finetune`'s options.

    lr = { log_uniform = [1e-5, 1e-3] }
    epochs = { integer = [2, 10] }
    strategy = ["full", "head"]
    batch_size = 16

A list is a choice, a table a range, anything else stays as it is in every trial. With folds a file
may name nothing at all: then there is one thing to try, a fine-tuning with all settings as they
are.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

from minift import search
from minift.jobs.options import TrainingOptions
from minift.search.spaces import Choice, Range, ranges

RANGES = {
    "log_uniform": search.log_uniform, "uniform": search.uniform, "integer": search.integer,
}  # fmt: skip
FIXED = (  # what a search must not change: it would compare numbers of different rows
    "data", "text", "label", "model", "output", "text_pair", "task", "val_split", "test_split",
    "seed", "device", "checkpoint_minutes", "overwrite", "max_length",
    "freeze", "norms",  # several patterns, and what is only logged, are no setting of one value
)  # fmt: skip
ZERO_TOO = ("clip", "min_delta")  # where it means never, or by however little


def read_space(file: Path) -> dict[str, Any]:
    """The file's content. Raises ValueError or OSError for one that is not there or is no TOML."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {file}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is not TOML: {error}") from None


def space_of(
    content: Mapping[str, Any],
    options: TrainingOptions,
    check: Callable[[Any], None],
    source: str,
) -> dict[str, Range]:
    """What a file's content stands for, checked against what a fine-tuning can be told.

    `options` are those of the fine-tuning, of which `check` raises ValueError for bad ones.
    """
    if not content:
        raise ValueError(f"{source} names no setting; a line of it is lr = [1e-5, 1e-4]")
    known = [field.name for field in fields(options) if field.name not in FIXED]
    named = {name.replace("-", "_"): value for name, value in content.items()}
    for name in named:
        if name not in known:
            close = [] if name in FIXED else difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
            raise ValueError(f"{source}: {name!r} is no setting to search over; {hint}")
    space = {name: range_of(name, value, source) for name, value in named.items()}
    for name, one in ranges(space).items():
        check_values(name, one, options, check, source)
    return ranges(space)


def range_of(name: str, value: Any, source: str) -> Any:
    """A table as a range, the rest as it is. Raises ValueError for a table that is none."""
    if not isinstance(value, dict):
        return value
    kind, ends = next(iter(value.items()), ("", None))
    if len(value) != 1 or kind not in RANGES or not isinstance(ends, list) or len(ends) != 2:
        raise ValueError(
            f"{source}: a range of {name} is written {{ log_uniform = [low, high] }}, or with "
            f"uniform or integer, got {value}"
        )
    try:
        return RANGES[kind](*ends)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{source}: {name}: {error}") from None


def check_values(
    name: str, one: Range, options: TrainingOptions, check: Callable[[Any], None], source: str
) -> None:
    """Raise ValueError unless a fine-tuning can be told all values, the ends of ranges included."""
    hint = get_type_hints(type(options))[name]
    kinds = set(get_args(hint)) or {hint}
    accepted = tuple(kinds - {NoneType} | ({int} if float in kinds else set()))
    for value in one.points(2):
        words = " or ".join(sorted(kind.__name__ for kind in kinds - {NoneType}))
        if not isinstance(value, accepted) or (isinstance(value, bool) and bool not in kinds):
            raise ValueError(f"{source}: {name} must be of type {words}, got {value!r}")
        if isinstance(value, int | float) and not isinstance(value, bool):
            check_size(name, value, source)
        if isinstance(value, str) and isinstance(one, Choice):
            told: dict[str, Any] = {name: value}
            try:
                check(replace(options, **told))
            except ValueError as error:
                if "one of" in str(error):  # others may go with another setting's value
                    raise ValueError(f"{source}: {error}") from None


def check_size(name: str, value: float, source: str) -> None:
    """Raise ValueError for a number that is too small for its setting."""
    if name in ZERO_TOO and not value >= 0:
        raise ValueError(f"{source}: {name} must not be negative, got {value}")
    if name not in ZERO_TOO and not value > 0:
        raise ValueError(f"{source}: {name} must be above 0, got {value}")
