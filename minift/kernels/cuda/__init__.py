"""Fused kernels for CuPy arrays; each has the contract of the NumPy routine of its name.

The CUDA sources (`*.cu`) stand beside the Python files that launch them. Read `rows.cu` and
`rows.py` first, then `compiling.py` for how the one becomes the other.

Not here: formulas to learn from. Read those in `minift/ops/neural.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minift.backend import device_of
from minift.kernels.cuda.attention import attention, self_attention
from minift.kernels.cuda.elementwise import dropout, gelu
from minift.kernels.cuda.layer_norm import layer_norm
from minift.kernels.cuda.lookup import check_bounds, embedding, scatter_rows, targets
from minift.kernels.cuda.rows import cross_entropy, log_softmax, softmax

__all__ = [
    "attention",
    "check_bounds",
    "cross_entropy",
    "dropout",
    "embedding",
    "gelu",
    "layer_norm",
    "log_softmax",
    "scatter_rows",
    "self_attention",
    "softmax",
    "take",
    "targets",
]


def take(arrays: Sequence[Any]) -> bool:
    """Whether the kernels can take these: on the GPU, all floats of one dtype (None: absent)."""
    kinds = {a.dtype.char if device_of(a) == "cuda" else "" for a in arrays if a is not None}
    return kinds in ({"e"}, {"f"}, {"d"})
