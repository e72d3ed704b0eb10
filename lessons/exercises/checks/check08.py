"""Checks of exercise 08: scripted sequences of scores."""

import math

import numpy as np

from minift.learn import same, true

NAN = math.nan


def play(exercise, scores, **settings):
    """Feed the scores until it stops: (updates until then or None, best score, best weights).

    The weights are one array that holds the number of the update, and is written into afterwards.
    """
    stopping = exercise.EarlyStopping(**settings)
    weights = {"w": np.zeros(1)}
    for number, score in enumerate(scores, 1):
        weights["w"][0] = number
        if stopping.update(score, weights):
            return number, stopping
    return None, stopping


def stops(exercise, scores, after, **settings):
    """Hold the number of updates against what it should be."""
    found, stopping = play(exercise, scores, **settings)
    words = ", ".join(f"{name}={value}" for name, value in settings.items())
    true(f"scores {scores} with {words}\n"
         f"  yours:    {'it stopped after update ' + str(found) if found else 'it never stopped'}\n"
         f"  expected: {'stop after update ' + str(after) if after else 'never stop'}",
         found == after)  # fmt: skip
    return stopping


def best(exercise, scores, score, update, **settings):
    """Hold the best score and the update of which the best weights are."""
    stopping = play(exercise, scores, **settings)[1]
    said = f"scores {scores}, all seen: best_score"
    true(f"{said} should be {score}, yours is {stopping.best_score}", stopping.best_score == score)
    true(f"scores {scores}: best_weights should be a dictionary, yours is "
         f"{type(stopping.best_weights).__name__}", isinstance(stopping.best_weights, dict)
         )  # fmt: skip
    same(f"scores {scores}: best_weights['w'] holds the number of the update that it was saved at",
         stopping.best_weights["w"], [float(update)])  # fmt: skip


def case_patience_counts(exercise):
    """it stops at the update that makes `patience` of them without improvement"""
    stops(exercise, [0.9, 0.8, 0.85, 0.86, 0.87], after=4, patience=2)
    stops(exercise, [0.9, 0.8, 0.85], after=3, patience=1)


def case_in_a_row(exercise):
    """an improvement starts the count anew"""
    stops(exercise, [0.9, 0.95, 0.8, 0.85, 0.7, 0.75, 0.76], after=7, patience=2)


def case_the_weights_are_kept(exercise):
    """training goes on writing into the weights: what is kept must be a copy"""
    best(exercise, [0.9, 0.5, 0.7, 0.8], 0.5, 2, patience=9)


def case_any_number_may_be_first(exercise):
    """losses need not begin below 1"""
    best(exercise, [250.0, 120.0, 130.0], 120.0, 2, patience=5)
    best(exercise, [-1.0, -2.0, -1.5], -2.0, 2, patience=5)


def case_equals(exercise):
    """of equal scores the first stays the best, and the second is no improvement"""
    best(exercise, [0.5, 0.5, 0.5], 0.5, 1, patience=9)
    stops(exercise, [0.5, 0.5, 0.5], after=3, patience=2)


def case_nan_in_the_middle(exercise):
    """NaN is never the best, and what follows it is compared with what was before"""
    best(exercise, [0.9, NAN, 0.8, NAN], 0.8, 3, patience=9)
    stops(exercise, [0.9, NAN, NAN, 0.8], after=3, patience=2)


def case_nan_at_the_start(exercise):
    """a run that begins with NaN has no best until there is a number"""
    best(exercise, [NAN, 0.9, 0.95], 0.9, 2, patience=9)
    stopping = stops(exercise, [NAN, NAN, NAN], after=3, patience=3)
    true("after nothing but NaN, best_score and best_weights should be None; yours are "
         f"{stopping.best_score} and {stopping.best_weights}",
         stopping.best_score is None and stopping.best_weights is None)  # fmt: skip


def case_min_delta(exercise):
    """an improvement that is not larger than min_delta is none"""
    stops(exercise, [1.0, 0.875, 0.75, 0.625], after=3, patience=2, min_delta=0.25)
    best(exercise, [1.0, 0.875, 0.5], 0.5, 3, patience=9, min_delta=0.25)
    stops(exercise, [1.0, 0.75, 0.75], after=3, patience=2, min_delta=0.25)


def case_threshold(exercise):
    """at or below the threshold it stops at once, also if the threshold is 0"""
    stops(exercise, [0.9, 0.25, 0.1], after=2, patience=9, threshold=0.25)
    stops(exercise, [0.9, 0.0, 0.1], after=2, patience=9, threshold=0.0)
    stops(exercise, [0.9, NAN, 0.8], after=None, patience=9, threshold=0.1)
    stops(exercise, [0.9, -0.5, -0.6], after=None, patience=9)
