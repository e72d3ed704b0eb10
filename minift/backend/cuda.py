"""Is there a usable GPU, and if not, why not: one sentence, and never a silent fall-back.

Four things must be there, and each has its own sentence: CuPy, the driver, a device, and the CUDA
libraries without which the first kernel fails. Where to read next: `minift/train/device.py`.
"""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType

INSTALL = "pip install 'cupy-cuda13x[ctk]' (driver 580 or newer; older: 'cupy-cuda12x[ctk]')"
NO_DEVICE = 100  # cudaErrorNoDevice


@cache
def why_not() -> str | None:
    """None where CUDA works; else one sentence that says what is missing and what mends it."""
    try:
        cupy = importlib.import_module("cupy")
    except ModuleNotFoundError:
        return f"CuPy is not installed: {INSTALL}"
    except ImportError as error:
        return f"CuPy is installed but cannot be imported ({first_line(error)}): {INSTALL}"
    return why_no_device(cupy) or why_no_kernel(cupy)


def why_no_device(cupy: ModuleType) -> str | None:
    """Whether the driver answers, and shows a GPU."""
    try:
        found = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:
        if getattr(error, "status", None) != NO_DEVICE:
            return (
                f"there is no NVIDIA driver that CuPy {cupy.__version__} can use "
                f"({first_line(error)}): install one (https://www.nvidia.com/drivers), "
                f"then `nvidia-smi` shows it"
            )
        found = 0
    if found:
        return None
    return (
        "the NVIDIA driver shows no GPU: see `nvidia-smi`, and `unset CUDA_VISIBLE_DEVICES` if "
        "that variable hides it"
    )


def why_no_kernel(cupy: ModuleType) -> str | None:
    """Whether a kernel (NVRTC compiles it) and a product (cuBLAS) work: a driver is not enough."""
    try:
        cupy.arange(2, dtype="float32").sum().get()
        (cupy.ones((2, 2), "float32") @ cupy.ones((2, 2), "float32")).get()
    except Exception as error:
        return f"the GPU is there, but a first kernel fails ({first_line(error)}): {INSTALL}"
    return None


def first_line(error: Exception) -> str:
    """An error in a few words: CuPy's own messages go over many lines."""
    lines = [line.strip(" =") for line in str(error).splitlines()]
    return next((line for line in lines if line), type(error).__name__).removesuffix(".")


def is_available() -> bool:
    """Whether `device="cuda"` will work."""
    return why_not() is None


def module() -> ModuleType:
    """The cupy module. Raises RuntimeError with the reason where CUDA is not usable."""
    reason = why_not()
    if reason is not None:
        raise RuntimeError(f'device "cuda" cannot be used: {reason}')
    return importlib.import_module("cupy")


def facts() -> dict[str, str | int | float]:
    """What the GPU that is used says of itself. Raises RuntimeError where CUDA is not usable."""
    cupy = module()
    runtime = cupy.cuda.runtime
    chip = runtime.getDeviceProperties(runtime.getDevice())
    return {
        "name": chip["name"].decode(),
        "compute_capability": f"{chip['major']}.{chip['minor']}",
        "memory_gib": round(chip["totalGlobalMem"] / 2**30, 1),
        "driver_cuda": version(runtime.driverGetVersion()),
        "runtime_cuda": version(runtime.runtimeGetVersion()),
        "cupy": cupy.__version__,
    }


def version(number: int) -> str:
    """CUDA's way to write a version, 13010, as the usual one, "13.1"."""
    return f"{number // 1000}.{number % 1000 // 10}"


def allow_tf32(on: bool = True) -> None:
    """Let products of float32 matrices round their inputs to 10 bits of mantissa, for speed.

    Tensor cores of compute capability 8.0 and later multiply in TF32 several times as fast as in
    float32; results then differ by about 1e-3. Off unless asked for. Raises RuntimeError with the
    reason where CUDA is not usable.
    """
    module()
    linalg = importlib.import_module("cupy._core._routines_linalg")
    linalg.set_compute_type("f", linalg.COMPUTE_TYPE_TF32 if on else linalg.COMPUTE_TYPE_DEFAULT)
