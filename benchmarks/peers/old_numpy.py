"""Give back the names that NumPy 2 no longer has, for libraries that were written before it.

Nothing else of them is changed, so that they run on the same NumPy and BLAS as the others.
"""

from __future__ import annotations

import numpy as np

ALIASES = {
    "bool": bool, "int": int, "float": float, "complex": complex, "object": object, "str": str,
    "float_": np.float64, "complex_": np.complex128, "unicode_": np.str_, "string_": np.bytes_,
    "Inf": np.inf, "NaN": np.nan, "product": np.prod, "cumproduct": np.cumprod,
    "sometrue": np.any, "alltrue": np.all, "in1d": np.isin, "row_stack": np.vstack,
    "sctypes": {
        "int": [np.int8, np.int16, np.int32, np.int64],
        "uint": [np.uint8, np.uint16, np.uint32, np.uint64],
        "float": [np.float16, np.float32, np.float64],
        "complex": [np.complex64, np.complex128],
        "others": [bool, object, bytes, str, np.void],
    },
}  # fmt: skip


def restore() -> None:
    """Before such a library is imported."""
    for name, value in ALIASES.items():
        if name not in vars(np):
            setattr(np, name, value)
