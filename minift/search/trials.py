"""Trials: settings tried one after the other or in parallel, kept on the disk as they come.

    trials.jsonl          first what is searched, then a line a trial, in the order of their ends

The file is replaced in one move after each trial, so that a killed search loses only the trials
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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minift import hub, kernels
from minift.search.sealed import LeakError, searching
from minift.search.spaces import Settings
from minift.train.records import read_records

if TYPE_CHECKING:
    from concurrent.futures import Executor

Objective = Callable[[Settings, Any, int], float]  # (settings, budget, seed) -> score
FAILURES = (ValueError, ArithmeticError, RuntimeError, MemoryError, OSError)  # of settings


@dataclass(frozen=True)
class Trial:
    """One call of the objective. `score` is None, and `error` says why, if it failed."""

    number: int
    settings: Settings
    budget: Any
    seed: int
    score: float | None = None
    seconds: float = 0.0
    error: str | None = None


@dataclass
class Runner:
    """Runs trials in `jobs` processes (1: in this one) and keeps them in `file`, if there is one.

    `identity` is what the search is; a file of another one is refused. `watch` is told of each
    trial that ends. Objectives for several processes must be functions of a module, or instances
    of its classes: processes are started by spawn.
    """

    objective: Objective
    identity: dict[str, Any]
    jobs: int = 1
    file: Path | None = None
    watch: Callable[[Trial], None] | None = None

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise ValueError(f"jobs must be 1 or more processes, got {self.jobs}")
        if self.jobs > 1:
            check_can_travel(self.objective)
        self.identity = json.loads(as_line(self.identity))
        self.ended = self.read() if self.file is not None and self.file.exists() else []

    def run(self, wanted: Sequence[Trial]) -> list[Trial]:
        """The trials with their scores, in their order; those that had ended are not repeated."""
        done = {key(trial): trial for trial in self.ended}
        missing = [trial for trial in wanted if key(trial) not in done]
        for trial in self.results(missing):
            self.ended.append(trial)
            done[key(trial)] = trial
            self.write()
            if self.watch is not None:
                self.watch(trial)
        return [done[key(trial)] for trial in wanted]

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
            lines = [{"search": self.identity}, *map(asdict, self.ended)]
            hub.write(self.file, ("\n".join(map(as_line, lines)) + "\n").encode())


def attempt(objective: Objective, trial: Trial) -> Trial:
    """The trial with its score. Failures that settings can cause are recorded; others raise."""
    started = time.perf_counter()
    score, error = None, None
    try:
        with searching():
            found = float(objective(dict(trial.settings), trial.budget, trial.seed))
        score = found if math.isfinite(found) else None
        error = None if score is not None else f"the score is {found}"
    except LeakError:
        raise
    except FAILURES as problem:
        error = f"{type(problem).__name__}: {problem}"
    seconds = round(time.perf_counter() - started, 3)
    return Trial(trial.number, trial.settings, trial.budget, trial.seed, score, seconds, error)


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
    return as_line([trial.number, trial.settings, trial.budget, trial.seed])


def as_line(content: Any) -> str:
    """JSON. Raises TypeError for settings that are not plain values."""
    try:
        return json.dumps(content, ensure_ascii=False, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"settings and budgets must be plain values: {error}") from None
