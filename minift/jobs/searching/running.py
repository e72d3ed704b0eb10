"""Search, fine-tune with the best settings, write: after `prepare`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from minift import plot
from minift.jobs import folder as run_folder
from minift.jobs import resuming
from minift.jobs.options import TrainingOptions
from minift.jobs.searching import words
from minift.jobs.searching.methods import tried
from minift.jobs.searching.outer_folds import judged, settings_of
from minift.jobs.searching.plan import JOB, Options, Plan
from minift.jobs.words import NAMES
from minift.search import CrossValidation, NestedCrossValidation, SearchResult, Trial
from minift.search.validation import corrected_interval


def run(plan: Plan, command: Sequence[str] = ()) -> dict[str, Any]:
    """Search, fine-tune with the best settings, write; returns the content of metrics.json."""
    output = plan.options.base.output
    for line in words.announce(plan):
        print(line, flush=True)
    if plan.record is None:
        begin(plan, command)
    else:
        resuming.record_again(output, plan.record)
    started = time.perf_counter()
    found = tried(plan, plan.objective, output / "trials.jsonl", words.say(plan))
    best = found.best  # raises if all failed
    if plan.is_choice:
        metric = plan.objective.metric
        plot.search(found, output / "search.png", NAMES.get(metric, metric))
        print(f"\n{found.table()}", flush=True)
    nested = nested_of(plan)
    print(f"\n{words.AT_LAST[plan.is_choice]}\n", flush=True)
    final = last_run(plan, best)
    seconds = round(time.perf_counter() - started, 2)
    results = results_of(plan, found, nested, final, seconds)
    run_folder.write_json(output / run_folder.METRICS, results)
    print("\n" + words.conclude(plan, results))
    return results


def begin(plan: Plan, command: Sequence[str]) -> None:
    """A new search's folder, with its record."""
    record = {**plan.job.module.record_of(plan.base, command), "job": JOB}
    said = {
        field.name: getattr(plan.options, field.name)
        for field in fields(Options)
        if field.name != "base"
    }
    output = plan.options.base.output
    run_folder.clear(output)
    run_folder.write_json(output / run_folder.RUN, {**record, "search": said})


def nested_of(plan: Plan) -> NestedCrossValidation | None:
    """The search inside of outer folds, if there are any."""
    if plan.outer is None:
        return None
    options = plan.options
    print(f"\n{words.ABOUT_OUTER_FOLDS}", flush=True)
    found = judged(
        plan.outer,
        lambda objective, file, name: tried(plan, objective, file, words.say(plan, name)),
        options.base.output,
        options.jobs,
        options.base.seed,
        words.say_judged(plan),
    )
    print(f"\n{words.outer_table(found)}", flush=True)
    return found


def last_run(plan: Plan, best: Trial) -> dict[str, Any]:
    """The fine-tuning with the best settings, in best/; returns its metrics."""
    output, module = plan.options.base.output / "best", plan.job.module
    options = replace(plan.options.base, **settings_of(best), output=output)
    if run_folder.is_run(output) and not resuming.is_finished(output):
        again = module.prepare_again(output)
        assert again is not None
        return module.run(again)
    final = module.prepare(replace(options, overwrite=run_folder.is_run(output)))
    return module.run(final, finetune_command(options))


def finetune_command(options: TrainingOptions) -> list[str]:
    """The `minift finetune` that does the same."""
    defaults = {field.name: field.default for field in fields(options)}
    command = ["minift", "finetune"]
    for name, value in vars(options).items():
        if value == defaults[name] or name in ("overwrite", "checkpoint_minutes"):
            continue
        if name in WORDS:
            command += WORDS[name]
        elif isinstance(value, list | tuple):
            command += [word for one in value for word in (f"--{name}", str(one))]
        else:
            command += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return command


WORDS = {"balanced": ["--class-weight", "balanced"], "focal": ["--loss", "focal"]}


def results_of(
    plan: Plan,
    found: SearchResult,
    nested: NestedCrossValidation | None,
    final: dict[str, Any],
    seconds: float,
) -> dict[str, Any]:
    """The content of metrics.json; the last run's own is in best/."""
    best = found.best
    return {
        "task": plan.job.task(plan.base).kind,
        "metric": plan.objective.metric,
        "trials": len(found.trials),
        "failed": sum(trial.score is None for trial in found.trials),
        "best": {"trial": best.number, "settings": best.settings, "epochs": best.budget},
        **score_of(plan, best),
        **({} if nested is None else {"nested": as_record(nested)}),
        "test": final["test"],
        "baselines": final["baselines"],
        "seconds": seconds,
    }


def score_of(plan: Plan, best: Trial) -> dict[str, Any]:
    """The score that chose: on the validation part, or over the folds."""
    if best.scores is None:
        return {"validation": best.score}
    interval = corrected_interval(best.scores, plan.objective.sizes)
    return {"cross_validation": as_record(CrossValidation(best.scores, interval))}


def as_record(found: CrossValidation) -> dict[str, Any]:
    """The fields, and the numbers that follow from them."""
    optimism = {"optimism": found.optimism} if isinstance(found, NestedCrossValidation) else {}
    return {"folds": len(found.scores), "mean": found.mean, **asdict(found), **optimism}
