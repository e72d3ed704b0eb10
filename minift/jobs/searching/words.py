"""What a search says: what it will try, each trial as it ends, what the choice is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minift.data.tables import count
from minift.jobs.searching.objective import FineTuning
from minift.jobs.searching.plan import Plan
from minift.search import NestedCrossValidation, Trial
from minift.search.methods import columns
from minift.search.spaces import grid

AT_LAST = {  # whether there was something to choose
    True: "The best settings once more, and now the test part:",
    False: "The same on all of these rows, and now the test part:",
}
ABOUT_OUTER_FOLDS = (
    "The whole search once more inside of each outer fold, without the rows that judge its choice:"
)

# ---------------------------------------------------------------------------------- beforehand


def announce(plan: Plan) -> list[str]:
    """The rows and the plan, before anything happens."""
    nouns = plan.job.noun + "s"
    return [
        f"{plan.job.source(plan.base)}: {about_rows(plan, nouns)}; "
        f"{len(plan.base.parts.test):,} test {nouns} are put aside until the end",
        about_trials(plan),
        *about_outer_folds(plan),
    ]


def about_rows(plan: Plan, nouns: str) -> str:
    """Who learns and who scores."""
    parts, objective = plan.base.parts, plan.objective
    k = objective.folds
    if not k:
        return (
            f"{len(parts.train):,} {nouns} to train, {len(parts.validation):,} to compare the "
            f"trials"
        )
    total = len(parts.train) + len(parts.validation)
    return f"{total:,} {nouns} in {k} folds, each scored once by what {learnt(objective)}"


def learnt(objective: FineTuning) -> str:
    """From how much each fold learns."""
    trained = span([len(one.train) for one in objective.divisions])
    chose = span([len(one.validation) for one in objective.divisions])
    return f"trained on {trained} others and took its best epoch on {chose} more"


def span(numbers: Sequence[int]) -> str:
    """The smallest and the largest of numbers."""
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def about_trials(plan: Plan) -> str:
    """What is tried, and how."""
    options, metric = plan.options, plan.objective.metric
    if not plan.is_choice:
        what = (
            f"{plan.objective.folds}-fold cross-validation" if plan.objective.folds else "1 trial"
        )
        return f"{what} of one fine-tuning, by {metric}, {options.jobs} at a time"
    number = len(grid(plan.space, options.points)) if options.method == "grid" else options.trials
    return (
        f"{options.method} search, {count(number, 'trial')} over {', '.join(plan.space)}, by "
        f"{metric}, {options.jobs} at a time"
    )


def about_outer_folds(plan: Plan) -> list[str]:
    """That the search itself is judged."""
    if plan.outer is None:
        return []
    held = span([len(one.test) for one in plan.outer.judge.divisions])
    return [
        f"then the same search in each of {len(plan.outer.searches)} outer folds, whose "
        f"{held} {plan.job.noun}s judge what it chose"
    ]


# --------------------------------------------------------------------------------- on the way


def say(plan: Plan, where: str = "") -> Callable[[Trial], None]:
    """A line for each trial that ends; where there is only one, for each of its folds."""

    def line(trial: Trial) -> None:
        if trial.fold is None and (plan.is_choice or not plan.objective.folds):
            epochs = "" if trial.budget is None else f" ({trial.budget} epochs)"
            told = f"{where}trial {trial.number}{epochs}: {said(trial.settings)}"
            print(f"{told}: {outcome(plan, trial)}", flush=True)
        elif trial.fold is not None and not plan.is_choice:
            fold = f"fold {trial.fold + 1} of {plan.objective.folds}"
            print(f"{fold}: {outcome(plan, trial)}", flush=True)

    return line


def say_judged(plan: Plan) -> Callable[[Trial], None]:
    """A line for each outer fold that has judged."""

    def line(trial: Trial) -> None:
        assert trial.fold is not None
        where = f"outer fold {trial.fold + 1} judges trial {trial.number}"
        print(f"{where}: {outcome(plan, trial)}", flush=True)

    return line


def said(settings: dict[str, Any]) -> str:
    """Settings in a line."""
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in settings.items()
    )


def outcome(plan: Plan, trial: Trial) -> str:
    """The score, or why there is none."""
    metric = plan.objective.metric
    return f"{metric} {trial.score:.4f}" if trial.score is not None else f"{trial.error}"


def outer_table(found: NestedCrossValidation) -> str:
    """A line for each outer fold: by which score was chosen what, and what it was worth."""
    rows = [["outer fold", "chosen by", "worth", "settings"]]
    for number, (by, worth, settings) in enumerate(
        zip(found.inner_scores, found.scores, found.chosen), 1
    ):
        rows.append([f"{number}", f"{by:.4f}", f"{worth:.4f}", said(settings)])
    return columns(rows)


# --------------------------------------------------------------------------------- at the end


def conclude(plan: Plan, results: dict[str, Any]) -> str:
    """The choice, and what it is worth."""
    metric, output = plan.objective.metric, plan.options.base.output
    chose = f", which chose among {results['trials']} trials" if plan.is_choice else ""
    lines = [
        f"{metric} {about_score(results)}{chose}; {results['test'][metric]:.3f} on the test part"
        f"{', which did not' if chose else ''}"
    ]
    if "nested" in results:
        lines += about_nested(plan, results["nested"])
    files = ", ".join(sorted(path.name for path in output.iterdir()))
    return "\n".join([*lines, f"{output} holds {files}; the model is {output / 'best'}"])


def about_score(results: dict[str, Any]) -> str:
    """The score of the best settings, of folds with each of them and the interval of the mean."""
    if "cross_validation" not in results:
        return f"{results['validation']:.3f} on the validation part"
    found = results["cross_validation"]
    scores = ", ".join(f"{score:.3f}" for score in found["scores"])
    return f"{found['mean']:.3f} {interval(found)} as the mean of {found['folds']} folds ({scores})"


def about_nested(plan: Plan, found: dict[str, Any]) -> list[str]:
    """What the search is worth, and by how much the scores that choose flatter it."""
    metric, by = plan.objective.metric, found["mean"] + found["optimism"]
    better = found["optimism"] if plan.higher_is_better else -found["optimism"]
    flattery = (
        f"{better:.3f} too good: that is the optimism of the choice"
        if better > 0
        else "no better than that: here the choice shows no optimism"
    )
    return [
        f"{metric} {found['mean']:.3f} {interval(found)} is what this search is worth: the mean of "
        f"{found['folds']} outer folds, which judged what was chosen without them",
        f"{by:.3f} was the mean of the scores by which it was chosen there, {flattery}",
    ]


def interval(found: dict[str, Any]) -> str:
    low, high = found["interval"]
    return f"(95 %: {low:.3f} to {high:.3f})"
