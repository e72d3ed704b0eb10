"""The workloads in PyTorch, as one writes them there; the nets are in `torch_nets.py`.

The optimizers are its default ones; `fused` asks for the fused ones, which is a contestant more.
Imported in the process of a contestant alone: minift does not need PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from minift.bench import workloads as w
from minift.bench.torch_nets import GPT, Classifier, Encoder, MaskedWords, Residual
from minift.bench.workloads import InParts, Step

set_threads = torch.set_num_threads


def training(model: nn.Module, loss_of: Step, decay: bool = False, fused: bool = False) -> Step:
    """One step of Adam, or AdamW with `decay`, over what is not frozen."""
    moved = [p for p in model.parameters() if p.requires_grad]
    rule = torch.optim.AdamW if decay else torch.optim.Adam
    optimizer = rule(moved, lr=1e-4, fused=fused or None)

    def step() -> float:
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def tensors(*arrays: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(array) for array in arrays]


def mlp(fused: bool = False) -> Step:
    x, y = tensors(*w.rows_of_pixels())
    relu = nn.ReLU()
    model = nn.Sequential(nn.Linear(784, 256), relu, nn.Linear(256, 256), relu, nn.Linear(256, 10))
    return training(model, lambda: F.cross_entropy(model(x), y), fused=fused)


def masked_words(fused: bool = False, dropout: float = 0.0) -> Step:
    ids, positions, words = tensors(*w.masked_text())
    model = MaskedWords(w.SMALL, dropout)
    return training(model, lambda: F.cross_entropy(model(ids, positions), words), fused=fused)


def classification(fused: bool = False, dropout: float = 0.0, frozen: bool = False) -> Step:
    ids, classes = tensors(*w.labelled_text())
    model = Classifier(w.MINILM, dropout)
    if frozen:
        model.encoder.requires_grad_(False)
        model.pooler.requires_grad_(False)
    return training(model, lambda: F.cross_entropy(model(ids), classes), decay=True, fused=fused)


def autoencoder(fused: bool = False) -> Step:
    (x,) = tensors(w.images()[0])
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(32, 3, 3, padding=1),
    )  # fmt: skip
    return training(model, lambda: F.mse_loss(model(x), x), fused=fused)


def resnet(fused: bool = False) -> Step:
    x, y = tensors(*w.images())
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), Residual(32),
        nn.Conv2d(32, 64, 3, stride=2, padding=1), Residual(64),
        nn.AvgPool2d(16), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    return training(model, lambda: F.cross_entropy(model(x), y), fused=fused)


def sentence_vectors() -> Step:
    encoder = Encoder(w.MINILM, 0.0).eval()

    @torch.inference_mode()
    def read(batches: list[list[torch.Tensor]]) -> float:
        for ids, mask in batches:
            hidden = encoder(ids, mask[:, None, None, :].bool())
            share = (mask / mask.sum(1, keepdim=True))[..., None]
            vectors = (hidden * share).sum(1)
        return float(vectors[0, 0])

    batches = [tensors(*batch) for batch in w.buckets_of_text()]
    return InParts([partial(read, batches[i :: w.PARTS]) for i in range(w.PARTS)])


def generation() -> Step:
    model, (ids,) = GPT(w.GPT).eval(), tensors(w.prompt()[None])
    return lambda: model.generate(ids, 256)


def attention(tokens: int) -> Callable[..., Step]:
    def build() -> Step:
        q, k, v, gradient = tensors(*w.attention_inputs(tokens))
        inputs = [x.requires_grad_() for x in (q, k, v)]

        def step() -> float:
            y = F.scaled_dot_product_attention(q, k, v)
            return float(torch.autograd.grad(y, inputs, gradient)[0][0, 0, 0, 0])

        return step

    return build


def chain(op: Callable[[Any, Any], Any]) -> Callable[..., Step]:
    def build() -> Step:
        x, weight = torch.zeros(4, 4, requires_grad=True), torch.eye(4)

        def step() -> None:
            y = x
            for _ in range(100):
                y = op(y, weight)
            y.backward(weight)

        return step

    return build


BUILDERS: dict[str, Callable[..., Step]] = {
    "W1": mlp,
    "W2": masked_words,
    "W2-dropout": partial(masked_words, dropout=0.1),
    "W3": classification,
    "W3-dropout": partial(classification, dropout=0.1),
    "W3-frozen": partial(classification, frozen=True),
    "W3-cached": partial(classification, frozen=True),  # it keeps nothing: the whole step
    "W4-autoencoder": autoencoder,
    "W4-resnet": resnet,
    "W5": sentence_vectors,
    **{f"W6-{T}": attention(T) for T in (256, 512, 1024, 2048, 4096)},
    "W7": generation,
    "W8-scale": chain(lambda x, _: x * 0.9),
    "W8-tanh": chain(lambda x, _: x.tanh()),
    "W8-matmul": chain(lambda x, weight: x @ weight),
}
