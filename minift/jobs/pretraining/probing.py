"""What a representation is for: how well a simple reader finds the classes in it, from few labels.

The labels teach the model nothing. A linear probe and the nearest neighbours get ten labelled
examples a class and are judged on held-out ones; the same readers of the raw data stand beside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minift.metrics import accuracy
from minift.probes import LinearProbe, NearestNeighbours, draw_per_class

LABELS, DRAWS, MOST_JUDGED = 10, 3, 1000
Numbers = dict[str, float]


@dataclass(frozen=True)
class Sample:
    """Rows of the training part with labels, drawn a few times, and rows of the held-out part."""

    draws: list[np.ndarray]  # row numbers
    labels: np.ndarray  # of all training rows
    judged: np.ndarray  # row numbers of the held-out part
    answers: np.ndarray  # their labels

    @property
    def rows(self) -> np.ndarray:
        """All rows of the training part that some draw needs."""
        return np.unique(np.concatenate(self.draws))

    def accuracy(self, read: Callable[[np.ndarray], np.ndarray]) -> float:
        """The mean over the draws: `read` gets a draw's rows and answers for all of `judged`."""
        return float(np.mean([accuracy(self.answers, read(draw)) for draw in self.draws]))

    def score(self, train: np.ndarray, held_out: np.ndarray) -> Numbers:
        """What both readers find in features of `rows` (in that order) and of `judged`."""

        def probe(draw: np.ndarray) -> np.ndarray:
            features = train[np.searchsorted(self.rows, draw)]
            return LinearProbe().fit(features, self.labels[draw]).predict(held_out)

        def neighbours(draw: np.ndarray) -> np.ndarray:
            features = train[np.searchsorted(self.rows, draw)]
            return nearest(features, self.labels[draw], held_out)

        return {"probe": self.accuracy(probe), "neighbours": self.accuracy(neighbours)}


def nearest(features: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The classes of the 5 nearest neighbours by cosine."""
    return NearestNeighbours(5).fit(unit(features), labels).predict(unit(asked))


def draw_sample(labels: np.ndarray | None, answers: np.ndarray | None, seed: int) -> Sample | None:
    """What the labels of both parts allow, or None: at least two classes of ten rows each.

    Rarer classes stay out of the sample.
    """
    if labels is None or answers is None:
        return None
    frequent = np.flatnonzero(np.bincount(labels) >= LABELS)
    rows = np.flatnonzero(np.isin(labels, frequent))
    judged = np.flatnonzero(np.isin(answers, frequent))
    if len(frequent) < 2 or not len(judged):
        return None
    judged = np.sort(np.random.default_rng(seed).permutation(judged)[:MOST_JUDGED])
    draws = [rows[draw_per_class(labels[rows], LABELS, seed + i)] for i in range(DRAWS)]
    return Sample(draws, labels, judged, answers[judged])


def about_labels(classes: list[str] | None, sample: Sample | None) -> list[str]:
    """What becomes of labels, in a line; none without labels."""
    if classes is None:
        return []
    if sample is None:
        return [
            f"its labels are ignored: to judge by them takes two classes with {LABELS} examples "
            f"each, and held-out ones"
        ]
    return ["its labels are not learnt from, they only judge the features"]


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows (n, ...) flattened and brought to length 1, so that neighbours are by cosine."""
    flat = rows.reshape(len(rows), -1)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
