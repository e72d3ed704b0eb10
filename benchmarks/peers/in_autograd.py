"""The workloads in HIPS autograd, NumPy with a tape. Adam is by hand: its own takes no steps."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import autograd.numpy as np
from autograd import make_vjp, value_and_grad
from autograd.scipy.special import logsumexp

from minift.bench import workloads as w
from minift.bench.workloads import Step


def mlp() -> Step:
    x, y = w.rows_of_pixels()
    rng, sizes = np.random.default_rng(0), (784, 256, 256, 10)
    weights = [
        parameter.astype(np.float32)
        for fan_in, fan_out in pairwise(sizes)
        for parameter in (rng.uniform(-1, 1, (fan_in, fan_out)) / fan_in**0.5, np.zeros(fan_out))
    ]
    moments = [(np.zeros_like(weight), np.zeros_like(weight)) for weight in weights]
    places, clock = np.arange(len(y)), iter(range(1, 10**9))

    def loss_of(weights: list[Any]) -> Any:
        W1, b1, W2, b2, W3, b3 = weights
        hidden = np.maximum(x @ W1 + b1, 0)
        hidden = np.maximum(hidden @ W2 + b2, 0)
        scores = hidden @ W3 + b3
        return np.mean(logsumexp(scores, axis=1) - scores[places, y])

    both = value_and_grad(loss_of)

    def step() -> float:
        loss, gradients = both(weights)
        adam(weights, gradients, moments, next(clock))
        return float(loss)

    return step


def adam(weights: list[Any], gradients: list[Any], moments: list[Any], t: int) -> None:
    """Kingma & Ba 2015, algorithm 1, in place."""
    rate, correction = 1e-4 / (1 - 0.9**t), (1 - 0.999**t) ** 0.5
    for weight, g, (m, v) in zip(weights, gradients, moments):
        m += 0.1 * (g - m)
        v += 0.001 * (g * g - v)
        weight -= rate * m / (np.sqrt(v) / correction + 1e-8)


def chain(op: Callable[[Any, Any], Any]) -> Callable[[], Step]:
    def build() -> Step:
        x, weight = np.zeros((4, 4), np.float32), np.eye(4, dtype=np.float32)

        def hundred(y: Any) -> Any:
            for _ in range(100):
                y = op(y, weight)
            return y

        def step() -> None:
            back, _ = make_vjp(hundred)(x)
            back(weight)

        return step

    return build


BUILDERS = {
    "W1": mlp,
    "W8-scale": chain(lambda x, _: x * 0.9),
    "W8-tanh": chain(lambda x, _: np.tanh(x)),
    "W8-matmul": chain(lambda x, weight: x @ weight),
}
