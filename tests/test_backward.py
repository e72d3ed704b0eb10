"""The tape: how gradients flow, what is kept, and which writes are noticed."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import numpy as np
import pytest

import minift as mf
from minift import functional as F
from minift.tape import Tape

Leaf = Callable[..., mf.Tensor]


@pytest.fixture
def leaf(device: str) -> Leaf:
    """Makes a float32 leaf of its values, on the device."""
    return lambda *values: mf.Tensor(values, dtype=np.float32, requires_grad=True, device=device)


# ---- how gradients flow --------------------------------------------------------------------------


def test_a_value_used_twice_gets_both_gradients(leaf: Leaf) -> None:
    x = leaf(2)
    y = x * x
    (y * y + y).backward()  # d(x⁴ + x²) = 4x³ + 2x
    assert x.grad.item() == 36


def test_gradients_accumulate_on_leaves_only(leaf: Leaf) -> None:
    x = leaf(1, 2)
    for _ in range(2):
        y = x * 3
        y.sum().backward()
    assert x.grad.data.tolist() == [6, 6]
    assert y.grad is None


def test_leaves_never_share_a_gradient_array(leaf: Leaf, device: str) -> None:
    a, b = leaf(1, 2), leaf(3, 4)
    (a + b).backward([1.0, 1.0])
    a.grad.data *= 10
    assert b.grad.data.tolist() == [1, 1]
    c = mf.ones(2, 2, requires_grad=True, device=device)
    c.sum().backward()
    c.grad.data += 1  # the gradient of a sum is a read-only view before it is copied
    assert c.grad.data.tolist() == [[2, 2], [2, 2]]


def test_grad_leaves_dot_grad_alone_and_gives_zeros_where_nothing_depends(leaf: Leaf) -> None:
    x, z = leaf(1, 2), leaf(5)
    gx, gz = mf.grad((x * x).sum(), [x, z])
    assert gx.data.tolist() == [2, 4]
    assert gz.data.tolist() == [0]
    assert x.grad is None


def test_grad_of_an_interior_tensor(leaf: Leaf) -> None:
    x = leaf(3)
    y = x * x
    gy, gx = mf.grad(y * y, [y, x])
    assert (gy.item(), gx.item()) == (18, 108)


def test_grad_of_several_outputs_adds(leaf: Leaf) -> None:
    x = leaf(1, 2)
    (g,) = mf.grad([x * 2, (x * x).sum()], x, [[1.0, 1.0], None])
    assert g.data.tolist() == [4, 6]


def test_gradients_of_gradients_find_an_interior_tensor_that_is_held(leaf: Leaf) -> None:
    x = leaf(2)
    z = x * x
    (gx,) = mf.grad(z * z * z, x, create_graph=True)  # 6x⁵
    gz, again = mf.grad(gx, [z, x])
    assert again.item() == 30 * 2**4
    assert gz.item() == 6 * 4 * 2 * 2  # d(3z²·2x)/dz


def test_third_derivative(device: str) -> None:
    x = mf.Tensor(0.7, dtype=np.float64, requires_grad=True, device=device)
    y = x.sin()
    for expected in (np.cos(0.7), -np.sin(0.7), -np.cos(0.7)):
        (y,) = mf.grad(y, x, create_graph=True)
        assert y.item() == pytest.approx(expected, rel=1e-14)


def test_gradient_penalty_reaches_the_weights(device: str) -> None:
    """‖∂D/∂x‖² differentiated by the weights of D (Gulrajani et al. 2017)."""
    rng = np.random.default_rng(0)
    w1, w2, x = (
        mf.Tensor(rng.standard_normal(s), requires_grad=True, device=device)
        for s in [(4, 3), (1, 4), (5, 3)]
    )

    def penalty(w1: mf.Tensor, w2: mf.Tensor) -> mf.Tensor:
        score = F.linear(F.tanh(F.linear(x, w1)), w2).sum()
        (g,) = mf.grad(score, x, create_graph=True)
        return (((g * g).sum(axis=1).sqrt() - 1) ** 2).mean()

    assert mf.gradcheck(penalty, [w1, w2])


def test_hessian_vector_product(device: str) -> None:
    rng = np.random.default_rng(0)
    a, x, v = (
        mf.Tensor(rng.standard_normal(s), requires_grad=True, device=device)
        for s in [(3, 3), (3,), (3,)]
    )
    (g,) = mf.grad(0.5 * (x @ a @ x), x, create_graph=True)
    (hv,) = mf.grad((g * v).sum(), x)
    expected = 0.5 * (a.numpy() + a.numpy().T) @ v.numpy()
    np.testing.assert_allclose(hv.numpy(), expected, rtol=1e-12)


def test_a_frozen_input_costs_no_derivative(leaf: Leaf, device: str) -> None:
    calls = []

    @mf.op
    def spy(a, b):
        return a * b, (
            lambda g: calls.append("a") or g * b,
            lambda g: calls.append("b") or g * a,
        )

    x, frozen = leaf(1, 2), mf.Tensor([3.0, 4.0], device=device)
    spy(x, frozen).sum().backward()
    assert calls == ["a"]
    assert frozen.grad is None
    assert spy(frozen, frozen)._node is None


def test_no_grad_records_nothing_and_is_undone_by_an_error(leaf: Leaf) -> None:
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
    assert Tape.recording.on


def test_detach_cuts_the_graph_and_shares_the_memory(leaf: Leaf) -> None:
    x = leaf(1, 2)
    d = (x * 2).detach()
    assert not d.requires_grad
    assert x.detach().data is x.data


# ---- what is kept --------------------------------------------------------------------------------


def test_a_chain_of_100_000_ops() -> None:
    x = mf.Tensor(0.0, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + 1.0
    y.backward()
    assert (y.item(), x.grad.item()) == (100_000, 1)


def test_a_graph_with_a_million_paths_takes_twenty_steps(leaf: Leaf) -> None:
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
    x = mf.ones(8, requires_grad=True)
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


def test_backward_frees_the_graph_and_a_second_one_says_so(leaf: Leaf) -> None:
    x = leaf(1, 2)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(ValueError, match="graph behind sum was freed by an earlier backward"):
        y.backward()


def test_two_losses_over_one_freed_part(leaf: Leaf) -> None:
    x = leaf(1, 2)
    h = x.exp()
    h.sum().backward()
    with pytest.raises(ValueError, match="graph behind exp was freed"):
        (h * 2).sum().backward()


# ---- writes --------------------------------------------------------------------------------------


def test_data_of_the_same_shape_are_written_in_place(leaf: Leaf, device: str) -> None:
    x = leaf(1, 2)
    array = x.data
    x.data = [5.0, 6.0]
    assert x.data is array
    assert array.tolist() == [5, 6]
    x.data = np.zeros((2, 2))
    assert (x.shape, x.dtype) == ((2, 2), np.float64)


def test_an_op_that_returns_its_input_shares_its_version(leaf: Leaf) -> None:
    @mf.op
    def itself(x):
        return x, (lambda g: g,)

    x = leaf(1, 2)
    y = itself(x)
    z = (x * x).sum()
    y.data += 1
    with pytest.raises(ValueError, match="mul needs its input"):
        z.backward()


@pytest.mark.parametrize("write", ["assign", "add", "detached", "view", "result"])
def test_a_backward_that_needs_an_overwritten_value_raises(leaf: Leaf, write: str) -> None:
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


def test_a_write_that_no_derivative_minds_is_fine(leaf: Leaf) -> None:
    x, w = leaf(1, 2), leaf(3, 4)
    y = (x + w) * 2.0
    w.data += 1  # a sum does not need its inputs
    y.sum().backward()
    assert w.grad.data.tolist() == [2, 2]
    z = (x * w).sum()
    x.data = [7.0, 7.0]
    (g,) = mf.grad(z, x)  # only w is needed for this one
    assert g.data.tolist() == [4, 5]


def test_optimizer_steps_and_loading_are_writes(device: str) -> None:
    layer = mf.nn.Linear(2, 2).to(device)
    optimizer = mf.optim.SGD(layer.parameters(), lr=0.1)
    x = mf.ones(1, 2, requires_grad=True, device=device)
    layer(x).sum().backward()
    loss = layer(x).sum()
    optimizer.step()
    with pytest.raises(ValueError, match=r"linear needs its input of shape \(2, 2\)"):
        loss.backward()
    loss = layer(x).sum()
    layer.load_state_dict(layer.state_dict())
    with pytest.raises(ValueError, match="was written to afterwards"):
        loss.backward()


def test_create_graph_minds_every_write(leaf: Leaf) -> None:
    x = leaf(1, 2)
    y = (x + 1.0).sum()
    x.data += 1
    with pytest.raises(ValueError, match="add needs its input of shape"):
        mf.grad(y, x, create_graph=True)
