"""What is measured, said once for every library: names, sizes and data, as NumPy arrays.

`in_minift.py` and `in_torch.py` write each workload in the idiom of their library. A builder takes
nothing and returns a function that does one whole step: forward, backward and optimizer, unless
the workload says otherwise. GELU is the erf form and everything is float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Workload:
    """`must` and `aim` are ratios to PyTorch (time, peak memory); `units` are done in one step."""

    title: str
    must: tuple[float | None, float | None] = (None, None)
    aim: tuple[float | None, float | None] = (None, None)
    units: int = 1  # a time is given for one of them
    unit: str = "step"


WORKLOADS = {
    "W1": Workload("MLP 784-256-256-10, batch 64, Adam", (0.9, 0.25), (0.75, 0.15)),
    "W2": Workload("BERT 2 × 128, masked words, 32 × 64", (1.15, 0.4), (1.0, 0.33)),
    "W2-dropout": Workload("the same, dropout 0.1", (0.9, 0.4), (0.85, 0.33)),
    "W3": Workload("BERT 6 × 384, 2 classes, 16 × 128", (1.15, 0.8), (1.0, 0.7)),
    "W3-dropout": Workload("the same, dropout 0.1", (0.9, 0.65), (0.85, 0.55)),
    "W3-frozen": Workload("the same, only the head trained", (1.2, 0.6), (1.0, 0.4)),
    "W4-autoencoder": Workload("convolutions 3-32-64-32-3, 64 × 3 × 32 × 32", (5, 1.2), (3, 1.0)),
    "W4-resnet": Workload("residual blocks of 32 and 64 channels", (5, 1.2), (3, 1.0)),
    "W5": Workload("sentence vectors, BERT 6 × 384, natural lengths", (1 / 0.85, 0.6), (1.0, 0.4)),
    "W6-256": Workload("attention, 12 × 32, T = 256", (2.5, None), (1.5, None)),
    "W6-1024": Workload("attention, 12 × 32, T = 1,024", (2.5, None), (1.5, None)),
    "W6-4096": Workload("attention, 12 × 32, T = 4,096", (2.5, None), (1.5, None)),
    "W8-scale": Workload("x * 0.9, both ways, 4 × 4", (1.4, None), (0.8, None), 100, "op"),
    "W8-tanh": Workload("x.tanh(), both ways, 4 × 4", (1.4, None), (0.8, None), 100, "op"),
    "W8-matmul": Workload("x @ W, both ways, 4 × 4", (1.4, None), (0.8, None), 100, "op"),
}


# ---- sizes and data -----------------------------------------------------------------------------

SMALL = {"words": 5000, "width": 128, "layers": 2, "heads": 2, "wide": 512, "length": 64}
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
