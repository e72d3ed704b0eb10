"""Softmax, log-softmax and cross-entropy on the GPU: launches of `rows.cu`."""

from __future__ import annotations

from typing import Any

from minift.backend import Array, trouble
from minift.kernels.cuda.compiling import contiguous, empty, launch_rows, sums_of


def softmax(x: Array, *, axis: int) -> tuple[Array, Any]:
    """exp(x) / Σ exp(x) along `axis`; keeps only y."""
    return _along_axis("softmax", x, axis)


def log_softmax(x: Array, *, axis: int) -> tuple[Array, Any]:
    """x − log Σ exp(x) along `axis`; keeps only y."""
    return _along_axis("log_softmax", x, axis)


def _along_axis(name: str, x: Array, axis: int) -> tuple[Array, Any]:
    rows = contiguous(x.swapaxes(axis, -1))
    C = rows.shape[-1]
    N = rows.size // C if C else 0
    y = empty(rows.shape, x.dtype)
    word, bit = trouble.word(), trouble.bit(name)
    launch_rows("rows", name, x, N, C, rows, y, N, C, word, bit)

    def to_x(g: Array) -> Array:
        g_rows, gx = contiguous(g.swapaxes(axis, -1)), empty(y.shape, y.dtype)
        launch_rows("rows", f"{name}_backward", y, N, C, g_rows, y, gx, N, C)
        return gx.swapaxes(axis, -1)

    return y.swapaxes(axis, -1), (to_x,)


def cross_entropy(logits: Array, *, target: Array) -> tuple[Array, Any]:
    """−log softmax(logits)[target] for each row of (N, C); keeps the logits and two numbers a row.

    A target that is none of the classes gives NaN.
    """
    N, C = logits.shape
    x, right = contiguous(logits), contiguous(target.astype("int64", copy=False))
    loss, kept = empty(N, x.dtype), empty((N, 2), sums_of(x.dtype))
    bits = trouble.bit("cross_entropy"), trouble.bit("cross_entropy target")
    launch_rows("rows", "cross_entropy", x, N, C, x, right, loss, kept, N, C, trouble.word(), *bits)

    def to_logits(g: Array) -> Array:
        gx = empty((N, C), x.dtype)
        slopes = contiguous(g)
        launch_rows("rows", "cross_entropy_backward", x, N, C, slopes, x, right, kept, gx, N, C)
        return gx

    return loss, (to_logits,)
