"""Any number of labels a text: in the cell they are separated by ; or |."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import numpy as np

from minift.baselines import NaiveBayes
from minift.data.tables import count
from minift.imbalance import best_offsets
from minift.jobs.examples import Examples
from minift.jobs.tasks.classification import in_order
from minift.jobs.tasks.scores import calibration_scores, per_class, ranking_scores
from minift.jobs.tasks.task import Confidences, Scores, Task
from minift.metrics import (
    bootstrap_interval,
    exact_match,
    label_precision_recall_f1,
    micro_f1,
)
from minift.objectives import MultiLabel

_SEPARATOR = re.compile("[;|]")


class MultiLabelTask(Task):
    """Binary cross-entropy of each label. A label is given from a probability of a half on."""

    kind: ClassVar[str] = "multilabel"
    problem_type: ClassVar[str] = "multi_label_classification"
    headline: ClassVar[tuple[str, ...]] = ("micro_f1", "macro_f1", "exact_match")

    @classmethod
    def learn(cls, examples: Examples) -> MultiLabelTask:
        """The labels that occur. An empty cell is a text without any."""
        names = {name for cell in examples.labels for name in labels_in(cell)}
        where = f"{examples.source}: the column {examples.label_column!r}"
        if not names:
            raise ValueError(f"{where} holds no label")
        if len(names) > 20 and 2 * len(names) > len(examples):
            raise ValueError(
                f"{where} holds {len(names):,} different labels in {len(examples):,} rows; labels "
                f"of one text are separated by ; or |"
            )
        return cls(sorted(names, key=in_order))

    def read(self, examples: Examples) -> np.ndarray:
        """Zeros and ones (n, L), float32."""
        number = {name: i for i, name in enumerate(self.names)}
        targets = np.zeros((len(examples), len(self.names)), np.float32)
        for row, cell in enumerate(examples.labels):
            for name in labels_in(cell):
                if name not in number:
                    raise examples.wrong(row, f"the model has no label {name!r}")
                targets[row, number[name]] = 1
        return targets

    def strata(self, targets: np.ndarray) -> np.ndarray:
        """The rarest label of each text, L for a text without any (Sechidis et al. 2011, in one
        pass): rare labels are the ones that a random split may lose."""
        rarity = np.where(targets > 0, targets.sum(axis=0), np.inf)
        return np.where(targets.any(axis=1), rarity.argmin(axis=1), targets.shape[1])

    def describe(self, targets: np.ndarray) -> list[str]:
        counts = targets.sum(axis=0)
        order = np.argsort(-counts, kind="stable")[:12]
        shown = ", ".join(f"{self.names[i]} {counts[i]:,.0f}" for i in order)
        return [
            f"{count(len(self.names), 'label')} (separated by ; or |): {shown}"
            f"{', …' if len(self.names) > 12 else ''}",
            f"{targets.sum(axis=1).mean():.2f} labels a text on average, "
            f"{int((~targets.any(axis=1)).sum()):,} texts without any",
        ]

    def objective(self, targets: np.ndarray, balanced: bool, focal: bool = False) -> MultiLabel:
        """Balanced: the texts that have a label count together as much as those that do not."""
        if focal:
            raise ValueError("--loss focal needs one class a text; these have several labels")
        if not balanced:
            return MultiLabel()
        there = targets.sum(axis=0)
        return MultiLabel(pos_weight=((len(targets) - there) / np.maximum(there, 1)).tolist())

    def offsets(self, targets: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """Each label has a threshold of its own."""
        pairs = np.stack([np.zeros_like(outputs), outputs], axis=-1)  # (n, L, 2)
        marks = (targets > 0).astype(np.int64)
        return np.array([best_offsets(marks[:, i], pairs[:, i])[1] for i in range(len(self.names))])

    def scores(self, targets: np.ndarray, outputs: np.ndarray) -> Scores:
        return {
            **self.judge(targets, outputs > 0),
            **ranking_scores(targets, outputs),
            **calibration_scores(*self.calibration(targets, outputs)),
        }

    def calibration(self, targets: np.ndarray, outputs: np.ndarray) -> Confidences:
        """Every label of every text is an answer of its own: given or not."""
        chances = sigmoid(outputs)
        right = (outputs > 0) == (targets > 0)
        return np.maximum(chances, 1 - chances).ravel(), right.ravel()

    def judge(self, targets: np.ndarray, given: np.ndarray) -> Scores:
        """Scores of decisions (n, L)."""
        rates = label_precision_recall_f1(targets, given)
        right = (given == (targets > 0)).all(axis=1)
        return {
            "micro_f1": micro_f1(targets, given),
            "macro_f1": float(rates[2].mean()),
            "exact_match": exact_match(targets, given),
            "exact_match_interval": list(bootstrap_interval(right)),
            "per_class": per_class(self.names, *rates, targets.sum(axis=0)),
        }

    def losses(self, targets: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """Binary cross-entropy, averaged over the labels."""
        return (np.logaddexp(0, outputs) - targets * outputs).mean(axis=1)

    def is_wrong(self, targets: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        return ((outputs > 0) != (targets > 0)).any(axis=1)

    def answer(self, output: np.ndarray) -> dict[str, Any]:
        """`label` is the list of all that are more probable than not."""
        chances = sigmoid(output)
        ranked = sorted(zip(self.names, chances.tolist()), key=lambda pair: -pair[1])
        return {
            "label": [name for name, chance in ranked if chance > 0.5],
            "probabilities": {name: round(chance, 4) for name, chance in ranked},
        }

    def baselines(
        self, train: Examples, targets: np.ndarray, test: Examples, right: np.ndarray
    ) -> dict[str, Scores]:
        most = np.broadcast_to(targets.mean(axis=0) > 0.5, right.shape)
        columns = [
            NaiveBayes().fit(train.words, targets[:, i].astype(int)).predict(test.words)
            for i in range(len(self.names))
        ]
        guesses = {"majority": most, "naive_bayes": np.stack(columns, axis=1)}
        judged = {name: self.judge(right, guess) for name, guess in guesses.items()}
        return {
            name: {key: scores[key] for key in self.headline} for name, scores in judged.items()
        }


def labels_in(cell: str) -> list[str]:
    """The labels of a cell."""
    return [name for part in _SEPARATOR.split(cell) if (name := part.strip())]


def sigmoid(outputs: np.ndarray) -> np.ndarray:
    """Probabilities, float64."""
    return 1 / (1 + np.exp(-np.clip(outputs.astype(np.float64), -60, 60)))
