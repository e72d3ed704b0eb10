"""What a search finds for its trials, and what its own score of it is worth.

    python -m benchmarks.search_quality [--seeds 10] [--folds-seeds 20]

1. Random search at a quarter of a grid's trials: a small network on 200 shipped digits, over
   learning rate, width and weight decay; 64 settings in a grid, 16 drawn. The settings are chosen
   on 200 other digits, the accuracy is that on the 500 test digits.
2. The optimism of choosing by cross-validation: 100 candidates (which of the inputs the nearest
   class mean looks at, and how it scales them), 40 labelled rows. The score by which the best one
   was chosen, and the score of nested folds, both beside the accuracy of what was chosen on many
   rows that had no say. On digits, on glosses, and on digits whose labels were shuffled.

Shipped data only. Means over seeds with Student's interval of 95 %; each seed draws its rows anew.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minift.backend.random import manual_seed
from minift.baselines import words_of
from minift.data import ArrayDataset, load_digits, load_glosses
from minift.metrics import paired_interval
from minift.models import MLP, MLPConfig
from minift.objectives import Classification
from minift.search import (
    cross_validate,
    draws,
    grid_search,
    integer,
    log_uniform,
    nested_cross_validate,
    random_search,
)
from minift.train import TrainConfig, Trainer

RESULT = Path(__file__).parent / "results" / "search_quality.json"
SPACE = {
    "lr": log_uniform(1e-4, 1e-1),
    "hidden": integer(8, 128),
    "weight_decay": log_uniform(1e-3, 1),
}
POINTS, QUARTER = 4, 16
CANDIDATES, ROWS = 100, 40
Rows = tuple[np.ndarray, np.ndarray]

# --------------------------------------------------------------------- random search beside a grid


@dataclass
class Network:
    """The objective: train on some digits, score on others."""

    train: Rows
    validation: Rows

    def __call__(self, settings: dict[str, Any], budget: Any, seed: int) -> float:
        return accuracy_on(self.fitted(settings, seed), self.validation)

    def fitted(self, settings: dict[str, Any], seed: int) -> MLP:
        manual_seed(seed)
        model = MLP(MLPConfig(input_size=64, hidden_sizes=(settings["hidden"],), num_labels=10))
        config = TrainConfig(
            epochs=10, lr=settings["lr"], weight_decay=settings["weight_decay"], seed=seed,
            device="cpu",
        )  # fmt: skip
        data = ArrayDataset(x=self.train[0], labels=self.train[1])
        Trainer(model, data, objective=Classification(), config=config).fit()
        return model


def accuracy_on(model: MLP, rows: Rows) -> float:
    return float(np.mean(model(rows[0]).numpy().argmax(axis=1) == rows[1]))


def grid_and_random(seed: int) -> dict[str, float]:
    """Test accuracy of what each chose."""
    digits = load_digits()
    images, labels = digits.train[0].reshape(-1, 64), digits.train[1]
    order = np.random.default_rng(seed).permutation(len(labels))
    train, held = order[:200], order[200:400]
    objective = Network((images[train], labels[train]), (images[held], labels[held]))
    test = digits.test[0].reshape(-1, 64), digits.test[1]
    found = {
        "grid": grid_search(objective, SPACE, points=POINTS, seed=seed),
        "random": random_search(objective, SPACE, trials=QUARTER, seed=seed),
    }
    return {
        name: accuracy_on(objective.fitted(result.best.settings, seed), test)
        for name, result in found.items()
    }


# ----------------------------------------------------------------------- the optimism of the choice


def nearest_mean(
    train: tuple[np.ndarray, np.ndarray], held: Rows, settings: dict[str, Any], seed: int
) -> float:
    """Accuracy of the nearer class mean, in the chosen columns, raised to a power."""
    columns = np.random.default_rng(settings["draw"]).permutation(train[0].shape[1])
    columns = columns[: settings["columns"]]
    x, y = (rows[0][:, columns] ** settings["power"] for rows in (train, held))
    means = np.stack([x[train[1] == c].mean(axis=0) for c in (0, 1)])
    nearer = ((y[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    return float(np.mean(nearer == held[1]))


def digits_rows(classes: tuple[int, int]) -> Rows:
    digits = load_digits()
    images = np.concatenate([digits.train[0], digits.test[0]]).reshape(-1, 64)
    labels = np.concatenate([digits.train[1], digits.test[1]])
    kept = np.isin(labels, classes)
    return images[kept], (labels[kept] == classes[1]).astype(int)


def glosses_rows(classes: tuple[str, str]) -> Rows:
    """Definitions as rows of unit length over the 300 most frequent words."""
    glosses = load_glosses()
    numbers = [glosses.classes.index(name) for name in classes]
    texts, labels = glosses.train
    kept = np.flatnonzero(np.isin(labels, numbers))
    words = [words_of(texts[i]) for i in kept]
    names, counts = np.unique([word for text in words for word in text], return_counts=True)
    column_of = {name: i for i, name in enumerate(names[np.argsort(-counts, kind="stable")][:300])}
    x = np.zeros((len(kept), 300))
    for row, text in enumerate(words):
        for word in text:
            if word in column_of:
                x[row, column_of[word]] += 1
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
    return x, (labels[kept] == numbers[1]).astype(int)


def shuffled(rows: Rows) -> Rows:
    """The same inputs, whose labels say nothing."""
    return rows[0], np.random.default_rng(0).permutation(rows[1])


def optimism(rows: Rows, seed: int) -> dict[str, float]:
    """The score of the choice, the nested score, and the accuracy on all other rows."""
    x, y = rows
    rng = np.random.default_rng(seed)
    taken = np.concatenate([rng.permutation(np.flatnonzero(y == c))[: ROWS // 2] for c in (0, 1)])
    others = np.setdiff1d(np.arange(len(y)), taken)
    few, many = (x[taken], y[taken]), (x[others], y[others])
    space = {
        "columns": integer(5, x.shape[1]), "power": [0.5, 1.0, 2.0], "draw": integer(0, 10**6),
    }  # fmt: skip
    candidates = draws(space, CANDIDATES, seed)
    flat = [
        cross_validate(nearest_mean, *few, settings=one, k=5, seed=seed, stratify=few[1]).mean
        for one in candidates
    ]
    best = int(np.argmax(flat))
    nested = nested_cross_validate(
        nearest_mean, *few, candidates=candidates, seed=seed, stratify=few[1]
    )
    return {
        "chosen_by": flat[best],
        "nested": nested.mean,
        "true": nearest_mean(few, many, candidates[best], seed),
        "average_candidate": float(
            np.mean([nearest_mean(few, many, one, seed) for one in candidates])
        ),
    }


# ------------------------------------------------------------------------------------- the tables


def measured(name: str, one: Callable[[int], dict[str, float]], seeds: int) -> dict[str, Any]:
    """All seeds, and their means."""
    started = time.perf_counter()
    runs = [one(seed) for seed in range(seeds)]
    means = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
    shown = ", ".join(f"{key} {value:.3f}" for key, value in means.items())
    print(f"{name} ({seeds} seeds, {time.perf_counter() - started:.0f} s): {shown}", flush=True)
    return {"means": means, "runs": [{k: round(v, 4) for k, v in run.items()} for run in runs]}


def difference(runs: Sequence[dict[str, float]], a: str, b: str) -> dict[str, float]:
    """a - b in points, with its interval over the seeds."""
    found = paired_interval(*([100 * run[name] for run in runs] for name in (a, b)))
    print(f"    {a} - {b}: {found[0]:+.1f} points [{found[1]:+.1f}, {found[2]:+.1f}]", flush=True)
    return dict(zip(("mean", "low", "high"), np.round(found, 2).tolist()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--folds-seeds", type=int, default=20)
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    result: dict[str, Any] = {"rows": ROWS, "candidates": CANDIDATES}
    found = measured("grid of 64, 16 at random", grid_and_random, options.seeds)
    found["random - grid"] = difference(found["runs"], "random", "grid")
    result["random_search"] = found
    threes = digits_rows((3, 8))
    for name, rows in (
        ("shuffled labels", shuffled(threes)),
        ("digits 3 and 8", threes),
        ("glosses, act and state", glosses_rows(("act", "state"))),
    ):
        found = measured(name, lambda seed, rows=rows: optimism(rows, seed), options.folds_seeds)
        for score in ("chosen_by", "nested"):
            found[f"{score} - true"] = difference(found["runs"], score, "true")
        result[name] = found
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
