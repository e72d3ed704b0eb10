"""What the checkpoint that ships is worth: few labels of the glosses, beside starting from scratch.

    python -m benchmarks.tiny_quality                    # the table, on test; results are kept
    python -m benchmarks.tiny_quality lr=1e-3 steps=150  # another recipe, on development

`scratch` is the same architecture with fresh weights, trained by the quickstart's own recipe.
Words change the fine-tuning of `tiny` in the quickstart's recipe, which was chosen so.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quickstart_recipes import changes
from minift import hub
from minift.baselines import NaiveBayes, TfidfLogistic
from minift.data import WordPieceTokenizer, load_glosses
from minift.fetch import SHIPPED
from minift.quickstart import DEFAULT, baseline, finetune_once
from minift.quickstart.finetuning import Outcome
from minift.quickstart.recipe import Setup
from minift.train.machine import machine

FILE = Path(__file__).parent / "results" / "tiny_quality.json"
LABELS, SEEDS = (8, 32, 128), range(3)


def setup_of(tuned: dict[str, Any]) -> Setup:
    """Everything as in the quickstart, but for the depth of `scratch` and what `tuned` says."""
    folder = SHIPPED["tiny"]
    layers = hub.read_config(folder)["num_hidden_layers"]
    strategies = dict(DEFAULT.strategies)
    strategies["tiny"] = replace(strategies["tiny"], **tuned)
    recipe = replace(DEFAULT, layers=layers, strategies=strategies)
    return Setup(recipe, load_glosses(), WordPieceTokenizer.from_pretrained(folder))


def run(setup: Setup, strategy: str, labels: int, seed: int, split: str) -> Outcome:
    """One strategy or baseline, once."""
    fitted = {
        "naive_bayes": NaiveBayes,
        "tfidf_logistic": lambda: TfidfLogistic(setup.glosses.unlabelled),
    }
    if strategy in fitted:
        return baseline(setup, fitted[strategy](), strategy, labels, seed, [split])
    return finetune_once(setup, None, strategy, labels, seed, [split])


def show(setup: Setup, strategies: list[str], split: str) -> list[dict[str, Any]]:
    """Print a line a strategy and label count; all runs."""
    rows = []
    for labels in LABELS:
        for strategy in strategies:
            runs = [run(setup, strategy, labels, seed, split) for seed in SEEDS]
            reached = [each.scores(setup.glosses, split)["accuracy"] for each in runs]
            seconds = float(np.mean([each.seconds for each in runs]))
            print(
                f"{labels:4} {strategy:15} {np.mean(reached):.3f} ± {np.std(reached, ddof=1):.3f}"
                f" {seconds:6.1f} s",
                flush=True,
            )
            rows.append({"labels": labels, "strategy": strategy, "accuracy": reached})
    return rows


def main(words: list[str]) -> None:
    setup = setup_of(changes(words))
    if words:
        show(setup, ["tiny"], "dev")
        return
    rows = show(setup, ["scratch", "tiny", "naive_bayes", "tfidf_logistic"], "test")
    content = {"seeds": list(SEEDS), "machine": machine("cpu"), "test": rows}
    hub.write(FILE, (json.dumps(content, indent=1) + "\n").encode("utf-8"))


if __name__ == "__main__":
    main(sys.argv[1:])
