"""Kernels: compiled by NVRTC for the chip, and from the same source by g++ to run here.

CuPy compiles source, loads the binary as a module, finds a function in it and launches that. We
remember which source each binary came from, and launch its twin from `cuda_on_cpu.h`.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu import memory, pretend
from gpu.capsules import exchange

HERE = Path(__file__).parent
HEADER = "cuda_on_cpu.h"
FLAGS = ["-std=c++17", "-O2", "-w", "-fPIC", "-fpermissive", "-ffp-contract=fast"]

# `extern __shared__ float s[];` takes its size from the launch
DYNAMIC_SHARED = re.compile(r"extern\s+__shared__\s+([\w ]+?)\s+(\w+)\s*\[\s*\]\s*;")
BOUNDS = r"(?:__launch_bounds__\s*\([^)]*\)\s*)?"
KERNEL = re.compile(rf"__global__\s+{BOUNDS}void\s+{BOUNDS}(\w+)\s*\(")


@dataclass
class Function:
    """A kernel by name and how to run it here."""

    name: str
    launcher: Any


launches: Counter[str] = Counter()  # kernel -> how often it ran
libraries: dict[bytes, ctypes.CDLL] = {}  # the chip's binary -> its twin
modules: dict[int, ctypes.CDLL] = {}
functions: dict[int, Function] = {}


# ---- the twin -----------------------------------------------------------------------------------


def twin_of(source: str, options: tuple[str, ...], names: dict[str, str], cache: Path) -> Any:
    """The library that g++ makes of a CUDA source; kept in `cache`."""
    text = f'#include "{HEADER}"\n' + on_cpu(source, names)
    includes = [o for o in options if o.startswith(("-I", "-D"))]
    library = cache / f"{digest(text, includes, FLAGS, (HERE / HEADER).read_text())}.so"
    if not library.exists():
        compile_cpp(text, library, [f"-I{precompiled_header(cache)}", f"-I{HERE}", *includes])
    return ctypes.CDLL(str(library))


def on_cpu(source: str, names: dict[str, str]) -> str:
    """The source with a launcher for each kernel; `names`: C++ expression -> mangled name."""
    source = DYNAMIC_SHARED.sub(r"\1* \2 = (\1*)dynamic_shared();", source)
    waits = "true" if re.search(r"__sync|__shfl|__ballot", source) else "false"
    kernels = [(f"({expression})", name) for expression, name in names.items()]
    kernels = kernels or [(name, name) for name in KERNEL.findall(source)]
    return source + "".join(f"\nLAUNCHER({name}, {k}, {waits})" for k, name in kernels) + "\n"


def precompiled_header(cache: Path) -> Path:
    """A folder with our header precompiled, which saves half of the time of each kernel."""
    text = (HERE / HEADER).read_text()
    folder = cache / f"header-{digest(text, FLAGS)}"
    if not (folder / f"{HEADER}.gch").exists():
        folder.mkdir(exist_ok=True)
        (folder / HEADER).write_text(text)
        command = ["g++", *FLAGS, "-x", "c++-header", HEADER, "-o", f"{HEADER}.gch"]
        subprocess.run(command, cwd=folder, check=True)
    return folder


def compile_cpp(text: str, library: Path, options: list[str]) -> None:
    """Compile to `library`, which appears only when it is complete."""
    part = library.with_suffix(f".{os.getpid()}")
    command = ["g++", *FLAGS, *options, "-shared", "-x", "c++", "-", "-o", str(part)]
    result = subprocess.run(command, input=text, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"g++ cannot compile the kernel:\n{result.stderr[:3000]}")
    part.rename(library)


def digest(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


# ---- compile, load, launch ----------------------------------------------------------------------


def install(cache: Path) -> None:
    """Replace CuPy's compilation and launches."""
    from cupy_backends.cuda.api import driver

    for name, function in DRIVER.items():
        exchange(driver, name, function)
    from cupy.cuda import compiler

    # CuPy's own finds out the chip by asking the driver
    compiler._get_arch_for_options_for_nvrtc = lambda arch=None: (
        f"-arch=sm_{arch or pretend.CHIP}",
        "cubin",
    )
    nvrtc = compiler._compile_using_nvrtc_no_warning

    def compile_twice(source: str, options: Any = (), *rest: Any, **more: Any) -> Any:
        key = digest(source, options, rest, more, pretend.CHIP, pretend.CUPY)
        binary, names = cache / f"{key}.cubin", cache / f"{key}.json"
        if not names.exists():  # the real compiler, for the real chip: a bad kernel fails here
            image, mapping = nvrtc(source, options, *rest, **more)
            binary.write_bytes(image)
            names.write_text(json.dumps(mapping or {}))
        image, mapping = binary.read_bytes(), json.loads(names.read_text())
        libraries[image] = twin_of(source, tuple(options), mapping, cache)
        return image, mapping

    compiler._compile_using_nvrtc_no_warning = compile_twice


def load_module(image: Any) -> int:
    handle = next(memory.handles)
    modules[handle] = libraries[bytes(image)]
    return handle


def find_function(module: int, name: Any) -> int:
    handle = next(memory.handles)
    text = name if isinstance(name, str) else name.decode()
    launcher = modules[module][f"{text}__on_cpu"]
    launcher.argtypes = [ctypes.c_uint] * 7 + [ctypes.c_void_p]
    launcher.restype = None
    functions[handle] = Function(text, launcher)
    return handle


def launch(
    handle: int, gx: int, gy: int, gz: int, bx: int, by: int, bz: int, shared: int,
    stream: int, arguments: int, extra: int,
) -> None:  # fmt: skip
    """Run a grid of blocks of threads; what is out of the chip's range is kept as a failure."""
    function = functions[handle]
    launches[function.name] += 1
    grid, block = (gx, gy, gz), (bx, by, bz)
    try:
        check_launch(function.name, grid, block, shared)
        function.launcher(*grid, *block, shared, arguments)
    except Exception as error:
        pretend.failures.append(error)


def check_launch(name: str, grid: tuple[int, ...], block: tuple[int, ...], shared: int) -> None:
    """Raise RuntimeError for what a chip refuses (CUDA C++ Programming Guide, table 30)."""
    grid_fits = all(0 < n <= limit for n, limit in zip(grid, (2**31 - 1, 65535, 65535)))
    block_fits = all(0 < n <= limit for n, limit in zip(block, (1024, 1024, 64)))
    if not (grid_fits and block_fits and block[0] * block[1] * block[2] <= 1024):
        raise RuntimeError(f"{name}: a grid of {grid} blocks of {block} threads is out of range")
    if shared > memory.ATTRIBUTES[8]:
        raise RuntimeError(f"{name}: {shared} bytes of shared memory a block are too many")


DRIVER = {
    "moduleLoadData": load_module,
    "moduleGetFunction": find_function,
    "moduleUnload": memory.nothing,
    "launchKernel": launch,
    "funcSetAttribute": memory.nothing,
    "funcGetAttribute": lambda attribute, function: 1024,
    "occupancyMaxActiveBlocksPerMultiprocessor": lambda *_: 2,
    "occupancyMaxPotentialBlockSize": lambda *_: (108, 1024),
}
