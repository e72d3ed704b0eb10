"""Exercise 18: add a parameter group without losing Adam's moments.

`BrokenAdam` is an optimizer to which layers can be added later, when they thaw. It runs, the loss
falls, and whenever a layer is added something goes wrong. It has several mistakes. Write `Adam` as
it should be: with the same methods, and with what `add_group` and `step` say. Check with:
minift learn check 18
"""

import numpy as np

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


class Adam:
    """Adam over groups of parameters, each group with its own rate.

    Parameters are NumPy arrays, which `step` changes in place: the model looks at the same arrays.
    """

    def __init__(self, params, lr):
        raise NotImplementedError("exercise 18: write Adam")

    def add_group(self, params, lr):
        """Train these arrays too, from the next step on, at this rate.

        What is known about the others stays: their moments and their number of steps. What is new
        starts like any parameter of a new Adam. Raises ValueError for an array that is trained
        already.
        """
        raise NotImplementedError("exercise 18: write add_group")

    def step(self, gradients):
        """One step. `gradients` has one array a parameter, in the order in which they were added.

        None stands for a frozen parameter: it stays as it is, and so does all that is known of it.
        """
        raise NotImplementedError("exercise 18: write step")


class BrokenAdam:
    """Do not change this one; it is here to be read."""

    def __init__(self, params, lr):
        self.params, self.lr, self.t = [], lr, 0
        self.add_group(params, lr)

    def add_group(self, params, lr):
        self.params = self.params + list(params)
        self.m = [np.zeros_like(p) for p in self.params]
        self.v = [np.zeros_like(p) for p in self.params]

    def step(self, gradients):
        self.t += 1
        for p, g, m, v in zip(self.params, gradients, self.m, self.v):
            g = np.zeros_like(p) if g is None else g
            m[:] = BETA1 * m + (1 - BETA1) * g
            v[:] = BETA2 * v + (1 - BETA2) * g * g
            m_hat, v_hat = m / (1 - BETA1**self.t), v / (1 - BETA2**self.t)
            p -= self.lr * m_hat / (np.sqrt(v_hat) + EPS)
