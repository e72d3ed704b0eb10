"""Precision: train with weights and activations in float16, at half the memory and traffic.

Sums, norms, softmax and losses stay in float32, and so do the masters of the weights, which the
optimizer holds. Not here: what keeps small gradients from vanishing, which is `loss_scale.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import numpy as np

from minift.backend import Array, to_numpy
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
def weights_in(
    precision: str, model: Module, optimizer: Optimizer
) -> Iterator[Callable[[], dict[str, np.ndarray]]]:
    """Inside the `with` block the model's weights are in `precision`; after it as exact as ever.

    What it gives is a function that reads the exact ones by name, where they are not the model's.
    """
    if precision == "float32":
        yield dict
        return
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    for parameter, state in zip(trained, optimizer.state):
        state.setdefault(MASTER, parameter.data)  # a resumed run has loaded them
    frozen = {name: parameter.data for name, parameter in model.named_parameters()}

    def exact() -> dict[str, Array]:
        masters = {id(p): state[MASTER] for p, state in zip(trained, optimizer.state)}
        return {n: masters.get(id(p), frozen[n]) for n, p in model.named_parameters()}

    for parameter in model.parameters():
        parameter.data = parameter.data.astype(precision)
    try:
        yield lambda: {name: np.array(to_numpy(array)) for name, array in exact().items()}
    finally:
        arrays = exact()
        for name, parameter in model.named_parameters():
            parameter.data = arrays[name]
        for state in optimizer.state:
            state.pop(MASTER, None)
