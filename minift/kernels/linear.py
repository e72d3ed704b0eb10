"""x·Wᵀ + b on NumPy, and its GELU: each product is cut by rows of its result, a part a thread."""

from __future__ import annotations

from typing import Any

import numpy as np

from minift.kernels.gelu import gelu
from minift.kernels.threads import blas_obeys, in_parts

STEPS_PER_PRODUCT = 1 / 16  # a multiply-add inside BLAS, in elementary steps of `in_parts`


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a @ b for matrices: (N, K) @ (K, M) -> (N, M)."""
    if a.size * b.shape[1] < 2**21 or not blas_obeys():
        return a @ b
    y = np.empty((len(a), b.shape[1]), a.dtype)

    def work(part: slice) -> None:
        np.matmul(a[part], b, out=y[part])

    in_parts(work, len(a), b.size * STEPS_PER_PRODUCT)
    return y


def linear(x: np.ndarray, weight: np.ndarray, bias: Any = None) -> tuple[np.ndarray, Any]:
    """(..., in), (out, in), (out,) -> (..., out); the body of `ops.linear`, in parts."""
    shape, (n_out, n_in) = x.shape, weight.shape
    rows = x.reshape(-1, n_in)  # (N, in)
    y = product(rows, weight.T)  # (N, out)
    if bias is not None:
        add_to_rows(y, bias)

    def to_x(g: np.ndarray) -> np.ndarray:
        return product(g.reshape(-1, n_out), weight).reshape(shape)

    def to_weight(g: np.ndarray) -> np.ndarray:
        return product(g.reshape(-1, n_out).T, rows)  # (out, in)

    def to_bias(g: np.ndarray) -> np.ndarray:
        return column_sums(g.reshape(-1, n_out))

    y = y.reshape(*shape[:-1], n_out)
    return y, (to_x, to_weight, to_bias) if bias is not None else (to_x, to_weight)


def linear_gelu(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, Any]:
    """gelu(x·Wᵀ + b); the body of `ops.linear_gelu`. Keeps x and the slope of GELU."""
    z, (to_x, to_weight, to_bias) = linear(x, weight, bias)
    y, (to_z,) = gelu(z)

    def backward(g: np.ndarray, wanted: list[bool]) -> tuple[Any, ...]:
        h = to_z(g)
        return tuple(f(h) if want else None for f, want in zip((to_x, to_weight, to_bias), wanted))

    return y, backward


def add_to_rows(y: np.ndarray, bias: np.ndarray) -> None:
    """y += bias for (N, C)."""

    def work(part: slice) -> None:
        y[part] += bias

    in_parts(work, *y.shape)


def column_sums(g: np.ndarray) -> np.ndarray:
    """(N, C) -> (C,); for large arrays a product with ones is the fastest sum there is."""
    if g.size < 4096:
        return g.sum(axis=0)
    work = lambda part: np.ones(part.stop - part.start, g.dtype) @ g[part]
    return sum(in_parts(work, *g.shape))
