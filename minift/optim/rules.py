"""Update rules, from the simplest to the one that trains BERT: SGD, RMSprop, Adam, AdamW.

Each is one formula on raw arrays (`update`) beside the settings that it takes, numerically
PyTorch's. `fused` names the kernels that do the same: on a GPU to all parameters in one launch.
What they share is in `optimizer.py`. Learning-rate schedules are *not* here: they are
functions of the step (`schedules.py`) that the training loop writes into `group["lr"]`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from minift.backend import Array, xp
from minift.kernels.cuda import multi_tensor
from minift.kernels.updates import adam, fused
from minift.optim.optimizer import Group, Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent with momentum: b ← μb + g, θ ← θ - ηb.

    With `nesterov` the step is g + μb (Sutskever et al. 2013, in PyTorch's form);
    `weight_decay` λ adds λθ to the gradient.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        momentum: float = 0,
        nesterov: bool = False,
        weight_decay: float = 0,
    ):
        super().__init__(
            params, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay
        )

    def check(self, group: Group) -> None:
        super().check(group)
        if group["nesterov"] and not group["momentum"]:
            raise ValueError("SGD: nesterov looks ahead along the momentum; give momentum > 0")

    def slots(self, group: Group) -> tuple[str, ...]:
        return ("momentum_buffer",) if group["momentum"] else ()

    @fused(multi_tensor.SGD)
    def update(
        self, p: Array, g: Array, b: Array = None, *, lr, momentum, nesterov, weight_decay, **_
    ) -> None:
        if weight_decay:
            g = g + weight_decay * p
        if momentum:
            b *= momentum
            b += g
            g = g + momentum * b if nesterov else b
        p -= lr * g


class RMSprop(Optimizer):
    """v ← αv + (1-α)g², θ ← θ - ηg / (√v + ε): Hinton's lecture 6e (2012), slide 29.

    With `momentum` μ the scaled gradient is accumulated first: b ← μb + g / (√v + ε), θ ← θ - ηb.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        alpha: float = 0.99,
        eps: float = 1e-8,
        momentum: float = 0,
    ):
        super().__init__(params, lr=lr, alpha=alpha, eps=eps, momentum=momentum)

    def slots(self, group: Group) -> tuple[str, ...]:
        return ("square_avg", "momentum_buffer") if group["momentum"] else ("square_avg",)

    @fused(multi_tensor.RMSPROP)
    def update(
        self, p: Array, g: Array, v: Array, b: Array = None, *, lr, alpha, eps, momentum, **_
    ) -> None:
        v *= alpha
        v += (1 - alpha) * g * g
        g = g / (xp(v).sqrt(v) + eps)
        if momentum:
            b *= momentum
            b += g
            g = b
        p -= lr * g


class Adam(Optimizer):
    """Kingma & Ba 2015, algorithm 1: running means of the gradient and of its square.

    m ← β₁m + (1-β₁)g, v ← β₂v + (1-β₂)g², θ ← θ - η m̂ / (√v̂ + ε), where m̂ = m / (1-β₁ᵗ) and
    v̂ = v / (1-β₂ᵗ) undo the pull of the zeros that m and v start from; t is the parameter's own.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ):
        super().__init__(params, lr=lr, betas=betas, eps=eps)

    def slots(self, group: Group) -> tuple[str, ...]:
        return "exp_avg", "exp_avg_sq"

    def check(self, group: Group) -> None:
        super().check(group)
        if len(group["betas"]) != 2 or not all(0 <= beta < 1 for beta in group["betas"]):
            raise ValueError(
                f"{type(self).__name__}: betas must be two numbers in [0, 1), got {group['betas']}"
            )

    @fused(multi_tensor.ADAM, adam)
    def update(self, p: Array, g: Array, m: Array, v: Array, *, lr, betas, eps, step, **_) -> None:
        beta1, beta2 = betas
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        v += (1 - beta2) * (g * g)
        scale = 1 / math.sqrt(1 - beta2**step)  # √v̂ = scale √v; a pass less
        p -= lr / (1 - beta1**step) / scale * (m / (xp(v).sqrt(v) + eps / scale))


class AdamW(Adam):
    """Adam after a decay of the weights, θ ← (1 - ηλ)θ (Loshchilov & Hutter 2019, algorithm 2).

    Decay that is part of the gradient would be divided by √v̂, so that weights with large gradients
    would hardly decay.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ):
        Optimizer.__init__(self, params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    @fused(multi_tensor.ADAM, adam)
    def update(
        self, p: Array, g: Array, m: Array, v: Array, *, lr, betas, eps, step, weight_decay=0, **_
    ) -> None:
        p *= 1 - lr * weight_decay
        super().update(p, g, m, v, lr=lr, betas=betas, eps=eps, step=step)
