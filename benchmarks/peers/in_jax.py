"""The workloads in JAX: the whole step, optimizer included, compiled once by `jit`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from minift.bench import workloads as w
from minift.bench.workloads import Step

Weights = dict[str, Any]


def training(weights: Weights, loss_of: Callable[[Weights], Any]) -> Step:
    """One step of Adam (Kingma & Ba 2015, algorithm 1); old buffers are given back to XLA."""

    def update(state: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
        weights, m, v, t = state
        loss, gradient = jax.value_and_grad(loss_of)(weights)
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradient)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradient)
        rate, correction = 1e-4 / (1 - 0.9**t), jnp.sqrt(1 - 0.999**t)
        move = lambda p, m, v: p - rate * m / (jnp.sqrt(v) / correction + 1e-8)
        return (jax.tree.map(move, weights, m, v), m, v, t), loss

    compiled = jax.jit(update, donate_argnums=0)
    zeros = lambda: jax.tree.map(jnp.zeros_like, weights)
    state = [(weights, zeros(), zeros(), jnp.float32(0))]

    def step() -> float:
        state[0], loss = compiled(state[0])
        return float(jax.block_until_ready(loss))

    return step


def cross_entropy(scores: Any, target: Any) -> Any:
    chosen = jnp.take_along_axis(scores, target[:, None], axis=1)[:, 0]
    return jnp.mean(jax.nn.logsumexp(scores, axis=1) - chosen)


class Draw:
    """Weights of a shape, from one generator."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def __call__(self, *shape: int) -> Any:
        return jnp.asarray(0.02 * self.rng.standard_normal(shape, np.float32))

    def linear(self, fan_in: int, fan_out: int) -> Weights:
        return {"w": self(fan_in, fan_out), "b": jnp.zeros(fan_out)}


def linear(x: Any, p: Weights) -> Any:
    return x @ p["w"] + p["b"]


def mlp() -> Step:
    x, y = map(jnp.asarray, w.rows_of_pixels())
    draw = Draw()
    weights = {"1": draw.linear(784, 256), "2": draw.linear(256, 256), "3": draw.linear(256, 10)}

    def loss_of(p: Weights) -> Any:
        hidden = jax.nn.relu(linear(jax.nn.relu(linear(x, p["1"])), p["2"]))
        return cross_entropy(linear(hidden, p["3"]), y)

    return training(weights, loss_of)


def norm(x: Any, p: Weights) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    rstd = jax.lax.rsqrt((centred * centred).mean(-1, keepdims=True) + 1e-5)
    return centred * rstd * p["g"] + p["b"]


def layer(x: Any, p: Weights, H: int) -> Any:
    """A transformer layer, norms after the residuals as in BERT."""
    B, T, C = x.shape
    q, k, v = jnp.split(linear(x, p["qkv"]).reshape(B, T, 3 * H, C // H), 3, axis=2)
    y = jax.nn.dot_product_attention(q, k, v).reshape(B, T, C)
    x = norm(x + linear(y, p["mix"]), p["norm1"])
    wide = jax.nn.gelu(linear(x, p["up"]), approximate=False)
    return norm(x + linear(wide, p["down"]), p["norm2"])


def masked_words() -> Step:
    ids, positions, words = map(jnp.asarray, w.masked_text())
    C, wide, draw = w.SMALL["width"], w.SMALL["wide"], Draw()
    ones = lambda: {"g": jnp.ones(C), "b": jnp.zeros(C)}
    weights = {
        "words": draw(w.SMALL["words"], C), "places": draw(w.SMALL["length"], C),
        "norm": ones(), "dense": draw.linear(C, C), "head": ones(),
        "bias": jnp.zeros(w.SMALL["words"]),
        "layers": [
            {"qkv": draw.linear(C, 3 * C), "mix": draw.linear(C, C), "norm1": ones(),
             "up": draw.linear(C, wide), "down": draw.linear(wide, C), "norm2": ones()}
            for _ in range(w.SMALL["layers"])
        ],
    }  # fmt: skip

    def loss_of(p: Weights) -> Any:
        x = norm(p["words"][ids] + p["places"], p["norm"])
        for weights in p["layers"]:
            x = layer(x, weights, w.SMALL["heads"])
        hidden = x.reshape(-1, C)[positions]
        hidden = norm(jax.nn.gelu(linear(hidden, p["dense"]), approximate=False), p["head"])
        return cross_entropy(hidden @ p["words"].T + p["bias"], words)

    return training(weights, loss_of)


BUILDERS = {"W1": mlp, "W2": masked_words}
