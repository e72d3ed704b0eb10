"""Optimizer steps: one tile after the other on NumPy, all tensors in one launch on CuPy.

Not here: any rule. Those are in `minift/optim/rules.py`; a rule names its kernel with `fused`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from minift.backend import Array, device_of
from minift.kernels.choice import Choice
from minift.kernels.cuda import multi_tensor
from minift.kernels.gradients import dense
from minift.kernels.tiles import tiles

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


def fused(kernel: multi_tensor.Rule) -> Callable[[F], F]:
    """Mark a rule as the plain formula of a kernel; a rule that overrides it has none."""

    def mark(rule: F) -> F:
        rule.kernel = kernel  # type: ignore[attr-defined]
        return rule

    return mark


def apply(updates: Sequence[Update], scale: float = 1.0) -> None:
    """Carry out all updates, with gradients that count `scale` times."""
    launched: dict[multi_tensor.Rule, list[Update]] = {}
    for update in updates:
        kernel = kernel_for(update)
        if kernel is None:
            run_plain(update, scale)
        else:
            launched.setdefault(kernel, []).append(update)
    for kernel, alike in launched.items():
        ordered = [u._replace(gradient=dense(u.gradient)) for u in alike]
        multi_tensor.step(kernel, ordered, scale)


def kernel_for(update: Update) -> multi_tensor.Rule | None:
    """The kernel that can carry the update out, if there is one."""
    written = (update.weight, *update.state, update.copy)
    if Choice.plain or not multi_tensor.takes(*written):
        return None
    return getattr(update.rule, "kernel", None)


def run_plain(update: Update, scale: float) -> None:
    """The rule itself, in pieces, so that temporaries stay in the cache."""
    dtype = update.weight.dtype
    for weight, gradient, *state in pieces(update.weight, update.gradient, *update.state):
        g = gradient.astype(dtype, copy=False)
        update.rule(weight, g if scale == 1 else g * scale, *state, **update.settings)
    if update.copy is not None:
        update.copy[...] = update.weight


def pieces(target: Array, *others: Array) -> Iterator[tuple[Array, ...]]:
    """Flat views of tiles of arrays of one shape: what is written there is written to them.

    A gradient that is not contiguous is copied, since it is only read; a target that is not is
    handed out whole, as are arrays on a GPU, which has no use for tiles.
    """
    if not target.flags.c_contiguous or device_of(target) == "cuda":
        yield (target, *others)
        return
    flat = [array.reshape(-1) for array in (target, *others)]
    for tile in tiles(target.size, 1):
        yield tuple(array[tile] for array in flat)
