"""How features are judged: by a linear probe and by nearest neighbours, on few labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minift import no_grad
from minift.probes import LinearProbe, NearestNeighbours, draw_per_class

Split = tuple[np.ndarray, np.ndarray]  # images or features, labels


def features_of(encode: Callable[[np.ndarray], Any], images: np.ndarray) -> np.ndarray:
    """What an encoder makes of images, a thousand at a time."""
    with no_grad():
        parts = [encode(images[i : i + 1000]).numpy() for i in range(0, len(images), 1000)]
    return np.concatenate(parts)


def accuracy(predicted: np.ndarray, labels: np.ndarray) -> float:
    return float((predicted == labels).mean())


def probed(train: Split, test: Split, labels_per_class: int, draws: Iterable[int]) -> float:
    """Accuracy of a linear probe on so many labels a class, the mean over draws of them."""
    reached = []
    for seed in draws:
        rows = draw_per_class(train[1], labels_per_class, seed)
        probe = LinearProbe().fit(train[0][rows], train[1][rows])
        reached.append(accuracy(probe.predict(test[0]), test[1]))
    return float(np.mean(reached))


def neighbours(train: Split, test: Split) -> float:
    """Accuracy of 5 nearest neighbours."""
    return accuracy(NearestNeighbours(5).fit(*train).predict(test[0]), test[1])


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
