"""What the double refuses before NumPy sees it: unknown keywords, double stores, lossy casts.

Keywords as CuPy does; the others are of our own and raise `TooStrict`.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class TooStrict(Exception):  # noqa: N818 - it says where the double goes beyond CuPy
    """CuPy would do this, silently and not as meant."""


def check_keywords(name: str, known: list[str] | None, args: tuple, given: dict[str, Any]) -> None:
    """Raise TypeError for arguments that CuPy's function does not have."""
    if known is None:
        return
    plain = [k for k in known if not k.startswith("*")]
    if len(args) > len(plain) and plain == known:
        raise TypeError(f"{name}() takes {len(known)} positional arguments, {len(args)} were given")
    unknown = [k for k in given if k not in plain]
    if unknown and "*kwargs" not in known:
        raise TypeError(f"{name}() got an unexpected keyword argument {unknown[0]!r}")


def check_stored_once(shape: tuple[int, ...], key: Any) -> None:
    """Raise TooStrict where an index names an element twice."""
    parts = key if isinstance(key, tuple) else (key,)
    if any(isinstance(k, np.ndarray) and k.dtype != bool for k in parts):
        places = np.arange(np.prod(shape, dtype=int)).reshape(shape)[key]
        if len(np.unique(places)) < places.size:
            raise TooStrict("a store to one place twice, whose winner is undefined: use add.at")


def check_cast(x: np.ndarray, dtype: np.dtype) -> None:
    """Raise TooStrict where floats do not fit into the integer type."""
    if x.dtype.kind != "f" or dtype.kind not in "iu" or not x.size:
        return
    limits = np.iinfo(dtype)
    inner = np.trunc(x.astype(np.float64))
    if not ((inner >= float(limits.min)) & (inner < float(limits.max) + 1)).all():
        raise TooStrict(f"floats that {dtype} cannot hold become other numbers than on the CPU")
