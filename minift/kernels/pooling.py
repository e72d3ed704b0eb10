"""Pooling on NumPy: shifted views of the image, no windows copied.

A mean over windows is taken along the rows, then along the columns: kh + kw additions of smaller
and smaller arrays instead of kh·kw. Read `minift/ops/conv.py` for the formulas.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from minift.kernels.conv import inside
from minift.kernels.threads import in_parts

STEPS = 2  # elementary steps a pixel that a window sees

Size = tuple[int, ...]


def window_means(x: np.ndarray, *, kernel: Size, geometry: Any) -> tuple[np.ndarray, Any]:
    """(B, C, H, W) -> (B, C, H', W'), zeros of the padding included."""
    size = x.shape[2:]
    out = geometry.output_size(size, kernel)
    y = np.empty((*x.shape[:2], *out), x.dtype)
    share = x.dtype.type(1 / math.prod(kernel))

    def work(part: slice) -> None:
        rows = np.zeros((*x[part].shape[:2], out[0], size[1]), x.dtype)
        for seen, seer in _along(0, size, out, kernel, geometry):
            rows[:, :, seer] += x[part, :, seen]
        total = y[part]
        total[...] = 0
        for seen, seer in _along(1, size, out, kernel, geometry):
            total[..., seer] += rows[..., seen]
        total *= share

    in_parts(work, len(x), _steps(x, kernel[:1]))
    return y, (lambda g: from_means(g, size=size, kernel=kernel, geometry=geometry)[0],)


def from_means(g: np.ndarray, *, size: Size, kernel: Size, geometry: Any) -> tuple[np.ndarray, Any]:
    """The transpose of `window_means`: (B, C, H', W') -> (B, C, H, W)."""
    out = g.shape[2:]
    x = np.zeros((*g.shape[:2], *size), g.dtype)
    share = g.dtype.type(1 / math.prod(kernel))

    def work(part: slice) -> None:
        rows = np.zeros((*x[part].shape[:2], out[0], size[1]), g.dtype)
        for seen, seer in _along(1, size, out, kernel, geometry):
            rows[..., seen] += g[part, :, :, seer]
        rows *= share
        for seen, seer in _along(0, size, out, kernel, geometry):
            x[part, :, seen] += rows[:, :, seer]

    in_parts(work, len(x), _steps(x, kernel[:1]))
    return x, (lambda h: window_means(h, kernel=kernel, geometry=geometry)[0],)


def max_pool(x: np.ndarray, *, kernel: Size, geometry: Any) -> tuple[np.ndarray, Any]:
    """(B, C, H, W) -> (B, C, H', W'). Keeps x and y; who was largest is found again on the way
    back."""
    size = x.shape[2:]
    out = geometry.output_size(size, kernel)
    y = np.full((*x.shape[:2], *out), -math.inf, x.dtype)
    views = [
        ((..., row_seen, column_seen), (..., row_seer, column_seer))
        for (row_seen, row_seer), (column_seen, column_seer) in itertools.product(
            list(_along(0, size, out, kernel, geometry)),
            list(_along(1, size, out, kernel, geometry)),
        )
    ]

    def work(part: slice) -> None:
        for seen, seer in views:
            top = y[part][seer]
            np.maximum(top, x[part][seen], out=top)

    in_parts(work, len(x), _steps(x, kernel))

    def to_x(g: np.ndarray) -> np.ndarray:
        gx = np.zeros(x.shape, x.dtype)

        def work(part: slice) -> None:
            free = np.ones(y[part].shape, bool)  # whose largest value was not yet met
            for seen, seer in views:
                met = x[part][seen] == y[part][seer]
                met &= free[seer]
                free[seer] ^= met
                gx[part][seen] += g[part][seer] * met

        in_parts(work, len(x), _steps(x, kernel))
        return gx

    return y, (to_x,)


def _along(
    axis: int, size: Size, out: Size, kernel: Size, geometry: Any
) -> Iterator[tuple[slice, slice]]:
    """For each place in a window along an axis: which pixels it sees, for which windows."""
    step = geometry.stride[axis]
    for n in range(kernel[axis]):
        low, high, seen = inside(out[axis], n - geometry.padding[axis], step, size[axis])
        yield seen, slice(low, high)


def _steps(x: np.ndarray, kernel: Size) -> float:
    """Elementary steps of an image."""
    return math.prod(x.shape[1:]) * math.prod(kernel) * STEPS
