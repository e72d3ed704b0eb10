"""GELU on NumPy: value and slope in one pass over each tile, so that backward is a product.

The slope is left out where no gradient is wanted.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minift.kernels.erf import erf
from minift.kernels.threads import in_parts
from minift.kernels.tiles import tiles

# Zelen & Severo 1964 (Abramowitz & Stegun 26.2.17): the normal distribution function
# Φ(x) = 1 − φ(x)·(b₁t + … + b₅t⁵) with t = 1/(1 + rx) for x ≥ 0, absolute error < 7.5e-8.
# In u = t/r = 1/(1/r + x) and exp(−x²/2) there are two products less.
R = 0.2316419
B = (1.330274429, -1.821255978, 1.781477937, -0.356563782, 0.319381530)  # from b₅ down
INV_SQRT_2PI = 1 / math.sqrt(2 * math.pi)
IN_U = tuple(np.float32(b * INV_SQRT_2PI / R ** (5 - i)) for i, b in enumerate(B))
STEPS = 20  # elementary steps an element


def gelu(x: np.ndarray) -> tuple[np.ndarray, Any]:
    """y = x·Φ(x) with slope Φ(x) + x·φ(x); float32 by Zelen & Severo, float64 by Cody's erf."""
    flat = np.ascontiguousarray(x).reshape(-1)
    y, slope = np.empty_like(flat), np.empty_like(flat)
    in_parts(lambda s: fill_gelu(flat[s], y[s], slope[s]), flat.size, STEPS)
    slope = slope.reshape(x.shape)
    return y.reshape(x.shape), (lambda g: times(g, slope),)


def gelu_value(x: np.ndarray) -> np.ndarray:
    """The same y without its slope."""
    flat = np.ascontiguousarray(x).reshape(-1)
    y = np.empty_like(flat)
    in_parts(lambda s: fill_gelu(flat[s], y[s]), flat.size, STEPS)
    return y.reshape(x.shape)


def fill_gelu(x: np.ndarray, y: np.ndarray, slope: np.ndarray | None = None) -> None:
    """Fill y, which may be x itself, and the slope if it is wanted; all contiguous."""
    x, y = x.reshape(-1), y.reshape(-1)
    slope = None if slope is None else slope.reshape(-1)
    fill = _fill_float32 if x.dtype == np.float32 else _fill_float64
    for s in tiles(x.size, 1):
        fill(x[s], y[s], None if slope is None else slope[s])


def times(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a·b, elementwise, for arrays of one shape."""
    y = np.empty(a.shape, a.dtype)
    flat_a, flat_b, flat_y = a.reshape(-1), b.reshape(-1), y.reshape(-1)

    def work(s: slice) -> None:
        np.multiply(flat_a[s], flat_b[s], out=flat_y[s])

    in_parts(work, y.size, 1)
    return y


def _fill_float32(z: np.ndarray, y: np.ndarray, slope: np.ndarray | None) -> None:
    """With c = Φ(|z|) − ½: y = ½z + |z|·c, slope = ½ ± c + z·φ(z)."""
    size, half = np.abs(z), np.float32(0.5)
    u = size + np.float32(1 / R)
    np.reciprocal(u, out=u)
    c = u * IN_U[0]
    for b in IN_U[1:]:
        c += b
        c *= u
    bell = np.multiply(z, z, out=u)
    bell *= -half
    np.exp(bell, out=bell)
    c *= bell  # 1 − Φ(|z|)
    np.subtract(half, c, out=c)
    if slope is not None:
        np.copysign(c, z, out=slope)
        slope += half
        bell *= np.float32(INV_SQRT_2PI)
        bell *= z
        slope += bell
    c *= size
    np.multiply(z, half, out=y)
    y += c


def _fill_float64(z: np.ndarray, y: np.ndarray, slope: np.ndarray | None) -> None:
    cdf = 0.5 * (1 + erf(z * math.sqrt(0.5)))
    if slope is not None:
        slope[...] = cdf + z * np.exp(-0.5 * z * z) * INV_SQRT_2PI
    np.multiply(z, cdf, out=y)
