"""Solution 07: groups in random order, each into the test if all of its classes have room there."""

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
    each = []
    for c in np.union1d(true, predicted):
        right = ((true == c) & (predicted == c)).sum()
        each.append(2 * right / ((true == c).sum() + (predicted == c).sum()))
    return np.mean(each)
