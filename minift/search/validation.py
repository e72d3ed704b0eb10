"""Cross-validation: how good settings are, and how good it is to choose among settings.

`score(train, held, settings, seed)` trains on the rows of `train`, a tuple of parts of the items
that were given, and returns its score on those of `held`.

The best of many scores is optimistic even if each score is fair: the more settings, the luckier the
best one. `nested_cross_validate` repeats the whole choice within each fold and scores what was
chosen on rows that had no say in it (Varma & Simon 2006; Cawley & Talbot 2010).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minift.data import k_folds
from minift.metrics import student_quantile
from minift.search.sealed import Sealed, searching
from minift.search.spaces import Settings
from minift.search.trials import check_can_travel, processes

Items = tuple[Any, ...]
Score = Callable[[Items, Items, Settings, int], float]


@dataclass(frozen=True)
class CrossValidation:
    """The scores of the folds, their mean, and an interval of it.

    Folds share most of their training rows, so that the usual interval is too narrow: the variance
    of the mean is taken as (1 / k + held / trained) s² (Nadeau & Bengio 2003, eq. 9).
    """

    scores: list[float]
    interval: tuple[float, float]

    @property
    def mean(self) -> float:
        return float(np.mean(self.scores))


@dataclass(frozen=True)
class NestedCrossValidation(CrossValidation):
    """Scores of what was chosen, on rows that had no say; what was chosen in each fold; and the
    scores by which it was chosen, whose mean is the optimistic one."""

    chosen: list[Settings]
    inner_scores: list[float]

    @property
    def optimism(self) -> float:
        """By how much the score that chose exceeds the score of what was chosen."""
        return float(np.mean(self.inner_scores)) - self.mean


@dataclass(frozen=True)
class Fold:
    """One fold's work, as it is sent to a process."""

    score: Score
    items: Items
    train: np.ndarray
    held: np.ndarray
    seed: int

    def run(self, settings: Settings) -> float:
        with searching():
            parts = taken(self.items, self.train), taken(self.items, self.held)
            return float(self.score(*parts, dict(settings), self.seed))


def cross_validate(
    score: Score,
    *items: Sequence[Any],
    settings: Settings | None = None,
    k: int = 5,
    seed: int = 0,
    stratify: Sequence[Any] | None = None,
    group: Sequence[Any] | None = None,
    test: Sealed | None = None,
    jobs: int = 1,
) -> CrossValidation:
    """Train k times on all folds but one, and score each time on that one.

    `items` are sequences of one length; `stratify` and `group` as in `mf.data.k_folds`. With `test`
    it is made sure that none of the rows stands in the sealed test part (`Sealed.check_apart`, by
    the first of the items). Raises ValueError for items that do not fit.
    """
    folds = folds_of(score, items, k, seed, stratify, group, test)
    scores = in_processes(run_fold, [(fold, settings or {}) for fold in folds], jobs, score)
    return CrossValidation(scores, corrected_interval(scores, sizes_of(folds)))


def nested_cross_validate(
    score: Score,
    *items: Sequence[Any],
    candidates: Sequence[Settings],
    k: int = 5,
    inner: int = 4,
    seed: int = 0,
    stratify: Sequence[Any] | None = None,
    group: Sequence[Any] | None = None,
    test: Sealed | None = None,
    higher_is_better: bool = True,
    jobs: int = 1,
) -> NestedCrossValidation:
    """In each of k folds choose among `candidates` by `inner` folds, then score the chosen one.

    `candidates` are settings, as `grid(space)` or `draws(space, n)` give them. The mean of the
    scores is what the whole procedure, the choice included, is worth.
    """
    if not candidates:
        raise ValueError("nested_cross_validate: needs at least one candidate")
    folds = folds_of(score, items, k, seed, stratify, group, test)
    marks = stratify, group
    work = [(fold, list(candidates), inner, marks, higher_is_better) for fold in folds]
    found = in_processes(run_nested, work, jobs, score)
    scores = [outer for outer, _, _ in found]
    return NestedCrossValidation(
        scores,
        corrected_interval(scores, sizes_of(folds)),
        [chosen for _, chosen, _ in found],
        [best for _, _, best in found],
    )


def run_fold(fold: Fold, settings: Settings) -> float:
    return fold.run(settings)


def run_nested(
    fold: Fold,
    candidates: list[Settings],
    inner: int,
    marks: tuple[Sequence[Any] | None, Sequence[Any] | None],
    higher_is_better: bool,
) -> tuple[float, Settings, float]:
    """Score of what was chosen, what it is, and the score by which it was."""
    stratify, group = (None if mark is None else taken((mark,), fold.train)[0] for mark in marks)
    items = taken(fold.items, fold.train)
    folds = folds_of(fold.score, items, inner, fold.seed, stratify, group, None)
    means = [float(np.mean([one.run(settings) for one in folds])) for settings in candidates]
    usable = [mean if math.isfinite(mean) else -math.inf for mean in
              (means if higher_is_better else [-mean for mean in means])]  # fmt: skip
    best = int(np.argmax(usable))
    return fold.run(candidates[best]), candidates[best], means[best]


def folds_of(
    score: Score,
    items: Items,
    k: int,
    seed: int,
    stratify: Sequence[Any] | None,
    group: Sequence[Any] | None,
    test: Sealed | None,
) -> list[Fold]:
    """The work of each fold. Raises ValueError for items of different lengths and for leaks."""
    if any(isinstance(item, Sealed) for item in items):
        raise TypeError("cross-validation is for training rows; a sealed test part has no say")
    lengths = [len(item) for item in items]
    if len(set(lengths)) != 1:
        raise ValueError(f"cross-validation needs sequences of one length, got lengths {lengths}")
    if test is not None:
        test.check_apart(items[0])
    parts = k_folds(lengths[0], k, seed, stratify, group)
    return [Fold(score, items, train, held, seed) for train, held in parts]


def in_processes(
    function: Callable[..., Any], work: Sequence[tuple[Any, ...]], jobs: int, score: Score
) -> list[Any]:
    """function(*one) of all work, in its order."""
    if jobs == 1:
        return [function(*one) for one in work]
    check_can_travel(score)
    with processes(min(jobs, len(work))) as pool:
        return [future.result() for future in [pool.submit(function, *one) for one in work]]


def sizes_of(folds: Sequence[Fold]) -> list[tuple[int, int]]:
    """Rows that each fold trains on, and rows that it holds out."""
    return [(len(fold.train), len(fold.held)) for fold in folds]


def corrected_interval(
    scores: Sequence[float], sizes: Sequence[tuple[int, int]]
) -> tuple[float, float]:
    """95 % by Student's t, with the corrected variance; `sizes` are (trained, held) of each fold.

    The equation is that of `CrossValidation`.
    """
    k, mean = len(scores), float(np.mean(scores))
    share = float(np.mean([held / trained for trained, held in sizes]))
    deviation = math.sqrt((1 / k + share) * float(np.var(scores, ddof=1)))
    half = student_quantile(0.975, k - 1) * deviation
    return mean - half, mean + half


def taken(items: Items, rows: np.ndarray) -> Items:
    """Those rows of each of the items."""
    return tuple(
        item[rows] if isinstance(item, np.ndarray) else [item[i] for i in rows.tolist()]
        for item in items
    )
