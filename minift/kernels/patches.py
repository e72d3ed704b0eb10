"""Convolution whose windows lie side by side: 1 × 1 kernels, patches, upsampling by its kernel.

Each pixel is in one window, so that nothing is copied twice and nothing is summed: one product an
image, straight into the output. Every other convolution is in `minift/kernels/conv.py`, where it
is decided which one this is; the formulas are in `minift/ops/conv.py`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minift.kernels.linear import STEPS_PER_PRODUCT
from minift.kernels.threads import in_parts

WINDOWS = 64  # at least, in an image: a product with fewer columns does not pay


def side_by_side(size: tuple[int, ...], kernel: tuple[int, ...], geometry: Any) -> bool:
    """Whether the windows tile an image of (H, W), none of it left over, and there are enough."""
    return (
        geometry.stride == tuple(kernel)
        and geometry.padding == (0, 0)
        and geometry.dilation == (1, 1)
        and all(n % k == 0 for n, k in zip(size, kernel))
        and math.prod(size) >= WINDOWS * math.prod(kernel)
    )


def output_of(x: np.ndarray, w: np.ndarray, bias: Any, G: int) -> np.ndarray:
    """(B, G·C, H, W), (O, C, I, J) -> (B, O, H/I, W/J)."""
    (B, _, H, W), (O, C, I, J) = x.shape, w.shape
    y = np.empty((B, O, H // I, W // J), x.dtype)
    flat, weight = y.reshape(B, G, O // G, -1), w.reshape(G, O // G, -1)

    def work(part: slice) -> None:
        for b in range(part.start, part.stop):
            np.matmul(weight, _patches(x[b], (I, J), G), out=flat[b])
            if bias is not None:
                y[b] += bias[:, None, None]

    in_parts(work, B, y[:1].size * C * I * J * STEPS_PER_PRODUCT)
    return y


def image_of(g: np.ndarray, w: np.ndarray, bias: Any, G: int) -> np.ndarray:
    """(B, O, H', W'), (O, C, I, J) -> (B, G·C, H'·I, W'·J)."""
    (B, O, H, W), (_, C, I, J) = g.shape, w.shape
    x = np.empty((B, G * C, H * I, W * J), g.dtype)
    weight = w.reshape(G, O // G, -1).swapaxes(1, 2)  # (G, C·I·J, O/G)

    def work(part: slice) -> None:
        for b in range(part.start, part.stop):
            patches = weight @ g[b].reshape(G, O // G, -1)  # (G, C·I·J, H'·W')
            patches = patches.reshape(G * C, I, J, H, W).transpose(0, 3, 1, 4, 2)
            x[b].reshape(G * C, H, I, W, J)[...] = patches
            if bias is not None:
                x[b] += bias[:, None, None]

    in_parts(work, B, g[:1].size * C * I * J * STEPS_PER_PRODUCT)
    return x


def kernel_of(x: np.ndarray, g: np.ndarray, kernel: tuple[int, ...], G: int) -> np.ndarray:
    """(B, G·C, H, W), (B, O, H', W') -> (O, C, I, J)."""
    C, O = x.shape[1] // G, g.shape[1]
    length = C * math.prod(kernel)

    def work(part: slice) -> np.ndarray:
        w = np.zeros((G, length, O // G), x.dtype)
        for b in range(part.start, part.stop):
            w += _patches(x[b], kernel, G) @ g[b].reshape(G, O // G, -1).swapaxes(1, 2)
        return w

    w = np.sum(in_parts(work, len(x), g[:1].size * length * STEPS_PER_PRODUCT), axis=0)
    return w.swapaxes(1, 2).reshape(O, C, *kernel)


def _patches(image: np.ndarray, kernel: tuple[int, ...], G: int) -> np.ndarray:
    """(G·C, H, W) -> (G, C·I·J, H'·W'): a column for each window; a view for 1 × 1."""
    (_, H, W), (I, J) = image.shape, kernel
    parts = image.reshape(-1, H // I, I, W // J, J).transpose(0, 2, 4, 1, 3)  # (G·C, I, J, H', W')
    return parts.reshape(G, -1, H // I * (W // J))
