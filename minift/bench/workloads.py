"""What is measured, said once for every library: names, sizes and data, as NumPy arrays.

`in_minift.py` and `in_torch.py` write each workload in the idiom of their library. A builder
returns a function that does one whole step: forward, backward and optimizer, unless the workload
says otherwise. GELU is the erf form and everything is float32. Not here: what is to be reached
(`benchmarks/goals.py` of the checkout), nor the clock (`contest.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Step = Callable[[], Any]
PARTS = 7  # of the inference workload: so many turns read all texts once


@dataclass(frozen=True)
class Workload:
    """`units` are done in one step, and a time is given for one of them."""

    title: str
    units: float = 1
    unit: str = "step"
    tokens: int = 0  # in a step
    fused: bool = True  # whether a fused optimizer makes a difference


WORKLOADS = {
    "W1": Workload("MLP 784-256-256-10, batch 64, Adam"),
    "W2": Workload("BERT 2 × 128, masked words, 32 × 64", tokens=2048),
    "W2-dropout": Workload("BERT 2 × 128, masked words, dropout 0.1", tokens=2048),
    "W3": Workload("BERT 6 × 384, 2 classes, 16 × 128", tokens=2048),
    "W3-dropout": Workload("BERT 6 × 384, 2 classes, dropout 0.1", tokens=2048),
    "W3-frozen": Workload("BERT 6 × 384, only the head trained", tokens=2048),
    "W3-cached": Workload("its head, on features that are kept", tokens=2048, fused=False),
    "W4-autoencoder": Workload("convolutional autoencoder, 64 × 3 × 32 × 32"),
    "W4-resnet": Workload("ResNet blocks, 64 × 3 × 32 × 32"),
    "W5": Workload("2,000 sentence vectors, BERT 6 × 384", 1 / PARTS, "pass", 7910, False),
    **{
        f"W6-{T}": Workload(f"attention, 12 × 32, T = {T:,}", tokens=T, fused=False)
        for T in (256, 512, 1024, 2048, 4096)
    },
    "W7": Workload("GPT 6 × 384 writes 256 tokens", 256, "token", tokens=256, fused=False),
    "W8-scale": Workload("x * 0.9, both ways, 4 × 4", 100, "op", fused=False),
    "W8-tanh": Workload("x.tanh(), both ways, 4 × 4", 100, "op", fused=False),
    "W8-matmul": Workload("x @ W, both ways, 4 × 4", 100, "op", fused=False),
}


class InParts:
    """A step too long for one turn: each turn does its next part, the same in every library."""

    def __init__(self, parts: Sequence[Step]):
        self.parts, self.turn = parts, 0

    def __call__(self) -> Any:
        return self.parts[self.turn % len(self.parts)]()


# ---- sizes and data -----------------------------------------------------------------------------

SMALL = {"words": 5000, "width": 128, "layers": 2, "heads": 2, "wide": 512, "length": 64}
GPT = {"words": 50257, "width": 384, "layers": 6, "heads": 6, "wide": 1536, "length": 272}
MINILM = {"words": 30522, "width": 384, "layers": 6, "heads": 12, "wide": 1536, "length": 128}


def rows_of_pixels() -> tuple[np.ndarray, np.ndarray]:
    """64 images of 784 pixels in [0, 1), and their classes."""
    rng = np.random.default_rng(0)
    return rng.random((64, 784), np.float32), rng.integers(0, 10, 64)


def images() -> tuple[np.ndarray, np.ndarray]:
    """64 images of 3 × 32 × 32 in [0, 1), and their classes."""
    rng = np.random.default_rng(0)
    return rng.random((64, 3, 32, 32), np.float32), rng.integers(0, 10, 64)


def masked_text() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids (32, 64), the flat positions of 15 % of them in order, and the words to find there."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, SMALL["words"], (32, SMALL["length"]))
    positions = np.sort(rng.permutation(ids.size)[: int(0.15 * ids.size)])
    return ids, positions, rng.integers(0, SMALL["words"], positions.size)


def labelled_text() -> tuple[np.ndarray, np.ndarray]:
    """Ids (16, 128) and two classes."""
    rng = np.random.default_rng(0)
    return rng.integers(0, MINILM["words"], (16, MINILM["length"])), rng.integers(0, 2, 16)


def features() -> tuple[np.ndarray, np.ndarray]:
    """What a body says of 16 texts, (16, 384), and two classes."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((16, MINILM["width"]), np.float32), rng.integers(0, 2, 16)


def prompt() -> np.ndarray:
    """A text of 16 ids that 256 go on from."""
    return np.random.default_rng(0).integers(0, GPT["words"], 16)


def buckets_of_text() -> list[tuple[np.ndarray, np.ndarray]]:
    """2,000 texts of natural lengths (median 24 tokens), sorted into batches of 64: ids, mask."""
    rng = np.random.default_rng(0)
    lengths = np.sort(np.clip(rng.lognormal(np.log(24), 0.6, 2000), 4, 128).astype(int))
    batches = []
    for chosen in np.split(lengths, range(64, len(lengths), 64)):
        mask = (np.arange(chosen.max()) < chosen[:, None]).astype(np.int64)  # (B, T)
        batches.append((rng.integers(0, MINILM["words"], mask.shape) * mask, mask))
    return batches


def attention_inputs(tokens: int) -> tuple[np.ndarray, ...]:
    """q, k, v and the gradient of the result, each (1, 12, T, 32)."""
    return tuple(np.random.default_rng(0).standard_normal((4, 1, 12, tokens, 32), np.float32))
