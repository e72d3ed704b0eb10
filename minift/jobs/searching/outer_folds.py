"""The whole search inside of folds: what its choosing is worth (nested cross-validation).

The score that chose the best of many settings is a lucky one. So in each of k outer folds the
search is done anew on the rows outside of the fold, and what it chose is trained on those rows and
scored on the fold, which had no say in anything. The mean of these scores is what the search is
worth; by how much the scores that chose exceed it is their optimism (`minift/search/validation.py`,
where the same is done with any function).

    outer_folds/fold-1.jsonl, ...     the trials of each search
    outer_folds/chosen.jsonl          what each of them chose, and its score on the fold
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minift.jobs.parts import Parts
from minift.jobs.searching.jobs import Job
from minift.jobs.searching.objective import (
    FineTuning,
    folds_of,
    objective_of,
    rows_to_learn,
    told_of,
)
from minift.search import NestedCrossValidation, SearchResult, Trial
from minift.search.trials import Runner
from minift.search.validation import corrected_interval

FOLDER, CHOSEN = "outer_folds", "chosen.jsonl"


@dataclass
class OuterFolds:
    """`searches` are the objectives inside of each fold, `judge` scores on the folds."""

    searches: list[FineTuning]
    judge: FineTuning


def outer_folds_of(job: Job, plan: Any, k: int, folds: int, metric: str) -> OuterFolds:
    """The folds of all rows but the test part. Raises ValueError if these are too few."""
    rows = rows_to_learn(plan.parts)
    where = "outside the test part"
    divisions = folds_of(job, plan, rows, k, f"--outer-folds {k}", where)
    judge = FineTuning(job, told_of(job, plan, rows, plan.parts.test), divisions, metric)
    searches = []
    for number, one in enumerate(divisions, 1):
        parts = Parts(rows[one.train], rows[one.validation], rows[one.test])
        inside = f"{where} and outer fold {number}"
        searches.append(objective_of(job, plan, parts, folds, metric, inside))
    return OuterFolds(searches, judge)


def judged(
    outer: OuterFolds,
    search: Callable[[FineTuning, Path, str], SearchResult],
    folder: Path,
    jobs: int,
    seed: int,
    watch: Callable[[Trial], None],
) -> NestedCrossValidation:
    """Search in each fold, and score what was chosen. `search` takes the objective, the file of
    its trials and a name for them. What is on the disk already is not done again.

    Raises RuntimeError if all trials of a search fail, or what was chosen fails on its fold.
    """
    (folder / FOLDER).mkdir(exist_ok=True)
    chosen = []
    for number, objective in enumerate(outer.searches, 1):
        file, name = folder / FOLDER / f"fold-{number}.jsonl", f"outer fold {number}"
        chosen.append(best_of(search(objective, file, f"{name}, "), name))
    identity = {"method": "outer folds", "folds": len(chosen), "seed": seed}
    runner = Runner(outer.judge, identity, jobs, folder / FOLDER / CHOSEN, watch)
    wanted = [
        Trial(best.number, best.settings, best.budget, best.seed, fold=fold)
        for fold, best in enumerate(chosen)
    ]
    return summary(chosen, runner.run(wanted), outer.judge.sizes)


def best_of(found: SearchResult, name: str) -> Trial:
    """The best trial. Raises RuntimeError, with the name of the fold, if none has a score."""
    try:
        return found.best
    except RuntimeError as error:
        raise RuntimeError(f"{name}: {error}") from None


def summary(
    chosen: list[Trial], judged: list[Trial], sizes: list[tuple[int, int]]
) -> NestedCrossValidation:
    """The numbers. Raises RuntimeError if a fold has no score."""
    scores = []
    for number, one in enumerate(judged, 1):
        if one.score is None:
            raise RuntimeError(f"outer fold {number}: what was chosen failed: {one.error}")
        scores.append(one.score)
    return NestedCrossValidation(
        scores,
        corrected_interval(scores, sizes),
        [settings_of(best) for best in chosen],
        [best.score for best in chosen if best.score is not None],
    )


def settings_of(trial: Trial) -> dict[str, Any]:
    """What a fine-tuning was told, the epochs of halving included."""
    return trial.settings if trial.budget is None else {**trial.settings, "epochs": trial.budget}
