"""Grid, random search, successive halving: which settings are tried, and with how much.

All three give the objective the same seed in every trial, so that trials differ by their settings
and not by their luck with the data's order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from minift.search.spaces import Range, Settings, Space, draws, grid, ranges
from minift.search.trials import Objective, Runner, Trial


@dataclass(frozen=True)
class SearchResult:
    """All trials in their order, and the best of those with the largest budget."""

    trials: list[Trial]
    space: dict[str, Range]
    higher_is_better: bool = True

    @property
    def best(self) -> Trial:
        """Of equals the first. Raises RuntimeError, with the first reason, if all trials failed."""
        largest = [t for t in self.trials if t.budget == self.trials[-1].budget]
        scored = ranked(largest, self.higher_is_better)
        if not scored:
            all_of_them = "the only trial" if len(largest) == 1 else f"all {len(largest)} trials"
            raise RuntimeError(f"{all_of_them} failed; the first: {largest[0].error}")
        return scored[0]

    def table(self, most: int = 10) -> str:
        """The best trials, one a line."""
        names = list(self.space)
        budgets = len({trial.budget for trial in self.trials}) > 1
        order = ranked(self.trials, self.higher_is_better)
        if budgets:
            order.sort(key=lambda trial: -trial.budget)
        rows = [["trial", "score", *(["budget"] if budgets else []), *names, "seconds"]]
        for trial in order[:most]:
            budget = [f"{trial.budget:g}"] if budgets else []
            values = [short(trial.settings[name]) for name in names]
            rows.append(
                [f"{trial.number}", f"{trial.score:.4f}", *budget, *values, f"{trial.seconds:.1f}"]
            )
        failed = sum(trial.score is None for trial in self.trials)
        return columns(rows) + (f"\n{failed} of {len(self.trials)} trials failed" if failed else "")


def grid_search(
    objective: Objective,
    space: Space,
    *,
    points: int = 3,
    budget: Any = None,
    seed: int = 0,
    higher_is_better: bool = True,
    jobs: int = 1,
    folds: int = 0,
    file: str | Path | None = None,
    watch: Callable[[Trial], None] | None = None,
) -> SearchResult:
    """Every combination of `points` values of each range and all values of each choice.

    With `folds` the objective is called once a fold, `objective(settings, budget, seed, fold)`, and
    a trial's score is their mean. With `file` the trials are kept there, and a search that was
    killed goes on with what is missing. Raises ValueError for a space that is none or a file of
    another search.
    """
    wanted = numbered(grid(space, points), budget, seed)
    identity = {"method": "grid", "points": points, **shared(space, budget, seed, folds)}
    runner = Runner(objective, identity, jobs, path(file), watch, folds)
    return SearchResult(runner.run(wanted), ranges(space), higher_is_better)


def random_search(
    objective: Objective,
    space: Space,
    *,
    trials: int,
    budget: Any = None,
    seed: int = 0,
    higher_is_better: bool = True,
    jobs: int = 1,
    folds: int = 0,
    file: str | Path | None = None,
    watch: Callable[[Trial], None] | None = None,
) -> SearchResult:
    """`trials` settings at random (Bergstra & Bengio 2012), evenly over each range (`draws`).

    If few of the settings matter, n draws try n values of each of those, a grid of n trials only
    its few. A search of more trials goes on with the file of fewer. As `grid_search` otherwise.
    """
    wanted = numbered(draws(space, trials, seed), budget, seed)
    identity = {"method": "random", **shared(space, budget, seed, folds)}
    runner = Runner(objective, identity, jobs, path(file), watch, folds)
    return SearchResult(runner.run(wanted), ranges(space), higher_is_better)


def successive_halving(
    objective: Objective,
    space: Space,
    *,
    trials: int,
    smallest: int,
    largest: int,
    factor: int = 3,
    seed: int = 0,
    higher_is_better: bool = True,
    jobs: int = 1,
    folds: int = 0,
    file: str | Path | None = None,
    watch: Callable[[Trial], None] | None = None,
) -> SearchResult:
    """Many settings with a small budget, the best of them with `factor` times as much, and so on.

    The budget, a whole number such as epochs, goes from `smallest` up to `largest`; after each
    rung the best 1 / `factor` stay (Jamieson & Talwalkar 2016, algorithm 1). Each rung trains from
    the start: what is tried at the end is exactly what the settings do with the whole budget.
    """
    check_budgets(trials, smallest, largest, factor)
    budgets = {"smallest": smallest, "largest": largest, "factor": factor, "trials": trials}
    identity = {"method": "halving", **shared(space, budgets, seed, folds)}
    runner = Runner(objective, identity, jobs, path(file), watch, folds)
    rung = numbered(draws(space, trials, seed), smallest, seed)
    done: list[Trial] = []
    for budget in budgets_of(smallest, largest, factor):
        tried = runner.run([replace(trial, budget=budget) for trial in rung])
        done += tried
        best = ranked(tried, higher_is_better) or tried
        kept = best[: max(1, len(rung) // factor)]
        rung = [waiting(trial) for trial in kept]
    return SearchResult(done, ranges(space), higher_is_better)


def budgets_of(smallest: int, largest: int, factor: int) -> list[int]:
    """smallest, factor times that, ..., and at last exactly `largest`."""
    budgets = [smallest]
    while budgets[-1] * factor < largest:
        budgets.append(budgets[-1] * factor)
    return [*budgets, largest] if budgets[-1] < largest else budgets


def check_budgets(trials: int, smallest: int, largest: int, factor: int) -> None:
    """Raise ValueError for budgets that make no rungs."""
    if not (1 <= smallest <= largest and factor >= 2 and trials >= 1):
        raise ValueError(
            f"successive_halving: needs 1 <= smallest <= largest, factor of 2 or more and 1 trial "
            f"or more, got smallest={smallest}, largest={largest}, factor={factor}, trials={trials}"
        )


def numbered(settings: Sequence[Settings], budget: Any, seed: int) -> list[Trial]:
    """Trials that wait to be tried."""
    return [Trial(number, one, budget, seed) for number, one in enumerate(settings)]


def waiting(trial: Trial) -> Trial:
    """The trial before it was tried."""
    return Trial(trial.number, trial.settings, trial.budget, trial.seed)


def ranked(trials: Sequence[Trial], higher_is_better: bool) -> list[Trial]:
    """Those that have a score, the best first, of equals the earlier."""
    sign = -1 if higher_is_better else 1
    scored = [trial for trial in trials if trial.score is not None]
    return sorted(scored, key=lambda trial: (sign * (trial.score or 0.0), trial.number))


def shared(space: Space, budget: Any, seed: int, folds: int) -> dict[str, Any]:
    """What makes two searches the same, whatever their method."""
    known = {name: [type(one).__name__, vars(one)] for name, one in ranges(space).items()}
    same = {"space": known, "budget": budget, "seed": seed}
    return {**same, "folds": folds} if folds else same


def path(file: str | Path | None) -> Path | None:
    return None if file is None else Path(file)


def short(value: Any) -> str:
    """A setting in a table."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows as a table, aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.rjust(w) for cell, w in zip(row, widths)) for row in rows)
