"""What a pre-training says: what it read, how it goes beside its baselines, what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from minift.jobs.pretraining.probing import LABELS, Numbers
from minift.jobs.pretraining.recipes import SIZES
from minift.jobs.pretraining.work import Work

if TYPE_CHECKING:
    from minift.jobs.pretraining.plan import Plan

READERS = {"probe": "linear probe", "neighbours": "5-NN"}


class Beside:
    """What stands beside the model's numbers: `losses` and `raw` scores by name."""

    def __init__(self, losses: Numbers, raw: Numbers, work: Work):
        self.losses, self.raw, self.raw_name = losses, raw, work.raw_name
        self.accuracy = work.accuracy_baseline()
        self.first = work.recipe.beside

    def short(self) -> str:
        """The baseline that stands beside the loss on every line."""
        return f"{self.first} {number(self.losses[self.first])}"


def announce(plan: Plan) -> list[str]:
    """The data, the objective and the recipe, before anything happens."""
    recipe, options, work = plan.recipe, plan.options, plan.work
    what = "texts of average length" if recipe.kind == "text" else "images"
    start = "from scratch" if work.starts_fresh else f"going on from {options.model}"
    name = f"{options.model}, " if options.model in SIZES else ""
    return [
        *work.describe(),
        *(f"  {line}" for line in work.remarks()),
        f"{work.name}: {recipe.what}; {name}{start}",
        *(f"  {line}" for line in work.new_weights),
        f"learning rate {recipe.lr:.2g}, {recipe.batch_size} {what} a batch, on {plan.device}",
    ]


def evaluation(step: int, total: int, record: Mapping[str, Any], beside: Beside) -> str:
    """One line at an evaluation."""
    losses = ", ".join(f"{name} {number(value)}" for name, value in beside.losses.items())
    parts = [f"step {step:,} of {total:,}: held-out loss {number(record['validation_loss'])}"]
    parts[0] += f" ({losses})"
    if beside.accuracy is not None:
        name, value = beside.accuracy
        parts.append(f"accuracy {record['validation_accuracy']:.3f} ({name} {value:.3f})")
    for reader, raw in beside.raw.items():
        shown = f"{READERS[reader]} {record[reader]:.3f} ({beside.raw_name} {raw:.3f})"
        parts.append(shown)
    return ", ".join(parts)


def conclude(plan: Plan, results: dict[str, Any]) -> str:
    """The table and where everything lies."""
    output = plan.options.output
    lines = [f"On held-out data, after {results['steps']:,} steps:", "", *table(results), ""]
    if "features" in results:
        lines += [
            f"probe and neighbours: accuracy from {LABELS} labels a class, mean of 3 draws",
            "",
        ]
    files = ", ".join(sorted(path.name for path in output.iterdir()))
    lines += [f"{output} holds {files}; try:", f"  {next_command(plan)}"]
    return "\n".join(lines)


def table(results: dict[str, Any]) -> list[str]:
    """One line a number, the baselines beside it."""
    beside = {"loss": results["baselines"], "accuracy": results.get("accuracy_baseline", {})}
    rows = [
        (name, value, beside.get(name, {}))
        for name, value in results["held_out"].items()
        if name != "count"
    ]
    without = dict(results.get("without_model", {}))
    what = without.pop("what", "")
    for reader, value in results.get("features", {}).items():
        rows.append((READERS[reader], value, {what: without[reader]}))
    width = max(len(name) for name, _, _ in rows)
    return [
        f"{name.replace('_', ' '):<{width}}  {number(value):>8}"
        + "".join(f"   {other} {number(worth)}" for other, worth in others.items())
        for name, value, others in rows
    ]


def next_command(plan: Plan) -> str:
    """What to do with the folder."""
    output = plan.options.output
    if plan.recipe.kind == "text":
        return (
            f"minift finetune --model {output} --data FILE.csv --text COLUMN --label COLUMN "
            f"--output DIR"
        )
    return f"minift finetune --model {output} --data {plan.options.data[0]} --output DIR"


def number(value: float) -> str:
    """Three digits that count: 0.0105, 2.31, 14.2."""
    return (
        f"{value:.4f}"
        if abs(value) < 0.1
        else f"{value:.3f}"
        if abs(value) < 10
        else f"{value:.1f}"
    )
