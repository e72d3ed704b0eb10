"""The workloads in PyTorch, as one writes them there: merged projections, its own attention.

Default (unfused) optimizers; `benchmarks/compare.py` can ask for the fused ones as a column more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks import workloads as w

Step = Callable[[], Any]


class Layer(nn.Module):
    """A transformer layer, norms after the residuals as in BERT."""

    def __init__(self, width: int, heads: int, wide: int, dropout: float):
        super().__init__()
        self.qkv, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, wide), nn.Linear(wide, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.heads, self.p, self.dropout = heads, dropout, nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, mask: Any = None) -> torch.Tensor:
        B, T, C = x.shape
        q, k, v = self.qkv(x).view(B, T, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
        p = self.p if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=p)
        y = y.transpose(1, 2).reshape(B, T, C)
        x = self.norm1(x + self.dropout(self.mix(y)))
        return self.norm2(x + self.dropout(self.down(F.gelu(self.up(x)))))


class Encoder(nn.Module):
    """Ids (B, T) -> hidden states (B, T, C)."""

    def __init__(self, sizes: dict[str, int], dropout: float):
        super().__init__()
        C = sizes["width"]
        self.words, self.places = nn.Embedding(sizes["words"], C), nn.Embedding(sizes["length"], C)
        self.kinds, self.norm, self.dropout = (
            nn.Embedding(2, C),
            nn.LayerNorm(C),
            nn.Dropout(dropout),
        )
        layers = range(sizes["layers"])
        self.layers = nn.ModuleList(
            Layer(C, sizes["heads"], sizes["wide"], dropout) for _ in layers
        )

    def forward(self, ids: torch.Tensor, mask: Any = None) -> torch.Tensor:
        x = self.words(ids) + self.places.weight[: ids.shape[1]] + self.kinds.weight[0]
        x = self.dropout(self.norm(x))
        for layer in self.layers:
            x = layer(x, mask)
        return x


class MaskedWords(nn.Module):
    """Scores of all words at the masked positions; the output matrix is the embedding."""

    def __init__(self, sizes: dict[str, int], dropout: float):
        super().__init__()
        C = sizes["width"]
        self.encoder, self.dense, self.norm = (
            Encoder(sizes, dropout),
            nn.Linear(C, C),
            nn.LayerNorm(C),
        )
        self.bias = nn.Parameter(torch.zeros(sizes["words"]))

    def forward(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        hidden = self.encoder(ids).flatten(0, 1)[positions]
        hidden = self.norm(F.gelu(self.dense(hidden)))
        return F.linear(hidden, self.encoder.words.weight, self.bias)


class Classifier(nn.Module):
    """Scores of two classes, read off the first token."""

    def __init__(self, sizes: dict[str, int], dropout: float):
        super().__init__()
        C = sizes["width"]
        self.encoder, self.pooler = Encoder(sizes, dropout), nn.Linear(C, C)
        self.dropout, self.head = nn.Dropout(dropout), nn.Linear(C, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.dropout(torch.tanh(self.pooler(self.encoder(ids)[:, 0]))))


class Residual(nn.Module):
    """ReLU(x + two convolutions with batch norm)."""

    def __init__(self, channels: int):
        super().__init__()
        conv = lambda: nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.body = nn.Sequential(
            conv(), nn.BatchNorm2d(channels), nn.ReLU(), conv(), nn.BatchNorm2d(channels)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.body(x))


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


def mlp(fused: bool) -> Step:
    x, y = tensors(*w.rows_of_pixels())
    relu = nn.ReLU()
    model = nn.Sequential(nn.Linear(784, 256), relu, nn.Linear(256, 256), relu, nn.Linear(256, 10))
    return training(model, lambda: F.cross_entropy(model(x), y), fused=fused)


def masked_words(fused: bool, dropout: float = 0.0) -> Step:
    ids, positions, words = tensors(*w.masked_text())
    model = MaskedWords(w.SMALL, dropout)
    return training(model, lambda: F.cross_entropy(model(ids, positions), words), fused=fused)


def classification(fused: bool, dropout: float = 0.0, frozen: bool = False) -> Step:
    ids, classes = tensors(*w.labelled_text())
    model = Classifier(w.MINILM, dropout)
    if frozen:
        model.encoder.requires_grad_(False)
        model.pooler.requires_grad_(False)
    return training(model, lambda: F.cross_entropy(model(ids), classes), decay=True, fused=fused)


def autoencoder(fused: bool) -> Step:
    (x,) = tensors(w.images()[0])
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(32, 3, 3, padding=1),
    )  # fmt: skip
    return training(model, lambda: F.mse_loss(model(x), x), fused=fused)


def resnet(fused: bool) -> Step:
    x, y = tensors(*w.images())
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), Residual(32),
        nn.Conv2d(32, 64, 3, stride=2, padding=1), Residual(64),
        nn.AvgPool2d(16), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    return training(model, lambda: F.cross_entropy(model(x), y), fused=fused)


def sentence_vectors(fused: bool) -> Step:
    batches = [tensors(*batch) for batch in w.buckets_of_text()]
    encoder = Encoder(w.MINILM, 0.0).eval()

    @torch.inference_mode()
    def step() -> float:
        for ids, mask in batches:
            hidden = encoder(ids, mask[:, None, None, :].bool())
            share = (mask / mask.sum(1, keepdim=True))[..., None]
            vectors = (hidden * share).sum(1)
        return float(vectors[0, 0])

    return step


def attention(tokens: int) -> Callable[[bool], Step]:
    def build(fused: bool) -> Step:
        *inputs, gradient = tensors(*w.attention_inputs(tokens))
        inputs = [x.requires_grad_() for x in inputs]

        def step() -> float:
            y = F.scaled_dot_product_attention(*inputs)
            return float(torch.autograd.grad(y, inputs, gradient)[0][0, 0, 0, 0])

        return step

    return build


def chain(op: Callable[[Any, Any], Any]) -> Callable[[bool], Step]:
    def build(fused: bool) -> Step:
        x, weight = torch.zeros(4, 4, requires_grad=True), torch.eye(4)

        def step() -> None:
            y = x
            for _ in range(100):
                y = op(y, weight)
            y.backward(weight)

        return step

    return build


BUILDERS: dict[str, Callable[[bool], Step]] = {
    "W1": mlp,
    "W2": masked_words,
    "W2-dropout": lambda fused: masked_words(fused, 0.1),
    "W3": classification,
    "W3-dropout": lambda fused: classification(fused, 0.1),
    "W3-frozen": lambda fused: classification(fused, 0.0, frozen=True),
    "W4-autoencoder": autoencoder,
    "W4-resnet": resnet,
    "W5": sentence_vectors,
    "W6-256": attention(256),
    "W6-1024": attention(1024),
    "W6-4096": attention(4096),
    "W8-scale": chain(lambda x, _: x * 0.9),
    "W8-tanh": chain(lambda x, _: x.tanh()),
    "W8-matmul": chain(lambda x, weight: x @ weight),
}
