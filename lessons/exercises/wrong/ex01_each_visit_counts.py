"""Values are listed each time they are reached: whoever is used twice hands on twice."""

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
    ordered = []

    def visit(value):  # a value is listed after all of its parents
        for parent, _ in value.parents:
            visit(parent)
        ordered.append(value)

    visit(out)
    for value in ordered:
        value.grad = 0.0
    out.grad = 1.0
    for value in reversed(ordered):
        for parent, local in value.parents:
            parent.grad += value.grad * local
