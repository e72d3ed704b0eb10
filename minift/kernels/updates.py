"""Optimizer steps: tile by tile on NumPy's threads, all tensors in one launch on CuPy.

Not here: any rule. Those are in `minift/optim/rules.py`; a rule names its kernel with `fused`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from minift.backend import Array
from minift.kernels.choice import Choice
from minift.kernels.cuda import multi_tensor
from minift.kernels.gradients import dense
from minift.kernels.threads import in_parts
from minift.kernels.tiles import TILE, tiles

# Elementary steps a value. Adam takes some five, but under a million values two threads, which
# meet at Python's lock between its dozen short passes, were slower than one.
STEPS = 0.3

F = TypeVar("F", bound=Callable[..., None])


class Update(NamedTuple):
    """One parameter's step: `rule(weight, gradient, *state, **settings)` writes in place.

    `copy` gets the new weight where the model keeps it in a smaller dtype than the optimizer.
    """

    rule: Callable[..., None]
    weight: Array
    gradient: Array
    state: Sequence[Array]
    settings: dict[str, Any]
    copy: Array | None = None


def fused(kernel: multi_tensor.Rule, host: Callable[..., None] | None = None) -> Callable[[F], F]:
    """Mark a rule as the plain formula of a kernel on a GPU, and of one on the host; a rule that
    overrides it has none."""

    def mark(rule: F) -> F:
        rule.kernel, rule.host = kernel, host  # type: ignore[attr-defined]  # of a function
        return rule

    return mark


def apply(updates: Sequence[Update], scale: float = 1.0) -> None:
    """Carry out all updates, with gradients that count `scale` times."""
    plain: list[Update] = []
    launched: dict[multi_tensor.Rule, list[Update]] = {}
    for update in updates:
        kernel = kernel_for(update)
        alike = plain if kernel is None else launched.setdefault(kernel, [])
        alike.append(update)
    run_plain(plain, scale)
    for kernel, alike in launched.items():
        ordered = [u._replace(gradient=dense(u.gradient)) for u in alike]
        multi_tensor.step(kernel, ordered, scale)


def kernel_for(update: Update) -> multi_tensor.Rule | None:
    """The kernel that can carry the update out, if there is one."""
    if Choice.plain or isinstance(update.weight, np.ndarray):
        return None
    if not multi_tensor.takes(update.weight, *update.state, update.copy):
        return None
    return getattr(update.rule, "kernel", None)


def run_plain(updates: Sequence[Update], scale: float) -> None:
    """The rules themselves, in pieces, so that temporaries stay in the cache.

    The threads share the values of all tensors, laid end to end: one may be larger than the rest.
    """
    ends = list(itertools.accumulate(update.weight.size for update in updates))
    rules = [rule(update) for update in updates]

    def work(part: slice) -> None:
        for update, carry_out, end in zip(updates, rules, ends):
            first = end - update.weight.size
            own = slice(max(part.start - first, 0), min(part.stop, end) - first)
            for weight, g, *state in pieces(own, update):
                if g.dtype != weight.dtype:
                    g = g.astype(weight.dtype)
                carry_out(weight, g if scale == 1 else g * scale, *state, **update.settings)

    on_host = all(isinstance(update.weight, np.ndarray) for update in updates)
    in_parts(work, ends[-1] if ends else 0, STEPS if on_host else 0)
    for update in updates:
        if update.copy is not None:
            update.copy[...] = update.weight


def rule(update: Update) -> Callable[..., None]:
    """The rule, or what stands in for it on the host."""
    if Choice.plain or not isinstance(update.weight, np.ndarray):
        return update.rule
    return getattr(update.rule, "host", None) or update.rule


def adam(
    p: Array, g: Array, m: Array, v: Array, *, lr, betas, eps, step, weight_decay=0, **_
) -> None:
    """`Adam.update`, and `AdamW.update`, with one temporary array in place of four."""
    scale = 1 / math.sqrt(1 - betas[1] ** step)
    if weight_decay:
        p *= 1 - lr * weight_decay
    t = (1 - betas[0]) * g
    m *= betas[0]
    m += t
    np.multiply(g, g, out=t)
    t *= 1 - betas[1]
    v *= betas[1]
    v += t
    np.sqrt(v, out=t)
    t += eps / scale
    np.divide(m, t, out=t)
    t *= lr / (1 - betas[0] ** step) / scale
    p -= t


def pieces(own: slice, update: Update) -> Iterator[tuple[Array, ...]]:
    """Flat views of tiles of those values of weight, gradient and state that are our own.

    What is written there is written to them. A gradient that is not contiguous is copied, since it
    is only read; a weight that is not is handed out whole to whose part its first value is, as are
    arrays on a GPU, which has no use for tiles.
    """
    weight = update.weight
    arrays = (weight, update.gradient, *update.state)
    whole = weight.ndim > 0 and weight.size <= TILE and own == slice(0, weight.size)
    if whole or not isinstance(weight, np.ndarray) or not weight.flags.c_contiguous:
        if own.start == 0 < own.stop:
            yield arrays
    elif own.start < own.stop:
        flat = [array.reshape(-1) for array in arrays]
        for tile in tiles(own, 1):
            yield tuple(array[tile] for array in flat)
