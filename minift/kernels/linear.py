"""x·Wᵀ + b on NumPy, and its GELU, forward and back in one hand-over to the threads each.

The rows of x are cut, a part for each thread; the weight's gradient, which every row adds to, is
cut by its own rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minift.kernels.gelu import STEPS as GELU_STEPS
from minift.kernels.gelu import fill_gelu, times
from minift.kernels.threads import blas_obeys, in_parts

STEPS_PER_PRODUCT = 1 / 48  # a multiply-add inside BLAS, in elementary steps of `in_parts`


def linear(x: np.ndarray, weight: np.ndarray, bias: Any = None) -> tuple[np.ndarray, Any]:
    """(..., in), (out, in), (out,) -> (..., out); the body of `ops.linear`."""
    shape, rows = x.shape, x.reshape(-1, x.shape[-1])  # (N, in)
    y = np.empty((len(rows), len(weight)), x.dtype)
    in_parts(_product(rows, weight, bias, y), len(rows), _steps(weight))

    def backward(g: np.ndarray, wanted: list[bool]) -> tuple[Any, ...]:
        return _backward(g.reshape(-1, len(weight)), rows, weight, shape, wanted)

    return y.reshape(*shape[:-1], len(weight)), backward


def linear_gelu(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, Any]:
    """gelu(x·Wᵀ + b); the body of `ops.linear_gelu`. Keeps x and the slope of GELU."""
    shape, rows = x.shape, x.reshape(-1, x.shape[-1])  # (N, in)
    z, y, slope = (np.empty((len(rows), len(weight)), x.dtype) for _ in range(3))
    product = _product(rows, weight, bias, z)

    def work(part: slice) -> None:
        product(part)
        fill_gelu(z[part], y[part], slope[part])

    in_parts(work, len(rows), _steps(weight) + GELU_STEPS * len(weight))

    def backward(g: np.ndarray, wanted: list[bool]) -> tuple[Any, ...]:
        h = times(g.reshape(slope.shape), slope)
        return _backward(h, rows, weight, shape, wanted)

    return y.reshape(*shape[:-1], len(weight)), backward


def linear_gelu_value(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The same value; keeps nothing and writes GELU over the product."""
    rows = x.reshape(-1, x.shape[-1])  # (N, in)
    y = np.empty((len(rows), len(weight)), x.dtype)
    product = _product(rows, weight, bias, y)

    def work(part: slice) -> None:
        product(part)
        fill_gelu(y[part], y[part])

    in_parts(work, len(rows), _steps(weight) + GELU_STEPS * len(weight))
    return y.reshape(*x.shape[:-1], len(weight))


def _product(
    x: np.ndarray, weight: np.ndarray, bias: Any, y: np.ndarray
) -> Callable[[slice], None]:
    """The work that fills a part of y (N, out) with x·Wᵀ + b."""

    def work(part: slice) -> None:
        np.matmul(x[part], weight.T, out=y[part])
        if bias is not None:
            y[part] += bias

    return work


def _backward(
    g: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    shape: tuple[int, ...],
    wanted: list[bool],
) -> tuple[Any, ...]:
    """∂x = g·W, ∂W = gᵀ·x, ∂b = Σ g, for x (N, in) that came in `shape`."""
    N, n_out = g.shape
    gx = np.empty(x.shape, g.dtype) if wanted[0] else None
    gw = np.empty(weight.shape, g.dtype) if wanted[1] else None
    with_bias = len(wanted) > 2 and wanted[2]

    def work(part: slice) -> Any:
        if gx is not None:
            np.matmul(g[part], weight, out=gx[part])
        if gw is not None:
            own = slice(part.start * n_out // N, part.stop * n_out // N) if N else slice(None)
            np.matmul(g.T[own], x, out=gw[own])
        return column_sums(g[part]) if with_bias else None

    parts = in_parts(work, N, sum(wanted[:2]) * _steps(weight) + n_out)
    gb = sum(parts) if with_bias else None
    gradients = (None if gx is None else gx.reshape(shape)), gw, gb
    return gradients[: len(wanted)]


def _steps(weight: np.ndarray) -> float:
    """Elementary steps that a row costs; 0, which is never cut, if BLAS cannot be kept to one."""
    return weight.size * STEPS_PER_PRODUCT if blas_obeys() else 0


def column_sums(g: np.ndarray) -> np.ndarray:
    """(N, C) -> (C,); for large arrays a product with ones is the fastest sum there is."""
    return g.sum(axis=0) if g.size < 4096 else np.ones(len(g), g.dtype) @ g
