"""Level by level from the end: a value that is reached by a short way goes too early."""

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
    y = math.tanh(x.data)
    return Value(y, ((x, 1 - y * y),))


def backward(out):
    """Set `.grad` of every value that `out` was made from, and of `out`, to d out / d value."""
    out.grad = 1.0
    queue, seen = [out], {out}
    while queue:
        value = queue.pop(0)
        for parent, local in value.parents:
            parent.grad += value.grad * local
            if parent not in seen:
                seen.add(parent)
                queue.append(parent)
