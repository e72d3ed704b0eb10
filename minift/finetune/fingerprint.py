"""Which weights, which data: SHA-256 over names, shapes and values."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

import numpy as np


def fingerprint(arrays: Mapping[str, np.ndarray], without: Collection[str] = ()) -> str:
    """The same for equal arrays under equal names, in any order; different for all others."""
    digest = hashlib.sha256()
    for name in sorted(arrays.keys() - set(without)):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
