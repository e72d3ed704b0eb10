"""Uniform between the logarithms of the ends, then back by exp."""

import numpy as np


def log_uniform(low, high, count, rng):
    first, last = logarithms(low, high)
    return np.exp(rng.uniform(first, last, count))


def log_grid(low, high, count):
    first, last = logarithms(low, high)
    return np.exp(np.linspace(first, last, count))


def logarithms(low, high):
    if not 0 < low < high:
        raise ValueError(f"need 0 < low < high, got {low} and {high}")
    return np.log(low), np.log(high)
