"""Checks of exercise 03: predictions beside what minift.Tensor finds. The answer is not shown."""

import numpy as np

import minift as mf
from minift.learn import true

a = np.array([[1.0], [2.0], [3.0]])
b = np.array([10.0, 20.0, 30.0, 40.0])
A, B = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 0.0, 2.0], [5.0, 1.0, 1.0]])
table, bias = np.array([10.0, 20.0, 30.0, 40.0]), np.array([0.5, -1.0, 2.0])
X = np.arange(15.0).reshape(5, 3)


def compare(what, yours, loss, array, think):
    """Hold a prediction against the gradient of `array` in loss(array)."""
    tensor = mf.Tensor(array, requires_grad=True)
    loss(tensor).backward()
    try:
        found = np.asarray(yours, dtype=float)
    except (ValueError, TypeError):
        raise AssertionError(f"{what}: a list of numbers is expected, yours is {yours}") from None
    true(f"{what}\n  the tensor: {array.tolist()}\n  yours:      {found.tolist()}\n  "
         f"A gradient has the shape of its tensor, {array.shape}; yours is {found.shape}.",
         found.shape == array.shape)  # fmt: skip
    true(f"{what}\n  the tensor: {array.tolist()}\n  yours:      {found.tolist()}\n  {think}",
         np.allclose(found, tensor.grad.numpy(), atol=5e-3))  # fmt: skip


def case_sum_by_a(exercise):
    """a stretched number is used in several places, and each counts"""
    compare("loss = (a + b).sum(), the gradient of a", exercise.sum_by_a(),
            lambda a: (a + b).sum(), a,
            "In how many places of the table a + b does each number of a stand?")  # fmt: skip


def case_sum_by_b(exercise):
    """stretching goes along the other axis, too"""
    compare("loss = (a + b).sum(), the gradient of b", exercise.sum_by_b(),
            lambda b: (a + b).sum(), b,
            "In how many places of the table a + b does each number of b stand?")  # fmt: skip


def case_product_by_a(exercise):
    """in a product, each place contributes the other factor"""
    compare("loss = (a * b).sum(), the gradient of a", exercise.product_by_a(),
            lambda a: (a * b).sum(), a,
            "By what is a number of a multiplied, in each place where it stands?")  # fmt: skip


def case_matrix_by_left(exercise):
    """the derivative of a matrix product is a matrix product"""
    compare("loss = (A @ B).sum(), the gradient of A", exercise.matrix_by_left(),
            lambda A: (A @ B).sum(), A,
            "g has the shape of A @ B and holds ones. Which product with B fits A?")  # fmt: skip


def case_picked(exercise):
    """what is picked several times gets several contributions"""
    compare("loss = table[[0, 2, 2, 2]].sum(), the gradient of table", exercise.picked(),
            lambda table: table[[0, 2, 2, 2]].sum(), table,
            "How much does the loss grow if a single number of the table grows by 1?")  # fmt: skip


def case_picked_squares(exercise):
    """the look-up hands back the slope of what came after it"""

    def loss(table):
        t = table[[1, 1]]
        return (t * t).sum()

    compare("t = table[[1, 1]], loss = (t * t).sum(), the gradient of table",
            exercise.picked_squares(), loss, table,
            "What is the slope of t², and how often was the number picked?")  # fmt: skip


def case_mean_by_bias(exercise):
    """in a mean, each place counts one over the number of places"""
    compare("X of shape (5, 3), loss = (X + bias).mean(), the gradient of bias",
            exercise.mean_by_bias(), lambda bias: (X + bias).mean(), bias,
            "How many places are averaged, and in how many does one number stand?")  # fmt: skip
