"""The nets of the workloads in PyTorch: merged projections, PyTorch's own attention.

Not here: what is done with them (`in_torch.py`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


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


class Block(nn.Module):
    """A decoder's layer, norms before the sub-layers; `past` holds keys and values, in place."""

    def __init__(self, width: int, heads: int, wide: int):
        super().__init__()
        self.qkv, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, wide), nn.Linear(wide, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.heads = heads

    def forward(self, x: torch.Tensor, past: torch.Tensor, start: int) -> torch.Tensor:
        B, T, C = x.shape
        end, H = start + T, self.heads
        q, k, v = self.qkv(self.norm1(x)).view(B, T, 3, H, C // H).permute(2, 0, 3, 1, 4)
        past[0, :, :, start:end], past[1, :, :, start:end] = k, v
        keys, values = past[:, :, :, :end]  # (B, H, S + T, D)
        y = F.scaled_dot_product_attention(q, keys, values, is_causal=T > 1)
        x = x + self.mix(y.transpose(1, 2).reshape(B, T, C))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    """Ids (B, T) that follow `start` tokens -> scores of the next one, (B, V)."""

    def __init__(self, sizes: dict[str, int]):
        super().__init__()
        C, H = sizes["width"], sizes["heads"]
        self.words, self.places = nn.Embedding(sizes["words"], C), nn.Embedding(sizes["length"], C)
        self.layers = nn.ModuleList(Block(C, H, sizes["wide"]) for _ in range(sizes["layers"]))
        self.norm = nn.LayerNorm(C)
        self.empty_cache = lambda: torch.empty(sizes["layers"], 2, 1, H, sizes["length"], C // H)

    def forward(self, ids: torch.Tensor, cache: torch.Tensor, start: int) -> torch.Tensor:
        x = self.words(ids) + self.places.weight[start : start + ids.shape[1]]
        for layer, past in zip(self.layers, cache):
            x = layer(x, past, start)
        return F.linear(self.norm(x[:, -1]), self.words.weight)

    @torch.inference_mode()
    def generate(self, ids: torch.Tensor, new: int) -> torch.Tensor:
        """Ids (1, T) and `new` more, the likeliest each; every step reads one token."""
        cache, start, latest = self.empty_cache(), 0, ids
        while True:
            scores = self(latest, cache, start)
            start, latest = ids.shape[1], scores.argmax(-1, keepdim=True)
            ids = torch.cat([ids, latest], dim=1)
            new -= 1
            if not new:
                return ids
