"""Search over fine-tunings: what `minift search` does.

    plan = prepare(Options(base=finetuning.Options(...), space={"lr": [1e-5, 1e-4]}))
    results = run(plan)

The rows are split once, as a fine-tuning with the same seed would. Trials are given a table of the
training and the validation rows alone, in whatever process they run: the test rows are not there to
be seen. At the end one fine-tuning with the best settings goes to best/, from the whole table, and
its numbers on the test part are the search's.

A killed search goes on after `prepare_again(folder)`: with the trials that are missing, then with
the last fine-tuning where it stood.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from minift import plot
from minift.data import Table
from minift.jobs import finetuning, resuming, search_words, words
from minift.jobs import folder as run_folder
from minift.jobs.parts import Parts
from minift.jobs.plan import options_of
from minift.jobs.space_files import space_of
from minift.search import (
    Sealed,
    SearchResult,
    Trial,
    grid_search,
    random_search,
    successive_halving,
)
from minift.search.spaces import Range

JOB = "search"
METHODS = ("random", "grid", "halving")
FACTOR = 3  # of halving: the share that stays, and by how much their epochs grow
LESS_BETTER = ("mean_absolute_error", "root_mean_squared_error", "calibration_error")


@dataclass(frozen=True)
class Options:
    """What a user can say. `base` is the fine-tuning, its output the search's folder; `space` the
    content of the TOML file; `metric` a number of metrics.json (None: the task's first)."""

    base: finetuning.Options
    space: dict[str, Any]
    method: str = METHODS[0]
    trials: int = 20
    points: int = 3
    jobs: int = 1
    metric: str | None = None
    source: str = "the search space"  # what messages call it


@dataclass
class Plan:
    """All that a search needs, checked. `record` is the run.json of one that goes on."""

    options: Options
    space: dict[str, Range]
    base: finetuning.Plan
    objective: FineTuning
    record: dict[str, Any] | None = None


@dataclass
class FineTuning:
    """The objective: fine-tune with these settings, and score the validation part.

    Its table holds no other rows than `parts` name: training and validation.
    """

    options: finetuning.Options
    parts: Parts
    metric: str

    def __call__(self, settings: dict[str, Any], budget: int | None, seed: int) -> float:
        epochs = {} if budget is None else {"epochs": budget}
        with TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
            told = {**settings, **epochs, "seed": seed, "output": Path(folder) / "trial"}
            plan = finetuning.prepare(replace(self.options, **told), self.parts)
            finetuning.train(plan)
        rows = self.parts.validation
        held = plan.examples.take(rows)
        outputs = plan.classifier.outputs(held.texts, held.pairs)
        score = plan.classifier.task.scores(plan.targets[rows], outputs)[self.metric]
        return float("nan") if score is None else score


def prepare(options: Options) -> Plan:
    """Read and check everything; writes nothing. Raises ValueError, OSError or RuntimeError."""
    check_options(options)
    return read(options, finetuning.prepare(options.base))


def prepare_again(folder: Path) -> Plan | None:
    """The plan of the search in `folder`; None if it is finished. Raises as `prepare`."""
    record = resuming.begun(folder, JOB)
    if resuming.is_finished(folder):
        return None
    base = options_of(record, folder)
    plan = read(
        Options(base, **record["search"]), finetuning.prepare(replace(base, overwrite=True))
    )
    return replace(plan, record=record)


def read(options: Options, base: finetuning.Plan) -> Plan:
    """Check what follows from the table, and take the test part away."""
    if not len(base.parts.validation) or not len(base.parts.test):
        raise ValueError(
            "a search scores its trials on the validation part and the best of them on the test "
            "part, so --val-split and --test-split must be above 0"
        )
    space = space_of(options.space, options.base, options.source)
    if options.method == "halving" and "epochs" in space:
        raise ValueError(
            f"{options.source}: --method halving sets the epochs itself; leave them out"
        )
    metric = options.metric or base.classifier.task.headline[0]
    known = numbers_of(base)
    if metric not in known:
        raise ValueError(f"--metric must be one of {', '.join(known)}, got {metric!r}")
    return Plan(options, space, base, objective_of(base, metric))


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


def numbers_of(base: finetuning.Plan) -> list[str]:
    """The numbers by which trials can be compared."""
    scores = base.classifier.task.scores(
        base.targets[:1], np.zeros((1, len(base.classifier.task.names)), np.float32)
    )
    numbers = (name for name, value in scores.items() if isinstance(value, float | None))
    return [name for name in numbers if not name.endswith("_interval")]


def objective_of(base: finetuning.Plan, metric: str) -> FineTuning:
    """The objective, with a table from which the test rows are gone."""
    parts, options = base.parts, base.options
    rows = np.sort(np.concatenate([parts.train, parts.validation]))
    seen, unseen = base.examples.take(rows), base.examples.take(parts.test)
    Sealed(unseen.words).check_apart(seen.words)
    columns = {options.text: seen.texts, options.label: seen.labels}
    if options.text_pair is not None and seen.pairs is not None:
        columns[options.text_pair] = seen.pairs
    table = Table(seen.source, columns, seen.lines)
    train, validation = (np.searchsorted(rows, part) for part in (parts.train, parts.validation))
    return FineTuning(
        replace(options, data=table, checkpoint_minutes=None, overwrite=False),
        Parts(train, validation, np.empty(0, int)),
        metric,
    )


# ----------------------------------------------------------------------------------------- running


def run(plan: Plan, command: Sequence[str] = ()) -> dict[str, Any]:
    """Search, fine-tune with the best settings, write; returns the content of metrics.json."""
    output = plan.options.base.output
    for line in search_words.announce(plan):
        print(line, flush=True)
    if plan.record is None:
        begin(plan, command)
    else:
        resuming.record_again(output, plan.record)
    started = time.perf_counter()
    found = tried(plan)
    best = found.best  # raises if all failed
    metric = plan.objective.metric
    plot.search(found, output / "search.png", words.NAMES.get(metric, metric))
    print(f"\n{found.table()}\n\nThe best settings once more, and now the test part:\n", flush=True)
    final = last_run(plan, best)
    seconds = round(time.perf_counter() - started, 2)
    results = results_of(plan, found, final, seconds)
    run_folder.write_json(output / run_folder.METRICS, results)
    print("\n" + search_words.conclude(plan, results))
    return results


def begin(plan: Plan, command: Sequence[str]) -> None:
    """A new search's folder, with its record."""
    record = {**finetuning.record_of(plan.base, command), "job": JOB}
    said = {
        field.name: getattr(plan.options, field.name)
        for field in fields(Options)
        if field.name != "base"
    }
    output = plan.options.base.output
    run_folder.clear(output)
    run_folder.write_json(output / run_folder.RUN, {**record, "search": said})


def tried(plan: Plan) -> SearchResult:
    """All trials."""
    options, base = plan.options, plan.options.base
    shared: dict[str, Any] = {
        "seed": base.seed,
        "higher_is_better": plan.objective.metric not in LESS_BETTER,
        "jobs": options.jobs,
        "file": base.output / "trials.jsonl",
        "watch": search_words.say(plan.objective.metric),
    }
    if options.method == "grid":
        return grid_search(plan.objective, plan.space, points=options.points, **shared)
    if options.method == "random":
        return random_search(plan.objective, plan.space, trials=options.trials, **shared)
    assert base.epochs is not None
    shared |= {"smallest": max(1, base.epochs // FACTOR**2), "largest": base.epochs}
    return successive_halving(
        plan.objective, plan.space, trials=options.trials, factor=FACTOR, **shared
    )


def last_run(plan: Plan, best: Trial) -> dict[str, Any]:
    """The fine-tuning with the best settings, in best/; returns its metrics."""
    output = plan.options.base.output / "best"
    epochs = {} if best.budget is None else {"epochs": best.budget}
    options = replace(plan.options.base, **{**best.settings, **epochs}, output=output)
    if run_folder.is_run(output) and not resuming.is_finished(output):
        again = finetuning.prepare_again(output)
        assert again is not None
        return finetuning.run(again)
    final = finetuning.prepare(replace(options, overwrite=run_folder.is_run(output)))
    return finetuning.run(final, finetune_command(options))


def finetune_command(options: finetuning.Options) -> list[str]:
    """The `minift finetune` that does the same."""
    defaults = {field.name: field.default for field in fields(options)}
    command = ["minift", "finetune"]
    for name, value in vars(options).items():
        if value == defaults[name] or name in ("overwrite", "checkpoint_minutes"):
            continue
        if name == "balanced":
            command += ["--class-weight", "balanced"]
        else:
            command += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return command


def results_of(
    plan: Plan, found: SearchResult, final: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """The content of metrics.json; the last run's own is in best/."""
    metric, best = plan.objective.metric, found.best
    return {
        "task": plan.options.base.task,
        "metric": metric,
        "trials": len(found.trials),
        "failed": sum(trial.score is None for trial in found.trials),
        "best": {"trial": best.number, "settings": best.settings, "epochs": best.budget},
        "validation": best.score,
        "test": final["test"],
        "baselines": final["baselines"],
        "seconds": seconds,
    }
