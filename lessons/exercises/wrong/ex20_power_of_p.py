"""p^gamma in place of (1 - p)^gamma: the easy rows count, the hard ones are forgotten."""

import numpy as np


def class_weights(labels, classes):
    return len(labels) / (classes * np.bincount(labels, minlength=classes))


def focal_loss(scores, target, gamma):
    log_p = scores[np.arange(len(scores)), target] - log_sum_exp(scores)
    return (-(np.exp(log_p) ** gamma) * log_p).mean()


def log_sum_exp(rows):
    largest = rows.max(axis=1)
    return largest + np.log(np.exp(rows - largest[:, None]).sum(axis=1))
