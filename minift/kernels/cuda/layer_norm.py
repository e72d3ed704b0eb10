"""Layer normalisation on the GPU: launches of `layer_norm.cu` and `columns.cu`."""

from __future__ import annotations

from typing import Any

from minift.backend import Array
from minift.kernels.cuda.compiling import (
    ceil_div,
    contiguous,
    empty,
    launch,
    launch_rows,
    sums_of,
)

COLUMNS = 128  # threads of a block of `columns.cu`, one a column
MAX_SLABS = 128


def layer_norm(x: Array, weight: Array, bias: Array, *, eps: float) -> tuple[Array, Any]:
    """y = x̂·weight + bias over the last axis; keeps x, and the mean and 1/σ of each row."""
    C = x.shape[-1]
    N = x.size // C if C else 0
    x, weight, bias = contiguous(x), contiguous(weight), contiguous(bias)
    y, kept = empty(x.shape, x.dtype), empty((N, 2), sums_of(x.dtype))
    launch_rows("layer_norm", "layer_norm", x, N, C, x, weight, bias, y, kept, N, C, eps)

    def backward(g: Array, wanted: list[bool]) -> tuple[Any, ...]:
        g, gx = contiguous(g), None
        if wanted[0]:
            gx = empty(x.shape, x.dtype)
            launch_rows("layer_norm", "layer_norm_to_x", x, N, C, g, x, weight, kept, gx, N, C)
        sums = _column_sums(g, x, kept, N, C) if wanted[1] or wanted[2] else (None, None)
        return gx, *sums

    return y, backward


def _column_sums(g: Array, x: Array, kept: Array, N: int, C: int) -> tuple[Array, Array]:
    """(∂w, ∂b): sums of slabs of at least 32 rows, then the sum of those."""
    slab = max(32, ceil_div(N, MAX_SLABS))
    slabs = ceil_div(N, slab)
    sums = empty((slabs, 2, C), sums_of(x.dtype))
    to_w, to_b = empty(C, x.dtype), empty(C, x.dtype)
    blocks, all_blocks = ceil_div(C, COLUMNS), ceil_div(2 * C, COLUMNS)
    block = (COLUMNS,)
    launch("columns", "slab_sums", x.dtype, (blocks, slabs), block, g, x, kept, sums, N, C, slab)
    launch("columns", "sum_of_slabs", x.dtype, (all_blocks,), block, sums, to_w, to_b, slabs, C)
    return to_w, to_b
