"""Exercise 01: the missing tanh, and a walk back that finds its order by itself.

A Value knows its parents, and no more: there is no `order` here. Write the two functions below.
Check with: minift learn check 1
"""

import math


class Value:
    """A number that remembers its parents; `grad` is filled in by `backward`."""

    def __init__(self, data, parents=()):
        self.data = float(data)
        self.parents = parents  # pairs (parent, d self / d parent)
        self.grad = 0.0

    def __add__(self, other):
        return Value(self.data + other.data, ((self, 1.0), (other, 1.0)))

    def __mul__(self, other):
        return Value(self.data * other.data, ((self, other.data), (other, self.data)))


def exp(x):
    y = math.exp(x.data)
    return Value(y, ((x, y),))


def tanh(x):
    """The Value tanh(x), with its memory. For y = tanh(x) the derivative is 1 - y²."""
    raise NotImplementedError("exercise 01: write tanh")


def backward(out):
    """Set `.grad` of every value that `out` was made from, and of `out`, to d out / d value.

    Calling it twice sets the same numbers twice. Returns nothing.
    """
    raise NotImplementedError("exercise 01: write backward")
