"""Products of many matrices by one call of cuBLAS, either side transposed without a copy.

CuPy's own `a @ b` copies a transposed operand of more than two axes.
"""

from __future__ import annotations

import math

import numpy as np

from minift.backend import Array
from minift.kernels.cuda.compiling import sums_of

# dtype -> how cuBLAS calls it (cudaDataType), and how it shall sum (cublasComputeType)
TYPES = {"e": (2, 68), "f": (0, 68), "d": (1, 70)}
DEFAULT_ALGORITHM = -1


def batched(
    a: Array,
    b: Array,
    out: Array,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    factor: float = 1.0,
) -> Array:
    """out = factor·a·b for contiguous (..., m, k), (..., k, n), (..., m, n); a or b transposed.

    cuBLAS stores matrices by columns: what it calls outᵀ is our out, so it computes bᵀ·aᵀ.
    """
    from cupy._core import _routines_linalg as linalg
    from cupy.cuda import device
    from cupy_backends.cuda.libs import cublas

    m, n = out.shape[-2:]
    k = a.shape[-2] if transpose_a else a.shape[-1]
    count = math.prod(out.shape[:-2])
    if out.size == 0 or k == 0:
        out.fill(0)
        return out
    flags = cublas.CUBLAS_OP_N, cublas.CUBLAS_OP_T
    one, zero = np.array(factor, sums_of(out.dtype)), np.zeros((), sums_of(out.dtype))
    kind, computed = TYPES[out.dtype.char]
    if linalg.get_compute_type(out.dtype) == linalg.COMPUTE_TYPE_TF32:
        computed = cublas.CUBLAS_COMPUTE_32F_FAST_TF32
    cublas.gemmStridedBatchedEx(
        device.get_cublas_handle(), flags[transpose_b], flags[transpose_a], n, m, k,
        one.ctypes.data, b.data.ptr, kind, b.shape[-1], k * n, a.data.ptr, kind, a.shape[-1], m * k,
        zero.ctypes.data, out.data.ptr, kind, n, m * n, count, computed, DEFAULT_ALGORITHM,
    )  # fmt: skip
    return out
