"""Only whole powers of ten: 0.001, 0.01 and nothing between them."""

import numpy as np


def log_uniform(low, high, count, rng):
    check(low, high)
    powers = rng.integers(np.floor(np.log10(low)), np.floor(np.log10(high)) + 1, count)
    return np.clip(10.0**powers, low, high)


def log_grid(low, high, count):
    check(low, high)
    return np.geomspace(low, high, count)


def check(low, high):
    if not 0 < low < high:
        raise ValueError(f"need 0 < low < high, got {low} and {high}")
