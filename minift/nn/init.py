"""Starting values of weights: functions from a shape to a float32 NumPy array.

All draws come from the generator "init" on the host, so that a seed means the same weights on every
device. Which layer starts from what is said in the layers themselves, not here.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from contextvars import ContextVar

import numpy as np

from minift.backend import random

_drawing = ContextVar("drawing", default=True)


@contextlib.contextmanager
def undrawn() -> Iterator[None]:
    """Inside `with undrawn():` nothing is drawn, for weights that a file is about to bring.

    They hold whatever the memory held, so nobody may compute with them; no generator moves on.
    """
    token = _drawing.set(False)
    try:
        yield
    finally:
        _drawing.reset(token)


def zeros(shape: tuple[int, ...]) -> np.ndarray:
    """Zeros: biases."""
    return np.zeros(shape, np.float32)


def ones(shape: tuple[int, ...]) -> np.ndarray:
    """Ones: the scale of a normalisation."""
    return np.ones(shape, np.float32)


def normal(shape: tuple[int, ...], std: float = 1.0) -> np.ndarray:
    """Draws from N(0, std²)."""
    if not _drawing.get():
        return np.empty(shape, np.float32)
    return random.generator("init").standard_normal(shape, np.float32) * np.float32(std)


def uniform(shape: tuple[int, ...], bound: float) -> np.ndarray:
    """Draws from U(-bound, bound)."""
    if not _drawing.get():
        return np.empty(shape, np.float32)
    draws = random.generator("init").random(shape, np.float32)
    return (draws * 2 - 1) * np.float32(bound)


def fan_in_uniform(shape: tuple[int, ...], fan_in: int) -> np.ndarray:
    """U(-1/√n, 1/√n) for n inputs a unit: variance 1/(3n), PyTorch's start of linear layers."""
    return uniform(shape, 1 / math.sqrt(fan_in))


def xavier_uniform(shape: tuple[int, int]) -> np.ndarray:
    """U(-a, a) with a = √(6 / (fan_in + fan_out)): Glorot & Bengio 2010, equation 16."""
    return uniform(shape, math.sqrt(6 / sum(shape)))
