"""Ops that fold axes away: sums, means, extremes. Read `minift/ops/shape.py` next."""

from __future__ import annotations

from typing import Any

import numpy as np

from minift.autograd import op
from minift.backend import xp
from minift.ops.elementwise import exp, floating, log
from minift.ops.shape import one_axis
from minift.tensor import Axis, Tensor, as_array


def normalized_axes(name: str, axis: Axis, ndim: int) -> tuple[int, ...]:
    """`axis` as a tuple of numbers in [0, ndim); None means all. Raises ValueError."""
    axes = range(ndim) if axis is None else (axis,) if isinstance(axis, (int, np.integer)) else axis
    found = tuple(one_axis(name, a, ndim) for a in axes)
    if len(set(found)) != len(found):
        raise ValueError(f"{name}: axis {axis} names an axis twice")
    return found


def _spread(g: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    """Give g its folded axes back, as length 1."""
    return g.reshape(tuple(1 if i in axes else n for i, n in enumerate(shape)))


def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum over `axis` (an int, a tuple, or None for all)."""
    return _sum(x, axis=axis, keepdims=keepdims)


@op
def _sum(x, *, axis, keepdims):
    shape, axes = x.shape, normalized_axes("sum", axis, x.ndim)
    y = x.sum(axis=axes, keepdims=keepdims)
    return y, (lambda g: xp(g).broadcast_to(_spread(g, shape, axes), shape),)


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Mean over `axis`."""
    return _mean(x, axis=axis, keepdims=keepdims)


@op
def _mean(x, *, axis, keepdims):
    x = floating(x)
    shape, axes = x.shape, normalized_axes("mean", axis, x.ndim)
    n = _count("mean", shape, axes)
    y = x.sum(axis=axes, keepdims=keepdims) / n
    return y, (lambda g: xp(g).broadcast_to(_spread(g / n, shape, axes), shape),)


def _count(name: str, shape: tuple[int, ...], axes: tuple[int, ...]) -> int:
    n = int(np.prod([shape[a] for a in axes]))
    if n == 0:
        raise ValueError(f"{name}: no values to reduce over axis {axes} of shape {shape}")
    return n


def var(x: Any, axis: Axis = None, keepdims: bool = False, correction: float = 0) -> Tensor:
    """Mean squared distance from the mean, with n − `correction` as divisor (0: population)."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    axes = normalized_axes("var", axis, x.ndim)
    n = _count("var", x.shape, axes)
    if n <= correction:
        raise ValueError(f"var: {n} values cannot take a correction of {correction}")
    centred = x - mean(x, axis=axes, keepdims=True)
    return sum(centred * centred, axis=axes, keepdims=keepdims) / (n - correction)


def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Largest value over `axis`; the gradient is shared evenly among ties."""
    return _max(x, axis=axis, keepdims=keepdims)


def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Smallest value over `axis`; the gradient is shared evenly among ties."""
    return -_max(-(x if isinstance(x, Tensor) else Tensor(x)), axis=axis, keepdims=keepdims)


@op
def _max(x, *, axis, keepdims):
    shape, axes = x.shape, normalized_axes("max", axis, x.ndim)
    _count("max", shape, axes)
    top = x.max(axis=axes, keepdims=True)
    ties = (x == top).astype(x.dtype)  # a constant: 1 at each largest value
    share = ties / ties.sum(axis=axes, keepdims=True)
    y = top if keepdims else top.reshape(tuple(n for i, n in enumerate(shape) if i not in axes))
    return y, (lambda g: _spread(g, shape, axes) * share,)


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """int64 index of the first largest value over one axis, or of the flattened tensor."""
    array = as_array(x)
    if axis is not None:
        normalized_axes("argmax", axis, array.ndim)
    if array.size == 0:
        raise ValueError(f"argmax: no values in a tensor of shape {array.shape}")
    return Tensor(xp(array).argmax(array, axis=axis, keepdims=keepdims))


def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log Σ eˣ over `axis`, without overflow; −inf where every value is −inf."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    axes = normalized_axes("logsumexp", axis, x.ndim)
    _count("logsumexp", x.shape, axes)
    top = x.data.max(axis=axes, keepdims=True)  # a constant: it cancels in the derivative
    empty = top == -np.inf
    shift = xp(top).where(xp(top).isinf(top), 0, top).astype(x.dtype)
    total = sum(exp(x - shift), axis=axes, keepdims=True)
    y = log(total + empty) + xp(top).where(empty, top, shift)
    return y if keepdims else y.reshape(tuple(n for i, n in enumerate(x.shape) if i not in axes))


def cumsum(x: Any, axis: int) -> Tensor:
    """Running sum along one axis."""
    return _cumsum(x, axis=axis)


@op
def _cumsum(x, *, axis):
    (axis,) = normalized_axes("cumsum", axis, x.ndim)
    backwards = tuple(slice(None, None, -1 if i == axis else None) for i in range(x.ndim))

    def to_x(g):  # xᵢ is part of every sum from i on
        return _cumsum.on(g[backwards], axis=axis)[backwards]

    return _running_sum(x, axis), (to_x,)


def _running_sum(x: Any, axis: int) -> Any:
    return cumsum(x, axis) if isinstance(x, Tensor) else x.cumsum(axis=axis, dtype=x.dtype)
