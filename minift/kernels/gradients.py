"""The joint length of all gradients, and clipping: a call of BLAS for each, or one launch for all.

Not here: when a gradient is clipped. See `minift/optim/clipping.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from minift.backend import Array, device_of, xp
from minift.kernels.choice import check_later
from minift.kernels.cuda import multi_tensor
from minift.kernels.threads import single_blas


def joint_length(gradients: Sequence[Array]) -> float | Array:
    """√(Σ g·g) over all arrays: a float; on a GPU a float64 array that nobody has waited for."""
    if gradients and all(map(check_later, gradients)):
        return multi_tensor.length([dense(g) for g in gradients])
    with single_blas():
        squares = sum(squared_length(g) for g in gradients)
    return math.sqrt(squares) if isinstance(squares, float | int) else xp(squares).sqrt(squares)


def squared_length(g: Array) -> float | Array:
    """g · g by one BLAS call, without a temporary array."""
    flat = g.reshape(-1)
    square = xp(g).vdot(flat, flat).astype(np.float64)
    return float(square) if device_of(g) == "cpu" else square


def clip(gradients: Sequence[Array], length: float | Array, max_length: float) -> None:
    """Multiply gradients in place by `clipping_factor`.

    On a GPU a length that is not finite sets the trouble word, and leaves them as they are.
    """
    if gradients and all(map(check_later, gradients)):
        compact = [dense(g) for g in gradients]
        multi_tensor.clip(compact, length, max_length)
        for g, clipped in zip(gradients, compact):
            if g is not clipped:
                g[...] = clipped
        return
    factor = clipping_factor(float(length), max_length)
    for g in gradients if factor < 1 else ():
        g *= factor


def clipping_factor(length: float, max_length: float) -> float:
    """What gradients of this joint length are multiplied by: 1 if they are short enough.

    Raises ValueError if the length is not finite.
    """
    if not math.isfinite(length):
        raise ValueError(
            f"clip_grad_norm_: the gradient's length is {length}; lower the learning rate, or look "
            f"for a division by zero or a logarithm of zero in the loss"
        )
    return min(1.0, max_length / (length + 1e-6))  # the 1e-6 is PyTorch's


def dense(array: Array) -> Array:
    """The array without gaps between its values: itself, or a copy."""
    return xp(array).ascontiguousarray(array)
