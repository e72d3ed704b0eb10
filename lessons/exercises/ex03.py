"""Exercise 03: predict seven gradients. Paper and pencil first; no code is needed but your answers.

Each function returns what you expect, as a list of the tensor's shape: [[1.0], [2.0]] is of shape
(2, 1). Check with: minift learn check 3

    a = [[1], [2], [3]]          of shape (3, 1)
    b = [10, 20, 30, 40]         of shape (4,)
    A = [[1, 2], [3, 4]]         B = [[1, 0, 2], [5, 1, 1]]
    table = [10, 20, 30, 40]     X: any numbers, of shape (5, 3)     bias of shape (3,)
"""


def sum_by_a():
    """loss = (a + b).sum(); the gradient of a?"""
    raise NotImplementedError("exercise 03: predict the gradient of a in (a + b).sum()")


def sum_by_b():
    """loss = (a + b).sum(); the gradient of b?"""
    raise NotImplementedError("exercise 03: predict the gradient of b in (a + b).sum()")


def product_by_a():
    """loss = (a * b).sum(); the gradient of a?"""
    raise NotImplementedError("exercise 03: predict the gradient of a in (a * b).sum()")


def matrix_by_left():
    """loss = (A @ B).sum(); the gradient of A?"""
    raise NotImplementedError("exercise 03: predict the gradient of A in (A @ B).sum()")


def picked():
    """loss = table[[0, 2, 2, 2]].sum(); the gradient of table?"""
    raise NotImplementedError("exercise 03: predict the gradient of table in its look-up")


def picked_squares():
    """t = table[[1, 1]]; loss = (t * t).sum(); the gradient of table?"""
    raise NotImplementedError("exercise 03: predict the gradient of table under a square")


def mean_by_bias():
    """loss = (X + bias).mean(); the gradient of bias?"""
    raise NotImplementedError("exercise 03: predict the gradient of bias in (X + bias).mean()")
