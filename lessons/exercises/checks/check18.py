"""Checks of exercise 18: an Adam whose parameters come and go, beside one left in peace."""

import numpy as np

from minift.learn import refuses, same, true

RNG = np.random.default_rng(18)
FIRST, SECOND = RNG.normal(size=(2, 3))
SLOPES = RNG.normal(size=(12, 3))  # of the first parameter, step by step
OTHERS = RNG.normal(size=(12, 3))  # of the second


def alone(start, gradients, lr):
    """Where Adam's formulas bring one parameter with these gradients (lesson 06)."""
    p, m, v = start.copy(), np.zeros(3), np.zeros(3)
    for t, g in enumerate(gradients, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        p = p - lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return p


def two_phases(exercise, steps_before, lr=0.1, later_lr=0.1, steps_after=4):
    """The first parameter alone, then both: (first, second) as they end."""
    first, second = FIRST.copy(), SECOND.copy()
    optimizer = exercise.Adam([first], lr)
    for t in range(steps_before):
        optimizer.step([SLOPES[t]])
    optimizer.add_group([second], later_lr)
    for t in range(steps_before, steps_before + steps_after):
        optimizer.step([SLOPES[t], OTHERS[t]])
    return first, second


def case_the_models_own_array_moves(exercise):
    """the model looks at the array that it gave away: a step changes this one, in place"""
    first = FIRST.copy()
    exercise.Adam([first], 0.1).step([SLOPES[0]])
    true(f"after one step the array that was given to Adam is still {first}; what did move?",
         not np.array_equal(first, FIRST))  # fmt: skip


def case_one_group_is_adam(exercise):
    """without any group added later, it is the Adam of lesson 06"""
    first = FIRST.copy()
    optimizer = exercise.Adam([first], 0.1)
    for t in range(5):
        optimizer.step([SLOPES[t]])
    same("one parameter after 5 steps at rate 0.1", first, alone(FIRST, SLOPES[:5], 0.1))


def case_the_others_do_not_notice(exercise):
    """who was there before goes on as if nothing had been added"""
    first, _ = two_phases(exercise, steps_before=6)
    same("the first parameter: 6 steps alone, then 4 beside a new one; expected is 10 steps "
         "without any newcomer", first, alone(FIRST, SLOPES[:10], 0.1))  # fmt: skip


def case_the_new_one_moves(exercise):
    """what was added moves in the next step, in the model's own array"""
    _, second = two_phases(exercise, steps_before=6, steps_after=1)
    true(f"after a step with a gradient the new parameter should have moved, and is still {second}",
         not np.array_equal(second, SECOND))  # fmt: skip


def case_the_new_one_begins_at_its_beginning(exercise):
    """the first step of any parameter has the size of its rate, whenever it comes (lesson 06)"""
    _, second = two_phases(exercise, steps_before=8, steps_after=1)
    same("how far the new parameter goes in its first step, after 8 steps of the other",
         np.abs(second - SECOND), np.full(3, 0.1), atol=1e-6)  # fmt: skip


def case_the_new_one_goes_its_own_way(exercise):
    """a parameter's path depends on its own gradients, and on nobody else's"""
    _, second = two_phases(exercise, steps_before=6)
    same("the new parameter after 4 steps, beside one that trains alone",
         second, alone(SECOND, OTHERS[6:10], 0.1))  # fmt: skip


def case_each_group_has_its_rate(exercise):
    """layers further down move at smaller rates"""
    first, second = two_phases(exercise, steps_before=2, later_lr=0.01)
    same("the new parameter, added at rate 0.01 to an optimizer at rate 0.1",
         second, alone(SECOND, OTHERS[2:6], 0.01))  # fmt: skip
    same("the first parameter, whose rate is still 0.1", first, alone(FIRST, SLOPES[:6], 0.1))


def case_frozen_means_frozen(exercise):
    """a parameter without a gradient stays where it is, and its clock stands still"""
    first = FIRST.copy()
    optimizer = exercise.Adam([first], 0.1)
    optimizer.step([SLOPES[0]])
    there = first.copy()
    for _ in range(3):
        optimizer.step([None])
    same("one step, then 3 steps without a gradient: the parameter should rest", first, there)
    optimizer.step([SLOPES[1]])
    same("and when it thaws again, the next step is its second",
         first, alone(FIRST, SLOPES[:2], 0.1))  # fmt: skip


def case_a_clock_for_each(exercise):
    """of two parameters in one group one may be frozen: what is known is known of each"""
    first, second = FIRST.copy(), SECOND.copy()
    optimizer = exercise.Adam([first, second], 0.1)
    for t in range(3):
        optimizer.step([SLOPES[t], None])
    same("one group of two, 3 steps: the second has no gradient and should rest", second, SECOND)
    optimizer.step([SLOPES[3], OTHERS[3]])
    same("and when it thaws: how far it goes in its first step at rate 0.1",
         np.abs(second - SECOND), np.full(3, 0.1), atol=1e-6)  # fmt: skip
    same("the first, which had a gradient each time", first, alone(FIRST, SLOPES[:4], 0.1))


def case_nobody_twice(exercise):
    """a parameter in two groups would be moved twice in each step"""
    first = FIRST.copy()
    optimizer = exercise.Adam([first], 0.1)
    refuses("adding an array that is trained already", lambda: optimizer.add_group([first], 0.1),
            ValueError)  # fmt: skip
    second = SECOND.copy()
    refuses("adding a group that names one array twice",
            lambda: optimizer.add_group([second, second], 0.1), ValueError)  # fmt: skip


def case_equal_is_not_the_same(exercise):
    """two layers may start from equal values, and are still two layers"""
    first, second = np.ones(3), np.ones(3)
    optimizer = exercise.Adam([first], 0.1)
    optimizer.add_group([second], 0.1)
    optimizer.step([SLOPES[0], OTHERS[0]])
    same(
        "the second of two arrays of ones after a step", second, alone(np.ones(3), OTHERS[:1], 0.1)
    )
