"""What computing the frozen body's features once saves: an epoch of the head with and without.

    python -m benchmarks.cached_head [texts=256 layers=6 hidden=384 tokens=24]

Both train the same head on the same texts for one epoch; the rounds take turns, and the ratio is
taken within a round. What reading the texts once costs is printed beside them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from minift import finetune
from minift.data import ArrayDataset, TokenDataset
from minift.models import BertConfig, BertForSequenceClassification
from minift.objectives import Classification
from minift.train import TrainConfig, Trainer, adamw

SIZES = {"texts": 256, "layers": 6, "hidden": 384, "tokens": 24, "rounds": 3}


def main(arguments: list[str]) -> None:
    """Print seconds of both, and how many times faster the cached epoch is."""
    sizes = {
        **SIZES,
        **{name: int(value) for name, _, value in (a.partition("=") for a in arguments)},
    }
    model, texts = classifier(sizes), some_texts(sizes)
    reading = seconds(lambda: finetune.extract_features(model, texts))
    cached = ArrayDataset(
        features=finetune.extract_features(model, texts), labels=texts.targets["labels"]
    )
    rounds = [
        (seconds(epoch(model, model, texts)), seconds(epoch(model, finetune.Head(model), cached)))
        for _ in range(sizes["rounds"])
    ]
    ratios = [without / with_cache for without, with_cache in rounds]
    uncached, fast = np.median(np.array(rounds), axis=0)
    print(f"reading every text once  {reading:8.3f} s")
    print(f"an epoch, uncached       {uncached:8.3f} s")
    print(f"an epoch, cached         {fast:8.3f} s")
    print(
        f"ratio                    {np.median(ratios):8.0f}   [{min(ratios):.0f}-{max(ratios):.0f}]"
    )


def classifier(sizes: dict[str, int]) -> BertForSequenceClassification:
    """A BERT of that size, its body frozen."""
    config = BertConfig(
        vocab_size=1000,
        hidden_size=sizes["hidden"],
        num_hidden_layers=sizes["layers"],
        intermediate_size=4 * sizes["hidden"],
        num_attention_heads=sizes["hidden"] // 32,
        max_position_embeddings=sizes["tokens"],
    )
    return BertForSequenceClassification(config)


def some_texts(sizes: dict[str, int]) -> TokenDataset:
    """Texts of random words, all of one length."""
    rng = np.random.default_rng(0)
    rows = rng.integers(5, 1000, (sizes["texts"], sizes["tokens"])).tolist()
    return TokenDataset.from_lists(rows, 0, labels=rng.integers(0, 2, sizes["texts"]))


def epoch(model: BertForSequenceClassification, learner, data) -> Callable[[], object]:
    """One epoch of training the head alone."""
    strategy = finetune.head_only(model, lr=1e-3)
    config = TrainConfig(epochs=1, batch_size=32, device="cpu")
    optimizer = adamw(strategy.param_groups, 1e-3, 0.01)
    trainer = Trainer(learner, data, objective=Classification(), config=config, optimizer=optimizer)
    return trainer.fit


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main(sys.argv[1:])
