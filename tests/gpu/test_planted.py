"""Mistakes made on purpose in the kernels and in what launches them: each is caught.

A mistake is an edit of the real source. What catches it is the check that the suite applies to the
source as it is: `assert_equals_formula`, the garbage around each block, the counts of copies.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from test_cuda_kernels import assert_equals_formula, attention, normal

import minift as mf
from gpu import pretend
from gpu.test_moves import copies_of_a_step
from minift.backend import to_device
from minift.kernels.cuda import compiling, elementwise, lookup
from minift.ops import neural

layer_norm = sys.modules["minift.kernels.cuda.layer_norm"]  # in the package, its function

pytestmark = [pytest.mark.cuda, pytest.mark.usefixtures("pretended_gpu")]


@pytest.fixture
def edit_cuda(monkeypatch: pytest.MonkeyPatch) -> Any:
    """edit(file, before, after, which): change one place of a CUDA source for this test."""
    real = compiling.text_of

    def edit(file: str, before: str, after: str, which: int = 0) -> None:
        pieces = real(file).split(before)
        assert len(pieces) > which + 1, f"{file} has no longer the text {before!r}"
        text = before.join(pieces[: which + 1]) + after + before.join(pieces[which + 1 :])
        monkeypatch.setattr(compiling, "text_of", lambda name: text if name == file else real(name))
        forget()

    def forget() -> None:
        compiling.kernel.cache_clear()
        compiling.module.cache_clear()

    yield edit
    forget()


def edited(module: ModuleType, name: str, before: str, after: str) -> Callable[..., Any]:
    """The function of a module, compiled again from its source with one change."""
    source = inspect.getsource(getattr(module, name))
    assert before in source, f"{name} has no longer the text {before!r}"
    namespace = dict(vars(module))
    exec("from __future__ import annotations\n" + source.replace(before, after), namespace)
    return namespace[name]


def check(op: Any, *arrays: np.ndarray, **settings: Any) -> None:
    """What `test_cuda_kernels.py` does with each kernel, and the fixtures after each test."""
    there = tuple(to_device(a, "cuda") for a in arrays)
    there_too = {k: to_device(v, "cuda") if isinstance(v, np.ndarray) else v
                 for k, v in settings.items()}  # fmt: skip
    assert_equals_formula(op, there, there_too, arrays[0].dtype)
    pretend.check()


def softmax() -> None:
    check(neural._softmax, normal(3, 1025) * 3, axis=-1)


def few_rows() -> None:  # a block works on 8
    check(neural._softmax, normal(3, 31), axis=-1)


def norm() -> None:
    check(neural._layer_norm, normal(3, 1025), normal(1025), normal(1025), eps=1e-5)


def gelu() -> None:
    check(neural._gelu, normal(257))


def scatter() -> None:
    check(neural.scatter_rows, normal(300, 129), ids=np.arange(300) // 3, n_rows=101)


def weights() -> None:
    q, k, v = normal(2, 3, 5, 4), normal(2, 3, 5, 4), normal(2, 3, 5, 4)
    check(neural._attention, q, k, v, **attention(dropout=0.3, causal=True))


def take() -> None:
    check(neural._embedding, normal(6, 130), ids=np.arange(5))


def dropout() -> None:
    check(neural._dropout, normal(600), p=0.3, key=(1, 2))


def columns() -> None:
    check(neural._layer_norm, normal(70, 5), normal(5), normal(5), eps=1e-5)


BARRIER = "__syncthreads();"
MISTAKES_IN_CUDA = {
    "no barrier before the warps' sums are written": (norm, "row.cuh", BARRIER, "", 0),
    "no barrier before the warps' sums are read": (softmax, "row.cuh", BARRIER, "", 1),
    "no barrier after the flag is cleared": (scatter, "scatter.cu", BARRIER, "", 0),
    "no barrier before the flag is read": (scatter, "scatter.cu", BARRIER, "", 1),
    "no barrier before the sums are read": (scatter, "scatter.cu", BARRIER, "", 2),
    "threads beyond the last element": (gelu, "gelu.cu", "if (i >= size) return;", "", 0),
    "rows beyond the last": (few_rows, "rows.cu", "if (row >= N) return;", "", 0),
    "columns beyond the last": (columns, "columns.cu", "if (j >= C) return;", "", 0),
    "elements beyond the last": (dropout, "dropout.cu", "if (i < size) ", "", 0),
    "columns beyond a row": (scatter, "scatter.cu", "|| j >= C", "", 0),
    "one column too many": (take, "lookup.cu", "j < C;", "j <= C;", 0),
    "one row too many in a slab": (columns, "columns.cu", "row < last", "row <= last", 0),
    "a lane's draws for another": (dropout, "philox.cuh", "2 * turn + lane / 16", "lane", 0),
    "no shift before exp": (softmax, "row.cuh", "exp(A(x[j]) - top)", "exp(A(x[j]))", 0),
    "scores of the future seen": (weights, "attention.cu", "j > i", "j > i + 1", 0),
}


@pytest.mark.parametrize("name", MISTAKES_IN_CUDA)
def test_a_mistake_in_a_kernel_is_caught(name: str, edit_cuda: Any) -> None:
    f, *edit = MISTAKES_IN_CUDA[name]
    f()
    edit_cuda(*edit)
    with pytest.raises((AssertionError, RuntimeError)):
        f()
    pretend.failures.clear()


@pytest.mark.parametrize(
    ("module", "function", "before", "after", "f"),
    [
        (elementwise, "launch_flat", "(BLOCK,)", "(BLOCK // 2,)", gelu),
        (elementwise, "launch_flat", "BLOCK * each", "BLOCK * each * 2", gelu),
        (layer_norm, "launch_rows", "(threads, rows)", "(threads, rows - 1)", columns),
        (layer_norm, "launch_rows", "(threads, rows)", "(threads // 2, rows)", norm),
        (lookup, "launch", "(grid, block,", "(grid, (block[0] // 2, *block[1:]),", scatter),
    ],
)
def test_a_wrong_block_size_is_caught(
    monkeypatch: pytest.MonkeyPatch, module: Any, function: str, before: str, after: str, f: Any
) -> None:
    f()
    monkeypatch.setattr(module, function, edited(compiling, function, before, after))
    with pytest.raises((AssertionError, RuntimeError)):
        f()
    pretend.failures.clear()


def test_a_host_array_in_an_op_of_the_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    before = "y = empty(x.shape, x.dtype)"
    wrong = edited(elementwise, "gelu", before, "y = np.empty(x.shape, x.dtype)")
    monkeypatch.setattr(neural._gelu, "cuda", wrong)
    with pytest.raises(TypeError, match=r"numpy\.ndarray of shape"):
        gelu()
    x = mf.ones(3, device="cuda")
    with pytest.raises(ValueError, match="mul: the inputs lie on cpu and cuda"):
        x * np.ones(3)


def test_a_hidden_transfer_in_a_step_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    right = copies_of_a_step()
    x = "x, weight, bias = contiguous(x)"
    for mistake in ("weight = to_there(weight.get())", "eps = eps + 0 * float(x.ravel()[0])"):
        wrong = edited(layer_norm, "layer_norm", f"    {x}", f"    {mistake}\n    {x}")
        wrong.__globals__["to_there"] = lambda a: to_device(a, "cuda")
        with monkeypatch.context() as patch:
            patch.setattr(neural._layer_norm, "cuda", wrong)
            assert copies_of_a_step() != right
    assert copies_of_a_step() == right
