"""Checks of exercise 11: NT-Xent in plain loops, and at its limits."""

import math

import numpy as np

from minift.learn import same, true

RNG = np.random.default_rng(11)
FIRST, SECOND = RNG.normal(size=(2, 5, 8))


def in_loops(first, second, temperature):
    """The formula, one view at a time; both sides of the fraction times exp(-largest)."""
    views, n = [*first, *second], len(first)
    total = 0.0
    for i, view in enumerate(views):
        logits = [
            view @ other / math.sqrt((view @ view) * (other @ other)) / temperature
            for other in views
        ]
        twin = logits[(i + n) % (2 * n)]
        del logits[i]
        largest = max(logits)
        total += math.log(sum(math.exp(one - largest) for one in logits)) + largest - twin
    return total / (2 * n)


def loss_of(exercise, first, second, temperature):
    """What nt_xent returns, if it is a number."""
    value = exercise.nt_xent(first, second, temperature)
    true("nt_xent should return one number, the mean over all views; yours returned "
         f"{'None' if value is None else f'an array of shape {np.shape(value)}'}",
         value is not None and np.shape(value) == ())  # fmt: skip
    return float(value)


def case_the_cosine_has_no_length(exercise):
    """the cosine is the angle between two vectors; how long they are does not matter"""
    z = np.array([[3.0, 0.0], [0.0, 0.5], [2.0, 2.0]])
    expected = [[1, 0, math.sqrt(0.5)], [0, 1, math.sqrt(0.5)], [math.sqrt(0.5)] * 2 + [1]]
    same("cosines of (3, 0), (0, ½) and (2, 2)", exercise.cosine_similarities(z), expected)


def case_who_is_whose_twin(exercise):
    """row i of the first views and row i of the second are twins: likeness makes the loss small"""
    z = np.eye(4, 8)
    alike, unlike = loss_of(exercise, z, z, 0.5), loss_of(exercise, z, z[::-1], 0.5)
    true(f"four views and the same again as their twins: your loss is {alike:.4f}; the second four "
         f"in reverse order, so that no twins are alike: {unlike:.4f}; the first should be smaller",
         alike < unlike)  # fmt: skip


def case_the_temperature_divides(exercise):
    """a low temperature makes differences between similarities count more"""
    z = np.eye(4, 8)
    mild, sharp = loss_of(exercise, z, z, 1.0), loss_of(exercise, z, z, 0.1)
    true("four perfect twins at right angles to the others: your loss is "
         f"{mild:.4f} at temperature 1 and {sharp:.4f} at 0.1; the sharper the look, the easier "
         "are twins told from strangers, and the smaller is the loss", sharp < mild)  # fmt: skip


def case_perfect_twins_among_strangers_pay_nothing(exercise):
    """a view is never its own rival: perfect twins far from all others have a loss near 0"""
    z = np.eye(4, 8)
    value = loss_of(exercise, z, z, 0.05)
    true("four pairs of perfect twins, strangers at right angles, temperature 0.05: your loss is "
         f"{value:.6f}, and it should be between 0 and 0.001; who else has a share?",
         0 <= value < 1e-3)  # fmt: skip


def case_all_alike_must_guess(exercise):
    """if all views are equal, each can only guess among the others"""
    z = np.ones((4, 8))
    same("eight equal views: the loss of guessing one of seven, log 7, as a mean over the eight "
         "(more: something else than those seven has a share)",
         exercise.nt_xent(z, z, 0.5), math.log(7))  # fmt: skip


def case_the_formula(exercise):
    """each of the 2N views looks for its twin among all 2N - 1 others"""
    same("5 pairs of random views, temperature 0.5, beside the formula in plain loops",
         exercise.nt_xent(FIRST, SECOND, 0.5), in_loops(FIRST, SECOND, 0.5))  # fmt: skip


def case_the_formula_at_another_temperature(exercise):
    """the temperature divides every similarity, above the line and below it"""
    same("the same views, temperature 0.1, beside plain loops",
         exercise.nt_xent(FIRST, SECOND, 0.1), in_loops(FIRST, SECOND, 0.1))  # fmt: skip


def case_a_low_temperature_does_not_overflow(exercise):
    """exp(1 / 0.001) is more than a float holds; lesson 05 says what to do"""
    value = loss_of(exercise, FIRST, FIRST, 0.001)
    true(f"perfect twins, temperature 0.001: the loss should be a finite number, yours is {value}",
         np.isfinite(value))  # fmt: skip
    same("temperature 0.001, beside plain loops: a twin that is not the nearest costs a lot",
         exercise.nt_xent(FIRST, SECOND, 0.001), in_loops(FIRST, SECOND, 0.001))  # fmt: skip


def case_your_input_stays(exercise):
    """the function reads its arguments and changes nothing in them"""
    kept = FIRST.copy()
    exercise.nt_xent(FIRST, SECOND, 0.5)
    same("the first views after the call", FIRST, kept)
