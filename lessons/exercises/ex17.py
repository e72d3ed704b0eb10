"""Exercise 17: vectors of texts from a frozen body.

Write the two functions below, with NumPy. Check with: minift learn check 17
"""

import numpy as np


def mean_pool(hidden: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """One vector a text: the mean over its real tokens.

    `hidden` (B, T, C) has a vector for each token of each text, padding and all; `mask` (B, T) is 1
    for real tokens and 0 for padding. Returns (B, C). A text without any real token gets zeros.
    """
    raise NotImplementedError("exercise 17: write mean_pool")


def features(body, batches):
    """The pooled vectors of all texts, (n, C), from one pass through the body.

    `batches` is a list of pairs (ids, mask), both (B, T), where T may differ from batch to batch.
    `body(ids)` gives (B, T, C). `body.training` says whether its dropout is on; `body.train()` and
    `body.eval()` turn it on and off. Features have no noise, and the body is left as it was found.
    """
    raise NotImplementedError("exercise 17: write features")
