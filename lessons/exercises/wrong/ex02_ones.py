"""A cotangent of ones: only the sum of the outputs is looked at."""

import numpy as np


def gradcheck(forward, backward, x, rng):
    """Whether backward(x, v) is the derivative of Σ v · forward(x) by x, as True or False."""
    y = forward(x)
    v = np.ones_like(y)
    u = rng.uniform(0.5, 1.5, x.shape) * rng.choice([-1.0, 1.0], x.shape)
    h = 1e-6
    measured = ((v * forward(x + h * u)).sum() - (v * forward(x - h * u)).sum()) / (2 * h)
    promised = u * backward(x, v)
    scale = max(np.abs(promised).sum(), abs(measured))
    return bool(abs(measured - promised.sum()) <= 1e-5 * scale)
