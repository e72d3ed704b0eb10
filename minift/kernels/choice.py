"""Whether ops may take a fused kernel or keep to the plain formula, and who checks what when.

Read `minift/autograd.py` for who asks, `minift/ops/neural.py` for the formulas.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, ClassVar

from minift.backend import Array, device_of
from minift.kernels import cuda


class Choice:
    """The state of the choice, one for the process."""

    plain: ClassVar[bool] = False


class plain_formulas(contextlib.ContextDecorator):  # noqa: N801 - used like no_grad
    """Inside `with plain_formulas():`, every op runs its plain formula on every device."""

    def __init__(self) -> None:
        self._outer: list[bool] = []  # a decorated function may call itself

    def __enter__(self) -> None:
        self._outer.append(Choice.plain)
        Choice.plain = True

    def __exit__(self, *exception: object) -> None:
        Choice.plain = self._outer.pop()


def check_later(x: Any) -> bool:
    """Whether what is done with the array x is checked by a kernel (see `backend/trouble.py`):
    a check here and now would make the host wait for the GPU."""
    return take_on_gpu([x])


def take_on_gpu(arrays: Sequence[Any]) -> bool:
    """Whether these arrays go to CUDA kernels where an op has one."""
    return not Choice.plain and cuda.take(arrays)


def check_bounds(name: str, index: Array, n: int) -> None:
    """IndexError for an integer array that points outside an axis of n, where NumPy would raise
    one itself but CuPy wraps round in silence; raised when the host next waits for the GPU."""
    if device_of(index) == "cpu" or index.size == 0:
        return
    if not Choice.plain:
        cuda.check_bounds(name, index, n)
    elif index.min() < -n or index.max() >= n:
        raise IndexError(f"{name}: an index is out of bounds for an axis of size {n}")
