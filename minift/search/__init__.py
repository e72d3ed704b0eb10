"""Choosing settings, and what the choice is worth.

    space = {"lr": log_uniform(1e-5, 1e-3), "strategy": choice("head", "full")}
    found = random_search(objective, space, trials=20, file="trials.jsonl", jobs=2)
    found.best.settings

where `objective(settings, budget, seed)` trains on the training part and returns its score on the
validation part. With folds=5 it is called five times a trial, with the number of the fold as well,
and a trial's score is the mean. With jobs=2 a script must search under
`if __name__ == "__main__":`, as always where processes are spawned.

In reading order: `spaces` (what may be chosen), `trials` (trying it, in parallel, resumable),
`methods` (grid, random, successive halving), `validation` (k folds, and folds within folds for the
worth of the whole search), `sealed` (the test part, which none of them may see).

Not here: the picture (`mf.plot.search`), and the search over fine-tunings (`minift search`).
"""

from minift.search.methods import SearchResult, grid_search, random_search, successive_halving
from minift.search.sealed import LeakError, Sealed
from minift.search.spaces import choice, draws, grid, integer, log_uniform, uniform
from minift.search.trials import Trial
from minift.search.validation import (
    CrossValidation,
    NestedCrossValidation,
    cross_validate,
    nested_cross_validate,
)

__all__ = [
    "CrossValidation",
    "LeakError",
    "NestedCrossValidation",
    "Sealed",
    "SearchResult",
    "Trial",
    "choice",
    "cross_validate",
    "draws",
    "grid",
    "grid_search",
    "integer",
    "log_uniform",
    "nested_cross_validate",
    "random_search",
    "successive_halving",
    "uniform",
]
