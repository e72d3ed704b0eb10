"""Exercise 23: a sampler for settings that live on a logarithmic scale.

Write the two functions below. Check with: minift learn check 23
"""

import numpy as np


def log_uniform(low, high, count, rng):
    """`count` numbers from `low` to `high`, drawn so that their logarithm is uniform: (count,).

    `rng` is a numpy.random.Generator: `rng.uniform(a, b, count)` draws numbers from a to b. Raises
    ValueError unless 0 < low < high.
    """
    raise NotImplementedError("exercise 23: write log_uniform")


def log_grid(low, high, count):
    """`count` (2 or more) numbers from `low` to `high`, both included, in equal factors: (count,).

    So the second over the first is the third over the second, and so on. Raises ValueError unless
    0 < low < high.
    """
    raise NotImplementedError("exercise 23: write log_grid")


def decades(values):
    """The power of ten just below each value: 0.002 -> -3. Given, if you want to look."""
    return np.floor(np.log10(values)).astype(int)
