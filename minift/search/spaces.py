"""Spaces of settings: a dict from names to what each may be.

    {"lr": log_uniform(1e-5, 1e-2), "layers": integer(1, 4), "strategy": choice("head", "full"),
     "epochs": 3}

A list is a choice, anything else that is no range a constant. The order of the names decides the
order of the draws, so that a seed gives the same settings everywhere.

Not here: which of them are tried (`methods.py`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

Settings = dict[str, Any]
Space = Mapping[str, Any]


class Range(ABC):
    """What one setting may be."""

    @abstractmethod
    def at(self, share: float) -> Any:
        """The value that has this share of the range below it, [0, 1)."""

    @abstractmethod
    def points(self, number: int) -> list[Any]:
        """That many values for a grid, its ends included; a choice gives all of its own."""


@dataclass(frozen=True)
class Choice(Range):
    """One of a few values, all equally probable."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("choice: give at least one value")

    def at(self, share: float) -> Any:
        return self.values[int(share * len(self.values))]

    def points(self, number: int) -> list[Any]:
        return list(self.values)


@dataclass(frozen=True)
class Uniform(Range):
    """A number between two others."""

    low: float
    high: float

    def __post_init__(self) -> None:
        check_ends("uniform", self.low, self.high, -math.inf)

    def at(self, share: float) -> float:
        return self.low + share * (self.high - self.low)

    def points(self, number: int) -> list[float]:
        return np.linspace(self.low, self.high, number).tolist()


@dataclass(frozen=True)
class LogUniform(Range):
    """A number whose order of magnitude is uniform: for rates, where 1e-4 to 1e-3 is as far as
    1e-3 to 1e-2."""

    low: float
    high: float

    def __post_init__(self) -> None:
        check_ends("log_uniform", self.low, self.high, 0)

    def at(self, share: float) -> float:
        low, high = math.log(self.low), math.log(self.high)
        return math.exp(low + share * (high - low))

    def points(self, number: int) -> list[float]:
        return np.geomspace(self.low, self.high, number).tolist()


@dataclass(frozen=True)
class Integer(Range):
    """A whole number from `low` to `high`, both included."""

    low: int
    high: int

    def __post_init__(self) -> None:
        check_ends("integer", self.low, self.high, -math.inf)
        if not (isinstance(self.low, int) and isinstance(self.high, int)):
            raise ValueError(f"integer: ends must be whole, got {self.low} and {self.high}")

    def at(self, share: float) -> int:
        return self.low + int(share * (self.high + 1 - self.low))

    def points(self, number: int) -> list[int]:
        spread = np.linspace(self.low, self.high, number).round().astype(int)
        return list(dict.fromkeys(spread.tolist()))  # fewer, where there are not that many


def choice(*values: Any) -> Choice:
    """One of `values`."""
    return Choice(values)


def uniform(low: float, high: float) -> Uniform:
    """A number in [low, high)."""
    return Uniform(low, high)


def log_uniform(low: float, high: float) -> LogUniform:
    """A number in [low, high) whose logarithm is uniform; both above 0."""
    return LogUniform(low, high)


def integer(low: int, high: int) -> Integer:
    """A whole number in [low, high]."""
    return Integer(low, high)


def grid(space: Space, points: int = 3) -> list[Settings]:
    """Every combination, `points` values of each range: the last name varies fastest."""
    if points < 2:
        raise ValueError(f"grid: needs 2 points or more of each range, got {points}")
    values = {name: one.points(points) for name, one in ranges(space).items()}
    return [dict(zip(values, chosen)) for chosen in product(*values.values())]


def draws(space: Space, number: int, seed: int = 0) -> list[Settings]:
    """`number` settings at random, by which every range is covered evenly (`stratified`).

    Each setting is drawn independently of the others. The first n of more are the n of fewer.
    """
    if number < 1:
        raise ValueError(f"draws: the number of trials must be 1 or more, got {number}")
    columns = {
        name: [one.at(share) for share in stratified(number, np.random.default_rng([seed, place]))]
        for place, (name, one) in enumerate(ranges(space).items())
    }
    return [dict(zip(columns, row)) for row in zip(*columns.values())]


def stratified(number: int, rng: np.random.Generator) -> list[float]:
    """Numbers in [0, 1), of which the first 1, 2, 4, 8, … have one in each of as many equal parts.

    Several settings drawn so are a Latin hypercube (McKay et al. 1979) that can grow (Qian 2009):
    twice as many parts are half empty, and the next draws go there, in random order. Independent
    draws would leave a third of n parts empty, (1 - 1/n)ⁿ of them.
    """
    drawn = [rng.random()]
    while len(drawn) < number:
        parts = 2 * len(drawn)
        empty = sorted(set(range(parts)) - {int(parts * x) for x in drawn})
        drawn += [(part + rng.random()) / parts for part in rng.permutation(empty).tolist()]
    return drawn[:number]


def ranges(space: Space) -> dict[str, Range]:
    """The space with lists as choices and constants as choices of one."""
    if not isinstance(space, Mapping) or not space:
        raise ValueError(f"a search space is a dict from names to ranges, got {space!r}")
    return {name: range_of(one) for name, one in space.items()}


def range_of(value: Any) -> Range:
    """What a value of a space stands for."""
    if isinstance(value, Range):
        return value
    return Choice(tuple(value)) if isinstance(value, list | tuple) else Choice((value,))


def check_ends(name: str, low: float, high: float, above: float) -> None:
    """Raise ValueError unless above < low < high, all finite."""
    if not (above < low < high and math.isfinite(low) and math.isfinite(high)):
        bound = " above 0" if above == 0 else ""
        raise ValueError(
            f"{name}: needs two finite numbers{bound}, the lower first, got {low} and {high}"
        )
