"""Five answers to one class in twenty: which finds the rare class best.

    python -m benchmarks.imbalance --model runs/quickstart/pretrained [--seeds 3]

A WordNet class ("food", say) against all others, 5 % of the rows of training, validation and test
alike. The same BERT is fine-tuned on the same 800 rows with plain cross-entropy, with class
weights, the focal loss and over-sampling; moved thresholds are those of the plain run, chosen on
200 validation rows. The 2,000 judging rows had no say in anything. Prints a table and writes
results/imbalance.json, after each run.
"""

from __future__ import annotations

import argparse
import json
import logging
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

import minift as mf
from minift import finetune, hub
from minift.data import BucketSampler, DataLoader, OverSampler, TokenDataset, load_glosses
from minift.data.loader import Sampler
from minift.imbalance import best_offsets
from minift.metrics import average_precision, macro_f1, paired_interval, precision_recall_f1
from minift.objectives import Classification
from minift.train import TrainConfig, Trainer, adamw

RESULT = Path(__file__).with_name("results") / "imbalance.json"
CLASSES = ("food", "state", "substance")  # an easy one, a hard one, one between
SHARE, ROWS = 0.05, {"train": 800, "validation": 200, "test": 2000}
EPOCHS, BATCH, RATE = 10, 32, 1e-3
REMEDIES = ("plain", "class weights", "focal loss", "over-sampling", "moved threshold")
Row = dict[str, Any]
Part = tuple[list[str], np.ndarray]


def parts(name: str, seed: int) -> dict[str, Part]:
    """Rows to train on, to choose a threshold on, to judge on; no text is in two of them."""
    glosses = load_glosses()
    positive = glosses.classes.index(name)
    sources = {"train": glosses.train, "validation": glosses.dev, "test": glosses.test}
    return {
        part: drawn(sources[part], positive, count, seed if part != "test" else 0)
        for part, count in ROWS.items()
    }


def drawn(source: Part, positive: int, count: int, seed: int) -> Part:
    """`count` rows, of which 5 % are positive, or as many as there are."""
    texts, labels = source
    rng = np.random.default_rng(seed)
    rare = rng.permutation(np.flatnonzero(labels == positive))[: round(SHARE * count)]
    others = rng.permutation(np.flatnonzero(labels != positive))
    others = others[: round(len(rare) * (1 - SHARE) / SHARE)]
    rows = rng.permutation(np.concatenate([rare, others]))
    return [texts[i] for i in rows], (labels[rows] == positive).astype(np.int64)


def trained(folder: str, remedy: str, given: dict[str, Part], seed: int) -> dict[str, np.ndarray]:
    """Scores (n, 2) of the validation and the test rows."""
    mf.manual_seed(seed)
    tokenizer = mf.data.WordPieceTokenizer.from_pretrained(folder)
    model = mf.models.AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=2, classifier_pooling="mean", hidden_dropout_prob=0.3
    )
    limit = model.config.max_position_embeddings
    data = {name: tokenizer.dataset(part[0], limit) for name, part in given.items()}
    labels = given["train"][1]
    data["train"].targets["labels"] = labels
    strategy = finetune.full(model, RATE, 2 * RATE)
    steps = EPOCHS * ROWS["train"] // BATCH  # the same for all: over-sampling has longer epochs
    Trainer(
        model,
        DataLoader(data["train"], sampler=sampler_of(remedy, data["train"], labels, seed)),
        objective=objective_of(remedy, labels),
        config=TrainConfig(steps=steps, seed=seed, device="cpu"),
        optimizer=adamw(strategy.param_groups, RATE, 0.01),
    ).fit()
    return {name: scores(model, data[name]) for name in ("validation", "test")}


def objective_of(remedy: str, labels: np.ndarray) -> Classification:
    """The loss of a remedy."""
    if remedy == "class weights":
        counts = np.bincount(labels)
        return Classification(weight=(len(labels) / (2 * counts)).tolist())
    return Classification(focal_gamma=2.0 if remedy == "focal loss" else 0.0)


