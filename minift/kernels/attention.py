"""Self-attention on NumPy, straight on the merged query-key-value product: no copies.

The loop runs over tiles of the batch; every matrix is a strided view of the one (B, T, 3, H, D)
array, and results are written through views of the output.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minift.backend import Array, xp
from minift.kernels.dropout import keep_mask
from minift.kernels.rows import exp_over_sum
from minift.kernels.threads import in_parts
from minift.kernels.tiles import tiles

STEPS = 8  # elementary steps a score


def scores_bias(mask: Any, causal: bool, shape: tuple[int, ...], like: Array) -> Any:
    """What is added to scores of `shape`: 0, or −inf where not to look, or the numbers of the
    mask; None for nothing. In the dtype and on the device of `like`."""
    m, bias = xp(like), mask
    if mask is not None and mask.dtype == bool:
        bias = m.where(mask, 0.0, -math.inf).astype(like.dtype)
    if causal:
        future = m.triu(m.full(shape[-2:], -math.inf, like.dtype), 1)
        bias = future if bias is None else bias + future
    return bias


def self_attention(
    qkv: np.ndarray, *, heads: int, mask: Any, causal: bool, dropout: float, key: tuple[int, int]
) -> tuple[np.ndarray, Any]:
    """(B, T, 3C) -> (B, T, C); see `ops.self_attention`."""
    B, T, C = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    D = C // heads
    parts = qkv.reshape(B, T, 3, heads, D).transpose(2, 0, 3, 1, 4)  # (3, B, H, T, D)
    P = np.empty((B, heads, T, T), qkv.dtype)
    keep = keep_mask(P.shape, dropout, key) if dropout else None
    scale = qkv.dtype.type(1 / math.sqrt(D))
    context = np.empty((B, T, heads, D), qkv.dtype)
    out = context.transpose(0, 2, 1, 3)  # (B, H, T, D)
    bias = scores_bias(mask, causal, P.shape, qkv)
    bias = None if bias is None else np.broadcast_to(bias, P.shape)

    def forward(part: slice) -> None:
        for s in tiles(part, heads * T * T):
            q, k, v = parts[0, s], parts[1, s], parts[2, s]
            p = np.matmul(q, k.swapaxes(-1, -2), out=P[s])  # (b, H, T, T)
            p *= scale
            _softmax(p, None if bias is None else bias[s])
            np.matmul(p if keep is None else _dropped(p, keep[s], dropout), v, out=out[s])

    in_parts(forward, B, heads * T * T * STEPS)

    def backward(g: np.ndarray, wanted: list[bool]) -> tuple[np.ndarray]:
        grad = np.empty((B, T, 3, heads, D), g.dtype)
        into = grad.transpose(2, 0, 3, 1, 4)  # (3, B, H, T, D)
        g_out = g.reshape(B, T, heads, D).transpose(0, 2, 1, 3)  # (B, H, T, D)

        def work(part: slice) -> None:
            for s in tiles(part, heads * T * T):
                q, k, v = parts[0, s], parts[1, s], parts[2, s]
                p, mask = P[s], None if keep is None else keep[s]
                used = p if mask is None else _dropped(p, mask, dropout)
                np.matmul(used.swapaxes(-1, -2), g_out[s], out=into[2, s])
                d = g_out[s] @ v.swapaxes(-1, -2)  # (b, H, T, T)
                if mask is not None:
                    d = _dropped(d, mask, dropout)
                # Σ p·∂p over a row equals Σ ∂out·out (Dao et al. 2022, B.4): T·D, not T·T, products
                d -= np.vecdot(g_out[s], out[s])[..., None]
                d *= p
                d *= scale
                np.matmul(d, k, out=into[0, s])
                np.matmul(d.swapaxes(-1, -2), q, out=into[1, s])

        in_parts(work, B, heads * T * T * STEPS)
        return (grad.reshape(B, T, 3 * C),)

    return context.reshape(B, T, C), backward


def _softmax(p: np.ndarray, bias: Any) -> None:
    """In place over the last axis; a row that may look nowhere becomes zeros."""
    if bias is not None:
        p += bias
    top = p.max(axis=-1, keepdims=True)
    if (top == np.inf).any():
        raise ValueError("attention: a score is infinite, so it has no share")
    if bias is None:
        p -= top
        exp_over_sum(p)
        return
    blind = top == -np.inf
    p -= np.where(blind, 0, top)
    np.exp(p, out=p)
    total = p @ np.ones(p.shape[-1], p.dtype)
    p /= (total + blind[..., 0])[..., None]


def _dropped(p: np.ndarray, keep: np.ndarray, dropout: float) -> np.ndarray:
    y = p * keep
    y *= p.dtype.type(1 / (1 - dropout))
    return y
