"""Trials: settings tried one after the other or in parallel, kept on the disk as they come.

    trials.jsonl          first what is searched, then a line a trial, in the order of their ends

A trial may be several folds: then the objective is called once a fold, each call has its line, and
the trial's score is their mean.

The file is replaced in one move after each call, so that a killed search loses only the calls
that were under way; the same search on the same file goes on with those that are missing.

Not here: which settings are tried (`methods.py`).
"""

from __future__ import annotations

import json
import math
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minift import hub, kernels
from minift.search.sealed import LeakError, searching
from minift.search.spaces import Settings
from minift.train.records import read_records

if TYPE_CHECKING:
    from concurrent.futures import Executor

Objective = Callable[..., float]  # (settings, budget, seed), of folds also its number -> score
FAILURES = (ValueError, ArithmeticError, RuntimeError, MemoryError, OSError)  # of settings


@dataclass(frozen=True)
class Trial:
    """Settings that are tried. `score` is None, and `error` says why, if that failed.

    `fold` is the number of a call that is one fold of a trial, from 0; `scores` are those of all
    folds, in the trial that they make up.
    """

    number: int
    settings: Settings
    budget: Any
    seed: int
    score: float | None = None
    seconds: float = 0.0
    error: str | None = None
    fold: int | None = None
    scores: list[float] | None = None


@dataclass
class Runner:
    """Runs trials in `jobs` processes (1: in this one) and keeps them in `file`, if there is one.

    With `folds` a trial is that many calls of the objective, which is told the number of the fold.

    `identity` is what the search is; a file of another one is refused. `watch` is told of each
    trial that ends, and before of each fold of one. Objectives for several processes must be
    functions of a module, or instances of its classes: processes are started by spawn.
    """

    objective: Objective
    identity: dict[str, Any]
    jobs: int = 1
    file: Path | None = None
    watch: Callable[[Trial], None] | None = None
    folds: int = 0

    def __post_init__(self) -> None:
        if self.folds < 0 or self.folds == 1:
            raise ValueError(f"folds must be 2 or more, or 0 for one score a trial: {self.folds}")
        if self.jobs < 1:
            raise ValueError(f"jobs must be 1 or more processes, got {self.jobs}")
        if self.jobs > 1:
            check_can_travel(self.objective)
        self.identity = json.loads(as_line(self.identity))
        self.ended = self.read() if self.file is not None and self.file.exists() else []

    def run(self, wanted: Sequence[Trial]) -> list[Trial]:
        """The trials with their scores, in their order; those that had ended are not repeated."""
        if not self.folds:
            return self.called(wanted)
        numbers = range(self.folds)
        calls = self.called([replace(trial, fold=fold) for trial in wanted for fold in numbers])
        return [joined(calls[i : i + self.folds]) for i in range(0, len(calls), self.folds)]

    def called(self, wanted: Sequence[Trial]) -> list[Trial]:
        """The objective's answers, of trials or of their folds."""
        done = {key(trial): trial for trial in self.ended}
        missing = [trial for trial in wanted if key(trial) not in done]
        for trial in self.results(missing):
            self.ended.append(trial)
            done[key(trial)] = trial
            self.write()
            if self.watch is not None:
                self.watch(trial)
                if self.folds and (whole := self.whole(trial, done)) is not None:
                    self.watch(whole)
        return [done[key(trial)] for trial in wanted]

    def whole(self, one: Trial, done: dict[str, Trial]) -> Trial | None:
        """The trial of which this is a fold, once all of them have ended."""
        keys = [key(replace(one, fold=fold)) for fold in range(self.folds)]
        return joined([done[fold] for fold in keys]) if set(keys) <= done.keys() else None

    def results(self, trials: Sequence[Trial]) -> Iterator[Trial]:
        """As they come."""
        if self.jobs == 1 or not trials:
            yield from (attempt(self.objective, trial) for trial in trials)
            return
        from concurrent.futures import as_completed

        with processes(min(self.jobs, len(trials))) as pool:
            waiting = [pool.submit(attempt, self.objective, trial) for trial in trials]
            yield from (future.result() for future in as_completed(waiting))

    def read(self) -> list[Trial]:
        """The trials of an earlier start. Raises ValueError for the file of another search."""
        assert self.file is not None
        first, *lines = read_records(self.file) or [{}]
        if first.get("search") != self.identity:
            raise ValueError(
                f"{self.file} holds the trials of another search; name another file, or remove it"
            )
        return [Trial(**line) for line in lines]

    def write(self) -> None:
        """Replace the file."""
        if self.file is not None:
            lines = [{"search": self.identity}, *map(record_of, self.ended)]
            hub.write(self.file, ("\n".join(map(as_line, lines)) + "\n").encode())


def attempt(objective: Objective, trial: Trial) -> Trial:
    """The trial with its score. Failures that settings can cause are recorded; others raise."""
    started = time.perf_counter()
    score, error = None, None
    try:
        with searching():
            fold = () if trial.fold is None else (trial.fold,)
            found = float(objective(dict(trial.settings), trial.budget, trial.seed, *fold))
        score = found if math.isfinite(found) else None
        error = None if score is not None else f"the score is {found}"
    except LeakError:
        raise
    except FAILURES as problem:
        error = f"{type(problem).__name__}: {problem}"
    seconds = round(time.perf_counter() - started, 3)
    return replace(trial, score=score, seconds=seconds, error=error)


def joined(folds: Sequence[Trial]) -> Trial:
    """The trial that these are the folds of: their mean, or no score if one of them has none."""
    seconds = round(sum(one.seconds for one in folds), 3)
    whole = replace(folds[0], fold=None, seconds=seconds)
    for number, one in enumerate(folds, 1):
        if one.score is None:
            return replace(whole, score=None, error=f"fold {number} of {len(folds)}: {one.error}")
    scores = [one.score for one in folds if one.score is not None]
    return replace(whole, score=float(np.mean(scores)), scores=scores)


@contextmanager
def processes(number: int) -> Iterator[Executor]:
    """Started by spawn, each with its share of the threads; on an error the rest is cancelled.

    Raises RuntimeError if one of them dies.
    """
    import multiprocessing  # on use, as it takes a while
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    threads = max(1, kernels.get_num_threads() // number)
    pool = ProcessPoolExecutor(
        number, multiprocessing.get_context("spawn"), kernels.set_num_threads, (threads,)
    )
    try:
        yield pool
    except BrokenProcessPool:
        raise RuntimeError(
            "a process of the search died: it ran out of memory, or the script that searches does "
            "so outside of if __name__ == '__main__'"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def check_can_travel(objective: Any) -> None:
    """Raise ValueError for what cannot be sent to another process."""
    try:
        pickle.dumps(objective)
    except Exception as error:
        raise ValueError(
            f"the objective cannot be sent to other processes ({error}); define it in a module, or "
            f"give jobs=1"
        ) from None


def key(trial: Trial) -> str:
    """What makes a trial the same one."""
    return as_line([trial.number, trial.settings, trial.budget, trial.seed, trial.fold])


def record_of(trial: Trial) -> dict[str, Any]:
    """What stands in the file of it; of folds only where it is one."""
    of_folds = ("fold", "scores")
    return {n: v for n, v in asdict(trial).items() if v is not None or n not in of_folds}


def as_line(content: Any) -> str:
    """JSON. Raises TypeError for settings that are not plain values."""
    try:
        return json.dumps(content, ensure_ascii=False, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"settings and budgets must be plain values: {error}") from None
