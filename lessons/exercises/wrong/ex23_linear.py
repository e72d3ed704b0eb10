"""Uniform on the numbers themselves: small values are hardly ever drawn."""

import numpy as np


def log_uniform(low, high, count, rng):
    check(low, high)
    return rng.uniform(low, high, count)


def log_grid(low, high, count):
    check(low, high)
    return np.geomspace(low, high, count)


def check(low, high):
    if not 0 < low < high:
        raise ValueError(f"need 0 < low < high, got {low} and {high}")
