"""Dropout from a counter-based generator: the mask is a pure function of its key.

Philox (Salmon et al. 2011) makes 64 random bits from (key, counter) with no state, so that any
device can make the same mask, or make it again. Each 64 bits give four 16-bit draws: p is
rounded to a multiple of 1/65536.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minift.kernels.threads import in_parts
from minift.kernels.tiles import tiles

DRAW_STEPS = 8  # elementary steps a draw


def keep_mask(shape: tuple[int, ...], p: float, key: tuple[int, int]) -> np.ndarray:
    """Booleans, False with probability p; the same for the same (shape, p, key)."""
    n = math.prod(shape)
    keep = np.zeros(n, bool)
    if p == 1:
        return keep.reshape(shape)
    least = round(p * 65536)

    def work(blocks: slice) -> None:
        """One counter of Philox makes 4 × 64 bits, which is 16 draws."""
        generator = np.random.Philox(key=np.array(key, np.uint64)).advance(blocks.start)
        for s in tiles(blocks, 16):
            bits = generator.random_raw(4 * (s.stop - s.start))
            kept = keep[16 * s.start : 16 * s.stop]
            np.greater_equal(bits.view(np.uint16)[: len(kept)], least, out=kept)

    in_parts(work, -(-n // 16), 16 * DRAW_STEPS)
    return keep.reshape(shape)


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
