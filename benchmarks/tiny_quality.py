"""What the checkpoint that ships is worth: few labels of the glosses, beside starting from scratch.

    python -m benchmarks.tiny_quality                    # the table, on test, kept row by row
    python -m benchmarks.tiny_quality lr=1e-3 steps=150  # another recipe, on development

`scratch` is the same architecture with fresh weights, trained by the quickstart's own recipe.
Words change the fine-tuning of `tiny` in the quickstart's recipe, which was chosen so.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from itertools import product
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
STRATEGIES = ("tiny", "naive_bayes", "tfidf_logistic", "scratch")


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


def measured(setup: Setup, strategy: str, labels: int, split: str) -> dict[str, Any]:
    """Accuracies over the seeds, and the mean of the seconds."""
    runs = [run(setup, strategy, labels, seed, split) for seed in SEEDS]
    return {
        "strategy": strategy,
        "labels": labels,
        "accuracy": [each.scores(setup.glosses, split)["accuracy"] for each in runs],
        "seconds": round(float(np.mean([each.seconds for each in runs])), 1),
    }


def line(row: dict[str, Any]) -> str:
    """Mean ± standard deviation over the seeds."""
    reached = row["accuracy"]
    return (
        f"{row['labels']:4} {row['strategy']:15} {np.mean(reached):.3f} "
        f"± {np.std(reached, ddof=1):.3f} {row['seconds']:6.1f} s"
    )


def kept(file: Path) -> dict[str, Any]:
    """The results so far of the weights that ship now; none of others."""
    weights = (SHIPPED["tiny"] / hub.WEIGHTS).read_bytes()
    fresh = {"sha256": hashlib.sha256(weights).hexdigest(), "seeds": list(SEEDS), "test": []}
    found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found if found.get("sha256") == fresh["sha256"] else fresh


def main(words: list[str]) -> None:
    setup = setup_of(changes(words))
    if words:
        for labels in LABELS:
            print(line(measured(setup, "tiny", labels, "dev")), flush=True)
        return
    content = kept(FILE) | {"machine": machine("cpu")}
    rows = {(row["labels"], row["strategy"]): row for row in content["test"]}
    for place in product(LABELS, STRATEGIES):
        if place not in rows:
            content["test"].append(measured(setup, place[1], place[0], "test"))
            hub.write(FILE, (json.dumps(content, indent=1) + "\n").encode("utf-8"))
            rows[place] = content["test"][-1]
        print(line(rows[place]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
