"""Optimizers against PyTorch's over 100 steps, schedules against their papers, clipping."""

import functools
import itertools
import json
import math

import numpy as np
import pytest
from oracle import oracle

from minift import kernels, optim
from minift.backend import to_device
from minift.kernels import updates
from minift.kernels.tiles import tiles
from minift.nn import Parameter
from minift.optim import schedules
from minift.tensor import Tensor

torch = oracle("torch")

CASES = {
    "sgd": ("SGD", {"lr": 0.05}),
    "sgd momentum": ("SGD", {"lr": 0.05, "momentum": 0.9}),
    "sgd nesterov": ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    "sgd decay": ("SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1}),
    "rmsprop": ("RMSprop", {"lr": 0.01}),
    "rmsprop momentum": ("RMSprop", {"lr": 0.01, "alpha": 0.9, "momentum": 0.5}),
    "adam": ("Adam", {"lr": 0.01}),
    "adam settings": ("Adam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3}),
    "adamw": ("AdamW", {"lr": 0.01}),
    "adamw decay": ("AdamW", {"lr": 0.01, "weight_decay": 0.5}),
}
SHAPES = [(7, 5), (5,), ()]


def starts(dtype):
    rng = np.random.default_rng(0)
    return [np.asarray(rng.standard_normal(shape), dtype) for shape in SHAPES]


def gradient_at(step, shape, dtype):
    return np.asarray(np.random.default_rng([step, *shape]).standard_normal(shape), dtype)


def set_gradients(params, step, dtype):
    for p in params:
        p.grad = Tensor(gradient_at(step, p.shape, dtype), device=p.device)


def run(name, settings, dtype, steps=100, device="cpu"):
    params = [Parameter(array) for array in starts(dtype)]
    for p in params:
        p.data = to_device(p.data, device)
    optimizer = getattr(optim, name)(params, **settings)
    for step in range(steps):
        set_gradients(params, step, dtype)
        optimizer.step()
    return [p.numpy() for p in params]


def run_torch(name, settings, dtype, steps=100):
    params = [torch.nn.Parameter(torch.tensor(array)) for array in starts(dtype)]
    optimizer = getattr(torch.optim, name)(params, **settings)
    for step in range(steps):
        for p in params:
            p.grad = torch.tensor(gradient_at(step, tuple(p.shape), dtype))
        optimizer.step()
    return [p.detach().numpy() for p in params]


# -------------------------------------------------------------------------------------- optimizers


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-13)])
def test_a_hundred_steps_are_torchs(case, dtype, tolerance, device):
    name, settings = CASES[case]
    after = run(name, settings, dtype, device=device)
    for ours, theirs in zip(after, run_torch(name, settings, dtype)):
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", CASES)
def test_pieces_change_nothing(case, monkeypatch):
    name, settings = CASES[case]
    whole = run(name, settings, np.float32, steps=5)
    monkeypatch.setattr(updates, "tiles", functools.partial(tiles, size=4))
    for a, b in zip(whole, run(name, settings, np.float32, steps=5)):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_the_kernel_of_adam_is_its_plain_formula(name, dtype, tolerance):
    settings = {"lr": 0.01, "betas": (0.7, 0.95), "eps": 1e-3}
    fast = run(name, settings, dtype)
    with kernels.plain_formulas():
        plain = run(name, settings, dtype)
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_the_first_step_of_adam_has_the_size_of_the_learning_rate():
    p = Parameter(np.zeros(3))
    p.grad = Tensor(np.array([1e-3, -5.0, 200.0]))
    optim.Adam([p], lr=0.1).step()
    np.testing.assert_allclose(p.numpy(), [-0.1, 0.1, -0.1], rtol=1e-4)


def test_a_gradient_that_is_not_contiguous_is_read_right(device):
    p, gradient = Parameter(np.zeros((3, 2))), np.arange(6.0).reshape(2, 3)
    p.data = to_device(p.data, device)
    p.grad = Tensor(np.zeros((3, 2)))
    p.grad._data = to_device(gradient, device).T
    optim.SGD([p], lr=1.0).step()
    np.testing.assert_array_equal(p.numpy(), -gradient.T)


