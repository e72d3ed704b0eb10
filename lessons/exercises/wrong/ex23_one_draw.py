"""One draw for all: the same number again and again."""

import numpy as np


def log_uniform(low, high, count, rng):
    check(low, high)
    return np.full(count, np.exp(rng.uniform(np.log(low), np.log(high))))


def log_grid(low, high, count):
    check(low, high)
    return np.geomspace(low, high, count)


def check(low, high):
    if not 0 < low < high:
        raise ValueError(f"need 0 < low < high, got {low} and {high}")
