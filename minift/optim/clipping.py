"""Clipping: bound the length of the whole gradient before a step."""

from __future__ import annotations

from collections.abc import Iterable

from minift.kernels import gradients
from minift.tensor import Tensor


def clip_grad_norm_(params: Iterable[Tensor], max_norm: float) -> float | Tensor:
    """Scale all gradients by max_norm / ‖g‖ if their joint length ‖g‖ exceeds it; returns ‖g‖.

    Pascanu et al. 2013, algorithm 1. On a GPU the length is a Tensor without axes that nobody has
    waited for; float() does. Raises ValueError if `max_norm` is not positive, or if a gradient is
    not finite (on a GPU when something is next read): scaling would spread the NaN to every weight.
    """
    if not max_norm > 0:
        raise ValueError(f"clip_grad_norm_: max_norm must be above 0, got {max_norm}")
    arrays = [p.grad.data for p in params if p.grad is not None]
    norm = gradients.joint_length(arrays)
    gradients.clip(arrays, norm, max_norm)
    return norm if isinstance(norm, float) else Tensor(norm)
