"""`minift pretrain` as a user types it, for each objective, then `minift finetune` of its result.

    python -m benchmarks.pretraining_commands FOLDER [NAME ...]

One run each, seed 0, beside its goal; several seeds of the same are `pretraining_quality`'s. What
FOLDER already holds is only judged again, and a run that was killed goes on. Wants
`minift fetch fashion-mnist spam movie-reviews`.
"""

from __future__ import annotations

import argparse
import json
import operator
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pretraining_quality import digits, fashion, text
from benchmarks.pretraining_quality.__main__ import FILE as QUALITY
from benchmarks.pretraining_quality.features import features_of, probed
from minift import load

Metrics = dict[str, Any]
Verdict = tuple[str, float, str, float]  # what was reached, which must be >= or <= than what
HOLDS = {">=": operator.ge, "<=": operator.le}
BESIDE = "beside"  # in their place: no verdict


@dataclass(frozen=True)
class Run:
    """The words of both commands, and who judges the first one's folder by its metrics.json."""

    pretrain: str
    judge: Callable[[Path, Metrics], Iterator[Verdict]]
    finetune: str = "--data movie-reviews --text text --label label --epochs 1"


def autoencoder(folder: Path, metrics: Metrics) -> Iterator[Verdict]:
    half = metrics["baselines"]["principal components"] / 2
    yield "test error; half of principal components'", metrics["held_out"]["loss"], "<=", half


def denoising(folder: Path, metrics: Metrics) -> Iterator[Verdict]:
    model: Any = load(folder)
    codes = (features_of(model.encode, images) for images in (digits.TRAIN, digits.TEST))
    raw = digits.probe(digits.TRAIN, digits.TEST)
    yield "probe, 5 labels a class; 2 points below pixels'", digits.probe(*codes), ">=", raw - 0.02


def vae(folder: Path, metrics: Metrics) -> Iterator[Verdict]:
    theirs = 1.02 * known("fashion-vae", "−ELBO, nats a pixel, PyTorch")
    yield "−ELBO; 2 % above PyTorch's", metrics["held_out"]["loss"], "<=", theirs


def gan(folder: Path, metrics: Metrics) -> Iterator[Verdict]:
    model: Any = load(folder)
    classes = np.unique(digits.verdict(model.samples(500)))
    yield "classes among 500 samples", len(classes), ">=", 10


def shifted(folder: Path, metrics: Metrics) -> Iterator[Verdict]:
    parts = (digits.TRAIN, digits.TRAIN_LABELS), (digits.TEST, digits.TEST_LABELS)
    model: Any = load(folder)
    yield "5-NN of shifted digits", digits.shifted_neighbours(model, *parts)[0], ">=", 0.92


def clothes(folder: Path, metrics: Metrics) -> Iterator[Verdict]:
    model: Any = load(folder)
    train, test = (
        (features_of(model.encode, images), labels) for images, labels in fashion.fashion()
    )
    reached, raw = probed(train, test, 10, fashion.DRAWS), fashion.pixels()["784 raw pixels"]
    yield "probe, 10 labels a class; 3 points above pixels'", reached, ">=", raw + 0.03


def hidden_words(folder: Path, metrics: Metrics) -> Iterator[Verdict]:
    five_times = 5 * metrics["accuracy_baseline"]["most frequent word"]
    reached = metrics["held_out"]["accuracy"]
    yield "hidden words; 5 times the most frequent one's", reached, ">=", five_times


def both_tasks(folder: Path, metrics: Metrics) -> Iterator[Verdict]:
    yield from hidden_words(folder, metrics)
    reached = metrics["held_out"]["next_sentence_accuracy"]
    yield "strangers of other mails", reached, ">=", 0.75


def next_sentences(folder: Path, metrics: Metrics) -> Iterator[Verdict]:
    yield "strangers of other mails", metrics["held_out"]["accuracy"], ">=", 0.75
    yield "of the same mail; chance", metrics["held_out"]["accuracy_same_document"], BESIDE, 0.5


