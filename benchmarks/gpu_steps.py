"""Whole training steps on the GPU and on the CPU: the same losses, tokens/s, memory, crossover.

A step is what a Trainer does with a batch of masked language modelling: forward, backward,
clipping, AdamW. Not here: single ops (`gpu_kernels.py`) and what is shown of it all (`gpu.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.gpu_kernels import on_cpu, on_gpu, rate
from minift.backend import cuda, random
from minift.data import ArrayDataset
from minift.models import BertConfig, BertForMaskedLM
from minift.objectives import MaskedLM
from minift.train import TrainConfig, Trainer

STEPS, ALLOWED = 20, 1e-5  # of the parity: updates, and how far losses may lie apart


@dataclass(frozen=True)
class Model:
    """A BERT and its batch."""

    name: str
    layers: int
    width: int
    heads: int
    words: int = 30522
    texts: int = 32
    tokens: int = 128


MODELS = (
    Model("small", 2, 128, 2),
    Model("MiniLM size", 6, 384, 12),
    Model("BERT-base size", 12, 768, 12),
)
PRETENDED_MODELS = (
    Model("1 x 8", 1, 8, 2, 50, 2, 8),
    Model("2 x 8", 2, 8, 2, 50, 2, 8),
    Model("2 x 16", 2, 16, 4, 50, 2, 8),
)
PARITY = Model("parity", 2, 32, 2, words=60, texts=4, tokens=12)
WIDTHS = (32, 64, 128, 256, 512, 1024)  # of the crossover


def batches(model: Model, count: int = 1) -> ArrayDataset:
    """`count` batches of random words, of which every seventh is to be guessed."""
    rng = np.random.default_rng(0)
    ids = rng.integers(1, model.words, (model.texts * count, model.tokens))
    hidden = np.arange(ids.size).reshape(ids.shape) % 7 == 0
    labels = np.where(hidden, ids, -100)
    return ArrayDataset(input_ids=ids, attention_mask=np.ones_like(ids), labels=labels)


def trainer(model: Model, device: str, steps: int, lr: float = 1e-4) -> Trainer:
    """One that starts from the same weights on every device."""
    random.manual_seed(0)
    config = BertConfig(
        vocab_size=model.words,
        hidden_size=model.width,
        num_hidden_layers=model.layers,
        num_attention_heads=model.heads,
        intermediate_size=4 * model.width,
        max_position_embeddings=max(model.tokens, 16),
    )
    settings = TrainConfig(
        steps=steps, batch_size=model.texts, lr=lr, warmup=0, device=device, seed=1
    )
    data = batches(model, 4)
    return Trainer(BertForMaskedLM(config), data, objective=MaskedLM(), config=settings)


def parity() -> dict[str, Any]:
    """Losses of the same run on both devices, dropout and shuffles included."""
    losses = {d: trainer(PARITY, d, STEPS, lr=1e-2).fit()["loss"] for d in ("cpu", "cuda")}
    difference = float(np.abs(np.subtract(losses["cpu"], losses["cuda"])).max())
    fell = losses["cpu"][-1] < losses["cpu"][0]
    return {
        "steps": STEPS,
        "losses": losses,
        "largest_difference": difference,
        "allowed": ALLOWED,
        "passed": bool(difference <= ALLOWED and fell),
    }


def measure(model: Model, rounds: int) -> dict[str, Any]:
    """Tokens/s on both devices, and bytes that CuPy's pool took on the GPU."""
    pool = cuda.module().get_default_memory_pool()
    pool.free_all_blocks()
    before = pool.total_bytes()
    gpu, host = on_gpu(stepping(model, "cuda"), rounds)
    taken = pool.total_bytes() - before
    cpu = on_cpu(stepping(model, "cpu"), min(rounds, 3))
    count = model.texts * model.tokens
    return {
        "name": model.name,
        "layers": model.layers,
        "width": model.width,
        "texts": model.texts,
        "tokens": model.tokens,
        "gpu_bytes": taken,
        "gpu_tokens_per_second": rate(count, gpu),
        "cpu_tokens_per_second": rate(count, cpu),
        "gpu_seconds": gpu,
        "host_seconds": host,
    }


def stepping(model: Model, device: str) -> Any:
    """A call that makes one training step; always the same batch."""
    run = trainer(model, device, steps=1_000_000)
    run.model.train()
    batch = next(iter(run.loader))
    return lambda: run.train_step(batch)


def crossover(widths: Sequence[int], rounds: int) -> list[dict[str, float]]:
    """Seconds of a step of a 2-layer BERT on both devices as its width grows, 16 x 64 tokens."""
    rows = []
    for width in widths:
        model = Model("", 2, width, max(2, width // 64), words=8000, texts=16, tokens=64)
        gpu, _ = on_gpu(stepping(model, "cuda"), rounds)
        cpu = on_cpu(stepping(model, "cpu"), min(rounds, 3))
        rows.append({"width": width, "gpu_seconds": gpu, "cpu_seconds": cpu})
    return rows
