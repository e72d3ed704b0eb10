"""Macro-F1 taken for the share of right answers."""

import numpy as np


def grouped_stratified_split(labels, groups, share, rng):
    """Choose the rows of the test: (n,) of True and False."""
    classes = np.unique(labels)
    room = {c: share * (labels == c).sum() for c in classes}
    test = np.zeros(len(labels), bool)
    for group in rng.permutation(np.unique(groups)):
        rows = groups == group
        held = {c: (labels[rows] == c).sum() for c in classes}
        if all(held[c] <= room[c] for c in classes):
            test |= rows
            room = {c: room[c] - held[c] for c in classes}
    return test


def macro_f1(true, predicted):
    """Mean, over the classes that occur in either array, of 2 · right / (predicted + true)."""
    return np.mean(true == predicted)
