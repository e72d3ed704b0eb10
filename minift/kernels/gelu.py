"""GELU on NumPy: value and slope in one pass over each tile, so that backward is a product."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minift.kernels.erf import erf
from minift.kernels.threads import in_parts
from minift.kernels.tiles import tiles

# Zelen & Severo 1964 (Abramowitz & Stegun 26.2.17): the normal distribution function
# Φ(x) = 1 − φ(x)·(b₁t + … + b₅t⁵) with t = 1/(1 + rx) for x ≥ 0, absolute error < 7.5e-8.
R = 0.2316419
B = (1.330274429, -1.821255978, 1.781477937, -0.356563782, 0.319381530)
STEPS = 20  # elementary steps an element
INV_SQRT_2PI = 1 / math.sqrt(2 * math.pi)


def gelu(x: np.ndarray) -> tuple[np.ndarray, Any]:
    """y = x·Φ(x) with slope Φ(x) + x·φ(x); float32 by Zelen & Severo, float64 by Cody's erf."""
    flat = np.ascontiguousarray(x).reshape(-1)
    y, slope = np.empty_like(flat), np.empty_like(flat)
    in_parts(lambda s: gelu_and_slope(flat[s], y[s], slope[s]), flat.size, STEPS)
    slope = slope.reshape(x.shape)
    return y.reshape(x.shape), (lambda g: times(g, slope),)


def gelu_and_slope(x: np.ndarray, y: np.ndarray, slope: np.ndarray) -> None:
    """Fill y and slope, all contiguous, from x."""
    x, y, slope = x.reshape(-1), y.reshape(-1), slope.reshape(-1)
    normal = _normal_float32 if x.dtype == np.float32 else _normal_float64
    for s in tiles(x.size, 1):
        z, cdf = x[s], y[s]
        pdf = normal(z, cdf)
        np.multiply(z, pdf, out=slope[s])
        slope[s] += cdf
        cdf *= z  # y = x·Φ(x)


def times(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a·b, elementwise, for arrays of one shape."""
    y = np.empty(a.shape, a.dtype)
    flat_a, flat_b, flat_y = a.reshape(-1), b.reshape(-1), y.reshape(-1)

    def work(s: slice) -> None:
        np.multiply(flat_a[s], flat_b[s], out=flat_y[s])

    in_parts(work, y.size, 1)
    return y


def _normal_float32(z: np.ndarray, cdf: np.ndarray) -> np.ndarray:
    """Writes Φ(z) into `cdf` and returns φ(z)."""
    pdf = z * z
    pdf *= np.float32(-0.5)
    np.exp(pdf, out=pdf)
    pdf *= np.float32(INV_SQRT_2PI)
    t = np.abs(z)
    t *= np.float32(R)
    t += np.float32(1)
    np.reciprocal(t, out=t)
    np.multiply(t, np.float32(B[0]), out=cdf)
    for b in B[1:]:
        cdf += np.float32(b)
        cdf *= t
    cdf *= pdf  # 1 − Φ(|z|)
    np.subtract(np.float32(0.5), cdf, out=cdf)
    np.copysign(cdf, z, out=cdf)
    cdf += np.float32(0.5)
    return pdf


def _normal_float64(z: np.ndarray, cdf: np.ndarray) -> np.ndarray:
    cdf[...] = 0.5 * (1 + erf(z * math.sqrt(0.5)))
    return np.exp(-0.5 * z * z) * INV_SQRT_2PI