def test_a_parameter_that_is_not_contiguous_is_written(device):
    p = Parameter(np.zeros((3, 2)))
    p._data = to_device(np.zeros((2, 3)), device).T
    p.grad = Tensor(np.ones((3, 2)), device=device)
    optim.AdamW([p], lr=1.0, weight_decay=0).step()
    np.testing.assert_allclose(p.numpy(), -1)


def test_a_rule_of_ones_own_is_followed_on_every_device(device):
    class Sign(optim.Adam):
        def update(self, p, g, m, v, *, lr, **_):
            p -= lr * g / abs(g)

    (p,) = gradients(np.array([5.0, -0.1]), device=device)
    Sign([p], lr=0.5).step()
    np.testing.assert_allclose(p.numpy(), [-0.5, 0.5])


@pytest.mark.parametrize("case", CASES)
def test_scaled_steps_are_steps_with_scaled_gradients(case, device):
    name, settings = CASES[case]
    after = []
    for times, scale in ((1.0, 0.25), (0.25, 1.0)):
        params = [Parameter(array) for array in starts(np.float64)]
        optimizer = getattr(optim, name)(params, **settings)
        for p in params:
            p.data = to_device(p.data, device)
        for step in range(3):
            for p in params:
                p.grad = Tensor(times * gradient_at(step, p.shape, np.float64), device=device)
            optimizer.step(scale)
        after.append([p.numpy() for p in params])
    for a, b in zip(*after):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_more_tensors_than_a_launch_can_name_and_more_values_than_a_block(device):
    """Sizes around the 4096 values of a block, settings of each group's own, one kept frozen."""
    sizes = [4095, 4096, 4097, 0, 1, 10000] * 30
    params = gradients(*[np.full(n, 2.0, np.float32) for n in sizes], device=device)
    params[1].requires_grad = False
    groups = [{"params": [p], "lr": float(i)} for i, p in enumerate(params)]
    optim.SGD(groups, lr=1.0).step()
    for i, p in enumerate(params):
        np.testing.assert_array_equal(p.numpy(), np.full(sizes[i], -2.0 * i * (i != 1)))


def test_a_step_writes_in_place_and_a_backward_through_the_old_value_notices():
    p = Parameter(np.ones(3))
    memory, loss = p.data, (p * p).sum()
    p.grad = Tensor(np.ones(3))
    optim.SGD([p], lr=1.0).step()
    assert p.data is memory
    with pytest.raises(ValueError, match="written to"):
        loss.backward()


def test_groups_have_settings_of_their_own():
    a, b = Parameter(np.zeros(1)), Parameter(np.zeros(1))
    optimizer = optim.SGD([{"params": [a], "lr": 10.0}, {"params": [b]}], lr=1.0)
    set_gradients([a, b], 0, np.float64)
    optimizer.param_groups[1]["lr"] = 2.0
    optimizer.step()
    np.testing.assert_allclose(a.numpy(), 5 * b.numpy())
    assert [group["lr"] for group in optimizer.param_groups] == [10.0, 2.0]


def test_frozen_parameters_and_those_without_gradient_stand_still():
    frozen, idle, trained = (Parameter(np.ones(2)) for _ in range(3))
    optimizer = optim.AdamW([frozen, idle, trained], lr=0.1)
    set_gradients([frozen, trained], 0, np.float64)
    frozen.requires_grad = False
    optimizer.step()
    assert frozen.numpy().tolist() == idle.numpy().tolist() == [1, 1]
    assert (trained.numpy() != 1).all()
    assert list(optimizer.state_dict()["state"]) == [2]


