"""The tape: how gradients flow, what is kept, and what the errors say."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
from oracle import oracle

import minift as mf
from minift import functional as F
from minift.autograd import Op, check_one_device
from minift.tape import Tape


def leaf(*values: float) -> mf.Tensor:
    return mf.Tensor(values, dtype=np.float32, requires_grad=True)


# ---- data ---------------------------------------------------------------------------------------


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


def test_python_and_numpy_numbers_never_promote_float32() -> None:
    x = leaf(1, 2)
    for number in (2, 2.5, np.float64(2.5), np.float32(1), np.int64(3), np.array(0.5), True):
        for y in (x + number, number * x, x / number, number - x, F.maximum(x, number)):
            assert y.dtype == np.float32
            assert mf.grad(y.sum(), x)[0].dtype == np.float32
    assert (x * np.array([1, 2])).dtype == np.float32
    assert (mf.Tensor([1, 2]) * 0.5).dtype == np.float32
    assert (mf.Tensor([1, 2]) / 2).dtype == np.float32
    assert (x * mf.Tensor(np.ones(2))).dtype == np.float64


def test_array_on_the_left_makes_a_tensor() -> None:
    y = np.array([1.0, 2.0]) * mf.Tensor([3.0, 4.0])
    assert isinstance(y, mf.Tensor)
    assert y.data.tolist() == [3, 8]
    assert (np.eye(2) @ leaf(1, 2)).data.tolist() == [1, 2]


def test_interop() -> None:
    t = mf.Tensor([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(np.asarray(t), t.data)
    assert len(t) == 2
    assert [row.data.tolist() for row in t] == [[1, 2], [3, 4]]
    assert float(t[0, 1]) == 2.0
    assert int(mf.Tensor(3)) == [0, 1, 2, 3][mf.Tensor(3)] == 3
    assert bool(mf.Tensor(1.0) > 0)
    assert t.T.shape == (2, 2)
    assert {t: 1}[t] == 1  # hashable by identity


def test_interop_errors() -> None:
    t = mf.Tensor([1.0, 2.0])
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


def test_deepcopy_copies_leaves_and_keeps_ties() -> None:
    x = leaf(1, 2)
    a, b = copy.deepcopy([x, x])
    a.data += 1
    assert a is b
    assert a.requires_grad
    assert x.data.tolist() == [1, 2]
    with pytest.raises(TypeError, match="only leaves are copied"):
        copy.deepcopy(x * 2)


def test_repr_shows_op_shape_dtype_and_device() -> None:
    x = leaf(1, 2)
    assert repr(x) == (
        "Tensor([1., 2.], shape=(2,), dtype=float32, device='cpu', requires_grad=True)"
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


# ---- how gradients flow -------------------------------------------------------------------------


def test_a_value_used_twice_gets_both_gradients() -> None:
    x = leaf(2)
    y = x * x
    (y * y + y).backward()  # d(x⁴ + x²) = 4x³ + 2x
    assert x.grad.item() == 36


def test_gradients_accumulate_on_leaves_only() -> None:
    x = leaf(1, 2)
    for _ in range(2):
        y = x * 3
        y.sum().backward()
    assert x.grad.data.tolist() == [6, 6]
    assert y.grad is None


def test_leaves_never_share_a_gradient_array() -> None:
    a, b = leaf(1, 2), leaf(3, 4)
    (a + b).backward([1.0, 1.0])
    a.grad.data *= 10
    assert b.grad.data.tolist() == [1, 1]
    c = mf.ones(2, 2, requires_grad=True)
    c.sum().backward()
    c.grad.data += 1  # the gradient of a sum is a read-only view before it is copied
    assert c.grad.data.tolist() == [[2, 2], [2, 2]]


def test_grad_leaves_dot_grad_alone_and_gives_zeros_where_nothing_depends() -> None:
    x, z = leaf(1, 2), leaf(5)
    gx, gz = mf.grad((x * x).sum(), [x, z])
    assert gx.data.tolist() == [2, 4]
    assert gz.data.tolist() == [0]
    assert x.grad is None


def test_grad_of_an_interior_tensor() -> None:
    x = leaf(3)
    y = x * x
    gy, gx = mf.grad(y * y, [y, x])
    assert (gy.item(), gx.item()) == (18, 108)


def test_grad_of_several_outputs_adds() -> None:
    x = leaf(1, 2)
    (g,) = mf.grad([x * 2, (x * x).sum()], x, [[1.0, 1.0], None])
    assert g.data.tolist() == [4, 6]


def test_gradients_of_gradients_find_an_interior_tensor_that_is_held() -> None:
    x = leaf(2)
    z = x * x
    (gx,) = mf.grad(z * z * z, x, create_graph=True)  # 6x⁵
    gz, again = mf.grad(gx, [z, x])
    assert again.item() == 30 * 2**4
    assert gz.item() == 6 * 4 * 2 * 2  # d(3z²·2x)/dz


def test_third_derivative() -> None:
    x = mf.Tensor(0.7, dtype=np.float64, requires_grad=True)
    y = x.sin()
    for expected in (np.cos(0.7), -np.sin(0.7), -np.cos(0.7)):
        (y,) = mf.grad(y, x, create_graph=True)
        assert y.item() == pytest.approx(expected, rel=1e-14)


def test_gradient_penalty_reaches_the_weights() -> None:
    """‖∂D/∂x‖² differentiated by the weights of D (Gulrajani et al. 2017)."""
    rng = np.random.default_rng(0)
    w1, w2 = (mf.Tensor(rng.standard_normal(s), requires_grad=True) for s in [(4, 3), (1, 4)])
    x = mf.Tensor(rng.standard_normal((5, 3)), requires_grad=True)

    def penalty(w1: mf.Tensor, w2: mf.Tensor) -> mf.Tensor:
        score = F.linear(F.tanh(F.linear(x, w1)), w2).sum()
        (g,) = mf.grad(score, x, create_graph=True)
        return (((g * g).sum(axis=1).sqrt() - 1) ** 2).mean()

    assert mf.gradcheck(penalty, [w1, w2])


def test_hessian_vector_product() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((3, 3))
    x, v = mf.Tensor(rng.standard_normal(3), requires_grad=True), rng.standard_normal(3)
    (g,) = mf.grad(0.5 * (x @ a @ x), x, create_graph=True)
    (hv,) = mf.grad((g * v).sum(), x)
    np.testing.assert_allclose(hv.numpy(), 0.5 * (a + a.T) @ v, rtol=1e-12)


def test_a_frozen_input_costs_no_derivative() -> None:
    calls = []

    @mf.op
    def spy(a, b):
        return a * b, (
            lambda g: calls.append("a") or g * b,
            lambda g: calls.append("b") or g * a,
        )

    x, frozen = leaf(1, 2), mf.Tensor([3.0, 4.0])
    spy(x, frozen).sum().backward()
    assert calls == ["a"]
    assert frozen.grad is None
    assert spy(frozen, frozen)._node is None


def test_no_grad_records_nothing_and_is_undone_by_an_error() -> None:
    x = leaf(1)
    with mf.no_grad():
        assert not (x * 2).requires_grad
    with pytest.raises(ValueError, match="item"), mf.no_grad():
        mf.zeros(2).item()
    assert (x * 2).requires_grad

    @mf.no_grad()
    def countdown(n: int) -> mf.Tensor:
        return countdown(n - 1) if n else x * 2

    assert not countdown(3).requires_grad
    assert Tape.recording


def test_detach_cuts_the_graph_and_shares_the_memory() -> None:
    x = leaf(1, 2)
    d = (x * 2).detach()
    assert not d.requires_grad
    assert x.detach().data is x.data


# ---- what is kept -------------------------------------------------------------------------------


def test_a_chain_of_100_000_ops() -> None:
    x = leaf(0)
    y = x
    for _ in range(100_000):
        y = y + 1.0
    y.backward()
    assert (y.item(), x.grad.item()) == (100_000, 1)


def test_a_graph_with_a_million_paths_takes_twenty_steps() -> None:
    x = leaf(1)
    y = x
    for _ in range(20):
        y = y + y
    y.backward()
    assert x.grad.item() == 2**20


def test_memory_is_flat_without_the_garbage_collector() -> None:
    w = mf.randn(8, 8, requires_grad=True)

    def step() -> None:
        F.gelu(F.layer_norm(mf.ones(4, 8) @ w, mf.ones(8), mf.zeros(8))).sum().backward()

    step()
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(1000):
            step()
        assert len(gc.get_objects()) - before < 50
    finally:
        gc.enable()


def test_values_that_no_derivative_needs_are_freed_in_the_forward_pass() -> None:
    x = leaf(*range(8))
    middle = x + 1.0
    array = weakref.ref(middle.data)
    y = (middle + 2.0).sum()
    del middle
    assert array() is None  # a sum needs only shapes
    product = x * 2.0
    array = weakref.ref(product.data)
    z = product.exp().log()
    del product
    assert array() is None  # exp keeps its result, not its argument
    (y + z.sum()).backward()


def test_backward_frees_the_graph_and_a_second_one_says_so() -> None:
    x = leaf(1, 2)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(ValueError, match="graph behind sum was freed by an earlier backward"):
        y.backward()


def test_two_losses_over_one_freed_part() -> None:
    x = leaf(1, 2)
    h = x.exp()
    h.sum().backward()
    with pytest.raises(ValueError, match="graph behind exp was freed"):
        (h * 2).sum().backward()


# ---- writes -------------------------------------------------------------------------------------


def test_data_of_the_same_shape_are_written_in_place() -> None:
    x = leaf(1, 2)
    array = x.data
    x.data = [5.0, 6.0]
    assert x.data is array
    assert array.tolist() == [5, 6]
    x.data = np.zeros((2, 2))
    assert (x.shape, x.dtype) == ((2, 2), np.float64)


@pytest.mark.parametrize("write", ["assign", "add", "detached", "view", "result"])
def test_a_backward_that_needs_an_overwritten_value_raises(write: str) -> None:
    x = leaf(1, 2)
    h = x * 1.0
    view = h.reshape(2, 1)
    y = h.exp() if write == "result" else h * h
    if write == "assign":
        h.data = [3.0, 4.0]
    elif write == "add":
        h.data += 1
    elif write == "detached":
        h.detach().data += 1
    elif write == "view":
        view.data += 1
    else:
        y.data += 1
    what = r"exp needs its result" if write == "result" else r"mul needs its input of shape \(2,\)"
    with pytest.raises(ValueError, match=f"{what} as it was, but that tensor was written"):
        y.sum().backward()


def test_a_write_that_no_derivative_minds_is_fine() -> None:
    x, w = leaf(1, 2), leaf(3, 4)
    y = (x + w) * 2.0
    w.data += 1  # a sum does not need its inputs
    y.sum().backward()
    assert w.grad.data.tolist() == [2, 2]
    z = (x * w).sum()
    x.data = [7.0, 7.0]
    (g,) = mf.grad(z, x)  # only w is needed for this one
    assert g.data.tolist() == [4, 5]


def test_optimizer_steps_and_loading_are_writes() -> None:
    layer = mf.nn.Linear(2, 2)
    optimizer = mf.optim.SGD(layer.parameters(), lr=0.1)
    x = mf.ones(1, 2, requires_grad=True)
    layer(x).sum().backward()
    loss = layer(x).sum()
    optimizer.step()
    with pytest.raises(ValueError, match=r"linear needs its input of shape \(2, 2\)"):
        loss.backward()
    loss = layer(x).sum()
    layer.load_state_dict(layer.state_dict())
    with pytest.raises(ValueError, match="was written to afterwards"):
        loss.backward()


def test_create_graph_minds_every_write() -> None:
    x = leaf(1, 2)
    y = (x + 1.0).sum()
    x.data += 1
    with pytest.raises(ValueError, match="add needs its input of shape"):
        mf.grad(y, x, create_graph=True)


# ---- errors -------------------------------------------------------------------------------------


def test_backward_errors() -> None:
    x = leaf(1, 2)
    with pytest.raises(ValueError, match=r"shape \(2,\) is no single value"):
        (x * 2).backward()
    with pytest.raises(ValueError, match=r"gradient has shape \(3,\), the tensor \(2,\)"):
        (x * 2).backward(np.ones(3))
    with pytest.raises(ValueError, match="nothing to differentiate"):
        mf.Tensor(1.0).backward()
    with pytest.raises(ValueError, match="result of mul, not a leaf"):
        (x * 2).requires_grad = False
    with pytest.raises(ValueError, match="input 1 does not require a gradient"):
        mf.grad((x * 2).sum(), [x, mf.Tensor(1.0)])
    with pytest.raises(ValueError, match="1 outputs but 2 grad_outputs"):
        mf.grad(x.sum(), x, [None, None])


@pytest.mark.parametrize(
    ("derivative", "message"),
    [
        (lambda g: g[:1], r"wrong: the derivative of input 0 returned float32 \(1,\)"),
        (lambda g: g.astype(np.float64), r"returned float64 \(2,\), the input is float32 \(2,\)"),
        (lambda g: None, "returned a NoneType"),
    ],
)
def test_a_wrong_derivative_is_named(derivative: object, message: str) -> None:
    @mf.op
    def wrong(x):
        return x * 1.0, (derivative,)

    with pytest.raises(ValueError, match=message):
        wrong(leaf(1, 2)).sum().backward()


def test_an_op_of_a_user() -> None:
    @mf.op
    def cube(x):
        return x * x * x, (lambda g: g * 3 * x * x,)

    assert isinstance(cube, Op)
    assert mf.gradcheck(cube, mf.Tensor([1.0, -2.0], dtype=np.float64, requires_grad=True), order=2)


def x23() -> mf.Tensor:
    return mf.zeros(2, 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: x23() + mf.zeros(2), ValueError, r"add: shapes \(2, 3\) and \(2,\) do not broad"),
        (lambda: x23() @ x23(), ValueError, r"matmul: inner sizes differ, got \(2, 3\) @ \(2, 3\)"),
        (lambda: mf.zeros(2, 2, 3) @ mf.zeros(3, 3, 2), ValueError, "leading axes do not broadc"),
        (lambda: x23() @ mf.Tensor(1.0), ValueError, "both sides need at least one axis"),
        (lambda: x23().sum(axis=2), ValueError, "sum: axis 2 does not exist in a tensor of 2 axes"),
        (lambda: x23().mean(axis=(0, 0)), ValueError, "names an axis twice"),
        (lambda: mf.zeros(0).mean(), ValueError, "mean: no values to reduce"),
        (lambda: mf.zeros(0).max(), ValueError, "max: no values to reduce"),
        (lambda: mf.zeros(1).var(correction=1), ValueError, "1 values cannot take a correction"),
        (lambda: mf.zeros(0).argmax(), ValueError, "argmax: no values"),
        (lambda: x23().reshape(4), ValueError, r"reshape: \(2, 3\) has other than the elements"),
        (lambda: x23().flatten(1, 0), ValueError, "start_axis 1 comes after end_axis 0"),
        (lambda: x23().squeeze(0), ValueError, "axis 0 has length 2, not 1"),
        (lambda: x23().unsqueeze(5), ValueError, "unsqueeze: axis 5 does not exist"),
        (lambda: x23().expand(4, 3), ValueError, r"\(2, 3\) cannot be repeated to \(4, 3\)"),
        (lambda: x23().transpose(0, 0), ValueError, "is no order of the 2 axes"),
        (lambda: x23()[5], IndexError, "getitem: index 5 is out of bounds"),
        (lambda: x23()[[0.5]], TypeError, "an index holds integers or booleans"),
        (lambda: x23().gather(0, [0]), ValueError, "indices have 1 axes, the tensor 2"),
        (lambda: x23().gather(0, [[0.5]]), TypeError, "gather: indices are integers"),
        (lambda: x23().split(0), ValueError, "size of a piece must be at least 1"),
        (lambda: x23().split([1, 5], 1), ValueError, r"sizes \[1, 5\] do not add up to the 3"),
        (lambda: mf.zeros(3).tril(), ValueError, "at least 2 axes are needed"),
        (lambda: F.concatenate([]), ValueError, "no tensors were given"),
        (lambda: F.concatenate([x23(), mf.zeros(3, 2)]), ValueError, "differ off axis 0"),
        (lambda: F.stack([x23(), mf.zeros(3)]), ValueError, "stack: the shapes differ"),
        (lambda: x23().pad((1,)), ValueError, "a flat list needs an even length"),
        (lambda: x23().pad(((1, 1),)), ValueError, "does not give a pair for each of 2 axes"),
        (lambda: x23().pad((-1, 0)), ValueError, "widths cannot be negative"),
        (lambda: x23().clip(), ValueError, "give min, max or both"),
        (lambda: F.linear(x23(), mf.zeros(4, 2)), ValueError, r"last axis of \(2, 3\) must be the"),
        (lambda: F.linear(x23(), mf.zeros(4, 3), mf.zeros(3)), ValueError, r"bias must be \(4,\)"),
        (lambda: F.einsum("ij,jk", x23()), ValueError, "names 2 inputs, got 1"),
        (lambda: F.einsum("ijk", x23()), ValueError, "does not fit inputs of"),
        (lambda: F.einsum("ij->ii", x23()), ValueError, "must name input letters once"),
        (lambda: F.einsum("ii", x23()), ValueError, "'i' is both 2 and 3"),
        (lambda: F.einsum("ij,jk", x23(), x23()), ValueError, "'j' in 'ij,jk' is both 3 and 2"),
        (lambda: F.gelu(x23(), "fast"), ValueError, 'approximate is "none" or "tanh"'),
        (lambda: F.softmax(mf.Tensor([np.inf, 0])), ValueError, "largest value is infinite"),
        (lambda: F.log_softmax(mf.Tensor([np.inf])), ValueError, "largest value is infinite"),
        (lambda: F.layer_norm(x23(), mf.ones(2), mf.ones(2)), ValueError, "must have the length"),
        (lambda: F.dropout(x23(), 1.5), ValueError, "p must lie between 0 and 1, got 1.5"),
        (lambda: F.embedding([3], x23()), IndexError, "ids from 3 to 3 do not fit 2 rows"),
        (lambda: F.embedding([-1], x23()), IndexError, "ids from -1 to -1"),
        (lambda: F.embedding([0.5], x23()), TypeError, "ids are integers, got float32"),
        (
            lambda: F.scaled_dot_product_attention(x23(), x23(), mf.zeros(3, 3)),
            ValueError, r"do not fit",
        ),
        (
            lambda: F.scaled_dot_product_attention(x23(), x23(), x23(), mask=[[True] * 3]),
            ValueError, r"mask \(1, 3\) must fit scores \(2, 2\)",
        ),
        (lambda: F.self_attention(x23(), 2), ValueError, "is not"),
        (
            lambda: F.batch_norm(x23(), mf.zeros(2), mf.ones(2)),
            ValueError, r"2 channels do not fit \(2, 3\)",
        ),
        (
            lambda: F.batch_norm(mf.zeros(1, 2), mf.zeros(2), mf.ones(2), training=True),
            ValueError, "training needs 2 values a channel",
        ),
        (lambda: F.cross_entropy(x23(), [0, 3]), ValueError, "target 3 is none of the 3 classes"),
        (lambda: F.cross_entropy(x23(), [0, -1]), ValueError, "target -1 is none of"),
        (lambda: F.cross_entropy(x23(), [0]), ValueError, r"targets \(1,\) must have the shape"),
        (lambda: F.cross_entropy(x23(), [0.0, 1.0]), TypeError, "targets are integer classes"),
        (
            lambda: F.cross_entropy(x23(), [0, 1], label_smoothing=2.0),
            ValueError, "label_smoothing lies in",
        ),
        (
            lambda: F.cross_entropy(x23(), [0, 1], weight=[1.0]),
            ValueError, r"\(1,\) weights for 3 classes",
        ),
        (
            lambda: F.cross_entropy(x23(), [0, 1], reduction="all"),
            ValueError, 'reduction is "mean", "sum" or "none", got \'all\'',
        ),
        (
            lambda: F.cross_entropy(mf.Tensor([[np.inf, 0]]), [0]),
            ValueError, "largest value is infinite",
        ),
        (lambda: F.focal_loss(x23(), [0, 1], gamma=-1), ValueError, "gamma must be at least 0"),
        (lambda: F.mse_loss(x23(), mf.zeros(3)), ValueError, "mse_loss: the shapes differ"),
        (lambda: F.info_nce(x23(), x23(), 0), ValueError, "temperature must be positive, got 0"),
        (lambda: F.info_nce(mf.zeros(3), mf.zeros(3)), ValueError, r"are \(N, D\), got"),
        (lambda: F.conv2d(x23(), x23()), ValueError, "conv2d: 4 axes are needed"),
        (
            lambda: F.conv2d(mf.zeros(1, 3, 4, 4), mf.zeros(2, 2, 3, 3)),
            ValueError, "3 channels in 1 groups do not fit",
        ),
        (
            lambda: F.conv2d(mf.zeros(1, 1, 2, 2), mf.zeros(1, 1, 3, 3)),
            ValueError, "is larger than image",
        ),
        (
            lambda: F.conv2d(mf.zeros(1, 1, 4, 4), mf.zeros(1, 1, 3, 3), mf.zeros(2)),
            ValueError, r"bias must be \(1,\), got \(2,\)",
        ),
        (
            lambda: F.conv2d(mf.zeros(1, 1, 4, 4), mf.zeros(1, 1, 3, 3), stride=0),
            ValueError, "stride is one or two numbers of at least 1",
        ),
        (
            lambda: F.conv2d(mf.zeros(1, 1, 4, 4), mf.zeros(1, 1, 3, 3), groups=0),
            ValueError, "groups must be at least 1",
        ),
        (
            lambda: F.conv_transpose2d(mf.zeros(1, 3, 4, 4), mf.zeros(2, 2, 3, 3)),
            ValueError, "3 channels in 1 groups do not fit",
        ),
        (
            lambda: F.conv_transpose2d(
                mf.zeros(1, 1, 4, 4), mf.zeros(1, 1, 3, 3), output_padding=1
            ),
            ValueError, "must be smaller than stride or dilation",
        ),
        (
            lambda: F.conv_transpose2d(mf.zeros(1, 1, 1, 1), mf.zeros(1, 1, 2, 2), padding=1),
            ValueError, "leaves no image",
        ),
        (
            lambda: F.max_pool2d(mf.zeros(1, 1, 4, 4), 2, padding=2),
            ValueError, "is over half of kernel",
        ),
        (lambda: F.avg_pool2d(mf.zeros(1, 1, 2, 2), 3), ValueError, "is larger than image"),
        (lambda: mf.zeros(-1), ValueError, "a shape is made of integers of at least 0"),
        (lambda: mf.arange(0, 1, 0), ValueError, "the step cannot be 0"),
        (lambda: mf.manual_seed(-1), ValueError, "the seed must be an integer of at least 0"),
    ],
)  # fmt: skip
def test_a_mistake_gets_a_clear_message(call: object, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


# ---- extremes -----------------------------------------------------------------------------------


def test_extreme_logits_are_finite() -> None:
    x = mf.Tensor([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]], requires_grad=True)
    loss = F.cross_entropy(x, [1, 0], reduction="none")
    np.testing.assert_allclose(loss.numpy(), [2e4, np.log(3)], rtol=1e-6)
    loss.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [[1, -1, 0], [-2 / 3, 1 / 3, 1 / 3]], atol=1e-6)
    assert F.softmax(x).data[0].tolist() == [1, 0, 0]
    assert np.isfinite(F.log_softmax(x).data).all()
    big = mf.Tensor([1e4, -1e4])
    assert F.sigmoid(big).data.tolist() == [1, 0]
    assert F.softplus(big).data.tolist() == [1e4, 0]
    assert F.gelu(big).data.tolist() == F.relu(big).data.tolist() == [1e4, 0]
    assert F.logsumexp(mf.Tensor([-np.inf, -np.inf])).item() == -np.inf
    assert F.logsumexp(mf.Tensor([np.inf, 0])).item() == np.inf
    assert F.logsumexp(mf.Tensor([1e4, -np.inf])).item() == 1e4
    assert F.info_nce(mf.zeros(3, 2), mf.zeros(3, 2)).item() == pytest.approx(np.log(3))


def test_extremes_equal_pytorch() -> None:
    torch = oracle("torch")
    t = torch.nn.functional
    rows = np.array([[1e4, -1e4, 3.0], [-1e4, -1e4, -1e4], [88.0, 89.0, 90.0], [1e-42, 0, -1e-42]])
    rows = rows.astype(np.float32)
    one, zero = np.ones(3, np.float32), np.zeros(3, np.float32)
    targets = np.array([2, 0, 1, 2])
    constant = np.full((2, 3), 7.0, np.float32)
    pairs = [
        (F.softmax, lambda x: t.softmax(x, -1), rows),
        (F.log_softmax, lambda x: t.log_softmax(x, -1), rows),
        (lambda x: x.logsumexp(axis=-1), lambda x: x.logsumexp(-1), rows),
        (lambda x: F.cross_entropy(x, targets),
         lambda x: t.cross_entropy(x, torch.tensor(targets)), rows),
        (F.gelu, t.gelu, rows), (F.sigmoid, torch.sigmoid, rows), (F.silu, t.silu, rows),
        (F.softplus, t.softplus, rows), (F.tanh, torch.tanh, rows),
        (lambda x: F.layer_norm(x, one, zero), lambda x: t.layer_norm(x, (3,)), rows),
        (lambda x: F.layer_norm(x, one, zero), lambda x: t.layer_norm(x, (3,)), constant),
    ]  # fmt: skip
    for ours, theirs, values in pairs:
        x = mf.Tensor(values, requires_grad=True)
        y = torch.tensor(values, requires_grad=True)
        a, b = ours(x), theirs(y)
        a.sum().backward()
        b.sum().backward()
        assert np.isfinite(a.data).all()
        assert np.isfinite(x.grad.data).all()
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=2e-6, atol=2e-6)
        np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=2e-5, atol=2e-5)


def test_a_masked_class_is_allowed() -> None:
    x = mf.Tensor([[0.0, 0.0, -np.inf]], requires_grad=True)
    loss = F.cross_entropy(x, [0])
    assert loss.item() == pytest.approx(np.log(2))
    loss.backward()
    np.testing.assert_allclose(x.grad.numpy(), [[-0.5, 0.5, 0]])


def test_if_all_targets_are_ignored_loss_and_gradient_are_zero() -> None:
    x = mf.Tensor([[1.0, np.inf], [0.0, 2.0]], requires_grad=True)
    for f in (F.cross_entropy, F.nll_loss, F.focal_loss):
        x.grad = None
        loss = f(x, [-100, -100])
        loss.backward()
        assert loss.item() == 0
        assert x.grad.data.tolist() == [[0, 0], [0, 0]]
        assert f(x, [-100, -100], reduction="none").data.tolist() == [0, 0]
        assert f(x, [-100, -100], weight=[1.0, 2.0]).item() == 0


def test_attention_rows_that_may_look_nowhere_give_zeros() -> None:
    mf.manual_seed(0)
    q, k, v = (mf.randn(1, 1, 3, 4, requires_grad=True) for _ in range(3))
    mask = [[True, True, True], [False] * 3, [True, False, False]]
    y = F.scaled_dot_product_attention(q, k, v, mask=mask)
    assert (y.data[0, 0, 1] == 0).all()
    np.testing.assert_allclose(y.data[0, 0, 2], v.data[0, 0, 0], rtol=1e-6)
    y.sum().backward()
    assert all(np.isfinite(t.grad.data).all() for t in (q, k, v))
    qkv = mf.randn(2, 3, 12, requires_grad=True)
    y = F.self_attention(qkv, 2, mask=np.zeros((2, 1, 1, 3), bool))
    y.sum().backward()
    assert not y.data.any()
    assert not qkv.grad.data.any()


def test_rows_without_variance_and_denormals() -> None:
    x = mf.full((2, 4), 3.0, requires_grad=True)
    y = F.layer_norm(x, mf.ones(4), mf.zeros(4))
    assert not y.data.any()
    y.sum().backward()
    assert np.isfinite(x.grad.data).all()
    tiny = mf.full((2, 4), 1e-42)
    assert np.isfinite(F.layer_norm(tiny, mf.ones(4), mf.zeros(4)).data).all()
    np.testing.assert_allclose(F.softmax(tiny).data, 0.25)


# ---- randomness ---------------------------------------------------------------------------------


def test_dropout_scales_what_it_keeps_and_repeats_with_the_seed() -> None:
    x = mf.ones(200, 50, requires_grad=True)
    mf.manual_seed(5)
    y = F.dropout(x, 0.25)
    assert set(np.unique(y.data)) == {0, np.float32(1 / 0.75)}
    assert abs((y.data == 0).mean() - 0.25) < 0.02
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, y.data)
    assert (F.dropout(x, 0.25).data != y.data).any()
    mf.manual_seed(5)
    np.testing.assert_array_equal(F.dropout(x, 0.25).data, y.data)
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


def test_factories() -> None:
    assert mf.zeros(2, 3).dtype == mf.ones((2,)).dtype == mf.full((1,), 2).dtype == np.float32
    assert mf.arange(3).data.tolist() == [0, 1, 2]
    assert mf.arange(1, 2, 0.5).dtype == np.float32
    x = mf.Tensor(np.ones((2, 3)))
    for f in (mf.zeros_like, mf.ones_like, mf.randn_like, mf.rand_like):
        assert (f(x).shape, f(x).dtype) == (x.shape, np.float64)
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
