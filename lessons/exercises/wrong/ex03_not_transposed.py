"""The matrix product's derivative taken with B's columns where its rows belong."""


def sum_by_a():
    """Each number of a stands in four columns."""
    return [[4.0], [4.0], [4.0]]


def sum_by_b():
    """Each number of b stands in three rows."""
    return [3.0, 3.0, 3.0, 3.0]


def product_by_a():
    """Each number of a is multiplied by 10, 20, 30 and 40."""
    return [[100.0], [100.0], [100.0]]


def matrix_by_left():
    """g Bᵀ with g of ones: the sums of B's rows."""
    return [[6.0, 1.0], [6.0, 1.0]]


def picked():
    """Number 0 is picked once, number 2 three times."""
    return [1.0, 0.0, 3.0, 0.0]


def picked_squares():
    """Number 1 is picked twice; each time the slope of its square is 2 · 20."""
    return [0.0, 80.0, 0.0, 0.0]


def mean_by_bias():
    """Each number of the bias stands in 5 of the 15 places."""
    return [1 / 3, 1 / 3, 1 / 3]
