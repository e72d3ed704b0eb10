"""Exercise 13: an attention whose mask is "hardly ever" instead of "never".

`broken_attention` is right as long as everything may be seen. Write `attention` without its
mistake, for every mask. Check with: minift learn check 13
"""

import numpy as np


def broken_attention(q, k, v, mask):
    """Runs, and looks right with small numbers."""
    scores = q @ k.T / np.sqrt(q.shape[-1])
    scores = scores - 10_000 * ~mask
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True) @ v


def attention(q, k, v, mask):
    """softmax(q kᵀ / √D) v over the keys that may be seen: (T, D), (S, D), (S, C) -> (T, C).

    `mask` (T, S) is True where a query may look. A key that may not be seen has weight 0, whatever
    its score. A query that may see no key at all gets zeros, and no warning is raised.
    """
    raise NotImplementedError("exercise 13: write attention")