def test_a_parameter_unfrozen_later_starts_its_own_bias_correction():
    late, early = Parameter(np.zeros(2)), Parameter(np.zeros(2))
    late.requires_grad = False
    optimizer = optim.Adam([late, early], lr=0.1)
    for step in range(10):
        set_gradients([late, early], step, np.float64)
        optimizer.step()
    moments = optimizer.state[1]["exp_avg"].copy()
    late.requires_grad = True
    early.grad = None
    late.grad = Tensor(np.array([3.0, -3.0]))
    optimizer.step()
    np.testing.assert_allclose(late.numpy(), [-0.1, 0.1], rtol=1e-6)
    assert [state["step"] for state in optimizer.state] == [1, 10]
    np.testing.assert_array_equal(optimizer.state[1]["exp_avg"], moments)


def test_zero_grad_forgets():
    p = Parameter(np.zeros(2))
    p.grad = Tensor(np.ones(2))
    optim.SGD([p], lr=1.0).zero_grad()
    assert p.grad is None


def test_a_later_group_is_trained_with_its_settings():
    a, b = Parameter(np.zeros(1)), Parameter(np.zeros(1))
    optimizer = optim.SGD([a], lr=1.0)
    optimizer.add_param_group({"params": [b], "lr": 3.0})
    b.grad = Tensor(np.ones(1))
    optimizer.step()
    assert (a.item(), b.item()) == (0, -3)


# ------------------------------------------------------------------------------------ float16


@pytest.mark.parametrize("case", CASES)
def test_a_float16_weight_is_the_rounded_copy_of_one_trained_in_float32(case, device):
    """Steps of 1e-5 on weights near 1 would all be lost in float16, whose grid there is 1e-3."""
    name, settings = CASES[case]
    half = [Parameter(np.full((7, 5), 1, np.float16)), Parameter(np.float16([3.0, -1.0]))]
    full = [Parameter(p.numpy().astype(np.float32)) for p in half]
    for p in (*half, *full):
        p.data = to_device(p.data, device)
    optimizers = [getattr(optim, name)(ps, **{**settings, "lr": 1e-5}) for ps in (half, full)]
    for step in range(30):
        for h, f in zip(half, full):
            h.grad = Tensor(gradient_at(step, h.shape, np.float16), device=device)
            f.grad = Tensor(h.grad.numpy().astype(np.float32), device=device)
        for optimizer in optimizers:
            optimizer.step()
    for i, (h, f) in enumerate(zip(half, full)):
        assert h.dtype == np.float16
        np.testing.assert_allclose(
            to_device(optimizers[0].state[i]["master"], "cpu"), f.numpy(), rtol=1e-6
        )
        np.testing.assert_array_equal(h.numpy(), f.numpy().astype(np.float16))


def test_the_state_of_a_float16_weight_goes_on_from_its_master(device):
    def optimizer(array):
        p = Parameter(np.asarray(array))
        p.data = to_device(p.data, device)
        p.grad = Tensor(np.ones(2, np.float16), device=device)
        return optim.SGD([p], lr=1e-5, momentum=0.5), p

    first, p = optimizer(np.float16([1, 2]))
    first.step()
    second, q = optimizer(p.numpy())
    second.load_state_dict(first.state_dict())
    for _ in range(100):
        first.step()
        second.step()
    assert p.numpy()[0] == q.numpy()[0] < 1
    masters = [to_device(o.state[0]["master"], "cpu") for o in (first, second)]
    assert masters[0].dtype == np.float32
    np.testing.assert_array_equal(*masters)


# ------------------------------------------------------------------------------------- save, load


@pytest.mark.parametrize("case", CASES)
def test_a_restored_optimizer_goes_on_bit_for_bit(case):
    name, settings = CASES[case]
    expected = run(name, settings, np.float32, steps=6)
    params = [Parameter(array) for array in starts(np.float32)]
    first = getattr(optim, name)(params, **settings)
    for step in range(3):
        set_gradients(params, step, np.float32)
        first.step()
    state = first.state_dict()
    copies = [Parameter(p.numpy()) for p in params]
    set_gradients(params, 3, np.float32)
    first.step()  # the state is a copy: this must not reach the second
    second = getattr(optim, name)(copies, lr=123.0)
    second.load_state_dict(state)
    for step in range(3, 6):
        set_gradients(copies, step, np.float32)
        second.step()
    for a, b in zip(expected, copies):
        np.testing.assert_array_equal(a, b.numpy())


