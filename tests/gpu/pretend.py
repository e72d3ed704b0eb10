"""Make the real, unmodified CuPy believe in a GPU: `install` it before the first `import cupy`.

CuPy reaches the driver through C functions of two of its own modules. We exchange those functions
(`capsules.py`) for ours: device memory is host memory (`memory.py`), and a kernel's CUDA source is
compiled twice (`kernels.py`): by NVRTC for a real chip, as on a GPU, and by g++ to be run here
(`cuda_on_cpu.h`). cuBLAS is a small library of our own (`cublas.py`). All above that line is the
genuine article: argument checks, dtypes, indexing, dispatch, memory pool, code generation.

What it proves: that our code asks CuPy only for what CuPy has, never mixes host and device arrays
unnoticed, compiles for the chip, and computes the same numbers as on the CPU. Fresh memory is
filled with garbage and surrounded by it, so that a read shows as NaN and a write is found; barriers
inside a block are true ones, launches out of range fail. Each launch and copy is counted.

What it cannot prove: anything about speed; races between blocks (they run one after the other) and
most races between warps (each runs as far as it can, from the first or from the last); order
between streams; reads of others' memory; what lies in precompiled libraries (sort, argsort and
unique of Thrust, cuRAND, cuSOLVER, cuFFT, float16 products); the last bits of the chip's own exp,
tanh and pow, and its flushing of denormal numbers.

It leans on private parts of CuPy and is made for one version of it.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

CUPY = "14.2.0"
CHIP = "80"  # compute capability 8.0
failures: list[Exception] = []  # of launches: an exception cannot travel through CuPy's C code


def missing() -> str | None:
    """Why the pretended GPU cannot be used here, in one sentence; None if it can."""
    try:
        version = importlib.metadata.version("cupy-cuda13x")
    except importlib.metadata.PackageNotFoundError:
        return f"CuPy is not installed: pip install cupy-cuda13x=={CUPY}"
    if version != CUPY:
        return f"the pretended GPU is made for CuPy {CUPY}, here is {version}"
    if sys.platform != "linux":
        return f"the pretended GPU needs Linux, this is {sys.platform}"
    if importlib.util.find_spec("nvidia") is None:
        return "NVRTC is not installed: pip install 'nvidia-cuda-nvrtc==13.0.*'"
    absent = [tool for tool in ("g++", "nm") if shutil.which(tool) is None]
    return f"{absent[0]} is not installed: apt install g++" if absent else None


def install(folder: Path) -> None:
    """Put the pretended GPU in place; compiled kernels are kept in `folder`."""
    assert "cupy" not in sys.modules, "the pretended GPU must be installed before CuPy is imported"
    os.environ["CUPY_ACCELERATORS"] = ""  # no precompiled reductions: their source comes to us
    os.environ["CUPY_CACHE_IN_MEMORY"] = "1"  # nor kernels from disk, for the same reason
    from gpu import cublas, kernels, memory

    memory.install()
    kernels.install(folder)
    cublas.install(folder)
    import cupy

    cupy.cuda.set_allocator(None)  # no pool: each array has a block, and garbage around it


def cache() -> Path:
    """The folder in which pytest keeps compiled kernels too, made if it is not there."""
    folder = Path(__file__).parents[2] / ".pytest_cache" / "d" / "pretended-gpu"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def leave(code: int) -> NoReturn:
    """End the process at once: arrays that Python frees as it shuts down would call functions of
    ours, which are Python too and half gone by then."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def check() -> None:
    """Raise what went wrong in a launch since the last call; fixtures ask after each test."""
    if "gpu.memory" in sys.modules:
        sys.modules["gpu.memory"].check_blocks()
    if failures:
        first = failures[0]
        failures.clear()
        raise first
