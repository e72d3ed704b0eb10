"""Ops that move elements without changing them: each derivative moves the gradient back.

Read `minift/ops/products.py` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minift import backend, kernels
from minift.autograd import beside, check_one_device, op
from minift.backend import xp
from minift.ops.elementwise import unbroadcast
from minift.tensor import Axis, Tensor

# ---- new shape, same elements -------------------------------------------------------------------


def reshape(x: Any, shape: Any) -> Tensor:
    """The same elements in another shape; one length may be -1."""
    return _reshape(x, shape=(shape,) if isinstance(shape, (int, np.integer)) else tuple(shape))


@op
def _reshape(x, *, shape):
    before = x.shape
    try:
        y = x.reshape(shape)
    except ValueError:
        raise ValueError(f"reshape: {before} has other than the elements of {shape}") from None
    return y, (lambda g: g.reshape(before),)


def flatten(x: Any, start_axis: int = 0, end_axis: int = -1) -> Tensor:
    """Fold the axes from `start_axis` to `end_axis` (both included) into one."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    if x.ndim == 0:
        return reshape(x, (1,))
    start = one_axis("flatten", start_axis, x.ndim)
    end = one_axis("flatten", end_axis, x.ndim)
    if start > end:
        raise ValueError(f"flatten: start_axis {start_axis} comes after end_axis {end_axis}")
    folded = int(np.prod(x.shape[start : end + 1]))
    return reshape(x, (*x.shape[:start], folded, *x.shape[end + 1 :]))


def squeeze(x: Any, axis: Axis = None) -> Tensor:
    """Drop axes of length 1: all of them, or those named (which must have length 1)."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    if axis is None:
        drop = {i for i, n in enumerate(x.shape) if n == 1}
    else:
        axes = (axis,) if isinstance(axis, (int, np.integer)) else axis
        drop = {one_axis("squeeze", a, x.ndim) for a in axes}
    for i in drop:
        if x.shape[i] != 1:
            raise ValueError(f"squeeze: axis {i} has length {x.shape[i]}, not 1")
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in drop))


def unsqueeze(x: Any, axis: int) -> Tensor:
    """A new axis of length 1 that becomes axis number `axis`."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    position = one_axis("unsqueeze", axis, x.ndim + 1)
    return reshape(x, (*x.shape[:position], 1, *x.shape[position:]))


def one_axis(name: str, axis: int, ndim: int) -> int:
    """`axis` as a number in [0, ndim). Raises ValueError."""
    if not -ndim <= axis < ndim:
        raise ValueError(f"{name}: axis {axis} does not exist in a tensor of {ndim} axes")
    return axis % ndim


def broadcast_to(x: Any, shape: tuple[int, ...]) -> Tensor:
    """Repeat x along new or length-1 axes to `shape` (NumPy's rules)."""
    return _broadcast_to(x, shape=tuple(shape))


@op
def _broadcast_to(x, *, shape):
    before = x.shape
    try:
        y = xp(x).broadcast_to(x, shape)
    except ValueError:
        raise ValueError(f"expand: {before} cannot be repeated to {shape}") from None
    return y, (lambda g: unbroadcast(g, before),)


def expand(x: Any, shape: Sequence[int]) -> Tensor:
    """As `broadcast_to`; -1 keeps a length, as in PyTorch."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    lead = len(shape) - x.ndim
    kept = [x.shape[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(shape)]
    return broadcast_to(x, tuple(kept))


# ---- new order ----------------------------------------------------------------------------------


def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """Axes in the order given, or reversed."""
    return _transpose(x, axes=None if axes is None else tuple(axes))


@op
def _transpose(x, *, axes):
    axes = tuple(range(x.ndim))[::-1] if axes is None else axes
    order = tuple(one_axis("transpose", a, x.ndim) for a in axes)
    if sorted(order) != list(range(x.ndim)):
        raise ValueError(f"transpose: {axes} is no order of the {x.ndim} axes")
    back = tuple(order.index(i) for i in range(len(order)))
    return x.transpose(order), (lambda g: g.transpose(back),)


def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """Exchange two axes."""
    return _swapaxes(x, axis1=axis1, axis2=axis2)


@op
def _swapaxes(x, *, axis1, axis2):
    i, j = one_axis("swapaxes", axis1, x.ndim), one_axis("swapaxes", axis2, x.ndim)
    return x.swapaxes(i, j), (lambda g: g.swapaxes(i, j),)


# ---- parts --------------------------------------------------------------------------------------


def getitem(x: Any, index: Any) -> Tensor:
    """x[index] with NumPy's rules; an element taken twice gets both gradients."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    parts = index if isinstance(index, tuple) else (index,)
    raw = tuple(_raw_index(x.data, part) for part in parts)
    if x.device == "cuda":
        _check_bounds(x.shape, raw)
    return _getitem(x, index=raw)


