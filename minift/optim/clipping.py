"""Clipping: bound the length of the whole gradient before a step."""

from __future__ import annotations

import math
from collections.abc import Iterable

from minift.backend import xp
from minift.tensor import Tensor


def clip_grad_norm_(params: Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients by max_norm / ‖g‖ if their joint length ‖g‖ exceeds it; returns ‖g‖.

    Pascanu et al. 2013, algorithm 1. Raises ValueError if `max_norm` is not positive, or if a
    gradient is not finite: scaling would spread the NaN to every weight.
    """
    if not max_norm > 0:
        raise ValueError(f"clip_grad_norm_: max_norm must be above 0, got {max_norm}")
    gradients = [p.grad for p in params if p.grad is not None]
    norm = math.sqrt(sum(squared_length(g) for g in gradients))
    if not math.isfinite(norm):
        raise ValueError(
            f"clip_grad_norm_: the gradient's length is {norm}; lower the learning rate, or look "
            f"for a division by zero or a logarithm of zero in the loss"
        )
    scale = max_norm / (norm + 1e-6)  # the 1e-6 is PyTorch's
    if scale < 1:
        for g in gradients:
            g.data *= scale
    return norm


def squared_length(g: Tensor) -> float:
    """g · g by one BLAS call, without a temporary array."""
    flat = g.data.reshape(-1)
    return float(xp(flat).vdot(flat, flat))
