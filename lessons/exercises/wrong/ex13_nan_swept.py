"""NaN replaced by 0 at the end: also those that tell of a real mistake; NumPy warns."""

import numpy as np


def attention(q, k, v, mask):
    scores = q @ k.T / np.sqrt(q.shape[-1])
    hidden = np.where(mask, scores, -np.inf)
    e = np.exp(hidden - hidden.max(axis=-1, keepdims=True))
    return np.nan_to_num(e / e.sum(axis=-1, keepdims=True)) @ v