def _check_bounds(shape: tuple[int, ...], index: tuple[Any, ...]) -> None:
    """Hold each integer array against the length of the axis that it stands for."""
    takes = [  # how many axes each part stands for, but for the dots
        (part.ndim if part.dtype == bool else 1) if backend.is_array(part) else part is not None
        for part in index
    ]
    for i, part in enumerate(index):
        if backend.is_array(part) and part.dtype != bool:
            after_dots = any(before is Ellipsis for before in index[:i])
            axis = len(shape) - sum(takes[i:]) if after_dots else sum(takes[:i])
            if 0 <= axis < len(shape):
                kernels.check_bounds("getitem", part, shape[axis])


def _raw_index(x: Any, part: Any) -> Any:
    """Slices, numbers, None and ... as they are; lists and tensors as integer/bool arrays."""
    if part is None or part is Ellipsis or isinstance(part, (slice, int, np.integer)):
        return part
    array = beside("getitem", x, part)
    if array.size == 0 and isinstance(part, list):
        array = array.astype(np.int64)
    if array.dtype.kind not in "iub":
        raise TypeError(f"an index holds integers or booleans, got {array.dtype}")
    return array


@op
def _getitem(x, *, index):
    shape = x.shape
    try:
        y = x[index]
    except IndexError as error:
        raise IndexError(f"getitem: {error}") from None
    return y, (lambda g: _put.on(g, index=index, shape=shape),)


@op
def _put(g, *, index, shape):
    """Zeros of `shape` with g added at `index`: the transpose of `_getitem`."""
    if isinstance(g, Tensor):
        y = _put(g, index=index, shape=shape)
    else:
        y = xp(g).zeros(shape, g.dtype)
        if any(backend.is_array(part) for part in index):
            backend.scatter_add(y, index, g)
        else:
            y[index] = g  # slices take each element once
    return y, (lambda h: h[index],)


def take_along_axis(x: Any, indices: Any, axis: int) -> Tensor:
    """x[..., indices[..., i, ...], ...]: NumPy's take_along_axis (other axes broadcast)."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    return _getitem(x, index=_along_axis("take_along_axis", x, indices, axis))


def gather(x: Any, axis: int, index: Any) -> Tensor:
    """PyTorch's gather: y[i][j] = x[index[i][j]][j] for axis 0; index may be smaller than x."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    return _getitem(x, index=_along_axis("gather", x, index, axis))


def _along_axis(name: str, x: Tensor, indices: Any, axis: int) -> tuple[Any, ...]:
    index, ndim = beside(name, x.data, indices), x.ndim
    if index.dtype.kind not in "iu":
        raise TypeError(f"{name}: indices are integers, got {index.dtype}")
    if index.ndim != ndim:
        raise ValueError(f"{name}: the indices have {index.ndim} axes, the tensor {ndim}")
    axis = one_axis(name, axis, ndim)
    kernels.check_bounds("getitem", index, x.shape[axis])
    grid = [
        xp(index).arange(n).reshape((1,) * i + (n,) + (1,) * (ndim - i - 1))
        for i, n in enumerate(index.shape)
    ]
    return tuple(index if i == axis else grid[i] for i in range(ndim))


