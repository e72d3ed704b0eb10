"""Precision: train with weights and activations in float16, at half the memory and traffic.

Sums, norms, softmax and losses stay in float32, and so do the masters of the weights, which the
optimizer holds. Not here: what keeps small gradients from vanishing, which is `loss_scale.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from minift.nn import Module
from minift.optim.optimizer import MASTER, Optimizer

PRECISIONS = ("float32", "float16")


def check_precision(precision: str, device: str) -> None:
    """Raise ValueError for a precision that cannot be used on `device`."""
    if precision == "bfloat16":
        raise ValueError(
            'precision "bfloat16" cannot be used, because CuPy has no such arrays; use "float16"'
        )
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    if precision == "float16" and device == "cpu":
        raise ValueError(
            'precision "float16" needs a GPU: on the CPU NumPy is slower in it and sums in it; '
            'use "float32"'
        )


@contextlib.contextmanager
def weights_in(precision: str, model: Module, optimizer: Optimizer) -> Iterator[None]:
    """Inside the `with` block the model's weights are in `precision`; after it as exact as ever."""
    if precision == "float32":
        yield
        return
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    for parameter, state in zip(trained, optimizer.state):
        state.setdefault(MASTER, parameter.data)  # a resumed run has loaded them
    originals = [(parameter, parameter.data) for parameter in model.parameters()]
    for parameter, array in originals:
        parameter.data = array.astype(precision)
    try:
        yield
    finally:
        masters = {id(p): state.pop(MASTER) for p, state in zip(trained, optimizer.state)}
        for parameter, array in originals:
            parameter.data = masters.get(id(parameter), array)
