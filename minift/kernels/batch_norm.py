"""Batch normalisation on NumPy: sums as products with ones, in tiles of images, in place.

Only x is kept; x − mean is made again on the way back, where it is in the cache at once. Read
`minift/ops/neural.py` for the formulas.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minift.kernels.threads import in_parts
from minift.kernels.tiles import tiles

STEPS = 4  # elementary steps an element


def channel_moments(x: np.ndarray) -> tuple[np.ndarray, Any]:
    """Mean and variance of each channel: (B, C, ...) -> (2, C)."""
    images, ones = _flat(x)
    C, N = images.shape[1:]
    n = len(x) * N
    mean = _summed(lambda s: images[s] @ ones, images) / n

    def squares(s: slice) -> np.ndarray:
        centred = images[s] - mean[:, None]
        return np.vecdot(centred, centred)

    def to_x(g: np.ndarray) -> np.ndarray:
        """(∂mean + 2·(x − mean)·∂variance) / n"""
        gx = np.empty(images.shape, x.dtype)
        level, slope = g[:, :, None] / n * np.array([[[1]], [[2]]], x.dtype)  # (C, 1) each

        def work(part: slice) -> None:
            for s in tiles(part, C * N):
                np.subtract(images[s], mean[:, None], out=gx[s])
                gx[s] *= slope
                gx[s] += level

        in_parts(work, len(x), STEPS * C * N)
        return gx.reshape(x.shape)

    return np.stack([mean, _summed(squares, images) / n]), (to_x,)


def standardize(
    x: np.ndarray, moments: np.ndarray, weight: np.ndarray, bias: np.ndarray, *, eps: float
) -> tuple[np.ndarray, Any]:
    """y = (x − mean)/√(variance + eps)·weight + bias for each channel of (B, C, ...)."""
    images, ones = _flat(x)
    C, N = images.shape[1:]
    mean, rstd = moments[0, :, None], 1 / np.sqrt(moments[1] + x.dtype.type(eps))
    scale = (rstd * weight)[:, None]  # (C, 1)
    y = np.empty(images.shape, x.dtype)

    def work(part: slice) -> None:
        for s in tiles(part, C * N):
            np.subtract(images[s], mean, out=y[s])
            y[s] *= scale
            y[s] += bias[:, None]

    in_parts(work, len(x), STEPS * C * N)

    def backward(g: np.ndarray, wanted: list[bool]) -> tuple[Any, ...]:
        g = g.reshape(images.shape)
        gx = (g * scale).reshape(x.shape) if wanted[0] else None
        if not any(wanted[1:]):
            return gx, None, None, None
        along = _summed(lambda s: np.vecdot(g[s], images[s] - mean), images)  # Σ g·(x − mean)
        gb = _summed(lambda s: g[s] @ ones, images)
        to_moments = np.stack([-gb * scale[:, 0], -0.5 * along * weight * rstd**3])
        return gx, to_moments, along * rstd, gb

    return y.reshape(x.shape), backward


def _flat(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(B, C, N), and ones (N,) to sum with."""
    images = x.reshape(*x.shape[:2], -1)
    return images, np.ones(images.shape[2], x.dtype)


def _summed(of: Any, images: np.ndarray) -> np.ndarray:
    """Σ over the images of what `of` gives for some of them: (b, C) -> (C,)."""
    C, N = images.shape[1:]

    def work(part: slice) -> np.ndarray:
        total = np.zeros(C, images.dtype)
        for s in tiles(part, C * N):
            total += of(s).sum(axis=0)
        return total

    return np.sum(in_parts(work, len(images), 2 * C * N), axis=0)
