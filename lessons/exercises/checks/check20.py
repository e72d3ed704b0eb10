"""Checks of exercise 20: the focal loss in plain loops, and at its limits."""

import math

import numpy as np

from minift.learn import same, true

RNG = np.random.default_rng(20)
SCORES, TARGET = RNG.normal(size=(12, 4)) * 2, RNG.integers(0, 4, 12)
LABELS = np.array([0] * 19 + [1])


def in_loops(scores, target, gamma):
    """The formula, one row at a time."""
    total = 0.0
    for row, right in zip(scores, target):
        p = math.exp(row[right]) / sum(math.exp(score) for score in row)
        total -= (1 - p) ** gamma * math.log(p)
    return total / len(scores)


def case_the_rare_class_weighs_more(exercise):
    """w_c is N / (C n_c): 19 rows of one class and 1 of the other"""
    same("weights of two classes with 19 rows and 1 row", exercise.class_weights(LABELS, 2),
         [20 / 38, 10.0])  # fmt: skip


def case_a_row_weighs_1_in_the_mean(exercise):
    """both classes weigh the same together, and a row weighs 1 in the mean over the rows"""
    labels = np.array([2, 0, 1, 2, 2, 1, 2, 2, 2, 2])
    weights = np.asarray(exercise.class_weights(labels, 3))
    same("three classes with 1, 2 and 7 rows: what each class weighs in all",
         weights * [1, 2, 7], [10 / 3] * 3)  # fmt: skip
    same("three equal classes", exercise.class_weights(np.arange(30) % 3, 3), [1, 1, 1])


def case_gamma_0_is_cross_entropy(exercise):
    """with gamma = 0 every row counts fully: it is cross-entropy"""
    same("12 random rows of 4 scores, gamma = 0, beside cross-entropy in plain loops",
         exercise.focal_loss(SCORES, TARGET, 0), in_loops(SCORES, TARGET, 0))  # fmt: skip


def case_a_sure_row_hardly_counts(exercise):
    """p = 0.9 with gamma = 2: the row counts a hundredth of its cross-entropy"""
    scores = np.log([[0.1, 0.9]])
    same("one row with p = 0.9 for the right class, gamma = 2",
         exercise.focal_loss(scores, np.array([1]), 2), -0.01 * math.log(0.9))  # fmt: skip


def case_a_hard_row_counts(exercise):
    """p = 0.1 with gamma = 2: the row counts nearly as much as in cross-entropy"""
    scores = np.log([[0.1, 0.9]])
    same("one row with p = 0.1 for the right class, gamma = 2",
         exercise.focal_loss(scores, np.array([0]), 2), -0.81 * math.log(0.1))  # fmt: skip


def case_the_formula(exercise):
    """the mean over the rows, whatever gamma is"""
    for gamma in (0.5, 1, 2, 5):
        same(f"12 random rows of 4 scores, gamma = {gamma}, beside plain loops",
             exercise.focal_loss(SCORES, TARGET, gamma),
             in_loops(SCORES, TARGET, gamma))  # fmt: skip


def case_huge_scores(exercise):
    """a score of 10,000 is a number like any other: lesson 05 says how"""
    scores = np.array([[1e4, 0.0, -1e4]])
    for right, loss in ((0, 0.0), (1, 1e4), (2, 2e4)):
        same(f"scores (10000, 0, -10000), the right class is {right}, gamma = 2",
             exercise.focal_loss(scores, np.array([right]), 2), loss)  # fmt: skip


def case_your_input_stays(exercise):
    """the function reads its arguments and changes nothing in them"""
    kept = SCORES.copy()
    exercise.focal_loss(SCORES, TARGET, 2)
    true("the scores were changed by the call", np.array_equal(SCORES, kept))
