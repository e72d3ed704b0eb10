"""A number a text: ratings, years, scores."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from minift.jobs.examples import Examples
from minift.jobs.tasks.scores import finite
from minift.jobs.tasks.task import Scores, Task
from minift.metrics import (
    bootstrap_interval,
    mean_absolute_error,
    mean_squared_error,
    pearson,
    r2_score,
    spearman,
)
from minift.objectives import Regression


class RegressionTask(Task):
    """Squared error. The model has one output, which `names` calls as the column is called.

    The loss sees z = (y - mean) / deviation of the training numbers, so that one learning rate
    fits stars from 1 to 5 as well as prices in thousands; `unscale` later puts both numbers into
    the head, whose outputs then are in the labels' own unit.
    """

    kind: ClassVar[str] = "regression"
    problem_type: ClassVar[str] = "regression"
    headline: ClassVar[tuple[str, ...]] = ("r2", "mean_absolute_error", "spearman")
    mean, deviation = 0.0, 1.0

    @classmethod
    def learn(cls, examples: Examples) -> RegressionTask:
        task = cls([examples.label_column])
        numbers = task.read(examples)
        if numbers.min() == numbers.max():
            raise ValueError(
                f"{examples.source}: the column {examples.label_column!r} holds one number only, "
                f"{numbers[0]:g}; there is nothing to learn"
            )
        return task

    def read(self, examples: Examples) -> np.ndarray:
        """Numbers (n,), float64. Raises ValueError for words, NaN and infinity."""
        return np.array([number_of(examples, row) for row in range(len(examples))])

    def strata(self, targets: np.ndarray) -> np.ndarray:
        """Up to ten classes of equal size, from the small numbers to the large."""
        bins = min(10, max(1, len(targets) // 10))
        edges = np.quantile(targets, np.linspace(0, 1, bins + 1)[1:-1])
        return np.searchsorted(edges, targets, side="right")

    def describe(self, targets: np.ndarray) -> list[str]:
        return [
            f"numbers from {targets.min():g} to {targets.max():g}, mean {targets.mean():.4g}, "
            f"standard deviation {targets.std():.4g}"
        ]

    def objective(self, targets: np.ndarray, balanced: bool, focal: bool = False) -> Regression:
        """Also fixes mean and deviation."""
        if focal:
            raise ValueError("--loss focal needs classes; this is a regression")
        if balanced:
            raise ValueError("--class-weight balanced needs classes; this is a regression")
        self.mean, self.deviation = float(targets.mean()), float(targets.std()) or 1.0
        return Regression()

    def scaled(self, targets: np.ndarray) -> np.ndarray:
        return ((targets - self.mean) / self.deviation).astype(np.float32)

    def scores(self, targets: np.ndarray, outputs: np.ndarray) -> Scores:
        guess = outputs[:, 0].astype(np.float64)
        error = np.abs(targets - guess)
        return {
            "r2": finite(r2_score(targets, guess)),
            "mean_absolute_error": mean_absolute_error(targets, guess),
            "mean_absolute_error_interval": list(bootstrap_interval(error)),
            "root_mean_squared_error": math.sqrt(mean_squared_error(targets, guess)),
            "pearson": finite(pearson(targets, guess)),
            "spearman": finite(spearman(targets, guess)),
        }

    def losses(self, targets: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        return np.abs(targets - outputs[:, 0])

    def is_wrong(self, targets: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """No number is exactly right."""
        return np.ones(len(targets), bool)

    def answer(self, output: np.ndarray) -> dict[str, Any]:
        return {"label": float(f"{output[0]:.6g}")}

    def baselines(
        self, train: Examples, targets: np.ndarray, test: Examples, right: np.ndarray
    ) -> dict[str, Scores]:
        """The mean of the training numbers, whatever the text."""
        scores = self.scores(right, np.full((len(right), 1), targets.mean()))
        return {"mean": {name: scores[name] for name in self.headline}}


def number_of(examples: Examples, row: int) -> float:
    """The label of a row as a finite number. Raises ValueError that names the line."""
    cell = examples.labels[row].strip()
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise examples.wrong(row, f"{cell!r} in the column {examples.label_column!r} is no number")
    return number
