"""Checks of exercise 23: where the draws fall, and who decides over them."""

from functools import partial

import numpy as np

from minift.learn import refuses, same, true

DRAWS = 20_000


def drawn(exercise, low, high, count=DRAWS, seed=0):
    return np.asarray(exercise.log_uniform(low, high, count, np.random.default_rng(seed)))


def case_as_many_as_were_asked_for(exercise):
    """count numbers come back, in one array"""
    values = exercise.log_uniform(1e-5, 1e-1, 7, np.random.default_rng(0))
    same("the shape of 7 draws", np.shape(values), (7,))


def case_no_draw_leaves_the_range(exercise):
    """no number is below low or above high, be the range wide or narrow"""
    for low, high in ((1e-5, 1e-1), (2.0, 3.0), (0.5, 2000.0)):
        values = drawn(exercise, low, high)
        inside = (values >= low * (1 - 1e-9)) & (values <= high * (1 + 1e-9))
        true(f"draws from {low} to {high}: yours lie between {values.min():.4g} and "
             f"{values.max():.4g}", inside.all())  # fmt: skip


def case_each_power_of_ten_gets_its_share(exercise):
    """from 0.00001 to 0.1 there are four powers of ten: each gets a quarter of the draws"""
    bins = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1 * (1 + 1e-9)]
    shares = np.histogram(drawn(exercise, 1e-5, 1e-1), bins)[0] / DRAWS
    same("shares of 0.00001 to 0.0001, to 0.001, to 0.01, to 0.1", shares, [0.25] * 4, atol=0.015)


def case_within_a_power_of_ten_as_well(exercise):
    """from 1 to 2 is as far as from 2 to 4 and from 4 to 8: each gets a third"""
    shares = np.histogram(drawn(exercise, 1.0, 8.0), [1, 2, 4, 8 * (1 + 1e-9)])[0] / DRAWS
    same("from 1 to 8: shares of 1 to 2, 2 to 4, 4 to 8", shares, [1 / 3] * 3, atol=0.015)


def case_the_draws_differ(exercise):
    """each of the numbers is a draw of its own"""
    values = drawn(exercise, 1e-5, 1e-1, 1000)
    same("different numbers among 1,000 draws", len(np.unique(values)), 1000)


def case_the_generator_decides(exercise):
    """the same generator gives the same numbers; when it has moved on, it gives others"""
    same("draws from two generators with the seed 5", drawn(exercise, 1e-3, 1, 5, seed=5),
         drawn(exercise, 1e-3, 1, 5, seed=5))  # fmt: skip
    rng = np.random.default_rng(5)
    first, second = (np.asarray(exercise.log_uniform(1e-3, 1, 5, rng)) for _ in range(2))
    true(f"the same generator, asked twice, should go on to new numbers; yours gave {first} both "
         "times", not np.allclose(first, second))  # fmt: skip


def case_a_range_must_be_one(exercise):
    """0 has no logarithm, and the lower end comes first"""
    for ends in ((0.0, 1.0), (-1.0, 1.0), (1.0, 0.1), (1.0, 1.0)):
        refuses("log_uniform from {} to {}".format(*ends), partial(drawn, exercise, *ends, 3),
                ValueError)  # fmt: skip
        refuses("log_grid from {} to {}".format(*ends), partial(exercise.log_grid, *ends, 3),
                ValueError)  # fmt: skip


def case_a_grid_has_both_ends(exercise):
    """the grid begins at low and ends at high"""
    values = np.asarray(exercise.log_grid(1e-4, 1, 5))
    same("first and last of log_grid(0.0001, 1, 5)", values[[0, -1]], [1e-4, 1])


def case_a_grid_has_equal_factors(exercise):
    """each number is the same factor above the one before"""
    values = np.asarray(exercise.log_grid(1.0, 16.0, 5))
    same("log_grid(1, 16, 5), each over the one before", values[1:] / values[:-1], [2.0] * 4)
