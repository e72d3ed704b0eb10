"""Checks of exercise 05: numbers, extremes, ignored rows, and the derivative by differences."""

import numpy as np

from minift.learn import same, true

Z = np.array([[2.0, 1.0, 0.0], [0.5, -1.0, 3.0], [0.0, 0.0, 0.0], [-2.0, 4.0, 1.0]])
Y = np.array([0, 2, 1, 1])


def loss_and_gradient(exercise, z, y):
    """What the exercise returns, without NumPy's warnings."""
    with np.errstate(all="ignore"):
        found = exercise.cross_entropy(z, y)
    true(f"cross_entropy should return two things, (loss, gradient); yours returned {found!r}",
         isinstance(found, tuple) and len(found) == 2)  # fmt: skip
    return found


def differences(exercise, z, y, h=1e-5):
    """The derivative by central differences of the exercise's own loss."""
    measured = np.zeros_like(z)
    for index in np.ndindex(z.shape):
        step = np.zeros_like(z)
        step[index] = h
        ends = [loss_and_gradient(exercise, z + s, y)[0] for s in (step, -step)]
        measured[index] = (ends[0] - ends[1]) / (2 * h)
    return measured


def case_a_mean_over_the_rows(exercise):
    """the loss is the mean of -log p of the right classes"""
    loss, _ = loss_and_gradient(exercise, Z[2:3], Y[2:3])
    same("loss for logits [[0, 0, 0]]: three equal chances", loss, np.log(3))
    loss, _ = loss_and_gradient(exercise, Z[[2, 2]], Y[[2, 2]])
    same("loss for that row twice: a mean, not a sum", loss, np.log(3))


def case_huge_logits(exercise):
    """no logit is too large: exponents must not overflow"""
    z = np.array([[1e4, 0.0, -1e4], [0.0, 1000.0, 0.0]])
    loss, gradient = loss_and_gradient(exercise, z, np.array([0, 1]))
    same("loss for logits [[1e4, 0, -1e4], [0, 1000, 0]], targets [0, 1]", loss, 0.0)
    same("its gradient", gradient, np.zeros((2, 3)))


def case_sure_and_wrong(exercise):
    """a model that is sure and wrong has a large loss, not an infinite one"""
    loss, _ = loss_and_gradient(exercise, np.array([[1000.0, 0.0]]), np.array([1]))
    same("loss for logits [[1000, 0]] where the right class is 1", loss, 1000.0)


def case_the_gradient_is_that_of_the_loss(exercise):
    """the derivative belongs to the loss that is returned: compare it with differences"""
    _, gradient = loss_and_gradient(exercise, Z.copy(), Y)
    same("gradient for 4 rows, beside the measured one",
         gradient, differences(exercise, Z, Y), atol=1e-6)  # fmt: skip


def case_ignored_rows(exercise):
    """a row whose target is -100 counts for nothing: not in the sum, not in the number of rows"""
    y = np.array([0, -100, 1, -100])
    loss, gradient = loss_and_gradient(exercise, Z.copy(), y)
    alone = loss_and_gradient(exercise, Z[[0, 2]], np.array([0, 1]))
    same("loss with targets [0, -100, 1, -100], beside that of rows 0 and 2 alone", loss, alone[0])
    same("gradient with these targets, beside the measured one",
         gradient, differences(exercise, Z, y), atol=1e-6)  # fmt: skip


def case_all_rows_ignored(exercise):
    """where nothing counts, the loss is 0 and not 0/0"""
    loss, gradient = loss_and_gradient(exercise, Z.copy(), np.full(4, -100))
    same("loss with all targets -100", loss, 0.0)
    same("its gradient", gradient, np.zeros((4, 3)))


def case_the_logits_are_left_alone(exercise):
    """a function that computes a loss does not write into its arguments"""
    z = Z.copy()
    loss_and_gradient(exercise, z, Y)
    same("the logits after the call", z, Z)
