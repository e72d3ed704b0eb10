"""Does a derivative tell the truth? Compare it with finite differences.

The check is directional: along a random direction u of the input, and seen through a random
cotangent v of the output, v·(f(x + εu) − f(x − εu)) / 2ε must equal u·∂(v·f)/∂x. Two evaluations
test all elements at once. A cotangent of ones would not do: a softmax's outputs sum to 1, so
that any multiple of its gradient passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minift import backend
from minift.autograd import grad
from minift.tensor import Tensor


class GradientError(AssertionError):
    """A derivative and the finite difference disagree."""


def gradcheck(
    fn: Callable[..., Tensor],
    inputs: Tensor | Sequence[Tensor],
    eps: float = 1e-6,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    order: int = 1,
    seed: int = 0,
) -> bool:
    """True if the derivatives of `fn(*inputs)` agree with finite differences.

    `inputs`: float64 Tensors; those with requires_grad are checked. `order=2` also checks the
    derivatives of the derivatives. Raises GradientError with the input, the index and both
    numbers where they differ, and ValueError for inputs that cannot be checked.
    """
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    checked = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    if not checked:
        raise ValueError("gradcheck: no input requires a gradient")
    for i in checked:
        if inputs[i].dtype != np.float64:
            raise ValueError(f"gradcheck: input {i} must be float64, got {inputs[i].dtype}")
    rng = np.random.default_rng(seed)
    output = fn(*inputs)
    v = _random_like(output, rng)
    gradients = grad(output, [inputs[i] for i in checked], v)
    for i, g in zip(checked, gradients):
        _check_input(fn, inputs, i, v, g.numpy(), rng, eps, rtol, atol)
    if order > 1:
        _check_gradient_of_gradient(fn, inputs, checked, v, rng, (eps, rtol, atol, order))
    return True


def _random_like(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Random signs times magnitudes in [0.5, 1.5]: no element is too small to be seen."""
    values = rng.uniform(0.5, 1.5, x.shape) * rng.choice([-1.0, 1.0], x.shape)
    return Tensor(values, dtype=x.dtype, device=x.device)


def _check_input(
    fn: Callable[..., Tensor],
    inputs: list[Tensor],
    i: int,
    v: Tensor,
    g: np.ndarray,
    rng: np.random.Generator,
    eps: float,
    rtol: float,
    atol: float,
) -> None:
    def difference(u: np.ndarray) -> float:
        """d (v·f) / dε along u, by central difference."""
        x = inputs[i]
        step = backend.to_device(eps * u, x.device)
        ends = [_seen(fn, [*inputs[:i], Tensor(x.data + s), *inputs[i + 1 :]], v) for s in
                (step, -step)]  # fmt: skip
        return (ends[0] - ends[1]) / (2 * eps)

    u = _random_like(inputs[i], rng).numpy()
    found, expected = float((g * u).sum()), difference(u)
    allowed = atol + rtol * max(float(np.abs(g * u).sum()), abs(expected))
    if abs(found - expected) <= allowed:
        return
    worst, numbers = (), (found, expected)
    for index in np.ndindex(g.shape):
        one_hot = np.zeros(g.shape)
        one_hot[index] = 1.0
        pair = float(g[index]), difference(one_hot)
        if not worst or abs(pair[0] - pair[1]) > abs(numbers[0] - numbers[1]):
            worst, numbers = index, pair
    raise GradientError(
        f"gradcheck: input {i}, index {worst}: the derivative is {numbers[0]:.6g}, "
        f"the finite difference {numbers[1]:.6g}"
    )


def _seen(fn: Callable[..., Tensor], inputs: list[Tensor], v: Tensor) -> float:
    return float((fn(*inputs).data * v.data).sum())


def _check_gradient_of_gradient(
    fn: Callable[..., Tensor],
    inputs: list[Tensor],
    checked: list[int],
    v: Tensor,
    rng: np.random.Generator,
    settings: tuple[float, float, float, int],
) -> None:
    """Check x, v -> Σ w·∂(v·f)/∂x as a function in its own right, one order lower."""
    eps, rtol, atol, order = settings
    weights = [_random_like(inputs[i], rng) for i in checked]

    def first_derivative(*arguments: Any) -> Tensor:
        *xs, cotangent = arguments
        for i in checked:  # the differences are taken at copies, which do not require it
            xs[i].requires_grad = True
        gradients = grad(fn(*xs), [xs[i] for i in checked], cotangent, create_graph=True)
        total = gradients[0] * weights[0]
        return sum(((g * w).sum() for g, w in zip(gradients[1:], weights[1:])), total.sum())

    cotangent = Tensor(v, requires_grad=True)
    gradcheck(first_derivative, [*inputs, cotangent], eps, rtol, atol, order - 1)