def split(x: Any, size: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Cut along `axis` into pieces of `size` (the last may be shorter), or of the sizes given."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    axis = one_axis("split", axis, x.ndim)
    n = x.shape[axis]
    if isinstance(size, (int, np.integer)):
        if size < 1:
            raise ValueError(f"split: the size of a piece must be at least 1, got {size}")
        sizes = [min(int(size), n - start) for start in range(0, n, int(size))] or [0]
    else:
        sizes = [int(s) for s in size]
        if sum(sizes) != n or min(sizes) < 0:
            raise ValueError(f"split: sizes {sizes} do not add up to the {n} of axis {axis}")
    ends = np.cumsum(sizes)
    lead = (slice(None),) * axis
    return [x[(*lead, slice(int(e) - s, int(e)))] for s, e in zip(sizes, ends)]


def tril(x: Any, k: int = 0) -> Tensor:
    """Zero what lies above the k-th diagonal of the last two axes."""
    return _tril(x, k=k)


@op
def _tril(x, *, k):
    if x.ndim < 2:
        raise ValueError(f"tril: at least 2 axes are needed, got shape {x.shape}")
    y = tril(x, k) if isinstance(x, Tensor) else xp(x).tril(x, k)
    return y, (lambda g: _tril.on(g, k=k),)


# ---- put together -------------------------------------------------------------------------------


def concatenate(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Join along an existing axis; all other lengths must be equal."""
    return _concatenate(*_at_least_one("concatenate", tensors), axis=axis)


@op
def _concatenate(*xs, axis):
    axis = one_axis("concatenate", axis, xs[0].ndim)
    shapes = {x.shape[:axis] + x.shape[axis + 1 :] for x in xs}
    if len(shapes) > 1 or len({x.ndim for x in xs}) > 1:
        raise ValueError(f"concatenate: shapes {[x.shape for x in xs]} differ off axis {axis}")
    if isinstance(xs[0], Tensor) or any(isinstance(x, Tensor) for x in xs):
        y = concatenate(xs, axis)
    else:
        check_one_device("concatenate", *xs)
        if kernels.cuda.multi_tensor.joins(xs) and not kernels.Choice.plain:
            return kernels.cuda.multi_tensor.concatenate(xs, axis)
        y = xp(xs[0]).concatenate(xs, axis=axis)
    lead = (slice(None),) * axis
    ends = np.cumsum([x.shape[axis] for x in xs]).tolist()
    starts = [0, *ends[:-1]]
    return y, tuple(
        (lambda g, a=a, b=b, dtype=x.dtype: g[(*lead, slice(a, b))].astype(dtype))
        for a, b, x in zip(starts, ends, xs)
    )


def stack(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Join along a new axis; all shapes must be equal."""
    xs = _at_least_one("stack", tensors)
    shapes = [x.shape for x in xs]
    if len(set(shapes)) > 1:
        raise ValueError(f"stack: the shapes differ: {shapes}")
    return concatenate([unsqueeze(x, axis) for x in xs], axis)


def _at_least_one(name: str, tensors: Sequence[Any]) -> list[Tensor]:
    xs = [x if isinstance(x, Tensor) else Tensor(x) for x in tensors]
    if not xs:
        raise ValueError(f"{name}: no tensors were given")
    return xs


def pad(x: Any, pad: Sequence[Any], value: float = 0.0) -> Tensor:
    """Surround x with `value`.

    `pad` is either PyTorch's flat list (before, after) from the last axis backwards, or
    NumPy's list of one (before, after) pair per axis.
    """
    x = x if isinstance(x, Tensor) else Tensor(x)
    widths = _pad_widths(pad, x.ndim)
    if any(n < 0 for pair in widths for n in pair):
        raise ValueError(f"pad: widths cannot be negative, got {pad}")
    return _pad(x, widths=widths, value=value)


def _pad_widths(pad: Sequence[Any], ndim: int) -> tuple[tuple[int, int], ...]:
    pairs = list(pad)
    if pairs and all(isinstance(n, (int, np.integer)) for n in pairs):
        if len(pairs) % 2:
            raise ValueError(f"pad: a flat list needs an even length, got {pad}")
        pairs = [(pairs[i], pairs[i + 1]) for i in range(0, len(pairs), 2)][::-1]
        pairs = [(0, 0)] * (ndim - len(pairs)) + pairs
    if len(pairs) != ndim or any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"pad: {pad} does not give a pair for each of {ndim} axes")
    return tuple((int(a), int(b)) for a, b in pairs)


@op
def _pad(x, *, widths, value):
    inner = tuple(slice(a, a + n) for (a, _), n in zip(widths, x.shape))
    if isinstance(x, Tensor):
        y = _pad(x, widths=widths, value=value)
    else:
        y = xp(x).pad(x, widths, constant_values=value)
    return y, (lambda g: g[inner],)


# ---- from device to device ----------------------------------------------------------------------


@op
def to_device(x, *, device):
    """The same values on "cpu" or "cuda"; the gradient travels back."""
    if isinstance(x, Tensor):
        origin, y = x.device, to_device(x, device=device)
    else:
        origin, y = backend.device_of(x), backend.to_device(x, device)
    return y, (lambda g: to_device.on(g, device=origin),)
