"""Attention on the GPU: two products of cuBLAS, and `attention.cu` between them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minift.backend import Array, trouble
from minift.kernels.cuda.compiling import ceil_div, contiguous, empty, launch
from minift.kernels.cuda.elementwise import draws_of
from minift.kernels.cuda.product import batched


def self_attention(
    qkv: Array, *, heads: int, mask: Any, causal: bool, dropout: float, key: tuple[int, int]
) -> tuple[Array, Any]:
    """(B, T, 3C) -> (B, T, C); see `ops.self_attention`."""
    B, T, C = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    parts = qkv.reshape(B, T, 3, heads, C // heads).transpose(2, 0, 3, 1, 4)
    q, k, v = contiguous(parts)  # one copy for the three: (B, H, T, D) each
    settings = {"mask": mask, "causal": causal, "dropout": dropout, "key": key}
    y, attention_backward = attention(q, k, v, **settings)

    def backward(g: Array, wanted: list[bool]) -> tuple[Array]:
        into = empty((3, B, heads, T, C // heads), g.dtype)
        g_out = g.reshape(B, T, heads, C // heads).swapaxes(1, 2)  # (B, H, T, D)
        attention_backward(g_out, [True] * 3, into)
        return (into.transpose(1, 3, 0, 2, 4).reshape(B, T, 3 * C),)

    return y.swapaxes(1, 2).reshape(B, T, C), backward


def attention(
    q: Array, k: Array, v: Array, *, mask: Any, causal: bool, dropout: float, key: tuple[int, int]
) -> tuple[Array, Any]:
    """softmax(q·kᵀ/√D)·v on (..., T, D); keeps q, k, v and the weights, no mask of dropout."""
    q, k, v = contiguous(q), contiguous(k), contiguous(v)
    shape = (*q.shape[:-1], k.shape[-2])  # (..., Tq, Tk)
    scale = 1 / math.sqrt(q.shape[-1])
    p = batched(q, k, empty(shape, q.dtype), transpose_b=True, factor=scale)
    dropped = empty(shape, q.dtype) if dropout else None
    _weights(p, dropped, mask, causal, draws_of(dropout, key))
    y = batched(p if dropped is None else dropped, v, empty((*q.shape[:-1], v.shape[-1]), q.dtype))

    def backward(g: Array, wanted: list[bool], into: Any = (None, None, None)) -> tuple[Any, ...]:
        g = contiguous(g)
        d = batched(g, v, empty(shape, q.dtype), transpose_b=True)
        used = empty(shape, q.dtype) if dropout else None
        rows, Tk = p.size // max(1, shape[-1]), shape[-1]
        arguments = (p, d, used, rows, Tk, *draws_of(dropout, key))
        _launch("attention_backward", q.dtype, rows, *arguments)
        pairs = zip((q, k, v), into)
        gq, gk, gv = (empty(x.shape, x.dtype) if gx is None else gx for x, gx in pairs)
        batched(d, k, gq, factor=scale)
        batched(d, q, gk, transpose_a=True, factor=scale)
        batched(p if used is None else used, g, gv, transpose_a=True)
        return gq, gk, gv

    return y, backward


def _weights(s: Array, dropped: Any, mask: Any, causal: bool, draws: tuple[Any, ...]) -> None:
    """Scores (..., Tq, Tk) become weights in place."""
    Tq, Tk = s.shape[-2:]
    H = s.shape[-3] if s.ndim > 2 else 1
    rows = s.size // max(1, Tk)
    kind, strides = 0, [0, 0, 0, 0]
    if mask is not None:
        mask, strides = _four_axes(mask, s.shape)
        kind = 2 if mask.dtype == bool else 1
    settings = (rows, H, Tq, Tk, int(causal), *draws, trouble.word(), trouble.bit("attention"))
    _launch("attention_weights", s.dtype, rows, s, dropped, mask, kind, *strides, *settings)


def _four_axes(mask: Array, shape: tuple[int, ...]) -> tuple[Array, list[int]]:
    """The mask, and its strides in elements along (B, H, Tq, Tk), 0 where it is repeated."""
    import cupy

    wide = cupy.broadcast_to(mask, shape)
    if wide.ndim > 4:
        mask = wide = cupy.ascontiguousarray(wide).reshape(-1, *shape[-3:])
    strides = [s // mask.itemsize for s in wide.strides]
    return mask, [0] * (4 - len(strides)) + strides


def _launch(name: str, dtype: np.dtype[Any], rows: int, *arguments: Any) -> None:
    """A warp a row, 8 rows a block."""
    launch("attention", name, dtype, (ceil_div(rows, 8),), (32, 8), *arguments)
