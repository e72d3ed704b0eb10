"""Checks of exercise 07: nothing on both sides, every class in its share, every class counted."""

import numpy as np

from minift.learn import same, true

SHARE = 0.25


def data():
    """1,000 rows in 125 groups of 8; 4 classes, the last with 40 rows; some groups are mixed."""
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1, 2, 3], [500, 300, 160, 40])
    groups = np.arange(1000) // 8
    mixed = rng.permutation(1000)[:60]
    labels[mixed] = labels[rng.permutation(mixed)]
    return labels, groups


def split(exercise, seed):
    labels, groups = data()
    rng = np.random.default_rng(seed)
    test = exercise.grouped_stratified_split(labels.copy(), groups.copy(), SHARE, rng)
    true(f"the split should be an array of True and False, one for each of 1,000 rows; yours is "
         f"{type(test).__name__} {getattr(test, 'shape', '')}",
         isinstance(test, np.ndarray) and test.shape == (1000,) and test.dtype == bool)  # fmt: skip
    return test


def case_groups_stay_together(exercise):
    """no group stands on both sides: its rows are copies or neighbours of each other"""
    groups = data()[1]
    for seed in range(3):
        test = split(exercise, seed)
        both = np.intersect1d(groups[test], groups[~test])
        true(f"125 groups, {SHARE:.0%} for the test, seed {seed}: {len(both)} groups stand on both "
             f"sides, for example {both[:5].tolist()}", not len(both))  # fmt: skip


def case_each_class_gets_its_share(exercise):
    """each class has its share in the test, a rare one too"""
    labels = data()[0]
    rows = np.bincount(labels)
    for seed in range(5):
        found = np.bincount(labels[split(exercise, seed)], minlength=4)
        wanted = SHARE * rows
        true(f"rows of each class in the test, of {rows.tolist()} rows, with seed {seed}\n"
             f"  yours:    {found.tolist()}\n  expected: about {wanted.tolist()}, not more",
             (found <= wanted + 1).all() and (found >= wanted - 8).all() and found[3])  # fmt: skip


def case_left_to_chance(exercise):
    """which groups are tested is left to the generator, and to nothing else"""
    first, again, other = split(exercise, 0), split(exercise, 0), split(exercise, 1)
    true("the same seed should choose the same rows, and it did not", (first == again).all())
    true("seeds 0 and 1 chose the same rows: rows at the front are tested every time",
         (first != other).any())  # fmt: skip


def case_f1_of_two_classes(exercise):
    """F1 of a class is 2 · right / (predicted + true)"""
    t, p = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    same("macro-F1 for true [0, 0, 0, 1], predicted [0, 0, 1, 1]",
         exercise.macro_f1(t, p), (0.8 + 2 / 3) / 2)  # fmt: skip


def case_every_class_counts_the_same(exercise):
    """a rare class counts as much as a frequent one"""
    t = np.array([0] * 98 + [1, 1])
    p = np.zeros(100, int)
    same("macro-F1 where 98 rows are 0, 2 are 1, and 0 is always predicted",
         exercise.macro_f1(t, p), (196 / 198) / 2)  # fmt: skip


def case_classes_that_occur(exercise):
    """a class that is only predicted, or only true, counts 0; others do not count at all"""
    t, p = np.array([0, 0, 5, 5]), np.array([0, 0, 5, 7])
    same("macro-F1 for true [0, 0, 5, 5], predicted [0, 0, 5, 7]",
         exercise.macro_f1(t, p), (1 + 2 / 3 + 0) / 3)  # fmt: skip
