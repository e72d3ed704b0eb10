"""Rows by ids, sums of rows by ids, and checks of ids: launches of `lookup.cu`, `scatter.cu`."""

from __future__ import annotations

from typing import Any

import numpy as np

from minift.backend import Array, trouble
from minift.kernels.cuda.compiling import ceil_div, contiguous, empty, launch, launch_flat

FLOAT32 = np.dtype(np.float32)


def embedding(weight: Array, *, ids: Array) -> tuple[Array, Any]:
    """Rows of `weight` (V, C) by ids (N,); an id out of range is noted and gives NaN."""
    V = len(weight)
    return _taken(weight, ids), (lambda g: scatter_rows(g, ids=ids, n_rows=V)[0],)


def scatter_rows(g: Array, *, ids: Array, n_rows: int) -> tuple[Array, Any]:
    """y[ids[i]] += g[i] for (N, C), always added in the same order."""
    N, C = g.shape
    y = empty((n_rows, C), g.dtype)
    y.fill(0)
    grid, block = (N, ceil_div(C, 128)), (32, 8)
    launch("scatter", "scatter_rows", g.dtype, grid, block, contiguous(g), _int64(ids), y, N, C,
           n_rows)  # fmt: skip
    return y, (lambda h: _taken(h, ids),)


def _taken(table: Array, ids: Array) -> Array:
    (V, C), N = table.shape, len(ids)
    y = empty((N, C), table.dtype)
    noted = trouble.word(), trouble.bit("embedding")
    launch("lookup", "take_rows", table.dtype, (N,), (128,), contiguous(table), _int64(ids), y, C,
           V, *noted)  # fmt: skip
    return y


def targets(
    name: str, target: Array, C: int, ignored: int, dtype: Any
) -> tuple[Array, Array, Array]:
    """The classes of (N,) targets; whether each counts, as booleans and as 1 or 0 of `dtype`.

    Those to ignore become class 0; any other that is none of the C classes is noted.
    """
    N = target.size
    classes, used, counts = empty(N, "int64"), empty(N, bool), empty(N, dtype)
    noted = trouble.word(), trouble.bit(f"{name} target")
    launch_flat("lookup", "targets", dtype, N, _int64(target), classes, used, counts, N, C,
                ignored, *noted)  # fmt: skip
    return classes, used, counts


def check_bounds(name: str, index: Array, n: int) -> None:
    """Note an integer array that points outside an axis of n, counted from either end."""
    noted = trouble.word(), trouble.bit(name)
    launch_flat("lookup", "check_bounds", FLOAT32, index.size, _int64(index), index.size, n, *noted)


def _int64(ids: Array) -> Array:
    return contiguous(ids.astype("int64", copy=False))
