"""A generator of its own, made anew in each call: every search draws the same settings."""

import numpy as np


def log_uniform(low, high, count, rng):
    check(low, high)
    rng = np.random.default_rng(0)
    return np.exp(rng.uniform(np.log(low), np.log(high), count))


def log_grid(low, high, count):
    check(low, high)
    return np.geomspace(low, high, count)


def check(low, high):
    if not 0 < low < high:
        raise ValueError(f"need 0 < low < high, got {low} and {high}")
