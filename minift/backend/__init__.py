"""Arrays and where they live: the only place, with `kernels/`, that knows NumPy from CuPy.

An array's device is its type: `numpy.ndarray` is "cpu", `cupy.ndarray` is "cuda". There is no
current device and no silent move from one to the other.

Not here: anything about gradients. Read `minift/tensor.py` next.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np

Array = Any  # a numpy.ndarray or a cupy.ndarray


def xp(x: Any) -> ModuleType:
    """The module whose functions take `x`: numpy, cupy, or `minift.ops` for a Tensor.

    All three answer the same question of the Python array API standard, so that one formula
    serves an array on any device and, for gradients of gradients, a Tensor.
    """
    if type(x) is np.ndarray:
        return np
    try:
        return x.__array_namespace__()
    except AttributeError:  # arrays of CuPy 14 are not yet asked this way
        if device_of(x) != "cuda":
            raise
        return sys.modules["cupy"]


def is_array(x: Any) -> bool:
    """Whether `x` is a raw array (of any device) and not a Tensor or a Python number."""
    return isinstance(x, np.ndarray) or device_module(x) == "cupy"


def device_module(x: Any) -> str:
    """Top-level package that defines the type of `x`, for example "numpy"."""
    return type(x).__module__.partition(".")[0]


def device_of(array: Array) -> str:
    """ "cpu" or "cuda", read from the type of the array."""
    return "cuda" if device_module(array) == "cupy" else "cpu"


def to_device(array: Array, device: str) -> Array:
    """Copy `array` to "cpu" or "cuda"; an array that is already there is returned as it is.

    Raises ValueError for another name and RuntimeError, with the reason, where CUDA is missing;
    on the way to the CPU also what kernels could not say before (`trouble.py`).
    """
    if device not in ("cpu", "cuda"):
        raise ValueError(f'device must be "cpu" or "cuda", got {device!r}')
    if device == device_of(array):
        return array
    from minift.backend import cuda, trouble

    if device == "cpu":
        values = array.get()
        trouble.check()
        return values
    return cuda.module().asarray(array)


def to_numpy(array: Array) -> np.ndarray:
    """The values on the host (a copy only if they lie on the GPU)."""
    return to_device(array, "cpu")


def same_memory(a: Array, b: Array) -> bool:
    """Whether two arrays may share memory (exact for the views that this package makes)."""
    return type(a) is type(b) and xp(a).may_share_memory(a, b)


def scatter_add(target: Array, index: Any, values: Array) -> None:
    """`target[index] += values`, where an index that comes twice adds twice.

    Many small values are added: float16 is summed in float32.
    """
    if target.dtype == np.float16:
        total = target.astype(np.float32)
        scatter_add(total, index, values.astype(np.float32))
        target[...] = total
    elif device_of(target) == "cpu":
        np.add.at(target, index, values)
    else:
        xp(target).add.at(target, index, values)
