"""What a training step costs on a GPU: launches, products, and copies to and from the host.

Counted on the pretended GPU (`tests/gpu/pretend.py`), under the real CuPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gpu import cublas, kernels, memory

import minift as mf
from minift import functional as F
from minift import nn, optim
from minift.backend import to_device
from minift.tensor import Tensor

pytestmark = [pytest.mark.cuda, pytest.mark.usefixtures("pretended_gpu")]


class Cost:
    """Counts from `with Cost() as cost:` to its end."""

    def __enter__(self) -> Cost:
        memory.copies.clear()
        kernels.launches.clear()
        cublas.forget()
        return self

    def __exit__(self, *error: object) -> None:
        self.to_device, self.to_host = memory.copies[1], memory.copies[2]
        self.launches, self.products = kernels.launches.copy(), cublas.products()
        self.launched = sum(self.launches.values())


def parameters(count: int, dtype: str = "float32") -> list[nn.Parameter]:
    params = [nn.Parameter(np.ones((3, 5), dtype)) for _ in range(count)]
    for p in params:
        p.data = to_device(p.data, "cuda")
        p.grad = Tensor(np.ones((3, 5), dtype), device="cuda")
    return params


RULES: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.1},
    "RMSprop": {"momentum": 0.5, "lr": 0.1},
    "Adam": {},
    "AdamW": {},
}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("rule", RULES)
def test_a_step_is_one_launch_for_forty_tensors_whatever_their_rates(rule: str, dtype: str) -> None:
    groups = [{"params": [p], "lr": 0.1 * i} for i, p in enumerate(parameters(40, dtype))]
    optimizer = getattr(optim, rule)(groups, **RULES[rule])
    for _ in range(2):  # the first makes the state
        with Cost() as cost:
            optimizer.step()
    assert (cost.launched, cost.to_device, cost.to_host) == (1, 0, 0)


def test_the_length_of_a_gradient_is_two_launches_and_clipping_a_third() -> None:
    params = parameters(100)
    with Cost() as cost:
        optim.clip_grad_norm_(params, 1.0)
    assert cost.launches.pop("cupy_copy__float64_float64") == 1  # into the Tensor
    assert (sum(cost.launches.values()), cost.to_device, cost.to_host) == (3, 0, 0)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_joining_is_one_launch_and_parting_one_more(axis: int, dtype: str) -> None:
    lengths, draw = [3, 0, 1, 70], np.random.default_rng(0).standard_normal
    shapes = [[2, 5, 4] for _ in lengths]
    for shape, n in zip(shapes, lengths):
        shape[axis] = n
    arrays = [draw(shape).astype(dtype) for shape in shapes]
    xs = [Tensor(a, requires_grad=True, device="cuda") for a in arrays]
    whole = np.concatenate(arrays, axis)
    g = Tensor(draw(whole.shape).astype(dtype), device="cuda")
    with Cost() as cost:
        y = F.concatenate(xs, axis)
        (grads,) = [mf.grad(y, xs, g)]
    assert {name: n for name, n in cost.launches.items() if "copy_parts" in name}.popitem()[1] == 2
    assert (cost.to_device, cost.to_host) == (0, 0)
    np.testing.assert_array_equal(y.numpy(), whole)
    expected = np.split(g.numpy(), np.cumsum(lengths)[:-1], axis)
    for ours, theirs in zip(grads, expected):
        np.testing.assert_array_equal(ours.numpy(), theirs)


# ---- float16 and TF32 ---------------------------------------------------------------------------


def test_products_take_tf32_only_when_it_is_allowed() -> None:
    a, b = (Tensor(np.ones(s, np.float32), device="cuda") for s in ((8, 16), (16, 4)))
    found = []
    for on in (False, True, False):
        mf.cuda.allow_tf32(on)
        with Cost() as cost:
            a @ b
        found += cost.products
    assert [(p.dtype, p.compute) for p in found] == [("float32", c) for c in (68, 77, 68)]


def test_products_of_float16_are_summed_in_float32() -> None:
    ones = Tensor(np.ones((2, 4096), np.float16), device="cuda")
    with Cost() as cost:
        total = F.linear(ones, ones).numpy()  # in float16 sums of ones end at 2048
    assert (total == 4096).all()
    assert [(p.dtype, p.compute) for p in cost.products] == [("float16", 68)]