def next_words(folder: Path, metrics: Metrics) -> Iterator[Verdict]:
    reached = metrics["held_out"]["nats_a_character"]
    yield "nats a character; 3-gram", reached, "<=", known("causal", "3-gram of characters")


def meanings(folder: Path, metrics: Metrics) -> Iterator[Verdict]:
    model: Any = load(folder)
    for labels in text.LABELS:
        reached = text.near(model.embed, labels, 0)
        counted = text.tfidf_near(labels, 0)
        yield f"5-NN, {labels} labels a class; TF-IDF", reached, ">=", counted


TINY = f"--model {text.TINY}"
DIGITS, CLOTHES = "--data digits", "--data fashion-mnist"
RUNS = {
    "autoencoder": Run(DIGITS, autoencoder, DIGITS),
    "denoising": Run(DIGITS, denoising, DIGITS),
    "vae": Run(f"{CLOTHES} --steps 2000", vae, f"{CLOTHES} --epochs 1"),  # PyTorch had as many
    "gan": Run(DIGITS, gan, DIGITS),
    "simclr": Run(DIGITS, shifted, DIGITS),
    "simclr of clothes": Run(CLOTHES, clothes, f"{CLOTHES} --epochs 1"),
    "mlm": Run("--data glosses", hidden_words),
    "nsp": Run(f"--data spam {TINY}", next_sentences),
    "bert": Run(f"--data spam {TINY}", both_tasks),
    "causal": Run("--data moby-dick", next_words),
    "simcse": Run(f"--data glosses {TINY}", meanings),
}


def known(name: str, row: str) -> float:
    """A row of pretraining_quality: a baseline, or the mean over its seeds."""
    entry = json.loads(QUALITY.read_text(encoding="utf-8"))[name]
    if row in entry["baselines"]:
        return float(entry["baselines"][row])
    return float(np.mean([run["values"][row] for run in entry["seeds"].values()]))


def finished(folder: Path, command: str, words: str) -> Metrics:
    """The metrics.json of a command, run in a process of its own, or resumed, if it is missing."""
    file = folder / "metrics.json"
    if not file.exists():
        again = (folder / "run.json").exists()
        words = f"--resume {folder}" if again else f"{words} --output {folder}"
        with folder.with_suffix(".log").open("a", encoding="utf-8") as log:
            call = [sys.executable, "-m", "minift", command, *words.split()]
            subprocess.run(call, check=True, stdout=log, stderr=log)
    metrics: Metrics = json.loads(file.read_text(encoding="utf-8"))
    return metrics


def report(name: str, folder: Path) -> Iterator[str]:
    """Both commands of a run; its lines."""
    run, own = RUNS[name], folder / name.replace(" ", "-")
    objective = name.partition(" ")[0]
    started = time.perf_counter()
    metrics = finished(own, "pretrain", f"--objective {objective} {run.pretrain}")
    seconds = time.perf_counter() - started
    yield f"{name} {run.pretrain.replace(str(text.TINY), 'tiny')}: {seconds:.0f} s"
    for what, reached, sign, bound in run.judge(own, metrics):
        verdict = "" if sign == BESIDE else "reached" if HOLDS[sign](reached, bound) else "MISSED"
        yield f"  {what:<52} {reached:.4g} {sign} {bound:.4g}  {verdict}".rstrip()
    tuned = finished(folder / f"{own.name}-tuned", "finetune", f"--model {own} {run.finetune}")
    others = {other: scores["accuracy"] for other, scores in tuned["baselines"].items()}
    best = max(others, key=lambda other: others[other])
    reached = tuned["test"]["accuracy"]
    yield f"  {'finetune ' + run.finetune:<52} {reached:.4g}, {best} {others[best]:.4g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=list(RUNS), choices=list(RUNS), metavar="NAME")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        for line in report(name, options.folder):
            print(line, flush=True)


if __name__ == "__main__":
    main()