def test_a_state_holds_positions_and_plain_values():
    params = [Parameter(np.zeros(2)), Parameter(np.zeros(3))]
    optimizer = optim.Adam([{"params": params[:1]}, {"params": params[1:], "lr": 0.5}])
    set_gradients(params[1:], 0, np.float64)
    optimizer.step()
    state = optimizer.state_dict()
    assert [group["params"] for group in state["param_groups"]] == [[0], [1]]
    json.dumps(state["param_groups"])
    assert sorted(state["state"][1]) == ["exp_avg", "exp_avg_sq", "step"]
    assert isinstance(state["state"][1]["exp_avg"], np.ndarray)


def test_a_state_travels_between_devices(device):
    def steps(optimizer, params, first, last):
        for step in range(first, last):
            set_gradients(params, step, np.float32)
            optimizer.step()
        return optimizer

    def params_on(place):
        params = [Parameter(array) for array in starts(np.float32)]
        for p in params:
            p.data = to_device(p.data, place)
        return params

    here, whole = params_on("cpu"), params_on("cpu")
    steps(optim.AdamW(whole), whole, 0, 6)
    state = steps(optim.AdamW(here), here, 0, 3).state_dict()
    there = params_on(device)
    for p, start in zip(there, here):
        p.data = to_device(start.data, device)
    optimizer = optim.AdamW(there)
    optimizer.load_state_dict(state)
    steps(optimizer, there, 3, 6)
    assert isinstance(optimizer.state_dict()["state"][0]["exp_avg"], np.ndarray)
    for a, b in zip(whole, there):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)


def broken(state, **changes):
    return {**state, **changes}


def test_a_state_that_does_not_fit_is_refused_whole():
    def optimizer(shape):
        p = Parameter(np.zeros(shape))
        p.grad = Tensor(np.ones(shape))
        return optim.Adam([p], lr=0.1)

    source, target = optimizer(3), optimizer(3)
    source.step()
    state = source.state_dict()
    with pytest.raises(ValueError, match=r"groups of \[1\] parameters, this one of \[2\]"):
        optim.Adam([Parameter(np.zeros(3)), Parameter(np.zeros(3))]).load_state_dict(state)
    with pytest.raises(ValueError, match=r"state of parameter 0 is .*; Adam needs a step and"):
        optimizer(4).load_state_dict(state)
    with pytest.raises(ValueError, match="Adam has no setting 'momentum'"):
        target.load_state_dict(
            broken(state, param_groups=[{**state["param_groups"][0], "momentum": 1}])
        )
    with pytest.raises(ValueError, match="lr must be a finite number of at least 0, got -1"):
        target.load_state_dict(broken(state, param_groups=[{**state["param_groups"][0], "lr": -1}]))
    assert target.state == [{}]
    assert target.param_groups[0]["lr"] == 0.1


# ---------------------------------------------------------------------------------------- mistakes


def one():
    return [Parameter(np.zeros(2))]


