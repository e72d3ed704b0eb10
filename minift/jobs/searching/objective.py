"""What a trial is: one fine-tuning on some rows, scored on others.

Without folds the validation part scores it, as it chose its best epoch: good enough to compare
settings, and a little too good as a number. With folds each row outside of the test part is scored
once, by a fine-tuning that has not seen it: of the rows of the other folds, a share is taken out to
choose the best epoch, as in every fine-tuning, so the fold that scores has no say in anything.

The rows that may not be seen are not in the data that a trial is given, in whatever process it
runs.
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from minift.data.tables import count
from minift.jobs.parts import Parts, divide_into_folds
from minift.jobs.searching.jobs import Job
from minift.jobs.tasks import ClassificationTask
from minift.search import Sealed


@dataclass
class FineTuning:
    """The objective: fine-tune with these settings, and score rows.

    Its data holds no other rows than those that `divisions` name: to train on, to choose the best
    epoch on, and (as their `test` part) to score. There is one division, or one a fold.
    """

    job: Job
    options: Any  # of the job, the rows in it
    divisions: list[Parts]
    metric: str

    def __call__(
        self, settings: dict[str, Any], budget: int | None, seed: int, fold: int = 0
    ) -> float:
        epochs = {} if budget is None else {"epochs": budget}
        division, module = self.divisions[fold], self.job.module
        with TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
            told = {**settings, **epochs, "seed": seed, "output": Path(folder) / "trial"}
            untested = replace(division, test=np.empty(0, int))
            plan = module.prepare(replace(self.options, **told), untested)
            module.train(plan)
        score = self.job.scores(plan, division.test)[self.metric]
        return float("nan") if score is None else score

    @property
    def folds(self) -> int:
        """How many there are; 0 for a score on one part."""
        return len(self.divisions) if len(self.divisions) > 1 else 0

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Rows that each fold learns from, the best epoch included, and rows that it scores."""
        return [(len(d.train) + len(d.validation), len(d.test)) for d in self.divisions]


def objective_of(
    job: Job, plan: Any, parts: Parts, folds: int, metric: str, where: str = "outside the test part"
) -> FineTuning:
    """Trials on the rows to train and to validate of `parts`; those of its test part are gone.

    Raises ValueError, which says `where` the rows are, if there are too few for so many folds.
    """
    rows = rows_to_learn(parts)
    options = told_of(job, plan, rows, parts.test)
    if folds:
        divisions = folds_of(job, plan, rows, folds, f"--folds {folds}", where)
        return FineTuning(job, options, divisions, metric)
    train, validation = (np.searchsorted(rows, part) for part in (parts.train, parts.validation))
    return FineTuning(job, options, [Parts(train, validation, validation)], metric)


def rows_to_learn(parts: Parts) -> np.ndarray:
    """Those of training and validation, in the order of the table."""
    return np.sort(np.concatenate([parts.train, parts.validation]))


def told_of(job: Job, plan: Any, rows: np.ndarray, unseen: np.ndarray) -> Any:
    """The plan's options with those rows as their data, which are no copies of unseen ones."""
    check_apart(job, plan, rows, unseen)
    data = job.only(plan, rows)
    return replace(plan.options, data=data, checkpoint_minutes=None, overwrite=False)


def check_apart(job: Job, plan: Any, seen: np.ndarray, unseen: np.ndarray) -> None:
    """Raise ValueError if rows that are seen are rows that must not be."""
    Sealed(job.inputs(plan, unseen)).check_apart(job.inputs(plan, seen))


def folds_of(job: Job, plan: Any, rows: np.ndarray, k: int, said: str, where: str) -> list[Parts]:
    """k divisions of those rows, which are numbered anew, from 0. Raises ValueError if too few."""
    task, groups = job.task(plan), job.groups(plan)[rows]
    if isinstance(task, ClassificationTask):
        check_classes(job, task, plan.targets[rows], groups, k, said, where)
    share, seed = plan.options.val_split, plan.options.seed
    try:
        divisions = divide_into_folds(job.strata(plan)[rows], groups, k, share, seed)
    except ValueError:
        raise ValueError(
            f"{count(len(rows), job.noun)} {where} are too few for {said}: a fold learns from the "
            f"others, {share:.0%} of which choose its best epoch; label more"
        ) from None
    for one in divisions:
        check_apart(job, plan, rows[rows_to_learn(one)], rows[one.test])
    return divisions


def check_classes(
    job: Job,
    task: ClassificationTask,
    targets: np.ndarray,
    groups: np.ndarray,
    k: int,
    said: str,
    where: str,
) -> None:
    """Raise ValueError if a class could not be in each of the folds."""
    for number, name in enumerate(task.names):
        there = len(np.unique(groups[targets == number]))
        if there < k:
            raise ValueError(
                f"the class {name!r} has {count(there, f'different {job.noun}')} {where}, too few "
                f"for {said}: take fewer folds, or label more"
            )
