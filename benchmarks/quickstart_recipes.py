"""How the quickstart's recipe was chosen: pre-train variants, fine-tune, score on development.

    python -m benchmarks.quickstart_recipes layers=1 vocabulary=8000 steps=2100
    python -m benchmarks.quickstart_recipes steps=600 value_gain=1 -- lr=1e-3 dropout=0.1

Words before `--` change the Recipe, words after it the fine-tuning of every strategy. Test is not
read. Prints masked-LM loss, seconds, and accuracy of each strategy over three label draws.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from minift.data import load_glosses
from minift.quickstart import DEFAULT
from minift.quickstart.finetuning import finetune_once
from minift.quickstart.pretraining import pretrain, train_tokenizer
from minift.quickstart.recipe import Setup


def changes(words: Sequence[str]) -> dict[str, Any]:
    """`name=value` words as numbers."""
    pairs = [word.partition("=") for word in words]
    return {name: float(v) if "." in v or "e" in v else int(v) for name, _, v in pairs}


def main(words: list[str]) -> None:
    cut = words.index("--") if "--" in words else len(words)
    recipe = replace(DEFAULT, **changes(words[:cut]))
    tuned = changes(words[cut + 1 :])
    strategies = {name: replace(s, **tuned) for name, s in recipe.strategies.items()}
    recipe = replace(recipe, strategies=strategies)
    glosses = load_glosses()
    setup = Setup(recipe, glosses, train_tokenizer(recipe, glosses))
    start = time.perf_counter()
    pretrained = pretrain(setup, seed=0)
    numbers = {name: round(value, 3) for name, value in pretrained.numbers.items()}
    print(f"pre-training {time.perf_counter() - start:.0f} s {numbers}", flush=True)
    body = pretrained.model.state_dict()
    for labels in (8, 32):
        for strategy in strategies:
            runs = [finetune_once(setup, body, strategy, labels, seed) for seed in range(3)]
            accuracy = [run.scores(glosses, "dev")["accuracy"] for run in runs]
            seconds = np.mean([run.seconds for run in runs])
            print(f"{labels:3} {strategy:20} {np.mean(accuracy):.3f} {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
