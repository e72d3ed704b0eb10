"""Exercise 05: mend a cross-entropy with its derivative.

`by_the_book` below has five bugs; on a quiet day you would not notice one of them. Copy it into
`cross_entropy` and mend it. Check with: minift learn check 5
"""

import numpy as np


def by_the_book(logits, targets):
    """Loss and derivative by the logits. Targets of -100 should be ignored."""
    e = np.exp(logits)
    p = e / e.sum(axis=1, keepdims=True)
    rows = np.arange(len(targets))
    counted = targets != -100
    loss = -np.log(p[rows, targets])[counted].sum() / len(targets)
    gradient = p
    gradient[rows, targets] -= 1
    return loss, gradient


def cross_entropy(logits, targets):
    """Mean of -log softmax(logits)[target], and its derivative by the logits.

    `logits` (N, C) are any finite numbers, 10,000 and -10,000 included; `targets` (N,) are classes
    0 to C-1, or -100 for a row that is ignored: it counts for nothing, and its derivative is 0. If
    all rows are ignored, the loss is 0. Returns (loss, gradient), the gradient of shape (N, C).
    """
    raise NotImplementedError("exercise 05: copy by_the_book into cross_entropy and mend it")
