"""Checks of exercise 11: NT-Xent in plain loops, and at its limits."""

import math

import numpy as np

from minift.learn import same, true

RNG = np.random.default_rng(11)
FIRST, SECOND = RNG.normal(size=(2, 5, 8))


def in_loops(first, second, temperature):
    """The formula, one view at a time."""
    views, n = [*first, *second], len(first)
    total = 0.0
    for i, view in enumerate(views):
        parts = []
        for k, other in enumerate(views):
            cosine = view @ other / math.sqrt((view @ view) * (other @ other))
            parts.append(0.0 if k == i else math.exp(cosine / temperature))
        total -= math.log(parts[(i + n) % (2 * n)] / sum(parts))
    return total / (2 * n)


def case_the_cosine_has_no_length(exercise):
    """the cosine is the angle between two vectors; how long they are does not matter"""
    z = np.array([[3.0, 0.0], [0.0, 0.5], [2.0, 2.0]])
    expected = [[1, 0, math.sqrt(0.5)], [0, 1, math.sqrt(0.5)], [math.sqrt(0.5)] * 2 + [1]]
    same("cosines of (3, 0), (0, ½) and (2, 2)", exercise.cosine_similarities(z), expected)


def case_perfect_twins_among_strangers_pay_nothing(exercise):
    """a view is never its own rival: perfect twins far from all others have a loss near 0"""
    z = np.eye(4, 8)
    value = exercise.nt_xent(z, z, 0.05)
    near_0 = value is not None and 0 <= value < 1e-3
    true("four pairs of perfect twins, strangers at right angles, temperature 0.05: your loss is "
         f"{value}, and it should be below 0.001", near_0)  # fmt: skip


def case_all_alike_must_guess(exercise):
    """if all views are equal, each can only guess among the others"""
    z = np.ones((4, 8))
    same("eight equal views: the loss of guessing one of seven, log 7",
         exercise.nt_xent(z, z, 0.5), math.log(7))  # fmt: skip


def case_the_formula(exercise):
    """each of the 2N views looks for its twin among all 2N - 1 others"""
    same("5 pairs of random views, temperature 0.5, beside the formula in plain loops",
         exercise.nt_xent(FIRST, SECOND, 0.5), in_loops(FIRST, SECOND, 0.5))  # fmt: skip


def case_the_temperature_divides(exercise):
    """a low temperature makes differences between similarities count more"""
    same("the same views, temperature 0.1, beside plain loops",
         exercise.nt_xent(FIRST, SECOND, 0.1), in_loops(FIRST, SECOND, 0.1))  # fmt: skip


def case_a_low_temperature_does_not_overflow(exercise):
    """exp(1 / 0.001) is more than a float holds; lesson 05 says what to do"""
    value = exercise.nt_xent(FIRST, SECOND, 0.001)
    true(f"temperature 0.001: the loss should be a finite number, yours is {value}",
         value is not None and np.isfinite(value))  # fmt: skip


def case_your_input_stays(exercise):
    """the function reads its arguments and changes nothing in them"""
    kept = FIRST.copy()
    exercise.nt_xent(FIRST, SECOND, 0.5)
    same("the first views after the call", FIRST, kept)
