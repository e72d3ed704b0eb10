"""Layer normalisation on NumPy: row sums as products with ones, in tiles, in place."""

from __future__ import annotations

from typing import Any

import numpy as np

from minift.kernels.threads import in_parts
from minift.kernels.tiles import tiles

STEPS = 6  # elementary steps an element


def layer_norm(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, *, eps: float
) -> tuple[np.ndarray, Any]:
    """y = x̂·weight + bias over the last axis; keeps x̂ and 1/σ."""
    shape, C = x.shape, x.shape[-1]
    rows = x.reshape(-1, C)  # (N, C)
    hat, y, rstd = np.empty_like(rows), np.empty_like(rows), np.empty(len(rows), x.dtype)
    _fill(rows, weight, bias, eps, hat, y, rstd)

    def backward(g: np.ndarray, wanted: list[bool]) -> tuple[Any, ...]:
        return _backward(g.reshape(-1, C), weight, hat, rstd, shape, wanted)

    return y.reshape(shape), backward


def layer_norm_value(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, *, eps: float
) -> np.ndarray:
    """The same y; x̂ is made where y will be."""
    rows = x.reshape(-1, x.shape[-1])  # (N, C)
    y = np.empty_like(rows)
    _fill(rows, weight, bias, eps, y, y, np.empty(len(rows), x.dtype))
    return y.reshape(x.shape)


def _fill(
    rows: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    eps: float,
    normed: np.ndarray,
    y: np.ndarray,
    rstd: np.ndarray,
) -> None:
    """Fill x̂, which may be y itself, y and 1/σ from the rows (N, C)."""
    N, C = rows.shape
    ones = np.ones(C, rows.dtype)

    def work(part: slice) -> None:
        for s in tiles(part, C):
            hat, r = normed[s], rstd[s]
            np.subtract(rows[s], (rows[s] @ ones / C)[:, None], out=hat)
            np.divide(np.vecdot(hat, hat), C, out=r)
            r += eps
            np.sqrt(r, out=r)
            np.reciprocal(r, out=r)
            hat *= r[:, None]
            np.multiply(hat, weight, out=y[s])
            y[s] += bias

    in_parts(work, N, STEPS * C)


def _backward(
    g: np.ndarray,
    weight: np.ndarray,
    hat: np.ndarray,
    rstd: np.ndarray,
    shape: tuple[int, ...],
    wanted: list[bool],
) -> tuple[Any, ...]:
    """∂x = (g·w − mean(g·w) − x̂·mean(g·w·x̂)) / σ;  ∂w = Σ g·x̂;  ∂b = Σ g."""
    N, C = g.shape
    gx = np.empty_like(hat) if wanted[0] else None
    scaled = weight / C

    def work(part: slice) -> tuple[np.ndarray, np.ndarray]:
        gw, gb = np.zeros(C, g.dtype), np.zeros(C, g.dtype)
        for s in tiles(part, C):
            h = g[s] * hat[s]
            ones = np.ones(len(h), g.dtype)
            gw += ones @ h
            gb += ones @ g[s]
            if gx is not None:
                np.multiply(g[s], weight, out=gx[s])
                gx[s] -= (g[s] @ scaled)[:, None]
                np.multiply(hat[s], (h @ scaled)[:, None], out=h)
                gx[s] -= h
                gx[s] *= rstd[s, None]
        return gw, gb

    gw, gb = map(sum, zip(*in_parts(work, N, STEPS * C)))
    return None if gx is None else gx.reshape(shape), gw, gb
