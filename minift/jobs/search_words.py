"""What a search says: what it will try, each trial as it ends, what the choice is worth."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minift.search import Trial
from minift.search.spaces import grid

if TYPE_CHECKING:
    from minift.jobs.searching import Plan


def announce(plan: Plan) -> list[str]:
    """The rows and the plan, before anything happens."""
    parts, options = plan.base.parts, plan.options
    number = len(grid(plan.space, options.points)) if options.method == "grid" else options.trials
    return [
        f"{plan.base.examples.source}: {len(parts.train):,} rows to train, "
        f"{len(parts.validation):,} to compare the trials; {len(parts.test):,} test rows are put "
        f"aside until the end",
        f"{options.method} search, {number} trials over {', '.join(plan.space)}, by "
        f"{plan.objective.metric}, {options.jobs} at a time",
    ]


def say(metric: str) -> Callable[[Trial], None]:
    """A line for each trial that ends."""

    def line(trial: Trial) -> None:
        settings = ", ".join(
            f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in trial.settings.items()
        )
        epochs = "" if trial.budget is None else f" ({trial.budget} epochs)"
        score = f"{metric} {trial.score:.4f}" if trial.score is not None else f"{trial.error}"
        print(f"trial {trial.number}{epochs}: {settings}: {score}", flush=True)

    return line


def conclude(plan: Plan, results: dict[str, Any]) -> str:
    """The choice, and what it is worth."""
    metric, output = plan.objective.metric, plan.options.base.output
    return (
        f"{metric} {results['validation']:.3f} on the validation part, which chose among "
        f"{results['trials']} trials; {results['test'][metric]:.3f} on the test part, which did "
        f"not\n{output} holds {', '.join(sorted(path.name for path in output.iterdir()))}; the "
        f"model is {output / 'best'}"
    )
