"""Is there a usable GPU, and if not, why not: one sentence, and never a silent fall-back."""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType


@cache
def why_not() -> str | None:
    """None where CUDA works; else one sentence that says what is missing and what mends it."""
    try:
        cupy = importlib.import_module("cupy")
    except ImportError:
        return "CuPy is not installed: pip install 'cupy-cuda13x[ctk]' (or cupy-cuda12x[ctk])"
    try:
        if cupy.cuda.runtime.getDeviceCount() == 0:
            return "no CUDA device was found: check `nvidia-smi` and CUDA_VISIBLE_DEVICES"
    except Exception as error:
        return f"the NVIDIA driver is missing or too old: install one from NVIDIA ({error})"
    try:
        cupy.arange(2.0).sum().get()
    except Exception as error:
        return f"the first CUDA kernel failed: install CuPy's CUDA libraries, [ctk] ({error})"
    return None


def is_available() -> bool:
    """Whether `device="cuda"` will work."""
    return why_not() is None


def module() -> ModuleType:
    """The cupy module. Raises RuntimeError with the reason where CUDA is not usable."""
    reason = why_not()
    if reason is not None:
        raise RuntimeError(f'device "cuda" cannot be used: {reason}')
    return importlib.import_module("cupy")
