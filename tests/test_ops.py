"""Each function of the table: its value, its derivatives, and its manners."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from op_table import TABLE, WITHOUT_GRADIENT, Case, all_cases
from oracle import oracle

import minift as mf
from minift import functional as F
from minift.backend import to_device

CASES = [pytest.param(c, id=name) for name, c in all_cases()]


def tensors(
    arrays: tuple[np.ndarray, ...], dtype: Any = np.float64, device: str = "cpu"
) -> list[mf.Tensor]:
    return [mf.Tensor(a, dtype=dtype, requires_grad=True, device=device) for a in arrays]


def cotangent(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(7).standard_normal(shape)


def value_and_gradients(case: Case, inputs: list[mf.Tensor]) -> list[np.ndarray]:
    y = case.ours(*inputs)
    v = mf.Tensor(cotangent(y.shape), dtype=y.dtype, device=y.device)
    return [y.numpy(), *(g.numpy() for g in mf.grad(y, inputs, v))]


def test_every_function_has_a_row() -> None:
    public = {n for n, f in vars(F).items() if callable(f) and not n.startswith("_")}
    assert public - WITHOUT_GRADIENT == set(TABLE)


@pytest.mark.parametrize("case", CASES)
def test_value_and_gradient_equal_pytorch(case: Case, device: str) -> None:
    torch = oracle("torch")
    ours = value_and_gradients(case, tensors(case.inputs, device=device))
    inputs = [torch.tensor(a, requires_grad=True) for a in case.inputs]
    y = case.torch(torch, *inputs)
    v = torch.tensor(cotangent(tuple(y.shape)))
    theirs = [y, *torch.autograd.grad(y, inputs, v)]
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(
            a, b.detach().numpy(), rtol=case.tolerance, atol=case.tolerance, strict=True
        )


@pytest.mark.parametrize("case", CASES)
def test_gradients_equal_finite_differences_to_second_order(case: Case, device: str) -> None:
    inputs = tensors(case.inputs, device=device)
    assert case.order == 0 or mf.gradcheck(case.ours, inputs, order=case.order)


@pytest.mark.parametrize("case", CASES)
def test_float32_stays_float32_and_agrees_with_float64(case: Case, device: str) -> None:
    double = value_and_gradients(case, tensors(case.inputs))
    single = value_and_gradients(case, tensors(case.inputs, np.float32, device))
    for a, b in zip(single, double, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("case", CASES)
def test_inputs_are_not_modified_and_a_second_call_gives_the_same(case: Case, device: str) -> None:
    inputs = tensors(case.inputs, device=device)
    first = value_and_gradients(case, inputs)
    second = value_and_gradients(case, inputs)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    for x, values in zip(inputs, case.inputs, strict=True):
        np.testing.assert_array_equal(x.numpy(), values)


@pytest.mark.parametrize("case", CASES)
def test_strided_inputs_give_the_same(case: Case, device: str) -> None:
    def strided(a: np.ndarray) -> mf.Tensor:
        wide = np.zeros((*a.shape, 2))
        wide[..., 0] = a
        x = mf.Tensor(0.0, requires_grad=True)
        x._data = to_device(np.asfortranarray(wide), device)[..., 0]
        return x

    expected = value_and_gradients(case, tensors(case.inputs))
    for a, b in zip(
        value_and_gradients(case, [strided(a) for a in case.inputs]), expected, strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12, strict=True)


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3)])
@pytest.mark.parametrize("case", [c for c in CASES if c.values[0].elementwise])
def test_elementwise_functions_take_0d_and_empty_inputs(
    case: Case, shape: tuple, device: str
) -> None:
    arrays = tuple(np.full(shape, 0.7 - 0.2 * i) for i in range(len(case.inputs)))
    results = value_and_gradients(case, tensors(arrays, device=device))
    assert all(a.shape == shape for a in results)
    if shape == ():
        assert mf.gradcheck(case.ours, tensors(arrays, device=device))


def test_reductions_take_0d_and_empty_inputs(device: str) -> None:
    scalar = mf.Tensor(3.0, requires_grad=True, device=device)
    zeros, ones = (functools.partial(f, device=device) for f in (mf.zeros, mf.ones))
    for f in (F.sum, F.mean, F.max, F.min, F.logsumexp):
        assert f(scalar).item() == pytest.approx(3.0)
        assert mf.grad(f(scalar), scalar)[0].item() == 1.0
    assert F.var(scalar).item() == 0.0
    assert F.sum(zeros(0, 3), axis=0).data.tolist() == [0, 0, 0]
    assert F.cumsum(zeros(0, 3), 0).shape == (0, 3)
    assert F.matmul(zeros(2, 0), zeros(0, 3)).data.tolist() == [[0] * 3] * 2
    no_ids = to_device(np.zeros((2, 0), int), device)
    assert F.embedding(no_ids, zeros(4, 3)).shape == (2, 0, 3)
    assert F.softmax(zeros(0, 3)).shape == (0, 3)
    assert F.layer_norm(zeros(0, 3), ones(3), zeros(3)).shape == (0, 3)
    assert F.conv2d(zeros(0, 1, 3, 3), zeros(2, 1, 2, 2)).shape == (0, 2, 2, 2)
    assert F.self_attention(zeros(0, 4, 6), 2).shape == (0, 4, 2)


# ---- where a derivative has a kink, the convention is PyTorch's ---------------------------------


def gradients_at(device: str, f: Any, torch_f: Any, torch: ModuleType, *values: Any) -> None:
    ours = tensors(tuple(np.array(v) for v in values), device=device)
    theirs = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in values]
    f(*ours).sum().backward()
    torch_f(*theirs).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a.grad.numpy(), b.grad.numpy())


def test_ties_and_kinks_follow_pytorch(device: str) -> None:
    t, at = oracle("torch"), functools.partial(gradients_at, device)
    at(lambda x: x.max(axis=1), lambda x: x.amax(1), t, [[1.0, 3, 3], [2, 2, 2]])
    at(lambda x: x.min(axis=0), lambda x: x.amin(0), t, [[1.0, 3], [1, 2], [1, 2]])
    at(F.maximum, t.maximum, t, [1.0, 2, 3], [1.0, 3, 2])
    at(F.minimum, t.minimum, t, [1.0, 2, 3], [1.0, 3, 2])
    at(lambda x: x.clip(-1, 1), lambda x: x.clip(-1, 1), t, [-1.0, 1, 1.5, -2, 0])
    at(F.relu, t.relu, t, [0.0, -1, 1])
    at(F.relu, t.relu, t, [-np.inf, np.inf])
    at(F.abs, t.abs, t, [0.0, -1, 1])
    at(lambda x: x**0, lambda x: x**0, t, [0.0, 2])
    at(lambda x: x**1, lambda x: x**1, t, [0.0, 2])
    at(lambda x: x**2, lambda x: x**2, t, [0.0, -2])
    at(lambda x: 0.0**x, lambda x: 0.0**x, t, [0.0, 2])
    at(F.power, t.pow, t, [0.0, 0.0, 2.0, 0.0], [2.0, 1.0, 0.0, 0.0])
    pool = t.nn.functional.max_pool2d
    at(lambda x: F.max_pool2d(x, 2), lambda x: pool(x, 2), t, np.ones((1, 1, 4, 4)))


# ---- broadcasting, drawn at random --------------------------------------------------------------


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "maximum", "where"])
def test_broadcasting_of_any_two_shapes(name: str) -> None:
    hypothesis = pytest.importorskip("hypothesis")
    from hypothesis.extra.numpy import mutually_broadcastable_shapes

    shapes = mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3, min_side=1)

    @hypothesis.settings(max_examples=60, deadline=None, derandomize=True)
    @hypothesis.given(shapes)
    def check(drawn: Any) -> None:
        a, b = (np.random.default_rng(i).uniform(0.5, 2, s) for i, s in enumerate(drawn[0]))
        f = getattr(F, name)
        if name == "where":
            condition = np.random.default_rng(2).random(np.broadcast_shapes(a.shape, b.shape)) > 0.5
            f = lambda x, y: F.where(condition, x, y)
        assert f(*tensors((a, b))).shape == drawn.result_shape
        assert mf.gradcheck(f, tensors((a, b)))

    check()


def test_sums_over_any_axes() -> None:
    hypothesis = pytest.importorskip("hypothesis")
    st = hypothesis.strategies
    from hypothesis.extra.numpy import array_shapes, valid_tuple_axes

    shapes = array_shapes(min_dims=1, max_dims=4, max_side=3)
    drawn = shapes.flatmap(lambda s: st.tuples(st.just(s), valid_tuple_axes(len(s), min_size=1)))

    @hypothesis.settings(max_examples=60, deadline=None, derandomize=True)
    @hypothesis.given(drawn, st.booleans(), st.sampled_from(["sum", "mean", "var", "logsumexp"]))
    def check(drawn: Any, keepdims: bool, name: str) -> None:
        shape, axes = drawn
        x = tensors((np.random.default_rng(0).standard_normal(shape),))
        f = lambda x: getattr(x, name)(axis=axes, keepdims=keepdims)
        assert f(*x).shape == np.sum(x[0].numpy(), axis=axes, keepdims=keepdims).shape
        assert mf.gradcheck(f, x)

    check()


def test_axes_of_many_dimensions_match_numpy(device: str) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 2))
    t = mf.Tensor(x, device=device)
    for axes in [(0, 2, 1, 3), (3, 2, 1, 0), (-1, 0, 1, 2)]:
        np.testing.assert_array_equal(t.transpose(axes).numpy(), x.transpose(axes))
    assert t.argmax(axis=2).data.tolist() == x.argmax(axis=2).tolist()
    assert (t > 0).dtype == bool


def test_batch_norm_moves_running_statistics_as_pytorch_does(device: str) -> None:
    t = oracle("torch")
    x = np.random.default_rng(0).standard_normal((4, 3, 2))
    ours = [mf.Tensor(np.full(3, v), device=device) for v in (0.1, 1.5)]
    theirs = [t.full((3,), v, dtype=t.float64) for v in (0.1, 1.5)]
    for momentum in (0.1, 0.3):
        F.batch_norm(to_device(x, device), *ours, training=True, momentum=momentum)
        t.nn.functional.batch_norm(t.tensor(x), *theirs, training=True, momentum=momentum)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)
