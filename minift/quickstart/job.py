"""The job itself: check, pre-train, fine-tune each way, compare, write down.

Everything that can be refused is refused by `prepare`, before any work is done.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minift import hub, plot
from minift.baselines import NaiveBayes, TfidfLogistic
from minift.data import Glosses, draw_labelled, load_glosses
from minift.quickstart import report
from minift.quickstart.finetuning import PRETRAINED, Outcome, Weights, baseline, finetune_once
from minift.quickstart.pretraining import pretrain, train_tokenizer
from minift.quickstart.recipe import DEFAULT, Recipe, Setup
from minift.train import JsonLog, Progress, choose_device
from minift.train.records import append_record

OWN_FILES = ("model", "pretrained", "report.png", "results.json", "train.jsonl")


@dataclass(frozen=True)
class Options:
    """What a user can say. `seeds` runs of each strategy, with seeds from `seed` on."""

    recipe: Recipe = DEFAULT
    labels_per_class: tuple[int, ...] = (8, 32)
    seeds: int = 3
    seed: int = 0
    output: Path = Path("runs/quickstart")
    device: str = "auto"


def prepare(options: Options) -> tuple[Glosses, str]:
    """The data and the device, after all checks; nothing but an empty folder is written.

    Raises ValueError, RuntimeError or OSError, in one sentence, for labels that the data do not
    have, a device that is not there, and a folder that cannot be written or is not ours.
    """
    device = choose_device(options.device)
    check_folder(options.output)
    glosses = load_glosses()
    for labels in options.labels_per_class:
        draw_labelled(glosses, labels, options.seed)
    return glosses, device


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds anything but an earlier quickstart, or cannot be written."""
    for place in (folder, *folder.parents):
        if place.exists() and not place.is_dir():
            raise ValueError(f"{place} is a file, so it cannot hold the results")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            strangers = [path.name for path in folder.iterdir() if not is_own(path.name)]
    except OSError as error:
        raise OSError(f"the folder {folder} cannot be written: {error.strerror}") from None
    if strangers:
        raise ValueError(
            f"{folder} holds {min(strangers)}, which no quickstart wrote; name another folder, or "
            f"an empty one, with --output"
        )


def is_own(name: str) -> bool:
    """Whether a quickstart writes this name; it starts with a dot while it is being written."""
    return name.startswith(OWN_FILES) if name[0] != "." else name[1:].startswith(OWN_FILES)


