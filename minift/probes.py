"""What a representation is worth: judge features by what a simple reader gets out of them.

A linear probe (Alain & Bengio 2016) or the k nearest neighbours see nothing but the features and a
few labels: what they find was there. Beside them the baselines of learning without labels: the mean
image and principal components, the best that a linear code of k numbers can do.

Features are arrays (n, ...), each row flattened. Not here: how a model gives them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from minift.baselines import minimize, regression_loss


class LinearProbe:
    """Multinomial logistic regression on standardised features, fitted to its optimum.

    Minimises mean cross-entropy + |W|² / (2 C n). Each feature is brought to mean 0 and variance 1
    by the labelled rows' own statistics; one that never varies stays 0.
    """

    def __init__(self, C: float = 1.0):
        if not C > 0:
            raise ValueError(f"LinearProbe: C must be above 0, got {C}")
        self.C = C

    def fit(self, features: ArrayLike, labels: ArrayLike) -> LinearProbe:
        """Fit to rows (n, ...) with labels (n,), integers from 0. Returns itself."""
        rows, classes = labelled_rows("LinearProbe", features, labels)
        self.mean, std = rows.mean(0), rows.std(0)
        self.scale = np.where(std > 1e-12, 1 / np.maximum(std, 1e-12), 0.0)
        one_hot = np.eye(classes.max() + 1)[classes]  # (n, L)
        x = self.standardised(rows)
        solution = minimize(
            regression_loss(x, one_hot, self.C),
            (x.shape[1] + 1) * one_hot.shape[1],
            tolerance=1e-6,
        )
        table = solution.reshape(-1, one_hot.shape[1])
        self.weight, self.intercept = table[:-1], table[-1]
        return self

    def predict(self, features: ArrayLike) -> np.ndarray:
        """The most probable class of each row, (n,)."""
        scores = self.standardised(flat_rows("LinearProbe", features)) @ self.weight
        return (scores + self.intercept).argmax(1)

    def standardised(self, rows: np.ndarray) -> np.ndarray:
        """Rows (n, F) on the scale of the labelled ones."""
        if rows.shape[1] != len(self.mean):
            raise ValueError(f"LinearProbe: {rows.shape[1]} features, fitted on {len(self.mean)}")
        return (rows - self.mean) * self.scale


class NearestNeighbours:
    """The class that most of the k nearest labelled rows have, by Euclidean distance.

    Of classes with as many votes, that with the nearest row wins. Unit rows make it the cosine.
    """

    def __init__(self, k: int = 5):
        if k < 1:
            raise ValueError(f"NearestNeighbours: k must be 1 or more, got {k}")
        self.k = k

    def fit(self, features: ArrayLike, labels: ArrayLike) -> NearestNeighbours:
        """Remember rows (n, ...) with labels (n,), integers from 0. Returns itself."""
        self.rows, self.labels = labelled_rows("NearestNeighbours", features, labels)
        return self

    def predict(self, features: ArrayLike) -> np.ndarray:
        """The class of each row, (n,)."""
        rows = flat_rows("NearestNeighbours", features)
        if rows.shape[1] != self.rows.shape[1]:
            raise ValueError(
                f"NearestNeighbours: {rows.shape[1]} features, fitted on {self.rows.shape[1]}"
            )
        blocks = np.split(rows, range(256, len(rows), 256))  # so that distances fit into memory
        return np.concatenate([self._vote(block) for block in blocks])

    def _vote(self, rows: np.ndarray) -> np.ndarray:
        # |a − b|² = |a|² − 2ab + |b|², of which |a|² does not change the order
        distances = (self.rows**2).sum(1) - 2 * rows @ self.rows.T  # (m, n)
        nearest = np.argsort(distances, axis=1, kind="stable")[:, : self.k]
        votes = np.zeros((len(rows), self.labels.max() + 1))
        near = self.labels[nearest]  # (m, k), the nearest first
        for place in range(near.shape[1]):
            earlier = 2.0 ** -(place + 2)  # all later ones together weigh less, and none a vote
            votes[np.arange(len(rows)), near[:, place]] += 1 + earlier
        return votes.argmax(1)


class Prototypes:
    """The class whose mean is nearest, by Euclidean distance (Snell et al. 2017, equation 2).

    One vector a class is all that it keeps: with very few labels there is little to overfit.
    """

    def fit(self, features: ArrayLike, labels: ArrayLike) -> Prototypes:
        """Average rows (n, ...) with labels (n,), integers from 0. Returns itself."""
        rows, classes = labelled_rows("Prototypes", features, labels)
        self.classes = np.unique(classes)
        self.means = np.stack([rows[classes == c].mean(0) for c in self.classes])  # (L, F)
        return self

    def predict(self, features: ArrayLike) -> np.ndarray:
        """The class of each row, (n,)."""
        rows = flat_rows("Prototypes", features)
        if rows.shape[1] != self.means.shape[1]:
            raise ValueError(
                f"Prototypes: {rows.shape[1]} features, fitted on {self.means.shape[1]}"
            )
        distances = (self.means**2).sum(1) - 2 * rows @ self.means.T  # |row|² is the same for all
        return self.classes[distances.argmin(1)]


class PrincipalComponents:
    """The k directions of largest variance: of all linear codes of k numbers, the best.

    Pearson 1901; Baldi & Hornik 1989: a linear autoencoder can do no better. k = 0 is the mean.
    """

    def __init__(self, k: int):
        if k < 0:
            raise ValueError(f"PrincipalComponents: k must be 0 or more, got {k}")
        self.k = k

    def fit(self, features: ArrayLike) -> PrincipalComponents:
        """Find them in rows (n, ...). Returns itself. Raises ValueError for more than n or F."""
        rows = flat_rows("PrincipalComponents", features)
        if self.k > min(rows.shape):
            raise ValueError(
                f"PrincipalComponents: {self.k} components of {rows.shape[0]} rows with "
                f"{rows.shape[1]} features"
            )
        self.mean = rows.mean(0)
        self.directions = np.linalg.svd(rows - self.mean, full_matrices=False)[2][: self.k]
        return self

    def encode(self, features: ArrayLike) -> np.ndarray:
        """The codes, (n, k)."""
        return (flat_rows("PrincipalComponents", features) - self.mean) @ self.directions.T

    def reconstruct(self, features: ArrayLike) -> np.ndarray:
        """What the codes keep, in the shape of `features`."""
        drawn = self.encode(features) @ self.directions + self.mean
        return drawn.reshape(np.shape(features))


def draw_per_class(labels: ArrayLike, count: int, seed: int) -> np.ndarray:
    """Row numbers of `count` examples of each class, drawn at random, in random order.

    Raises ValueError if a class has fewer.
    """
    classes, rng = np.asarray(labels), np.random.default_rng(seed)
    order = rng.permutation(len(classes))
    chosen = []
    for c in np.unique(classes):
        rows = order[classes[order] == c]
        if not 1 <= count <= len(rows):
            raise ValueError(f"draw_per_class: {count} of the {len(rows)} examples of class {c}")
        chosen.append(rows[:count])
    return rng.permutation(np.concatenate(chosen))


def flat_rows(name: str, features: ArrayLike) -> np.ndarray:
    """Features (n, ...) as float64 (n, F). Raises ValueError if there are none, or no numbers."""
    array = np.asarray(features, np.float64)
    if array.ndim < 2 or not array.size:
        raise ValueError(f"{name}: features must be rows (n, ...), got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: features hold NaN or infinite values")
    return array.reshape(len(array), -1)


def labelled_rows(
    name: str, features: ArrayLike, labels: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n, F) and their classes (n,), checked."""
    rows, classes = flat_rows(name, features), np.asarray(labels)
    if classes.shape != (len(rows),) or classes.dtype.kind not in "iu" or classes.min() < 0:
        raise ValueError(
            f"{name}: need one label from 0 a row, got {len(rows)} rows and labels of "
            f"{classes.dtype} with shape {classes.shape}"
        )
    return rows, classes.astype(np.int64)
