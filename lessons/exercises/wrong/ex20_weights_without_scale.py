"""1 / n_c alone: the mean weight of a row is far below 1, and so is the step of the optimizer."""

import numpy as np


def class_weights(labels, classes):
    return 1 / np.bincount(labels, minlength=classes)


def focal_loss(scores, target, gamma):
    log_p = scores[np.arange(len(scores)), target] - log_sum_exp(scores)
    return (-((1 - np.exp(log_p)) ** gamma) * log_p).mean()


def log_sum_exp(rows):
    largest = rows.max(axis=1)
    return largest + np.log(np.exp(rows - largest[:, None]).sum(axis=1))
