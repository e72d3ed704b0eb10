"""Exercise 02: mend a gradient check that lets broken derivatives pass.

`fooled` below runs, and accepts every right derivative, but many broken ones too. It has four
weaknesses. Copy it into `gradcheck` and mend them. Check with: minift learn check 2
"""

import numpy as np


def fooled(forward, backward, x, rng):
    """Whether backward(x, v) seems to be the derivative of Σ v · forward(x) by x."""
    v = np.ones_like(forward(x))
    u = np.ones_like(x)
    h = 1e-4
    measured = ((v * forward(x + h * u)).sum() - (v * forward(x)).sum()) / h
    promised = (u * backward(x, v)).sum()
    return bool(abs(measured - promised) < 1e-2)


def gradcheck(forward, backward, x, rng):
    """Whether backward(x, v) is the derivative of Σ v · forward(x) by x, as True or False.

    `x` is a float64 array; `rng` a numpy.random.Generator, for all that is left to chance. A
    derivative that is wrong by a thousandth must be rejected, however large or small it is.
    """
    raise NotImplementedError("exercise 02: copy fooled into gradcheck and mend it")
