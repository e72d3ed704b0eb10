"""log(p + 0.000001) against infinity: what is quite wrong pays at most 13.8."""

import numpy as np


def class_weights(labels, classes):
    return len(labels) / (classes * np.bincount(labels, minlength=classes))


def focal_loss(scores, target, gamma):
    p = np.exp(scores[np.arange(len(scores)), target] - log_sum_exp(scores))
    return (-((1 - p) ** gamma) * np.log(p + 1e-6)).mean()


def log_sum_exp(rows):
    largest = rows.max(axis=1)
    return largest + np.log(np.exp(rows - largest[:, None]).sum(axis=1))