SAME = Parameter(np.zeros(2))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: optim.SGD([], lr=1), ValueError, "SGD: got no parameters to train"),
        (
            lambda: optim.SGD(one(), lr=-1),
            ValueError,
            "SGD: lr must be a finite number of at least",
        ),
        (lambda: optim.Adam(one(), lr=math.nan), ValueError, "Adam: lr must be .* got nan"),
        (lambda: optim.Adam(one(), lr=math.inf), ValueError, "Adam: lr must be .* got inf"),
        (lambda: optim.Adam(one(), eps=-1e-8), ValueError, "Adam: eps must be a finite number"),
        (lambda: optim.AdamW(one(), weight_decay=-1), ValueError, "AdamW: weight_decay must be"),
        (lambda: optim.Adam(one(), betas=(0.9, 1.0)), ValueError, r"betas must be two numbers in"),
        (lambda: optim.Adam(one(), betas=(0.9,)), ValueError, r"betas must be two numbers in"),
        (lambda: optim.SGD(one(), lr=1, momentum=1), ValueError, r"SGD: momentum must lie in \[0"),
        (lambda: optim.RMSprop(one(), lr=1, alpha=2), ValueError, r"RMSprop: alpha must lie in"),
        (lambda: optim.SGD(one(), lr=1, nesterov=True), ValueError, "give momentum > 0"),
        (
            lambda: optim.SGD([SAME, SAME], lr=1),
            ValueError,
            r"parameter of shape \(2,\) was given t",
        ),
        (
            lambda: optim.SGD([{"params": [SAME]}, {"params": [SAME]}], lr=1),
            ValueError,
            "was given twice",
        ),
        (
            lambda: optim.Adam([{"params": one(), "learning_rate": 1}]),
            ValueError,
            "Adam has no setting 'learning_rate'; it has lr, betas, eps",
        ),
        (
            lambda: optim.Adam(one()[0]),
            TypeError,
            r"must be a list of Tensors, got one Tensor; wri",
        ),
        (
            lambda: optim.Adam([("w", SAME)]),
            TypeError,
            r"Adam trains Tensors, got tuple; pass modu",
        ),
        (lambda: optim.Adam(one()).add_param_group(one()), TypeError, 'is a dict with "params"'),
    ],
)
def test_mistakes_get_one_sentence(make, error, message):
    with pytest.raises(error, match=message):
        make()


# ---------------------------------------------------------------------------------------- clipping


def gradients(*arrays, device="cpu"):
    params = [Parameter(np.zeros_like(a)) for a in arrays]
    for p, a in zip(params, arrays):
        p.data = to_device(p.data, device)
        p.grad = Tensor(a, device=device)
    return params


def test_clipping_is_torchs(device):
    arrays = [np.float32([[3, 4], [0, 1]]), np.float32([12])]
    ours = gradients(*arrays, device=device)
    theirs = [torch.nn.Parameter(torch.zeros(a.shape)) for a in arrays]
    for p, a in zip(theirs, arrays):
        p.grad = torch.tensor(a)
    norm = optim.clip_grad_norm_(ours, 2.0)
    expected = torch.nn.utils.clip_grad_norm_(theirs, 2.0)
    assert isinstance(norm, float if device == "cpu" else Tensor)
    assert float(norm) == pytest.approx(expected.item(), rel=1e-6)
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a.grad.numpy(), b.grad, rtol=1e-6)


def test_the_length_of_many_and_of_long_gradients(device):
    draws = np.random.default_rng(1)
    arrays = [draws.standard_normal(n).astype(np.float32) for n in (9000, 1, 4096, 0, *range(200))]
    expected = np.sqrt(sum(np.sum(a.astype(float) ** 2) for a in arrays))
    params = gradients(*arrays, device=device)
    assert float(optim.clip_grad_norm_(params, 1.0)) == pytest.approx(expected, rel=1e-6)
    for p, a in zip(params, arrays):
        np.testing.assert_allclose(p.grad.numpy(), a / expected, rtol=2e-6)


def test_gradients_with_gaps_are_clipped_where_they_are(device):
    (p,) = gradients(np.ones((4, 6)), device=device)
    p.grad._data, whole = p.grad.data[:, ::2], p.grad.data
    assert float(optim.clip_grad_norm_([p], np.sqrt(3))) == pytest.approx(np.sqrt(12))
    np.testing.assert_allclose(to_device(whole, "cpu"), [[0.5, 1] * 3] * 4, rtol=1e-5)


