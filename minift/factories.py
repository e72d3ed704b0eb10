"""Make tensors from a shape: float32 unless a dtype is given, on the device that is named."""

from __future__ import annotations

from typing import Any

import numpy as np

from minift.backend import random
from minift.tensor import Tensor, as_array


def full(
    shape: Any,
    value: float,
    dtype: Any = np.float32,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """`shape` (an int or a sequence) filled with `value`."""
    return Tensor(np.full(_checked(shape), value, dtype), requires_grad, device=device)


def zeros(*shape: Any, **settings: Any) -> Tensor:
    """Zeros: `zeros(2, 3)` or `zeros((2, 3))`; settings as `full`."""
    return full(_unpacked(shape), 0, **settings)


def ones(*shape: Any, **settings: Any) -> Tensor:
    """Ones: `ones(2, 3)` or `ones((2, 3))`; settings as `full`."""
    return full(_unpacked(shape), 1, **settings)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1,
    dtype: Any = None,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, ... before stop: int64 for integers, float32 if any is a float."""
    first, last = (0, start) if stop is None else (start, stop)
    if step == 0:
        raise ValueError("arange: the step cannot be 0")
    is_float = any(isinstance(n, float) for n in (first, last, step))
    dtype = dtype or (np.float32 if is_float else np.int64)
    return Tensor(np.arange(first, last, step).astype(dtype), requires_grad, device=device)


def randn(*shape: Any, **settings: Any) -> Tensor:
    """Normal draws (mean 0, variance 1) from the generator that `manual_seed` restarts."""
    return _drawn(random.generator("user").standard_normal, shape, **settings)


def rand(*shape: Any, **settings: Any) -> Tensor:
    """Uniform draws in [0, 1) from the generator that `manual_seed` restarts."""
    return _drawn(random.generator("user").random, shape, **settings)


def zeros_like(x: Any, **settings: Any) -> Tensor:
    """Zeros in the shape, dtype and device of x."""
    return full_like(x, 0, **settings)


def ones_like(x: Any, **settings: Any) -> Tensor:
    """Ones in the shape, dtype and device of x."""
    return full_like(x, 1, **settings)


def full_like(x: Any, value: float, **settings: Any) -> Tensor:
    """`value` in the shape, dtype and device of x."""
    return full(value=value, **_like(x, settings))


def randn_like(x: Any, **settings: Any) -> Tensor:
    """Normal draws in the shape, dtype and device of x."""
    like = _like(x, settings)
    return randn(like.pop("shape"), **like)


def rand_like(x: Any, **settings: Any) -> Tensor:
    """Uniform draws in the shape, dtype and device of x."""
    like = _like(x, settings)
    return rand(like.pop("shape"), **like)


def _like(x: Any, settings: dict[str, Any]) -> dict[str, Any]:
    x = x if isinstance(x, Tensor) else Tensor(as_array(x))
    return {"shape": x.shape, "dtype": x.dtype, "device": x.device, **settings}


def _drawn(
    draw: Any,
    shape: tuple[Any, ...],
    dtype: Any = np.float32,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    return Tensor(draw(_checked(_unpacked(shape))).astype(dtype), requires_grad, device=device)


def _unpacked(shape: tuple[Any, ...]) -> Any:
    return shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape


def _checked(shape: Any) -> tuple[int, ...]:
    lengths = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if any(not isinstance(n, (int, np.integer)) or n < 0 for n in lengths):
        raise ValueError(f"a shape is made of integers of at least 0, got {shape}")
    return tuple(int(n) for n in lengths)
