"""What the quickstart found, in words: the table, the closing sentence, and results.json.

The comparison is paired: a strategy and from-scratch share labels and seed, so the interval is
that of their difference. Not here: the picture (`minift/plot/`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from minift.metrics import paired_interval
from minift.plot import STRATEGY_NAMES
from minift.quickstart.finetuning import BASELINES, BEFOREHAND, PRETRAINED, Outcome
from minift.quickstart.recipe import Setup
from minift.train.machine import machine

Results = dict[str, Any]


def results_of(
    setup: Setup, seed: int, pretraining: dict[str, float], outcomes: Iterable[Outcome]
) -> Results:
    """The content of results.json; only `machine` and `seconds` differ between equal runs."""
    runs = [
        {
            "labels_per_class": outcome.labels_per_class,
            "strategy": outcome.strategy,
            "seed": outcome.seed,
            **outcome.scores(setup.glosses, "test"),
            "seconds": round(outcome.seconds, 2),
        }
        for outcome in outcomes
    ]
    return {
        "seed": seed,
        "steps": setup.recipe.steps,
        "machine": machine(setup.device),
        "pretraining": pretraining,
        "finetuning": runs,
    }


def values(results: Results, labels: int, strategy: str, name: str) -> list[float]:
    """One number of all seeds of a strategy, in the order of the seeds."""
    return [
        run[name]
        for run in results["finetuning"]
        if (run["labels_per_class"], run["strategy"]) == (labels, strategy)
    ]


def label_counts(results: Results) -> list[int]:
    """Labels per class that were tried, in order."""
    return list(dict.fromkeys(run["labels_per_class"] for run in results["finetuning"]))


# ----------------------------------------------------------------------------------- the table


def table(results: Results) -> str:
    """One line a strategy and label count: accuracy, macro-F1 (± over seeds) and seconds."""
    strategies = list(dict.fromkeys(run["strategy"] for run in results["finetuning"]))
    lines = [f"{'labels':>6}  {'strategy':<30}{'accuracy':<14}{'macro-F1':<14}{'seconds':>7}"]
    for labels in label_counts(results):
        lines.append("")
        for strategy in strategies:
            accuracy, macro_f1, seconds = (
                values(results, labels, strategy, name)
                for name in ("accuracy", "macro_f1", "seconds")
            )
            lines.append(
                f"{labels:>6}  {STRATEGY_NAMES[strategy]:<30}{spread(accuracy):<14}"
                f"{spread(macro_f1):<14}{np.mean(seconds):>7.1f}"
            )
    return "\n".join(lines)


def spread(numbers: Sequence[float]) -> str:
    """Mean ± standard deviation over seeds (n - 1 in the denominator), as .304 ± .012."""
    if len(numbers) == 1:
        return share(numbers[0])
    return f"{share(float(np.mean(numbers)))} ± {share(float(np.std(numbers, ddof=1)))}"


def share(number: float) -> str:
    """A number in [0, 1] with three digits and without its zero."""
    return f"{number:.3f}".removeprefix("0")


# ------------------------------------------------------------------------- the closing sentence


def closing_sentence(results: Results, best: Mapping[int, str]) -> str:
    """What pre-training bought and where a simple baseline still wins.

    `best`: at each label count the pre-trained strategy that was best on development.
    """
    gains = [gain(results, labels, strategy) for labels, strategy in best.items()]
    bought = all(
        mean_accuracy(results, labels, strategy) >= mean_accuracy(results, labels, "scratch")
        for labels, strategy in best.items()
    )
    verb = "bought" if bought else "made a difference of"
    said = f"In accuracy, pre-training {verb} {join(gains)}; {rivals(results, best)}."
    return said + beforehand(results)


def gain(results: Results, labels: int, strategy: str) -> str:
    """Points of accuracy above from-scratch, paired by seed, with a 95 % interval."""
    ours, scratch = (values(results, labels, name, "accuracy") for name in (strategy, "scratch"))
    name = STRATEGY_NAMES[strategy]
    if len(ours) < 2:
        points = 100 * (ours[0] - scratch[0])
        return f"{points:+.1f} points at {labels} labels a class ({name}, one seed)"
    mean, low, high = (100 * number for number in paired_interval(ours, scratch))
    return (
        f"{mean:+.1f} points at {labels} labels a class ({name} against from scratch, "
        f"95 % interval over {len(ours)} seeds: {low:+.1f} to {high:+.1f})"
    )


def rivals(results: Results, best: Mapping[int, str]) -> str:
    """Which baseline is ahead of the best pre-trained strategy, at which label count."""
    wins: list[str] = []
    defeats: list[str] = []
    for labels, strategy in best.items():
        ours = mean_accuracy(results, labels, strategy)
        rival = max(BASELINES, key=lambda name: mean_accuracy(results, labels, name))
        theirs = mean_accuracy(results, labels, rival)
        line = f"at {labels} ({share(theirs)} against {share(ours)})"
        (wins if theirs >= ours else defeats).append(f"{STRATEGY_NAMES[rival]} {line}")
    if not wins:
        return f"it also beats the best simple baseline, {join(defeats)}"
    return f"a simple baseline still wins: {join(wins)}"


def beforehand(results: Results) -> str:
    """What the checkpoint that ships reaches: it read the same texts, for far longer."""
    if not values(results, label_counts(results)[0], BEFOREHAND, "accuracy"):
        return ""
    reached = [
        f"{share(mean_accuracy(results, labels, BEFOREHAND))} at {labels}"
        for labels in label_counts(results)
    ]
    return f" The checkpoint that ships, pre-trained beforehand, reaches {join(reached)}."


def mean_accuracy(results: Results, labels: int, strategy: str) -> float:
    """Mean over seeds."""
    return float(np.mean(values(results, labels, strategy, "accuracy")))


def best_strategies(setup: Setup, outcomes: Sequence[Outcome]) -> dict[int, str]:
    """At each label count the pre-trained strategy with the highest mean development accuracy."""
    best = {}
    for labels in dict.fromkeys(outcome.labels_per_class for outcome in outcomes):
        reached = {
            strategy: np.mean(
                [
                    outcome.scores(setup.glosses, "dev")["accuracy"]
                    for outcome in outcomes
                    if (outcome.labels_per_class, outcome.strategy) == (labels, strategy)
                ]
            )
            for strategy in PRETRAINED
        }
        best[labels] = max(PRETRAINED, key=lambda strategy: reached[strategy])
    return best


def join(parts: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)