def test_short_gradients_are_left_alone_and_missing_ones_skipped(device):
    params = [*gradients(np.array([0.3, 0.4]), device=device), Parameter(np.zeros(2))]
    assert float(optim.clip_grad_norm_(params, 1.0)) == pytest.approx(0.5)
    assert params[0].grad.numpy().tolist() == [0.3, 0.4]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_infinite_gradient_is_left_alone_and_named_when_something_is_read(device, bad):
    params = gradients(np.array([1.0, bad]), np.array([7.0]), device=device)
    with pytest.raises(ValueError, match=r"the gradient's length is .*; lower the learning rate"):
        optim.clip_grad_norm_(params, 1.0).numpy()
    assert params[1].grad.item() == 7


def test_clipping_says_when_the_gradient_is_not_finite():
    params = gradients(np.array([1.0, np.nan]), np.array([1.0]))
    with pytest.raises(ValueError, match="the gradient's length is nan; lower the learning rate"):
        optim.clip_grad_norm_(params, 1.0)
    assert params[1].grad.item() == 1
    with pytest.raises(ValueError, match="max_norm must be above 0, got 0"):
        optim.clip_grad_norm_(params, 0)


# --------------------------------------------------------------------------------------- schedules

ALL = ["constant", "linear", "cosine", "one_cycle", "slanted_triangular"]


@pytest.mark.parametrize("name", ALL)
def test_a_schedule_rises_to_one_and_stays_between_zero_and_one(name):
    schedule = functools.partial(getattr(schedules, name), total=100, warmup=10)
    factors = [schedule(step) for step in range(120)]
    assert max(factors) == factors[10] == 1
    assert min(factors) >= 0
    assert factors[0] > 0
    assert all(a < b for a, b in itertools.pairwise(factors[:11]))
    assert all(a >= b for a, b in itertools.pairwise(factors[10:]))
    assert factors[100:] == [factors[100]] * 20


@pytest.mark.parametrize(
    ("name", "first", "middle", "last"),
    [
        ("constant", 1, 1, 1),
        ("linear", 1, 0.5, 0),
        ("cosine", 1, 0.5, 0),
        ("one_cycle", 1, 0.500002, 1 / 250_000),
        ("slanted_triangular", 1, 33 / 64, 1 / 32),
    ],
)
def test_schedules_without_warm_up_at_their_ends(name, first, middle, last):
    schedule = functools.partial(getattr(schedules, name), total=50, warmup=0)
    assert schedule(0) == first
    assert schedule(25) == pytest.approx(middle, rel=1e-6)
    assert schedule(50) == pytest.approx(last, abs=1e-15)


def test_linear_warm_up_starts_above_zero():
    assert [schedules.linear(s, 9, 3) for s in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert schedules.linear(6, 9, 3) == 0.5


def test_slanted_triangular_is_the_papers():
    """Howard & Ruder 2018, equation 3, as printed."""
    total, cut_frac, ratio, eta_max = 1000, 0.1, 32, 1.0
    cut = math.floor(total * cut_frac)
    for t in range(total):
        p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / cut_frac - 1))
        expected = eta_max * (1 + p * (ratio - 1)) / ratio
        assert schedules.slanted_triangular(t, total) == pytest.approx(expected, rel=1e-12)


def test_one_cycle_is_torchs():
    """Torch rounds the peak to pct_start * total - 1; with 101 steps and that share both agree."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=101, pct_start=31 / 101, cycle_momentum=False
    )
    for step in range(100):
        assert schedules.one_cycle(step, 100) == pytest.approx(theirs.get_last_lr()[0], rel=1e-6)
        optimizer.step()
        theirs.step()
    assert schedules.one_cycle(100, 100) == pytest.approx(theirs.get_last_lr()[0], rel=1e-6)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("step", "total", "warmup", "message"),
    [
        (-1, 10, 0, "a step is counted from 0, got -1"),
        (0, 0, 0, "a schedule needs at least 1 step in total, got 0"),
        (0, 10, 10, "warmup must be at least 0 and less than the 10 steps in total, got 10"),
        (0, 10, -1, "warmup must be at least 0 .* got -1"),
    ],
)
def test_schedules_refuse_impossible_counts(name, step, total, warmup, message):
    with pytest.raises(ValueError, match=message):
        getattr(schedules, name)(step, total, warmup)
