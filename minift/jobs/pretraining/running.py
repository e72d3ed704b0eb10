"""Pre-train: what `minift pretrain` does after all was checked, and how a killed run goes on.

    results = run(prepare(Options("autoencoder", ["digits"], Path("out"))))

A run that was killed goes on after `prepare_again(folder)`.

The last weights are kept, not the best: what is wanted are features, and the held-out loss is only
shown. Not here: what is said (`report.py`), what is judged (`work.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import minift
from minift import plot
from minift.backend.random import manual_seed
from minift.data.tables import count
from minift.jobs import folder as run_folder
from minift.jobs import resuming
from minift.jobs.pretraining import report
from minift.jobs.pretraining.plan import JOB, Plan, fingerprint_of_model
from minift.jobs.pretraining.probing import Numbers
from minift.jobs.pretraining.timing import Deadline, steps_for
from minift.optim import schedules
from minift.train import Callback, Progress, TrainConfig, Trainer
from minift.train.machine import machine
from minift.train.records import read_records
from minift.train.trainer import steps_in

EVALUATIONS = 10  # of a run


def run(plan: Plan, command: Sequence[str] = ()) -> dict[str, Any]:
    """Train, judge and write, after `prepare`; returns the content of metrics.json."""
    for line in report.announce(plan):
        print(line, flush=True)
    output, record = plan.options.output, plan.record
    if record is None:
        record = record_of(plan, command)
        run_folder.clear(output)
        run_folder.write_json(output / run_folder.RUN, record)
    else:
        record = resuming.record_again(output, record)
    plan.work.store(output)
    if record["steps"] is None:
        record |= {"steps": count_steps(plan)}
        run_folder.write_json(output / run_folder.RUN, record)
    return train(plan, record["steps"])


def train(plan: Plan, steps: int) -> dict[str, Any]:
    """From the first step, or the last checkpoint, to the end."""
    output, work = plan.options.output, plan.work
    model = seeded_model(plan)
    measured = report.Beside(work.baselines(model), work.raw_scores(), work)
    deadline = [Deadline(plan.options.minutes)] if plan.options.minutes else []
    callbacks: list[Callback] = [
        Progress(work.name, keep=False, beside=measured.short()),
        Watch(plan, measured),
        *deadline,
        resuming.saving(output, plan.options.checkpoint_minutes),
    ]
    trainer = work.trainer(model, config_of(plan, steps), callbacks)
    if plan.record is not None:
        print(resuming.stand(trainer, output), flush=True)
    fit(trainer)
    work.save(model, output / "model")
    results = results_of(plan, trainer, measured)
    draw_curves(plan, measured)
    run_folder.write_json(output / run_folder.METRICS, results)  # last: now it is finished
    print("\n" + report.conclude(plan, results))
    return results


def seeded_model(plan: Plan) -> Any:
    """The model at its start, on the device."""
    manual_seed(plan.options.seed)
    return plan.work.new_model().to(plan.device)


def config_of(plan: Plan, steps: int) -> TrainConfig:
    """The Trainer's settings."""
    game = plan.work.name == "gan"
    return TrainConfig(
        steps=steps,
        lr=plan.recipe.lr,
        weight_decay=plan.recipe.weight_decay,
        schedule=schedules.constant if game else schedules.linear,
        warmup=0.0 if game else 0.1,
        evaluate_every=interval(steps),
        seed=plan.options.seed,
        device=plan.device,
        output=plan.options.output,
    )


def interval(steps: int) -> int:
    """Steps from one evaluation, and checkpoint, to the next."""
    return max(1, steps // EVALUATIONS)


def count_steps(plan: Plan) -> int:
    """How many steps the run has: as many as were named, or as fit into the minutes."""
    options, work = plan.options, plan.work
    if options.epochs is not None:
        return steps_in(work.loader(options.seed), options.epochs)
    if options.minutes is None:
        return plan.recipe.steps
    model = seeded_model(plan)
    trainer = work.trainer(model, replace(config_of(plan, plan.recipe.steps), output=None))

    def evaluate() -> None:
        trainer.evaluate(work.held_out())
        work.scores(model)

    steps, pace = steps_for(options.minutes, trainer, evaluate, EVALUATIONS)
    what = count(steps, "step")
    print(f"{what} fit into {options.minutes:g} minutes, at {pace:.1f} a second", flush=True)
    return steps


def fit(trainer: Trainer) -> None:
    """Train. Raises RuntimeError, with the step and a remedy, where the numbers explode."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # said below, once
            trainer.fit()
    except FloatingPointError as error:  # it begins with the step
        raise RuntimeError(f"training broke off at {error}; try a smaller --lr") from None


class Watch(Callback):
    """At each evaluation: judges the features, draws, and says a line."""

    def __init__(self, plan: Plan, measured: report.Beside):
        self.plan, self.measured = plan, measured

    def on_evaluate(self, trainer: Trainer) -> None:
        from tqdm import tqdm

        record = trainer.history.evaluations[-1]
        record |= self.plan.work.scores(trainer.model)
        folder = self.plan.options.output / run_folder.PICTURES
        self.plan.work.draw(trainer.model, folder, trainer.step)
        tqdm.write(report.evaluation(trainer.step, trainer.total_steps, record, self.measured))


# --------------------------------------------------------------------------------- the records


def record_of(plan: Plan, command: Sequence[str]) -> dict[str, Any]:
    """What run.json says first; the steps may depend on the corpus, which is not stored yet."""
    options, recipe = plan.options, plan.recipe
    paths = {"data": list(options.data), "output": str(options.output)}
    return {
        "minift": minift.__version__,
        "command": list(command),
        **resuming.beginning(JOB),
        "options": {**vars(options), **paths},
        "recipe": {**vars(recipe), "settings": dict(recipe.settings)},
        "steps": None,
        "data": {"source": plan.work.source, "sha256": plan.work.digest()},
        "model": fingerprint_of_model(options.model),
        "machine": machine(plan.device),
    }


def results_of(plan: Plan, trainer: Trainer, measured: report.Beside) -> dict[str, Any]:
    """The content of metrics.json."""
    last = dict(trainer.history.evaluations[-1])
    features: Numbers = {key: last.pop(key) for key in list(measured.raw)}
    last.pop("step")
    held = {name.removeprefix("validation_"): value for name, value in last.items()}
    results: dict[str, Any] = {
        "objective": plan.work.name,
        "steps": trainer.step,
        "held_out": {**held, **plan.work.more(trainer.model, held)},
        "baselines": measured.losses,
    }
    if measured.accuracy is not None:
        results["accuracy_baseline"] = dict([measured.accuracy])
    if features:
        results["features"] = features
        results["without_model"] = {"what": plan.work.raw_name, **measured.raw}
    return results


def draw_curves(plan: Plan, measured: report.Beside) -> None:
    """learning_curves.png."""
    output = plan.options.output
    raw = {reader: {plan.work.raw_name: value} for reader, value in measured.raw.items()}
    records = read_records(output / "train.jsonl")
    plot.pretraining_curves(records, measured.losses, raw, output / "learning_curves.png")