def sampler_of(remedy: str, data: TokenDataset, labels: np.ndarray, seed: int) -> Sampler:
    """Batches of texts of nearly one length, of rare rows several times or not."""

    def batches_of(rows: np.ndarray) -> BucketSampler:
        lengths = data.lengths[rows]
        tokens = max(BATCH * int(lengths.mean()), int(lengths.max()))
        return BucketSampler(lengths, tokens, seed=seed)

    if remedy == "over-sampling":
        return OverSampler(labels, batches_of, seed)
    return batches_of(np.arange(len(labels)))


def scores(model: Any, data: TokenDataset) -> np.ndarray:
    found = np.empty((len(data), 2), np.float32)
    with mf.no_grad(), model.evaluating():
        for rows in BucketSampler(data.lengths, 4096).batches(0):
            found[rows] = model(**data.padded(rows)).numpy()
    return found


def judged(right: np.ndarray, found: np.ndarray) -> Row:
    """The numbers of the table; only the threshold-free one does not depend on where to cut."""
    said = found.argmax(1)
    precision, recall, _ = precision_recall_f1(right, said, 2)
    numbers = {
        "macro_f1": macro_f1(right, said),
        "precision": precision[1],
        "recall": recall[1],
        "average_precision": average_precision(right, found[:, 1] - found[:, 0]),
        "accuracy": (said == right).mean(),
    }
    return {name: round(float(number), 4) for name, number in numbers.items()}


def run(folder: str, name: str, seed: int, remedy: str) -> list[Row]:
    """The row of a remedy; of the plain run also that with its threshold moved."""
    given = parts(name, seed)
    found, right = trained(folder, remedy, given, seed), given["test"][1]
    key = {"class": name, "seed": seed, "positives": int(right.sum())}
    rows = [{**key, "remedy": remedy, **judged(right, found["test"])}]
    if remedy == "plain":
        offsets = best_offsets(given["validation"][1], found["validation"])
        moved = judged(right, found["test"] + offsets)
        rows.append({**key, "remedy": "moved threshold", **moved})
    return rows


def table(rows: list[Row]) -> str:
    """Means over classes and seeds, and the difference from plain with its paired interval."""
    names = ("macro_f1", "precision", "recall", "average_precision", "accuracy")
    lines = [f"{'':18}" + "".join(f"{name.replace('_', ' '):>19}" for name in names)]
    lines[0] += f"{'macro-F1 - plain (points)':>30}"
    plain = of(rows, "plain")
    for remedy in [remedy for remedy in REMEDIES if of(rows, remedy)]:
        own = of(rows, remedy)
        means = "".join(f"{np.mean([r[name] for r in own]):>19.3f}" for name in names)
        gain = ""
        if remedy != "plain" and len(own) == len(plain) > 1:
            pair = [[r["macro_f1"] for r in part] for part in (own, plain)]
            mean, low, high = (100 * x for x in paired_interval(*pair))
            gain = f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"
        lines.append(f"{remedy:18}{means}{gain:>30}")
    best = max(REMEDIES, key=lambda r: np.mean([x["macro_f1"] for x in of(rows, r)] or [0]))
    lines.append(f"best macro-F1: {best}, over {len(of(rows, best))} runs")
    return "\n".join(lines)


def of(rows: list[Row], remedy: str) -> list[Row]:
    own = [row for row in rows if row["remedy"] == remedy]
    return sorted(own, key=lambda row: (row["class"], row["seed"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="runs/quickstart/pretrained")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="*", help="class/seed/remedy, with stars")
    options = parser.parse_args()
    logging.getLogger("minift").setLevel(logging.ERROR)
    folder = str(hub.resolve(options.model))
    rows: list[Row] = json.loads(RESULT.read_text())["rows"] if RESULT.is_file() else []
    for seed in range(options.seeds):
        for name in CLASSES:
            for remedy in REMEDIES[:-1]:
                done = any((r["class"], r["seed"], r["remedy"]) == (name, seed, remedy)
                           for r in rows)  # fmt: skip
                if done or not fnmatchcase(f"{name}/{seed}/{remedy}", options.only):
                    continue
                rows += (new := run(folder, name, seed, remedy))
                hub.write(RESULT, (json.dumps({"rows": rows}, indent=1) + "\n").encode())
                print(f"{name}/{seed}/{remedy}: {new[0]['macro_f1']:.3f}", flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
