"""True read as forbidden: the mask of one library handed to another."""

import numpy as np


def attention(q, k, v, mask):
    scores = q @ k.T / np.sqrt(q.shape[-1])
    hidden = np.where(mask, -1e30, scores)
    e = np.exp(hidden - hidden.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True) @ v
