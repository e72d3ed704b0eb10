"""Objectives that processes started by spawn can import."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minift.search import Sealed


def valley(settings, budget, seed):
    """Best at lr = 1e-3 and 3 layers; `kind` does not matter. A larger budget shows it clearer."""
    noise = np.random.default_rng([seed, settings["layers"]]).normal() / (budget or 100)
    return -((np.log10(settings["lr"]) + 3) ** 2) - (settings["layers"] - 3) ** 2 + 0.01 * noise


def fails_for_some(settings, budget, seed):
    if settings["x"] == 1:
        raise FloatingPointError("step 3: the loss is nan")
    return float("nan") if settings["x"] == 2 else settings["x"]


def by_fold(settings, budget, seed, fold):
    """Settings and folds whose means are easy by hand; x = 1 fails in its second fold."""
    if settings["x"] == 1 and fold == 1:
        raise FloatingPointError("step 3: the loss is nan")
    return settings["x"] + 10.0**fold * (budget or 1)


@dataclass
class Counted:
    """Notes every call in a folder, from whatever process."""

    folder: Path
    stop_at: int = 10**9

    def __call__(self, settings, budget, seed):
        number = len(list(self.folder.iterdir()))
        if number == self.stop_at:
            raise KeyboardInterrupt
        (self.folder / f"{number}-{os.getpid()}-{settings['x']}").touch()
        return -((settings["x"] - 0.5) ** 2)


@dataclass
class Peeks:
    """An objective that looks at the test part."""

    test: Sealed

    def __call__(self, settings, budget, seed):
        return float(np.mean(self.test.open()[1]))


def dies(settings, budget, seed):
    os._exit(3)


def nearest_mean(train, held, settings, seed):
    """Accuracy of the nearer class mean, by the inputs of the columns that the settings name."""
    (x, y), (a, b) = train, held
    columns = settings.get("columns", slice(None))
    means = np.stack([x[y == c][:, columns].mean(axis=0) for c in (0, 1)])
    distances = ((a[:, None, columns] - means) ** 2).sum(axis=2)
    return float(np.mean(distances.argmin(axis=1) == b))