def clear(folder: Path) -> None:
    """Remove what an earlier quickstart wrote, so that all that stands here is of one run."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


# ------------------------------------------------------------------------------------- the way


def run(options: Options, glosses: Glosses, device: str) -> dict[str, Any]:
    """The whole way, after `prepare`; returns the content of results.json."""
    clear(options.output)
    announce(options, glosses)
    setup = Setup(options.recipe, glosses, train_tokenizer(options.recipe, glosses), device)
    numbers, body = run_pretraining(setup, options)
    outcomes = run_finetuning(setup, body, options)
    results = report.results_of(setup, options.seed, numbers, outcomes)
    content = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    hub.write(options.output / "results.json", content.encode("utf-8"))
    plot.report(results, options.output)
    conclude(options, results, report.best_strategies(setup, outcomes))
    return results


def announce(options: Options, glosses: Glosses) -> None:
    """Two lines: what is going to happen."""
    recipe = options.recipe
    counts = report.join([str(count) for count in options.labels_per_class])
    print(
        f"Pre-train a BERT of {recipe.layers} x {recipe.hidden_size} on "
        f"{len(glosses.unlabelled):,} WordNet definitions without labels, {recipe.steps:,} steps;"
    )
    print(
        f"then fine-tune it on {counts} labels a class ({len(glosses.classes)} classes, "
        f"{seeds(options)}), beside from-scratch, the checkpoint that ships and two baselines.",
        flush=True,
    )


def seeds(options: Options) -> str:
    """1 seed, 3 seeds."""
    return f"{options.seeds} seed{'s' if options.seeds > 1 else ''}"


def run_pretraining(setup: Setup, options: Options) -> tuple[dict[str, float], Weights]:
    """Pre-train, save the model in `pretrained/`, say what it reached; its weights."""
    log = JsonLog(options.output / "train.jsonl", run="pre-training")
    pretrained = pretrain(setup, options.seed, [Progress("pre-training"), log])
    pretrained.model.save_pretrained(options.output / "pretrained", setup.tokenizer)
    numbers = pretrained.numbers
    append_record(log.file, {"run": "pre-training", **numbers})
    print(
        f"On held-out definitions: masked-LM loss {numbers['loss']:.2f} nats (word frequencies "
        f"alone: {numbers['unigram']:.2f}), masked accuracy {numbers['masked_accuracy']:.1%} "
        f"(most frequent word: {numbers['most_frequent']:.1%})",
        flush=True,
    )
    return numbers, pretrained.model.state_dict()


def run_finetuning(setup: Setup, body: Weights, options: Options) -> list[Outcome]:
    """All runs of the comparison; saves the best classifier in `model/`."""
    outcomes: list[Outcome] = []
    best, best_accuracy = None, -1.0
    for outcome in compare(setup, body, options):
        outcomes.append(outcome)
        append_record(options.output / "train.jsonl", record_of(setup, outcome))
        accuracy = outcome.scores(setup.glosses, "dev")["accuracy"]
        if may_be_kept(outcome, options) and accuracy > best_accuracy:
            best, best_accuracy = outcome.model, accuracy
        outcome.model = None  # one model in memory is enough
    assert best is not None
    best.save_pretrained(options.output / "model", setup.tokenizer)
    return outcomes


def record_of(setup: Setup, outcome: Outcome) -> dict[str, Any]:
    """A finished run as train.jsonl has it: on development; results.json holds test."""
    return {
        "run": "fine-tuning",
        "strategy": outcome.strategy,
        "labels_per_class": outcome.labels_per_class,
        "seed": outcome.seed,
        "development": outcome.scores(setup.glosses, "dev"),
        "seconds": round(outcome.seconds, 2),
    }


def may_be_kept(outcome: Outcome, options: Options) -> bool:
    """The model for `minift predict` is pre-trained and had the most labels."""
    most = max(options.labels_per_class)
    return outcome.strategy in PRETRAINED and outcome.labels_per_class == most


def compare(setup: Setup, body: Weights, options: Options) -> Iterator[Outcome]:
    """Each strategy and baseline at each label count with each seed, on the same labels."""
    splits = ("dev", "test")
    all_seeds = range(options.seed, options.seed + options.seeds)
    log = options.output / "train.jsonl"
    baselines: dict[str, NaiveBayes | TfidfLogistic] = {
        "naive_bayes": NaiveBayes(),
        "tfidf_logistic": TfidfLogistic(setup.glosses.unlabelled),
    }
    for labels in options.labels_per_class:
        for strategy in setup.recipe.strategies:
            done = []
            for seed in all_seeds:
                facts = {"strategy": strategy, "labels_per_class": labels, "seed": seed}
                name = f"{labels} labels, {plot.STRATEGY_NAMES[strategy]}, seed {seed}"
                callbacks = [
                    Progress(name, keep=False),
                    JsonLog(log, every=10, run="fine-tuning", **facts),
                ]
                done.append(finetune_once(setup, body, strategy, labels, seed, splits, callbacks))
                yield done[-1]
            say_done(setup, done)
        for strategy, classifier in baselines.items():
            done = [baseline(setup, classifier, strategy, labels, s, splits) for s in all_seeds]
            yield from done
            say_done(setup, done)


def say_done(setup: Setup, outcomes: list[Outcome]) -> None:
    """One line: a strategy is through with its seeds; test stays unread until the table."""
    accuracies = [outcome.scores(setup.glosses, "dev")["accuracy"] for outcome in outcomes]
    seconds = sum(outcome.seconds for outcome in outcomes)
    first = outcomes[0]
    print(
        f"{first.labels_per_class} labels a class, {plot.STRATEGY_NAMES[first.strategy]}: "
        f"development accuracy {report.spread(accuracies)}, {seconds:.1f} s",
        flush=True,
    )


def conclude(options: Options, results: dict[str, Any], best: dict[int, str]) -> None:
    """The table, the sentence, and where everything lies."""
    spread = f"mean ± standard deviation over {options.seeds} seeds"
    print(f"\nOn the test definitions, {spread if options.seeds > 1 else 'one seed'}:\n")
    print(report.table(results))
    print("\n" + textwrap.fill(report.closing_sentence(results, best), 96))
    print(f"\n{options.output} holds {', '.join(OWN_FILES)}; try:")
    print(
        f"  minift predict --model {options.output / 'model'} "
        f'--text "a small domesticated carnivorous mammal"'
    )
