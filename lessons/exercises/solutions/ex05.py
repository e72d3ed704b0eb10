"""Solution 05: log-sum-exp, only the rows that count, and (p - t) / n."""

import numpy as np


def cross_entropy(logits, targets):
    """Mean of -log softmax(logits)[target], and its derivative by the logits."""
    gradient = np.zeros_like(logits)
    counted = np.flatnonzero(targets != -100)
    n = len(counted)
    if n == 0:
        return 0.0, gradient
    z, y = logits[counted], targets[counted]
    shifted = z - z.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    share = np.exp(log_p)
    share[np.arange(n), y] -= 1
    gradient[counted] = share / n
    return -log_p[np.arange(n), y].mean(), gradient
