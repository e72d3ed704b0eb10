"""Multi-head attention and the transformer's layers (Vaswani et al. 2017, sections 3.1-3.3).

Names and weight layouts are PyTorch's, with the batch always first. Masks are boolean, True where a
query may look (or floats that are added to the scores). BERT spells out its own layer in
`models/bert.py`, because there every part must carry the name it has in published checkpoints.
"""

from __future__ import annotations

from typing import Any

from minift import ops
from minift.nn import init
from minift.nn.layers import GELU, Dropout, LayerNorm, Linear, ReLU, check_last_axis
from minift.nn.module import Module, Parameter
from minift.tensor import Tensor


class MultiHeadAttention(Module):
    """Concat(head_1 … head_H) W_O, each head softmax(Q Kᵀ / √D) V on its own D = C / H columns.

    `in_proj_weight` (3C, C) holds the query, key and value projections one above the other.
    """

    def __init__(self, embed_dim: int, num_heads: int, dropout: float = 0.0):
        check_heads("MultiHeadAttention", embed_dim, num_heads)
        self.heads = num_heads
        self.in_proj_weight = Parameter(init.xavier_uniform((3 * embed_dim, embed_dim)))
        self.in_proj_bias = Parameter(init.zeros((3 * embed_dim,)))
        self.out_proj = Linear(embed_dim, embed_dim)
        self.out_proj.bias = Parameter(init.zeros((embed_dim,)))
        self.dropout = Dropout(dropout)

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        mask: Any = None,
        causal: bool = False,
    ) -> Tensor:
        """(B, T, C) -> (B, T, C). `key` (B, S, C) defaults to `query`, `value` to `key`.

        `mask` is broadcastable to (B, H, T, S); `causal` lets position t see 0 … t only.
        """
        check_last_axis("MultiHeadAttention", "embed_dim", self.out_proj.in_features, query)
        p = self.dropout.p if self.training else 0.0
        if key is None and value is None:
            qkv = ops.linear(query, self.in_proj_weight, self.in_proj_bias)  # (B, T, 3C)
            heads = ops.self_attention(
                qkv, heads=self.heads, mask=mask, causal=causal, dropout=p
            )  # (B, T, C)
            return self.out_proj(heads)
        key = query if key is None else key
        q, k, v = self.project(query, key, key if value is None else value)
        y = ops.scaled_dot_product_attention(q, k, v, mask=mask, causal=causal, dropout=p)
        return self.out_proj(merge_heads(y))

    def project(self, *inputs: Tensor) -> list[Tensor]:
        """Query, key and value projections of three different inputs, each (B, H, T, D)."""
        C = self.out_proj.in_features
        rows = [slice(i * C, (i + 1) * C) for i in range(3)]
        return [
            split_heads(ops.linear(x, self.in_proj_weight[r], self.in_proj_bias[r]), self.heads)
            for x, r in zip(inputs, rows)
        ]


class TransformerEncoderLayer(Module):
    """Self-attention, then a two-layer network at each position, each with a residual and a norm.

    The norm comes after the residual sum as in the paper; `norm_first=True` puts it before each
    sub-layer (Xiong et al. 2020).
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str = "relu",
        layer_norm_eps: float = 1e-5,
        norm_first: bool = False,
    ):
        if activation not in ("relu", "gelu"):
            raise ValueError(f"activation must be 'relu' or 'gelu', got {activation!r}")
        self.self_attn = MultiHeadAttention(d_model, nhead, dropout)
        self.linear1 = Linear(d_model, dim_feedforward)
        self.linear2 = Linear(dim_feedforward, d_model)
        self.norm1 = LayerNorm(d_model, eps=layer_norm_eps)
        self.norm2 = LayerNorm(d_model, eps=layer_norm_eps)
        self.activation = ReLU() if activation == "relu" else GELU()
        self.dropout = Dropout(dropout)
        self.norm_first = norm_first

    def forward(self, x: Tensor, mask: Any = None, causal: bool = False) -> Tensor:
        """(B, T, C) -> (B, T, C); `mask` and `causal` as in MultiHeadAttention."""
        if self.norm_first:
            x = x + self.attend(self.norm1(x), mask, causal)
            return x + self.feed_forward(self.norm2(x))
        x = self.norm1(x + self.attend(x, mask, causal))
        return self.norm2(x + self.feed_forward(x))

    def attend(self, x: Tensor, mask: Any, causal: bool) -> Tensor:
        return self.dropout(self.self_attn(x, mask=mask, causal=causal))

    def feed_forward(self, x: Tensor) -> Tensor:
        hidden = self.dropout(self.activation(self.linear1(x)))  # (B, T, F)
        return self.dropout(self.linear2(hidden))  # (B, T, C)


class TransformerDecoderLayer(TransformerEncoderLayer):
    """The encoder layer with one more sub-layer in its middle: every token asks another sequence.

    Self-attention (`causal` where the sequence is being written), attention to the `memory` that an
    encoder made, and the two-layer network, each with a residual and a norm (Vaswani et al. 2017,
    section 3.1). Settings are the encoder layer's.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str = "relu",
        layer_norm_eps: float = 1e-5,
        norm_first: bool = False,
    ):
        super().__init__(
            d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, norm_first
        )
        self.multihead_attn = MultiHeadAttention(d_model, nhead, dropout)
        self.norm3 = LayerNorm(d_model, eps=layer_norm_eps)

    def forward(  # type: ignore[override]  # a second sequence comes in
        self,
        x: Tensor,
        memory: Tensor,
        mask: Any = None,
        memory_mask: Any = None,
        causal: bool = False,
    ) -> Tensor:
        """(B, T, C) and the memory (B, S, C) -> (B, T, C).

        `mask` and `causal` are of the self-attention, `memory_mask`, broadcastable to (B, H, T, S),
        says which of the memory may be seen; both as in MultiHeadAttention.
        """
        if self.norm_first:
            x = x + self.attend(self.norm1(x), mask, causal)
            x = x + self.ask(self.norm2(x), memory, memory_mask)
            return x + self.feed_forward(self.norm3(x))
        x = self.norm1(x + self.attend(x, mask, causal))
        x = self.norm2(x + self.ask(x, memory, memory_mask))
        return self.norm3(x + self.feed_forward(x))

    def ask(self, x: Tensor, memory: Tensor, mask: Any) -> Tensor:
        return self.dropout(self.multihead_attn(x, memory, mask=mask))


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, T, C) -> (B, H, T, D) with D = C / H."""
    B, T, C = x.shape
    return x.reshape(B, T, heads, C // heads).swapaxes(1, 2)  # (B, H, T, D)


def merge_heads(x: Tensor) -> Tensor:
    """(B, H, T, D) -> (B, T, C): the heads side by side."""
    B, H, T, D = x.shape
    return x.swapaxes(1, 2).reshape(B, T, H * D)  # (B, T, C)


def check_heads(layer: str, width: int, heads: int) -> None:
    """Raise ValueError unless `width` can be cut into `heads` equal parts."""
    if width < 1 or heads < 1 or width % heads:
        raise ValueError(f"{layer}: a width of {width} cannot be cut into {heads} equal heads")
