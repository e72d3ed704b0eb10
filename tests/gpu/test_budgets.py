"""Every kernel of ours compiles for each chip, without spills, within its budget of registers.

NVRTC compiles for a chip that is not there; what it prints under `--ptxas-options=-v` is read. A
budget of 64 registers lets 1024 threads work on a multiprocessor at a time (65536 registers).
"""

from __future__ import annotations

import re

import pytest

from minift.kernels.cuda import compiling

pytestmark = [pytest.mark.cuda, pytest.mark.usefixtures("pretended_gpu")]

CHIPS = {"Turing": 75, "Ampere": 80, "Hopper": 90, "Blackwell": 100, "Blackwell, desktop": 120}

# kernel -> registers a thread, at most; local memory (spills, arrays on a stack): none
BUDGETS = {
    "softmax": 64,
    "softmax_backward": 64,
    "log_softmax": 64,
    "log_softmax_backward": 64,
    "cross_entropy": 64,
    "cross_entropy_backward": 64,
    "layer_norm": 64,
    "layer_norm_to_x": 64,
    "slab_sums": 56,
    "sum_of_slabs": 40,
    "gelu": 32,
    "gelu_backward": 32,
    "dropout": 40,
    "attention_weights": 64,
    "attention_backward": 64,
    "take_rows": 32,
    "targets": 24,
    "check_bounds": 24,
    "scatter_rows": 56,
}

PROPERTIES = re.compile(
    r"properties for (\w+)\n.*?(\d+) bytes stack frame, (\d+) bytes spill stores, "
    r"(\d+) bytes spill loads\n.*?Used (\d+) registers"
)


def properties(source: str, chip: int) -> dict[str, tuple[int, int]]:
    """kernel -> (registers, bytes of local memory) as the chip's compiler has it."""
    from cupy._core import core
    from cupy_backends.cuda.libs import nvrtc

    program = nvrtc.createProgram(source, "kernels.cu", [], [])
    options = [f"-arch=sm_{chip}", *compiling.OPTIONS, "-ftz=true", "--ptxas-options=-v"]
    options = core.assemble_cupy_compiler_options(tuple(options))  # where cuda_fp16.h is
    nvrtc.compileProgram(program, (*options, "--device-as-default-execution-space"))
    log = nvrtc.getProgramLog(program)
    nvrtc.destroyProgram(program)
    found = PROPERTIES.findall(log)
    return {name: (int(used), sum(map(int, local))) for name, *local, used in found}


def kernels_in(source: str) -> set[str]:
    return set(re.findall(r"__global__ void [^(]*\([^)]*\)\s*(\w+)\(", source))


def exceeding(source: str, chip: int) -> dict[str, tuple[int, int]]:
    """The kernels of a source that do not keep to their budgets."""
    found = properties(source, chip)
    assert found.keys() == kernels_in(source)
    return {
        name: (registers, local)
        for name, (registers, local) in found.items()
        if registers > BUDGETS[name] or local
    }


SOURCES = [
    (file, kind, threads)
    for file, pieces in compiling.PIECES.items()
    for kind in compiling.C_TYPES
    for threads in (compiling.ROW_WIDTHS if "row" in pieces else (32,))
]


@pytest.mark.parametrize("chip", CHIPS.values(), ids=CHIPS)
def test_kernels_keep_to_their_budgets(chip: int) -> None:
    for file, kind, threads in SOURCES:
        assert not exceeding(compiling.source(file, kind, threads), chip), (file, kind, threads)


def test_every_kernel_has_a_budget() -> None:
    sources = [compiling.source(file, "f", 32) for file in compiling.PIECES]
    assert set().union(*map(kernels_in, sources)) == BUDGETS.keys()
    files = {path.stem for path in compiling.HERE.glob("*.cu")}
    assert files == compiling.PIECES.keys() | {"multi_tensor"}


TYPES = (("__half", "float"), ("float", "float"), ("double", "double"))
MANY = [
    f"template __global__ void step<{p}, {t}, {rule}<{t}>>"
    f"(const __grid_constant__ Batch<Update<{p}, {t}, {rule}<{t}>>>, int, {t});"
    for p, t in TYPES
    for rule in ("SGD", "RMSprop", "Adam")
]
MANY += [
    f"template __global__ void squares<{p}, {t}>"
    f"(const __grid_constant__ Batch<Gradient<{p}>>, int, double*);"
    for p, t in TYPES
]


@pytest.mark.parametrize("chip", CHIPS.values(), ids=CHIPS)
def test_kernels_over_many_tensors_read_their_arguments_in_place(chip: int) -> None:
    """The 4 KB struct of a launch must not be copied to each thread's local memory."""
    source = "\n".join([compiling.text_of("multi_tensor.cu"), *MANY])
    found = properties(source, chip)
    assert len(found) == len(MANY) + 2  # and length, pack
    assert not {name: v for name, v in found.items() if v[0] > 64 or v[1]}


def test_a_kernel_that_keeps_too_much_is_seen() -> None:
    source = compiling.source("gelu", "f", 32)
    line = "  y[i] = v * normal_cdf(v);"
    assert line in source
    greedy = "A kept[200]; for (int k = 0; k < 200; k++) kept[k] = x[k * C]; y[i] = kept[i % 200];"
    assert exceeding(source.replace(line, greedy), 90).keys() == {"gelu"}
