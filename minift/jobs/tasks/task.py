"""Task: the questions that a job asks about labels, whatever they mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from minift.jobs.examples import Examples
from minift.train.trainer import Objective

Scores = dict[str, Any]  # what metrics.json holds: plain values
Confidences = tuple[np.ndarray, np.ndarray]  # the probability of each answer; whether it was right


class Task(ABC):
    """What every kind of task answers. `names` are those of the model's outputs, in their order.

    Shapes: n examples, L outputs. `targets` are what `read` makes of the labels, `outputs` (n, L)
    the raw scores of a model.
    """

    kind: ClassVar[str]  # as --task calls it
    problem_type: ClassVar[str]  # as config.json calls it
    headline: ClassVar[tuple[str, ...]]  # the numbers of `scores` that a table shows, best first

    def __init__(self, names: list[str]):
        self.names = names

    @classmethod
    @abstractmethod
    def learn(cls, examples: Examples) -> Task:
        """The task that the labels of a whole table set. Raises ValueError if they set none."""

    @abstractmethod
    def read(self, examples: Examples) -> np.ndarray:
        """Targets (n, ...) of the labels. Raises ValueError that names the line of a bad one."""

    @abstractmethod
    def strata(self, targets: np.ndarray) -> np.ndarray:
        """(n,) marks whose proportions all parts of a split should keep."""

    @abstractmethod
    def describe(self, targets: np.ndarray) -> list[str]:
        """What the labels are, and what is uneven about them, in lines for the reader."""

    @abstractmethod
    def objective(self, targets: np.ndarray, balanced: bool, focal: bool = False) -> Objective:
        """The loss, with classes weighed by how often they stand in the targets of training.

        Raises ValueError for a `balanced` or a `focal` one that the task does not have.
        """

    def scaled(self, targets: np.ndarray) -> np.ndarray:
        """Targets as the loss sees them."""
        return targets

    def offsets(self, targets: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """What to add to the outputs so that the answers have the best macro-F1, (L,).

        Only for tasks whose answers have a threshold: a number has none.
        """
        raise NotImplementedError(f"a {self.kind} has no threshold")

    @abstractmethod
    def scores(self, targets: np.ndarray, outputs: np.ndarray) -> Scores:
        """How good the outputs are."""

    def calibration(self, targets: np.ndarray, outputs: np.ndarray) -> Confidences | None:
        """How sure each answer was, and whether it was right; None if answers have no chances."""
        return None

    @abstractmethod
    def losses(self, targets: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """How wrong each output is, (n,): the worst mistakes have the largest."""

    @abstractmethod
    def is_wrong(self, targets: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """Which outputs are mistakes, (n,) booleans."""

    @abstractmethod
    def answer(self, output: np.ndarray) -> dict[str, Any]:
        """One output (L,) as `minift predict` prints it: label and, of classes, probabilities."""

    @abstractmethod
    def baselines(
        self, train: Examples, targets: np.ndarray, test: Examples, right: np.ndarray
    ) -> dict[str, Scores]:
        """What the same labels give without a network, by name."""

    def warning(self, outputs: np.ndarray) -> str | None:
        """What is suspicious about outputs, as a sentence, or None."""
        return None
