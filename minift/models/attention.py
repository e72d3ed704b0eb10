"""Self-attention as the models of this folder call it: projections merged, weights open to a look.

The families differ in the names of their projections and in their masks; what they compute is
`ops.self_attention`, the formula of `ops/neural.py`. For a layer under PyTorch's own names see
`nn/attention.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minift import nn, ops
from minift.models.outputs import Seen
from minift.nn.attention import merge_heads, split_heads
from minift.tensor import Tensor


def project(x: Tensor, *parts: nn.Linear) -> Tensor:
    """Several linear layers as one matrix product: (B, T, C) -> (B, T, Σ out_features)."""
    weight = ops.concatenate([part.weight for part in parts], axis=0)
    biases = [part.bias for part in parts if part.bias is not None]
    return ops.linear(x, weight, ops.concatenate(biases, axis=0) if biases else None)


def attend(
    qkv: Tensor,
    heads: int,
    mask: Any = None,
    causal: bool = False,
    dropout: float = 0.0,
    seen: Seen | None = None,
) -> Tensor:
    """`ops.self_attention`, (B, T, 3C) -> (B, T, C), that shows its weights to those who look."""
    if seen is None or seen.attentions is None:
        return ops.self_attention(qkv, heads=heads, mask=mask, causal=causal, dropout=dropout)
    q, k, v = (split_heads(part, heads) for part in ops.split(qkv, qkv.shape[-1] // 3, axis=-1))
    eye = np.broadcast_to(np.eye(q.shape[2], dtype=q.dtype), (*q.shape[:-1], q.shape[2]))
    weights = ops.scaled_dot_product_attention(  # of values that are unit vectors: the weights
        q, k, Tensor(eye, device=q.device), mask=mask, causal=causal, dropout=dropout
    )  # (B, H, T, T)
    seen.attentions.append(weights)
    return merge_heads(weights @ v)  # (B, T, C)
