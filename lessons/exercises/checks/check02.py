"""Checks of exercise 02: six right derivatives must be accepted, eight broken ones rejected."""

import numpy as np

from minift.learn import true

X = np.random.default_rng(7).uniform(-2, 2, (3, 4))
BLIND = (
    "The sum of a softmax's outputs never changes; and if all inputs of a row grow by the same, no "
    "output changes. Whoever looks there compares 0 with rounding errors. Where else could you "
    "look?"
)
MEASURED = (
    "How exact is your own measurement? Over which distance does it go, and what does the lesson's "
    "picture say about the step and the kind of number?"
)
SIZE = "Is what you allow large or small beside this derivative?"
SEEDS = range(5)  # a check must not depend on its luck


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_back(x, v):
    y = softmax(x)
    return y * (v - (v * y).sum(axis=1, keepdims=True))


def verdicts(exercise, forward, backward):
    """What gradcheck says with five different generators."""
    said = [exercise.gradcheck(forward, backward, X, np.random.default_rng(n)) for n in SEEDS]
    true(f"gradcheck should return True or False, it returned {said[0]!r}",
         all(isinstance(one, bool | np.bool_) for one in said))  # fmt: skip
    return said


def accepts(exercise, name, forward, backward, why):
    said = verdicts(exercise, forward, backward)
    message = (
        f"a right derivative was rejected: {name}\n"
        f"  yours, for five random generators: {said}\n  expected: True each time\n  {why}"
    )
    true(message, all(said))


def rejects(exercise, name, why, forward, backward):
    said = verdicts(exercise, forward, backward)
    true(f"a broken derivative was accepted: {name}\n"
         f"  yours, for five random generators: {said}\n  expected: False each time\n  {why}",
         not any(said))  # fmt: skip


def case_simple_ones_are_accepted(exercise):
    """a right derivative is accepted: exp, tanh"""
    accepts(exercise, "exp", np.exp, lambda x, v: v * np.exp(x), MEASURED)
    accepts(exercise, "tanh", np.tanh, lambda x, v: v * (1 - np.tanh(x) ** 2), MEASURED)


def case_a_wrong_sign(exercise):
    """a derivative of the wrong sign is rejected"""
    rejects(exercise, "minus the derivative of exp", "The slope has the other sign.",
            np.exp, lambda x, v: -v * np.exp(x))  # fmt: skip


def case_a_zeroed_softmax(exercise):
    """the outputs of a softmax always sum to 1, and still its derivative is not 0"""
    accepts(exercise, "softmax", softmax, softmax_back, BLIND)
    rejects(exercise, "softmax, with 0 for its derivative",
            BLIND,
            softmax, lambda x, v: 0 * x)  # fmt: skip
    rejects(exercise, "softmax, with 7 times its derivative",
            BLIND,
            softmax, lambda x, v: 7 * softmax_back(x, v))  # fmt: skip


def case_elements_in_the_wrong_place(exercise):
    """derivatives that stand in the wrong place are rejected"""
    accepts(exercise, "squares", lambda x: x * x, lambda x, v: v * 2 * x, MEASURED)
    rejects(exercise, "squares, whose derivative is given in reverse order",
            "The elements are right, and so is their sum; only the places are wrong.",
            lambda x: (x * x).sum(), lambda x, v: (v * 2 * x)[::-1, ::-1])  # fmt: skip


def case_a_single_element(exercise):
    """one wrong element among many is seen"""

    def last_forgotten(x, v):
        g = v * 3 * x**2
        g[-1, -1] = 0
        return g

    rejects(exercise, "cubes, with 0 for the last element of the derivative",
            "All elements must have a part in what you compare.",
            lambda x: x**3, last_forgotten)  # fmt: skip


def case_the_sum_forgotten(exercise):
    """the outputs of a softmax depend on every input of their row"""
    rejects(exercise, "softmax without the sum in its derivative",
            "Each output depends on its neighbours' inputs, too.",
            softmax, lambda x, v: softmax(x) * v)  # fmt: skip


def case_wrong_by_a_thousandth(exercise):
    """a derivative that is wrong by a thousandth is rejected"""
    rejects(exercise, "1.001 times the derivative of exp",
            "How large is the error of your own measurement, and what do you allow?",
            np.exp, lambda x, v: 1.001 * v * np.exp(x))  # fmt: skip


def case_a_strong_bend(exercise):
    """a right derivative is accepted where the curve bends strongly: sin(200 x)"""
    accepts(exercise, "sin(200 x), whose waves are 0.03 long", lambda x: np.sin(200 * x),
            lambda x, v: v * 200 * np.cos(200 * x), MEASURED)  # fmt: skip


def case_large_and_small(exercise):
    """what is allowed depends on how large the derivative is"""
    large, small = 1e6, 1e-4
    accepts(exercise, "a million times exp", lambda x: large * np.exp(x),
            lambda x, v: large * v * np.exp(x), SIZE)  # fmt: skip
    accepts(exercise, "a ten-thousandth of exp", lambda x: small * np.exp(x),
            lambda x, v: small * v * np.exp(x), SIZE)  # fmt: skip
    rejects(exercise, "a ten-thousandth of exp, with twice its derivative",
            SIZE,
            lambda x: small * np.exp(x), lambda x, v: 2 * small * v * np.exp(x))  # fmt: skip
