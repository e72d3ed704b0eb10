"""Dropout from a counter-based generator: the mask is a pure function of its key.

Philox (Salmon et al. 2011) makes 64 random bits from (key, counter) with no state, so that any
device can make the same mask, or make it again. Each 64 bits give four 16-bit draws: p is
rounded to a multiple of 1/65536.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minift.backend.random import first_draw
from minift.kernels.threads import in_parts
from minift.kernels.tiles import tiles

DRAWS = 16  # that one counter makes: 4 numbers of 64 bits
STEPS = 8  # elementary steps a draw


def keep_mask(shape: tuple[int, ...], p: float, key: tuple[int, int]) -> np.ndarray:
    """Booleans, False with probability p; the same for the same (shape, p, key)."""
    n = math.prod(shape)
    keep, start = np.empty(n, bool), first_draw(n)

    def work(counters: slice) -> None:
        for s in tiles(counters, DRAWS):
            first, last = DRAWS * s.start, min(DRAWS * s.stop, n)
            keep[first:last] = keep_range(start + first, start + last, p, key)

    in_parts(work, -(-n // DRAWS), DRAWS * STEPS)
    return keep.reshape(shape)


def keep_range(first: int, last: int, p: float, key: tuple[int, int]) -> np.ndarray:
    """Elements `first` to `last` of any mask with this key, flat."""
    if p == 1:
        return np.zeros(last - first, bool)
    counter, skipped = divmod(first, DRAWS)
    generator = np.random.Philox(key=np.array(key, np.uint64)).advance(counter)
    bits = generator.random_raw(-(-(last - DRAWS * counter) // 4))
    draws = bits.view(np.uint16)[skipped : skipped + last - first]
    return np.greater_equal(draws, round(p * 65536))


def dropout(x: np.ndarray, *, p: float, key: tuple[int, int]) -> tuple[np.ndarray, Any]:
    """x·keep/(1 − p); keeps one byte per element."""
    keep = keep_mask(x.shape, p, key)
    return _masked(x, keep, p), (lambda g: _masked(g, keep, p),)


def _masked(x: np.ndarray, keep: np.ndarray, p: float) -> np.ndarray:
    y = np.empty(x.shape, x.dtype)
    flat_x, flat_keep, flat_y = np.ascontiguousarray(x).reshape(-1), keep.reshape(-1), y.reshape(-1)
    scale = x.dtype.type(1 / (1 - p) if p < 1 else 0)

    def work(part: slice) -> None:
        for s in tiles(part, 1):
            np.multiply(flat_x[s], flat_keep[s], out=flat_y[s])
            flat_y[s] *= scale

    in_parts(work, flat_y.size, 2)
    return y
