"""Fused kernels for CuPy arrays; each has the contract of the NumPy routine of its name.

The CUDA sources stand beside the Python files that launch them. `compiling.py` makes kernels of
them when they are first used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minift.backend import device_of

__all__ = ["take"]


def take(arrays: Sequence[Any]) -> bool:
    """Whether the kernels can take these: on the GPU, all float32 or all float64 (None: absent)."""
    kinds = {a.dtype.char if device_of(a) == "cuda" else "" for a in arrays if a is not None}
    return kinds in ({"f"}, {"d"})
