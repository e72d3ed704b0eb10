"""GELU and dropout on the GPU: launches of `gelu.cu` and `dropout.cu`."""

from __future__ import annotations

from typing import Any

import numpy as np

from minift.backend import Array
from minift.kernels.cuda.compiling import contiguous, empty, launch_flat


def gelu(x: Array, bias: Array | None = None) -> tuple[Array, Any]:
    """y = v·Φ(v) of v = x + bias (a vector along the last axis); keeps only its arguments.

    The derivative is that by v.
    """
    x, C = contiguous(x), 1
    if bias is not None:
        bias, C = contiguous(bias), len(bias)
    y = empty(x.shape, x.dtype)
    launch_flat("gelu", "gelu", x.dtype, x.size, x, bias, y, x.size, C)

    def to_v(g: Array) -> Array:
        gx, slope = empty(x.shape, x.dtype), contiguous(g)
        launch_flat("gelu", "gelu_backward", x.dtype, x.size, slope, x, bias, gx, x.size, C)
        return gx

    return y, (to_v,)


def dropout(x: Array, *, p: float, key: tuple[int, int]) -> tuple[Array, Any]:
    """x·keep/(1 − p); keeps nothing, since the mask can be made again."""
    return _dropped(x, p, key), (lambda g: _dropped(g, p, key),)


def _dropped(x: Array, p: float, key: tuple[int, int]) -> Array:
    x, y = contiguous(x), empty(x.shape, x.dtype)
    draws = draws_of(p, key)
    launch_flat("dropout", "dropout", x.dtype, x.size, x, y, x.size, *draws, each=16)
    return y


def draws_of(p: float, key: tuple[int, int]) -> tuple[Any, ...]:
    """What a kernel must know to drop with probability p: the key, the limit, 1/(1 − p)."""
    scale = 1 / (1 - p) if p < 1 else 0.0
    return np.uint64(key[0]), np.uint64(key[1]), round(p * 65536), scale
