"""What a search is asked for, and all of it that can be checked before it starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from minift.jobs import resuming
from minift.jobs.options import TrainingOptions
from minift.jobs.parts import Parts
from minift.jobs.searching.jobs import Job, job_of, job_of_record
from minift.jobs.searching.objective import FineTuning, objective_of
from minift.jobs.searching.outer_folds import OuterFolds, outer_folds_of
from minift.jobs.searching.space_files import space_of
from minift.search.spaces import Range

JOB = "search"
METHODS = ("random", "grid", "halving")
LESS_BETTER = ("mean_absolute_error", "root_mean_squared_error", "calibration_error")


@dataclass(frozen=True)
class Options:
    """What a user can say. `base` is the fine-tuning, its output the search's folder; `space` the
    content of the TOML file; `metric` a number of metrics.json (None: the task's first); `folds`
    score a trial and `outer_folds` the search (0: none)."""

    base: TrainingOptions
    space: dict[str, Any]
    method: str = METHODS[0]
    trials: int = 20
    points: int = 3
    jobs: int = 1
    metric: str | None = None
    folds: int = 0
    outer_folds: int = 0
    source: str = "the search space"  # what messages call it


@dataclass
class Plan:
    """All that a search needs, checked. `base` is the job's plan of one fine-tuning on the whole
    table, `record` the run.json of a search that goes on."""

    options: Options
    job: Job
    base: Any
    space: dict[str, Range]
    objective: FineTuning
    outer: OuterFolds | None = None
    record: dict[str, Any] | None = None

    @property
    def higher_is_better(self) -> bool:
        return self.objective.metric not in LESS_BETTER

    @property
    def is_choice(self) -> bool:
        """Whether there is more than one thing to try."""
        return is_choice(self.space)


def prepare(options: Options) -> Plan:
    """Read and check everything; writes nothing. Raises ValueError, OSError or RuntimeError."""
    check_options(options)
    job = job_of(options.base)
    return read(options, job, job.module.prepare(options.base))


def prepare_again(folder: Path) -> Plan | None:
    """The plan of the search in `folder`; None if it is finished. Raises as `prepare`."""
    record = resuming.begun(folder, JOB)
    if resuming.is_finished(folder):
        return None
    job = job_of_record(record)
    base = job.options_of(record, folder)
    plan = read(
        Options(base, **record["search"]), job, job.module.prepare(replace(base, overwrite=True))
    )
    return replace(plan, record=record)


def read(options: Options, job: Job, base: Any) -> Plan:
    """Check what follows from the table, and take the test part away."""
    check_parts(options, base.parts)
    content = options.space
    if not content and options.folds:  # nothing to choose: the fine-tuning as it is
        content = {"strategy": options.base.strategy}
    space = space_of(content, options.base, job.check, options.source)
    if options.method == "halving" and "epochs" in space:
        raise ValueError(
            f"{options.source}: --method halving sets the epochs itself; leave them out"
        )
    if options.outer_folds and not is_choice(space):
        raise ValueError(
            f"--outer-folds says what choosing is worth, and {options.source} leaves nothing to "
            f"choose; for one fine-tuning give --folds {options.outer_folds}"
        )
    task = job.task(base)
    metric = options.metric or task.headline[0]
    known = numbers_of(job, base)
    if metric not in known:
        raise ValueError(f"--metric must be one of {', '.join(known)}, got {metric!r}")
    objective = objective_of(job, base, base.parts, options.folds, metric)
    outer = None
    if options.outer_folds:
        outer = outer_folds_of(job, base, options.outer_folds, options.folds, metric)
    return Plan(options, job, base, space, objective, outer)


def check_options(options: Options) -> None:
    """Raise ValueError for values that the command line would not have let through."""
    if options.method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {options.method!r}")
    if options.method == "halving" and options.base.epochs is None:
        raise ValueError("--method halving needs --epochs N, with which its last trials train")
    if min(options.trials, options.jobs) < 1 or options.points < 2:
        raise ValueError(
            f"trials and jobs must be 1 or more, points 2 or more, got {options.trials}, "
            f"{options.jobs} and {options.points}"
        )
    for name, folds in (("--folds", options.folds), ("--outer-folds", options.outer_folds)):
        if folds < 0 or folds == 1:
            raise ValueError(f"{name} must be 2 or more, got {folds}; leave it out for no folds")
    if options.folds and options.base.val_split != TrainingOptions.val_split:
        raise ValueError(
            f"--folds scores trials on each row in turn, so no part of the rows is there to "
            f"compare them: leave out --val-split {options.base.val_split:g}"
        )


def check_parts(options: Options, parts: Parts) -> None:
    """Raise ValueError if there is nothing to compare trials on, or to judge the best of them."""
    if options.folds and not len(parts.test):
        raise ValueError(
            "the best of what --folds compares is judged on the test part, so --test-split must "
            "be above 0"
        )
    if not len(parts.validation) or not len(parts.test):
        raise ValueError(
            "a search scores its trials on the validation part and the best of them on the test "
            "part, so --val-split and --test-split must be above 0"
        )


def is_choice(space: dict[str, Range]) -> bool:
    """Whether a setting can be two things."""
    return any(len(one.points(2)) > 1 for one in space.values())


def numbers_of(job: Job, base: Any) -> list[str]:
    """The numbers by which trials can be compared."""
    task = job.task(base)
    scores = task.scores(base.targets[:1], np.zeros((1, len(task.names)), np.float32))
    numbers = (name for name, value in scores.items() if isinstance(value, float | None))
    return [name for name in numbers if not name.endswith("_interval")]
