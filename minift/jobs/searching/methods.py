"""Grid, random or halving, as a plan says: the trials of one objective."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from minift.jobs.searching.objective import FineTuning
from minift.jobs.searching.plan import Plan
from minift.search import SearchResult, Trial, grid_search, random_search, successive_halving

FACTOR = 3  # of halving: the share that stays, and by how much their epochs grow


def tried(
    plan: Plan, objective: FineTuning, file: Path, watch: Callable[[Trial], None]
) -> SearchResult:
    """All trials; where there is nothing to choose, the one that there is."""
    options, base = plan.options, plan.options.base
    shared: dict[str, Any] = {
        "seed": base.seed,
        "higher_is_better": plan.higher_is_better,
        "jobs": options.jobs,
        "folds": objective.folds,
        "file": file,
        "watch": watch,
    }
    if options.method == "grid" or not plan.is_choice:
        return grid_search(objective, plan.space, points=options.points, **shared)
    if options.method == "random":
        return random_search(objective, plan.space, trials=options.trials, **shared)
    assert base.epochs is not None
    shared |= {"smallest": max(1, base.epochs // FACTOR**2), "largest": base.epochs}
    return successive_halving(objective, plan.space, trials=options.trials, factor=FACTOR, **shared)
