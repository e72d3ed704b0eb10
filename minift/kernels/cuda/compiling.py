"""From the CUDA sources beside this file to kernels: compiled at first use, kept for the process.

Read `shared.cuh` and `row.cuh`, then `rows.cu`, for the kernels themselves.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
OPTIONS = ("--std=c++17",)
C_TYPES = {"e": "__half", "f": "float", "d": "double"}

# Which shared pieces a source builds on, in the order in which they are put before it.
PIECES = {
    "rows": ["row"],
    "layer_norm": ["row"],
    "columns": [],
    "gelu": [],
    "dropout": ["philox"],
    "attention": ["row", "philox"],
    "lookup": [],
    "scatter": [],
}


def source(file: str, kind: str, row_threads: int) -> str:
    """The CUDA source of `file` for arrays of the dtype character `kind`."""
    lines = [
        "#include <cuda_fp16.h>" if kind == "e" else "",
        f"#define ROW_THREADS {row_threads}",
        f"typedef {C_TYPES[kind]} T;",
        f"typedef {C_TYPES[sums_of(np.dtype(kind)).char]} A;",
    ]
    pieces = [f"{name}.cuh" for name in ["shared", *PIECES[file]]]
    return "\n".join([*lines, *(text_of(name) for name in [*pieces, f"{file}.cu"])])


def sums_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in which kernels sum arrays of `dtype`: float32 for float16, else the same."""
    return np.promote_types(dtype, np.float32)


def text_of(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


@cache
def kernel(file: str, name: str, kind: str, row_threads: int) -> Any:
    """The CuPy kernel called `name` in `file`."""
    return module(file, kind, row_threads).get_function(name)


@cache
def module(file: str, kind: str, row_threads: int) -> Any:
    import cupy

    return cupy.RawModule(code=source(file, kind, row_threads), options=OPTIONS)


def launch(
    file: str,
    name: str,
    dtype: np.dtype[Any],
    grid: tuple[int, ...],
    block: tuple[int, ...],
    *arguments: Any,
    row_threads: int = 32,
) -> None:
    """Run a kernel for arrays of `dtype`; a grid of no blocks is no work.

    Arguments are arrays (contiguous), None for a null pointer, Python ints (`Index` in CUDA) and
    floats (`double`), or NumPy scalars.
    """
    if 0 in grid:
        return
    typed = tuple(np.uint64(0) if a is None else a for a in arguments)
    kernel(file, name, dtype.char, row_threads)(grid, block, typed)


# ---- shapes of launches -------------------------------------------------------------------------

BLOCK = 256  # threads
LONG_ROW = 1024  # a longer row gets a block of its own, not a warp
ROW_WIDTHS = (32, BLOCK)  # threads a row


def launch_rows(file: str, name: str, x: Any, N: int, C: int, *arguments: Any) -> None:
    """Run a row kernel over (N, C): 8 warps a block, a row each; or a block for each long row."""
    threads = ROW_WIDTHS[C > LONG_ROW]
    rows = BLOCK // threads
    launch(
        file, name, x.dtype, (ceil_div(N, rows),), (threads, rows), *arguments, row_threads=threads
    )  # fmt: skip


def launch_flat(
    file: str, name: str, dtype: np.dtype[Any], size: int, *arguments: Any, each: int = 1
) -> None:
    """Run a kernel with one thread for `each` elements."""
    launch(file, name, dtype, (ceil_div(size, BLOCK * each),), (BLOCK,), *arguments)


def ceil_div(n: int, by: int) -> int:
    return -(-n // by)


def contiguous(x: Any) -> Any:
    """x itself if its elements lie in order without gaps, else a copy that does."""
    if x.flags.c_contiguous:
        return x
    import cupy

    return cupy.ascontiguousarray(x)


def empty(shape: tuple[int, ...] | int, dtype: Any) -> Any:
    import cupy

    return cupy.empty(shape, dtype)
