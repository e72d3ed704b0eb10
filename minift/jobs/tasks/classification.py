"""One class of several: labels are words or numbers, and every text has exactly one."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, ClassVar

import numpy as np

from minift.baselines import NaiveBayes
from minift.imbalance import best_offsets
from minift.jobs.examples import Examples
from minift.jobs.tasks.scores import calibration_scores, per_class, ranking_scores
from minift.jobs.tasks.task import Confidences, Scores, Task
from minift.metrics import (
    accuracy,
    bootstrap_interval,
    confusion_matrix,
    macro_f1,
    macro_f1_interval,
    precision_recall_f1,
)
from minift.objectives import Classification

_WHOLE = re.compile(r"([+-]?\d+)\.0+")  # spreadsheets write the class 1 as 1.0
FOCAL_GAMMA = 2.0  # as Lin et al. 2017 found best
UNEVEN = 3  # times as many rows as the rarest class, from where on it is said


class ClassificationTask(Task):
    """Cross-entropy; accuracy, macro-F1, and a table with a line for each class."""

    kind: ClassVar[str] = "classification"
    problem_type: ClassVar[str] = "single_label_classification"
    headline: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1")

    @classmethod
    def learn(cls, examples: Examples) -> ClassificationTask:
        """The classes that occur, numbers in their order and words in theirs."""
        counts = Counter(label_of(examples, row) for row in range(len(examples)))
        where = f"{examples.source}: the column {examples.label_column!r}"
        if len(counts) == 1:
            raise ValueError(f"{where} holds one class only, {next(iter(counts))!r}; need two")
        if len(counts) > 20 and 2 * len(counts) > len(examples):
            raise ValueError(
                f"{where} holds {len(counts):,} different labels in {len(examples):,} rows; is it "
                f"the label? For numbers give --task regression"
            )
        return cls(sorted(counts, key=in_order))

    def read(self, examples: Examples) -> np.ndarray:
        """Classes (n,), int64."""
        number = {name: i for i, name in enumerate(self.names)}
        classes = np.empty(len(examples), np.int64)
        for row in range(len(examples)):
            label = label_of(examples, row)
            if label not in number:
                raise examples.wrong(row, f"the model has no label {label!r}, {self.known()}")
            classes[row] = number[label]
        return classes

    def known(self) -> str:
        """only "a", "b" and "c"; of many the first."""
        shown = ", ".join(repr(name) for name in self.names[:6])
        return f"only {shown}{', …' if len(self.names) > 6 else ''}"

    def strata(self, targets: np.ndarray) -> np.ndarray:
        return targets

    def describe(self, targets: np.ndarray) -> list[str]:
        counts = np.bincount(targets, minlength=len(self.names))
        shown = [f"{self.names[i]} {counts[i]:,}" for i in np.argsort(-counts, kind="stable")[:12]]
        more = ", …" if len(counts) > 12 else ""
        lines = [f"{len(counts)} classes: {', '.join(shown)}{more}"]
        if counts.max() >= UNEVEN * counts.min():
            rarest, most = self.names[counts.argmin()], self.names[counts.argmax()]
            lines.append(
                f"the classes are uneven: {most!r} is {counts.max() / counts.min():.0f} times as "
                f"frequent as {rarest!r}; see macro-F1, and --class-weight balanced"
            )
        return lines

    def objective(self, targets: np.ndarray, balanced: bool, focal: bool = False) -> Classification:
        """Balanced: class c weighs n / (L · n_c), so that all classes count the same."""
        gamma = FOCAL_GAMMA if focal else 0.0
        if not balanced:
            return Classification(focal_gamma=gamma)
        counts = np.bincount(targets, minlength=len(self.names))
        weight = (len(targets) / (len(counts) * counts)).tolist()
        return Classification(weight=weight, focal_gamma=gamma)

    def offsets(self, targets: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        return best_offsets(targets, outputs)

    def scores(self, targets: np.ndarray, outputs: np.ndarray) -> Scores:
        """Answers, whether their order is right (AUC), and whether their chances are true (ECE)."""
        predicted, chances = outputs.argmax(axis=1), softmax(outputs.astype(np.float64))
        rates = precision_recall_f1(targets, predicted, len(self.names))
        support = np.bincount(targets, minlength=len(self.names))
        return {
            "accuracy": accuracy(targets, predicted),
            "accuracy_interval": list(bootstrap_interval(targets == predicted)),
            "macro_f1": macro_f1(targets, predicted),
            "macro_f1_interval": list(macro_f1_interval(targets, predicted)),
            "rarest": self.names[self.rarest(targets)],
            **ranking_scores(targets, chances),
            **calibration_scores(*self.calibration(targets, outputs)),
            "macro_precision": float(rates[0][support > 0].mean()),
            "macro_recall": float(rates[1][support > 0].mean()),
            "per_class": per_class(self.names, *rates, support),
            "confusion": confusion_matrix(targets, predicted, len(self.names)).tolist(),
        }

    def calibration(self, targets: np.ndarray, outputs: np.ndarray) -> Confidences:
        chances = softmax(outputs.astype(np.float64))
        return chances.max(axis=1), chances.argmax(axis=1) == targets

    def rarest(self, targets: np.ndarray) -> int:
        """The class that fewest rows have, of those that occur; of equals the last."""
        counts = np.bincount(targets, minlength=len(self.names))
        counts[counts == 0] = len(targets) + 1
        return int(len(counts) - 1 - counts[::-1].argmin())

    def losses(self, targets: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """-log p(right class)."""
        return -np.log(np.maximum(softmax(outputs)[np.arange(len(targets)), targets], 1e-30))

    def is_wrong(self, targets: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        return outputs.argmax(axis=1) != targets

    def answer(self, output: np.ndarray) -> dict[str, Any]:
        """The most probable class stands first."""
        chances = softmax(output[None])[0].tolist()
        ranked = sorted(zip(self.names, chances), key=lambda pair: -pair[1])
        return {
            "label": ranked[0][0],
            "probabilities": {name: round(chance, 4) for name, chance in ranked},
        }

    def baselines(
        self, train: Examples, targets: np.ndarray, test: Examples, right: np.ndarray
    ) -> dict[str, Scores]:
        L = len(self.names)
        most = np.bincount(targets, minlength=L).argmax()
        bayes = NaiveBayes().fit(train.words, targets).predict(test.words)
        guesses = {"majority": np.full(len(right), most), "naive_bayes": bayes}
        return {
            name: {"accuracy": accuracy(right, guess), "macro_f1": macro_f1(right, guess)}
            for name, guess in guesses.items()
        }

    def warning(self, outputs: np.ndarray) -> str | None:
        """A model that gives one answer to all has learnt nothing but the frequencies."""
        said = np.unique(outputs.argmax(axis=1))
        if len(said) > 1 or len(outputs) < 10:
            return None
        return (
            f"all {len(outputs):,} were called {self.names[said[0]]!r}: the model has collapsed; "
            f"try another --lr, more --epochs or --class-weight balanced"
        )


def label_of(examples: Examples, row: int) -> str:
    """The label of a row without spaces around it, 1.0 as 1. Raises ValueError if it is empty."""
    label = examples.labels[row].strip()
    if not label:
        column = examples.label_column
        raise examples.wrong(row, f"no label in the column {column!r}; fill it or remove the row")
    return _WHOLE.sub(r"\1", label) if _WHOLE.fullmatch(label) else label


def in_order(name: str) -> tuple[int, float, str]:
    """Sorts numbers by size, before words by the alphabet."""
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name


def softmax(outputs: np.ndarray) -> np.ndarray:
    """Probabilities (n, L)."""
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
