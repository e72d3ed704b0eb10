"""The joint length of all gradients, and clipping: a call of BLAS for each, or one launch for all.

Not here: when a gradient is clipped. See `minift/optim/clipping.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from minift.backend import Array, device_of, xp
from minift.kernels.cuda import multi_tensor


def joint_length(gradients: Sequence[Array]) -> float | Array:
    """√(Σ g·g) over all arrays: a float; on a GPU a float64 array that nobody has waited for."""
    if gradients and device_of(gradients[0]) == "cuda":
        return multi_tensor.length([dense(g) for g in gradients])
    return math.sqrt(sum(squared_length(g) for g in gradients))


def squared_length(g: np.ndarray) -> float:
    """g · g by one BLAS call, without a temporary array."""
    flat = g.reshape(-1)
    return float(np.vdot(flat, flat))


def clip(gradients: Sequence[Array], length: Array, max_length: float) -> None:
    """On a GPU: multiply gradients in place by max_length / length where that is below 1.

    A length that is not finite sets the trouble word and leaves them as they are.
    """
    compact = [dense(g) for g in gradients]
    multi_tensor.clip(compact, length, max_length)
    for g, clipped in zip(gradients, compact):
        if g is not clipped:
            g[...] = clipped


def dense(array: Array) -> Array:
    """The array without gaps between its values: itself, or a copy."""
    return xp(array).ascontiguousarray(array)
