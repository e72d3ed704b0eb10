"""Each CUDA kernel equals its plain formula in value and derivatives, and says what goes wrong.

The formula runs on NumPy here; that the same formulas agree on the GPU is shown by
`tests/test_device.py`. The sources themselves are tested in `tests/gpu/test_budgets.py` and
`tests/gpu/test_planted.py`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import minift as mf
from minift import functional as F
from minift import kernels
from minift.autograd import Op
from minift.backend import cuda, to_device, to_numpy
from minift.ops import neural

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.parametrize("device", [pytest.param("cuda")], indirect=True),
    pytest.mark.usefixtures("device"),
]

ROW_LENGTHS = [1, 31, 32, 33, 1000, 1025, 5000]
rng = np.random.default_rng(8)


def normal(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape)


def targets(N: int, C: int) -> dict[str, Any]:
    return {"target": rng.integers(0, C, N)}


def attention(**more: Any) -> dict[str, Any]:
    return {"mask": None, "causal": False, "dropout": 0.0, "key": (0, 0), **more}


def qkv(B: int, H: int, Tq: int, Tk: int, D: int) -> tuple[np.ndarray, ...]:
    return normal(B, H, Tq, D), normal(B, H, Tk, D), normal(B, H, Tk, D)


PADDING = np.arange(5) < np.array([[5], [3], [1], [4]])[:, None, None]  # (4, 1, 1, 5)
BLIND = np.zeros((4, 1, 5, 5))
BLIND[1, 0, 2] = -math.inf  # one row that may look nowhere

Case = tuple[Op, tuple[np.ndarray, ...], dict[str, Any]]
CASES: list[Case] = [
    *[(op, (normal(3, C) * 3,), {"axis": -1}) for C in ROW_LENGTHS
      for op in (neural._softmax, neural._log_softmax)],
    *[(op, shape, {"axis": 1}) for op in (neural._softmax, neural._log_softmax)
      for shape in ((normal(3, 4, 5),), (normal(0, 4),), (normal(2, 3, 0, 4),))],
    (neural._softmax, (normal(40, 7) * 50,), {"axis": 0}),
    *[(neural.row_cross_entropy, (normal(5, C) * 4,), targets(5, C)) for C in ROW_LENGTHS],
    (neural.row_cross_entropy, (normal(0, 3),), targets(0, 3)),
    *[(neural._layer_norm, (normal(3, C), normal(C), normal(C)), {"eps": 1e-5})
      for C in (31, 32, 33, 1000, 1025)],
    (neural._layer_norm, (normal(2, 70, 3), normal(3), normal(3)), {"eps": 1e-12}),
    (neural._layer_norm, (normal(0, 4), normal(4), normal(4)), {"eps": 1e-12}),
    *[(neural._gelu, (normal(*shape) * 3,), {}) for shape in [(1,), (257,), (3, 4, 5), (0,), ()]],
    (neural._linear_gelu, (normal(2, 7, 5), normal(33, 5), normal(33)), {}),
    *[(neural._dropout, (normal(n),), {"p": p, "key": (7, 9)})
      for n, p in [(1, 0.5), (511, 0.1), (513, 0.9), (5000, 0.25), (100, 1.0), (0, 0.5)]],
    *[(neural.scatter_rows, (normal(N, C),), {"ids": rng.integers(0, 9, N), "n_rows": 11})
      for N, C in [(1, 1), (40, 127), (300, 129), (0, 3), (600, 5)]],
    *[(neural._embedding, (normal(6, C),), {"ids": rng.integers(0, 6, N)})
      for N, C in [(5, 1), (9, 130), (0, 3)]],
    *[(neural._attention, qkv(2, 3, Tq, Tk, 4), attention(**more))
      for Tq, Tk in [(5, 5), (1, 33), (3, 600)]
      for more in ({}, {"dropout": 0.3, "key": (5, 6)}, {"causal": True})],
    (neural._attention, (normal(5, 4), normal(6, 4), normal(6, 2)), attention()),
    (neural._attention, (normal(0, 2, 5, 4), normal(0, 2, 5, 4), normal(0, 2, 5, 4)), attention()),
    (neural._attention, tuple(normal(2, 1, 2, 3, 5, 4) for _ in range(3)),
     attention(mask=normal(3, 1, 5), dropout=0.5)),
    *[(neural._self_attention, (normal(4, 5, 12),), attention(heads=2, **more))
      for more in ({}, {"mask": PADDING}, {"mask": BLIND}, {"mask": PADDING, "causal": True},
                   {"mask": normal(2, 5, 1), "dropout": 0.4, "key": (5, 6)})],
]  # fmt: skip


def on_gpu(settings: dict[str, Any], dtype: Any) -> dict[str, Any]:
    """Arrays among the settings on the GPU, floats in the dtype."""

    def moved(x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return x
        return to_device(x.astype(dtype) if x.dtype.kind == "f" else x, "cuda")

    return {name: moved(x) for name, x in settings.items()}


def gradients(derivatives: Any, g: Any, n: int) -> list[Any]:
    if callable(derivatives):
        return list(derivatives(g, [True] * n))
    return [derivatives[i](g) for i in range(n)]


def assert_equals_formula(op: Op, arrays: tuple[Any, ...], settings: Any, dtype: Any) -> None:
    """Value and every derivative of the kernel for (possibly strided) arrays on the GPU."""
    before = [to_numpy(a) for a in arrays]
    on_host = {name: to_numpy(x) if hasattr(x, "get") else x for name, x in settings.items()}
    plain, plain_derivatives = op.plain(*before, **on_host)
    g = rng.standard_normal(plain.shape).astype(dtype)
    g_there = to_device(np.ascontiguousarray(g.T), "cuda").T  # strided, as g may be
    fused, fused_derivatives = op.cuda(*arrays, **settings)
    ours = [fused, *gradients(fused_derivatives, g_there, len(arrays))]
    theirs = [plain, *gradients(plain_derivatives, g, len(arrays))]
    limit = 1e-11 if dtype == np.float64 else 2e-5
    for a, b in zip(ours, theirs, strict=True):
        assert (a.dtype, a.shape) == (dtype, b.shape)
        scale = np.abs(b).max(initial=1.0)
        np.testing.assert_allclose(to_numpy(a), b, rtol=limit, atol=limit * scale)
    for a, b in zip((*arrays, g_there), (*before, g)):  # nothing was written into
        np.testing.assert_array_equal(to_numpy(a), b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("op", "arrays", "settings"), CASES, ids=[f"{c[0].name}-{i}" for i, c in enumerate(CASES)]
)
def test_kernel_equals_plain_formula(
    op: Op, arrays: tuple[np.ndarray, ...], settings: dict[str, Any], dtype: Any
) -> None:
    there = tuple(to_device(a.astype(dtype), "cuda") for a in arrays)
    assert_equals_formula(op, there, on_gpu(settings, dtype), dtype)


FIRST_CASES = {op.name: (op, arrays, settings) for op, arrays, settings in reversed(CASES)}


@pytest.mark.parametrize("name", FIRST_CASES)
def test_arrays_with_gaps_give_the_same(name: str) -> None:
    op, arrays, settings = FIRST_CASES[name]
    strided = []
    for a in arrays:
        wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]))
        wide[..., ::2] = a
        strided.append(to_device(wide, "cuda")[..., ::2])
    assert_equals_formula(op, tuple(strided), on_gpu(settings, np.float64), np.float64)


def test_every_kernel_is_tested_here() -> None:
    assert {op.name for op in vars(neural).values() if isinstance(op, Op) and op.cuda} == {
        op.name for op, _, _ in CASES
    }


def test_ops_take_the_kernels_and_under_plain_formulas_leave_them() -> None:
    for op, arrays, _ in CASES:
        there = [to_device(a, "cuda") for a in arrays]
        assert op._kernel_for(there) is op.cuda
        assert op._kernel_for([a.astype("int32") for a in there]) is op.plain
        with kernels.plain_formulas():
            assert op._kernel_for(there) is op.plain


def test_bias_and_gelu_in_one_kernel_equal_both() -> None:
    x, bias, g = normal(7, 33), normal(33), normal(7, 33)
    y, (to_v,) = kernels.cuda.gelu(to_device(x, "cuda"), to_device(bias, "cuda"))
    plain, (plain_to_v,) = neural._gelu.plain(x + bias)
    np.testing.assert_allclose(to_numpy(y), plain, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(to_numpy(to_v(to_device(g, "cuda"))), plain_to_v(g), rtol=1e-11)


# ---- masks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [(0, 0), (3, 2**40 + 17), (2**64 - 1, 2**63)])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.99])
def test_masks_are_numpys_bit_for_bit(key: tuple[int, int], p: float) -> None:
    for size in (1, 16, 511, 512, 513, 10_000):
        ones = to_device(np.ones(size, np.float32), "cuda")
        kept = to_numpy(kernels.cuda.dropout(ones, p=p, key=key)[0]) != 0
        np.testing.assert_array_equal(kept, kernels.keep_mask((size,), p, key))


@pytest.mark.parametrize("T", [1, 7, 16, 37, 530])
def test_masks_of_attention_are_numpys_bit_for_bit(T: int) -> None:
    shape, p, key = (2, 3, T, T), 0.3, (1, 4)
    q = to_device(np.zeros((*shape[:-1], 2)), "cuda")
    eye = to_device(np.broadcast_to(np.eye(T), shape), "cuda")  # the values show the weights
    weights, _ = kernels.cuda.attention(q, q, eye, **attention(dropout=p, key=key))
    np.testing.assert_array_equal(to_numpy(weights) != 0, kernels.keep_mask(shape, p, key))


# ---- what goes wrong ----------------------------------------------------------------------------


def gpu(x: Any) -> mf.Tensor:
    return mf.Tensor(np.asarray(x), device="cuda")


LOGITS = np.zeros((3, 4))
INFINITE = np.array([[0.0, math.inf, 1.0]])
NOWHERE = np.full((1, 3), -math.inf)
IDS = np.array([0, 2, 3])
HEADS = np.zeros((1, 1, 2, 2))
TROUBLES: dict[str, tuple[Any, type[Exception], str]] = {
    "softmax": (lambda: F.softmax(gpu(INFINITE)), ValueError, "softmax: a row's largest value is"),
    "nowhere": (lambda: F.softmax(gpu(NOWHERE)), ValueError, "softmax: a row's largest value is"),
    "log_softmax": (lambda: F.log_softmax(gpu(INFINITE)), ValueError, "log_softmax: a row's lar"),
    "logits": (lambda: F.cross_entropy(gpu(INFINITE), gpu([0])), ValueError, "cross_entropy: a ro"),
    "cross_entropy": (lambda: F.cross_entropy(gpu(LOGITS), gpu([0, 4, 1])), ValueError,
                      "cross_entropy: target on the GPU is none of the classes"),
    "nll_loss": (lambda: F.nll_loss(gpu(LOGITS), gpu([0, -1, 1])), ValueError, "nll_loss: target"),
    "focal_loss": (lambda: F.focal_loss(gpu(LOGITS), gpu([9, 1, 1])), ValueError, "focal_loss: ta"),
    "embedding": (lambda: F.embedding(gpu(IDS), gpu(np.zeros((3, 2)))), IndexError,
                  "embedding: ids on the GPU do not fit the rows of the table"),
    "negative id": (lambda: F.embedding(gpu(-IDS), gpu(np.zeros((5, 2)))), IndexError,
                    "embedding: ids"),
    "getitem": (lambda: gpu(LOGITS)[gpu(IDS)], IndexError, "getitem: index on the GPU is out of b"),
    "second axis": (lambda: gpu(LOGITS)[:, gpu(IDS + 1)], IndexError, "getitem: index"),
    "after dots": (lambda: gpu(np.zeros((9, 9, 2)))[..., None, gpu(IDS)], IndexError, "getitem: i"),
    "negative index": (lambda: gpu(LOGITS)[gpu(-2 * IDS)], IndexError, "getitem: index"),
    "gather": (lambda: F.gather(gpu(LOGITS), 0, gpu(IDS[:, None])), IndexError, "getitem: index"),
    "take_along_axis": (lambda: F.take_along_axis(gpu(LOGITS), gpu(IDS[:, None]), 0), IndexError,
                        "getitem: index"),
    "attention": (lambda: F.scaled_dot_product_attention(gpu(HEADS), gpu(HEADS), gpu(HEADS),
                                                         mask=gpu([[0.0, math.inf]])),
                  ValueError, "attention: a score is infinite"),
}  # fmt: skip


@pytest.mark.parametrize("name", TROUBLES)
def test_trouble_is_raised_when_the_host_next_waits_and_only_once(name: str) -> None:
    f, kind, sentence = TROUBLES[name]
    for read in (mf.Tensor.numpy, lambda y: y.sum().item()):
        y = f()
        with pytest.raises(kind, match=f"^{sentence}"):
            read(y)
        gpu([1.0]).numpy()
    with kernels.plain_formulas(), pytest.raises(kind):  # formulas look at once
        f()
    gpu([1.0]).numpy()


def test_the_first_of_two_troubles_is_raised() -> None:
    F.softmax(gpu(INFINITE)), F.embedding(gpu(IDS), gpu(np.zeros((3, 2))))
    with pytest.raises(IndexError, match="embedding"):
        gpu([1.0]).numpy()


def test_what_cannot_be_looked_up_is_nan() -> None:
    y = F.embedding(gpu(IDS), gpu(np.ones((3, 2))))
    values = y.data.get()  # past the check
    assert np.isnan(values).tolist() == [[False] * 2, [False] * 2, [True] * 2]
    with pytest.raises(IndexError, match="embedding"):
        y.numpy()


def test_lists_are_checked_before_they_are_moved() -> None:
    with pytest.raises(IndexError, match="embedding: ids from -1 to 7 do not fit 3 rows"):
        F.embedding([-1, 7], gpu(np.ones((3, 2))))
    with pytest.raises(ValueError, match="cross_entropy: target 4 is none of the 4 classes"):
        F.cross_entropy(gpu(LOGITS), [0, 4, 1])


def test_indices_in_bounds_are_no_trouble() -> None:
    x = gpu(np.arange(12.0).reshape(3, 4))
    assert x[gpu([-3, 2])].numpy().tolist() == [[0, 1, 2, 3], [8, 9, 10, 11]]
    assert x[..., gpu([-4, 3])].numpy().tolist() == [[0, 3], [4, 7], [8, 11]]
    assert x[gpu([True, False, True]), gpu([3, 0])].numpy().tolist() == [3, 8]


# ---- losses -------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weight", [None, [1.0, 2.0, 0.5]])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("target", [[[0, 2], [-100, 1]], [[-100, -100], [-100, -100]]])
def test_losses_skip_the_rows_to_ignore_as_on_the_cpu(
    reduction: str, weight: Any, smoothing: float, target: Any
) -> None:
    logits, results = normal(2, 2, 3), []
    for place in ("cpu", "cuda"):
        x = mf.Tensor(logits, requires_grad=True, device=place)
        labels = mf.Tensor(target, device=place)
        settings = {"weight": weight, "reduction": reduction}
        entropy = F.cross_entropy(x, labels, label_smoothing=smoothing, **settings)
        losses = [entropy, F.nll_loss(x, labels, **settings), F.focal_loss(x, labels, **settings)]
        (losses[0] * 2 + losses[1] + losses[2] * 3).sum().backward()
        results.append([*(loss.numpy() for loss in losses), x.grad.numpy()])
    for here, there in zip(*results, strict=True):
        np.testing.assert_allclose(there, here, rtol=1e-12, atol=1e-12, strict=True)


def test_rows_are_added_in_the_same_order_every_time() -> None:
    g, ids = to_device(normal(500, 9).astype(np.float32), "cuda"), cuda.module().arange(500) % 3
    first, second = (kernels.cuda.scatter_rows(g, ids=ids, n_rows=4)[0] for _ in range(2))
    np.testing.assert_array_equal(first.get(), second.get())
    assert not first[3].any().get()
