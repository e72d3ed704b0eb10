"""The last line of a lesson: its number beside an honest baseline, for people and for CI."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

START = "RESULT "


def result(
    lesson: int,
    metric: str,
    value: float,
    baseline: float | None,
    against: str,
    passed: bool,
    interval: Sequence[float] | None = None,
    also: Mapping[str, float] | None = None,
    timing: Mapping[str, float] | None = None,
) -> None:
    """Print `RESULT {...}`: the lesson's number, the baseline's, and whether it is as it should be.

    `metric` says in words what was measured, `against` what the baseline is, `interval` is (low,
    high) of the value at 95 %. `also` holds more numbers by name; `timing` those that depend on
    the machine, which are the only ones that may differ between two runs.
    """
    line: dict[str, Any] = {
        "lesson": lesson,
        "metric": metric,
        "value": plain(value),
        "baseline": None if baseline is None else plain(baseline),
        "against": against,
        "interval": None if interval is None else [plain(end) for end in interval],
        "pass": bool(passed),
    }
    for name, numbers in (("also", also), ("timing", timing)):
        if numbers:
            line[name] = {key: plain(number) for key, number in numbers.items()}
    print(START + json.dumps(line, ensure_ascii=False, allow_nan=False))


def plain(number: Any) -> float:
    """A Python number, with as many digits as anybody can use."""
    return float(f"{float(number):.6g}")


def read_result(output: str) -> dict[str, Any]:
    """The RESULT of a lesson's output. Raises ValueError unless it is the last line."""
    lines = output.rstrip().splitlines()
    if not lines or not lines[-1].startswith(START):
        raise ValueError("the last line is no RESULT")
    found: dict[str, Any] = json.loads(lines[-1].removeprefix(START))
    return found


def numbers_of(found: Mapping[str, Any]) -> dict[str, float]:
    """All numbers of a RESULT by the names that bounds call them."""
    named = {"value": found["value"], "baseline": found["baseline"]}
    named |= found.get("also", {}) | found.get("timing", {})
    return {name: number for name, number in named.items() if number is not None}


def repeatable(found: Mapping[str, Any]) -> dict[str, Any]:
    """What must be the same in every run."""
    return {name: value for name, value in found.items() if name != "timing"}
