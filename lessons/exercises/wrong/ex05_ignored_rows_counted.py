"""Ignored rows are left out of the sum, but counted in the division."""

import numpy as np


def cross_entropy(logits, targets):
    """Mean of -log softmax(logits)[target], and its derivative by the logits."""
    gradient = np.zeros_like(logits)
    counted = np.flatnonzero(targets != -100)
    n, all_rows = len(counted), len(targets)
    if n == 0:
        return 0.0, gradient
    z, y = logits[counted], targets[counted]
    shifted = z - z.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    share = np.exp(log_p)
    share[np.arange(n), y] -= 1
    gradient[counted] = share / all_rows
    return -log_p[np.arange(n), y].sum() / all_rows, gradient
