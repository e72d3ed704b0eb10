"""Tensors: from data and back, devices, random draws, factories, gradcheck."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import minift as mf
from minift import functional as F
from minift.autograd import check_one_device
from minift.backend import to_device


def leaf(*values: float, device: str = "cpu") -> mf.Tensor:
    return mf.Tensor(values, dtype=np.float32, requires_grad=True, device=device)


# ---- data ----------------------------------------------------------------------------------------


def test_dtypes_of_python_data_and_arrays() -> None:
    assert mf.Tensor(1.5).dtype == mf.Tensor([1.5, 2]).dtype == np.float32
    assert mf.Tensor(3).dtype == mf.Tensor([[1], [2]]).dtype == np.int64
    assert mf.Tensor(True).dtype == bool
    assert mf.Tensor(np.zeros(2)).dtype == mf.Tensor(np.float64(1)).dtype == np.float64
    assert mf.Tensor([1, 2], dtype=np.float64).dtype == np.float64


def test_data_are_copied() -> None:
    a = np.zeros(3)
    t = mf.Tensor(a)
    a[0] = 1
    assert t.data[0] == 0


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ("text", TypeError, "made of numbers, lists or arrays, got str"),
        (None, TypeError, "got NoneType"),
        ([[1, 2], [3]], ValueError, "rows of a nested list must have equal lengths"),
        (["a"], TypeError, "holds floats, integers or booleans"),
        (np.array([1j]), TypeError, "got complex128"),
        ([mf.Tensor(1.0)], TypeError, "use mf.stack"),
    ],
)
def test_what_is_no_tensor_says_so(data: object, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        mf.Tensor(data)


def test_only_floats_have_gradients() -> None:
    with pytest.raises(ValueError, match="only floats have gradients, got int64"):
        mf.Tensor([1], requires_grad=True)


def test_python_and_numpy_numbers_never_promote_float32(device: str) -> None:
    x = leaf(1, 2, device=device)
    half = to_device(np.array(0.5), device)
    for number in (2, 2.5, np.float64(2.5), np.float32(1), np.int64(3), half, True):
        for y in (x + number, number * x, x / number, number - x, F.maximum(x, number)):
            assert y.dtype == np.float32
            assert mf.grad(y.sum(), x)[0].dtype == np.float32
    whole = mf.Tensor([1, 2], device=device)
    assert (x * whole.data).dtype == np.float32
    assert (whole * 0.5).dtype == np.float32
    assert (whole / 2).dtype == np.float32
    assert (x * mf.Tensor(np.ones(2), device=device)).dtype == np.float64


def test_array_on_the_left_makes_a_tensor() -> None:
    y = np.array([1.0, 2.0]) * mf.Tensor([3.0, 4.0])
    assert isinstance(y, mf.Tensor)
    assert y.data.tolist() == [3, 8]
    assert (np.eye(2) @ leaf(1, 2)).data.tolist() == [1, 2]


def test_interop(device: str) -> None:
    t = mf.Tensor([[1.0, 2.0], [3.0, 4.0]], device=device)
    np.testing.assert_array_equal(np.asarray(t), [[1, 2], [3, 4]])
    assert len(t) == 2
    assert [row.data.tolist() for row in t] == [[1, 2], [3, 4]]
    assert float(t[0, 1]) == 2.0
    three = mf.Tensor(3, device=device)
    assert int(three) == [0, 1, 2, 3][three] == 3
    assert bool(three > 0)
    assert t.T.shape == (2, 2)
    assert {t: 1}[t] == 1  # hashable by identity


def test_interop_errors(device: str) -> None:
    t = mf.Tensor([1.0, 2.0], device=device)
    with pytest.raises(ValueError, match="2 values, not one"):
        t.item()
    with pytest.raises(ValueError, match="truth of 2 values is ambiguous"):
        bool(t)
    with pytest.raises(TypeError, match="only a single integer can be an index"):
        [1, 2][t]
    with pytest.raises(TypeError, match="a tensor without axes has no length"):
        len(mf.Tensor(1.0))
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(t)


def test_deepcopy_copies_leaves_and_keeps_ties(device: str) -> None:
    x = leaf(1, 2, device=device)
    a, b = copy.deepcopy([x, x])
    a.data += 1
    assert a is b
    assert a.requires_grad
    assert x.data.tolist() == [1, 2]
    with pytest.raises(TypeError, match="only leaves are copied"):
        copy.deepcopy(x * 2)


def test_repr_shows_op_shape_dtype_and_device(device: str) -> None:
    x = leaf(1, 2, device=device)
    assert repr(x) == (
        f"Tensor([1., 2.], shape=(2,), dtype=float32, device={device!r}, requires_grad=True)"
    )
    assert "op=exp" in repr(x.exp())


class OnTheGpu(np.ndarray):
    """Stands in for a CuPy array, whose type is how its device is known."""


OnTheGpu.__module__ = "cupy"


def test_mixing_devices_names_both() -> None:
    there = np.ones(2).view(OnTheGpu)
    with pytest.raises(ValueError, match="matmul: the inputs lie on cpu and cuda; move one"):
        check_one_device("matmul", np.ones(2), there, None)
    with pytest.raises(ValueError, match="cross_entropy: the inputs lie on cpu and cuda"):
        F.cross_entropy(mf.zeros(2, 3), np.array([0, 1]).view(OnTheGpu))


def test_device_errors() -> None:
    with pytest.raises(ValueError, match='device must be "cpu" or "cuda", got \'tpu\''):
        mf.Tensor(1.0, device="tpu")
    assert (mf.cuda.why_not() is None) == mf.cuda.is_available()
    if not mf.cuda.is_available():
        with pytest.raises(RuntimeError, match='device "cuda" cannot be used: '):
            mf.Tensor(1.0).to("cuda")


# ---- randomness ----------------------------------------------------------------------------------


def test_dropout_scales_what_it_keeps_and_repeats_with_the_seed(device: str) -> None:
    x = mf.ones(200, 50, requires_grad=True, device=device)
    mf.manual_seed(5)
    y = F.dropout(x, 0.25)
    values = y.numpy()
    assert set(np.unique(values)) == {0, np.float32(1 / 0.75)}
    assert abs((values == 0).mean() - 0.25) < 0.02
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), values)
    assert (F.dropout(x, 0.25).data != y.data).any()
    mf.manual_seed(5)
    np.testing.assert_array_equal(F.dropout(x, 0.25).numpy(), values)
    assert not F.dropout(x, 1.0).data.any()


def test_generators_by_name_are_independent_and_can_be_saved() -> None:
    from minift.backend import random

    mf.manual_seed(1)
    first = mf.randn(3)
    mf.manual_seed(1)
    random.generator("other").random(10)
    np.testing.assert_array_equal(mf.randn(3).data, first.data)
    state = random.get_state()
    after = [mf.rand(4).data, random.next_key()]
    random.set_state(state)
    np.testing.assert_array_equal(mf.rand(4).data, after[0])
    assert random.next_key() == after[1]


def test_factories(device: str) -> None:
    assert mf.zeros(2, 3).dtype == mf.ones((2,)).dtype == mf.full((1,), 2).dtype == np.float32
    assert mf.arange(3).data.tolist() == [0, 1, 2]
    assert mf.arange(1, 2, 0.5).dtype == np.float32
    x = mf.Tensor(np.ones((2, 3)), device=device)
    for f in (mf.zeros_like, mf.ones_like, mf.randn_like, mf.rand_like):
        assert (f(x).shape, f(x).dtype, f(x).device) == (x.shape, np.float64, device)
    assert mf.full_like(x, 7).data[1, 2] == 7


def test_gradcheck_finds_a_wrong_derivative_and_names_it() -> None:
    @mf.op
    def wrong(a, b):
        return a * b, (lambda g: g * b, lambda g: g * a * [1, 1, 1.001])

    a = mf.Tensor([1.0, 2, 3], dtype=np.float64)
    b = mf.Tensor([4.0, 5, 6], dtype=np.float64, requires_grad=True)
    with pytest.raises(mf.GradientError, match=r"input 1, index \(2,\): the derivative is -?\d"):
        mf.gradcheck(wrong, [a, b])
    with pytest.raises(ValueError, match="input 0 must be float64, got float32"):
        mf.gradcheck(F.exp, mf.ones(2, requires_grad=True))
    with pytest.raises(ValueError, match="no input requires a gradient"):
        mf.gradcheck(F.exp, mf.Tensor([1.0]))


def test_gradcheck_sees_a_softmax_gradient_that_is_seven_times_too_large() -> None:
    @mf.op
    def softmax7(x):
        y = np.exp(x) / np.exp(x).sum()
        return y, (lambda g: 7 * y * (g - (g * y).sum()),)

    with pytest.raises(mf.GradientError):
        mf.gradcheck(softmax7, mf.Tensor([0.1, 0.7, -0.4], dtype=np.float64, requires_grad=True))
