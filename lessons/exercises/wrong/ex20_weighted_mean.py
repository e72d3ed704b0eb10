"""Divided by the sum of the factors, as with class weights: all hard or all easy, no matter."""

import numpy as np


def class_weights(labels, classes):
    return len(labels) / (classes * np.bincount(labels, minlength=classes))


def focal_loss(scores, target, gamma):
    log_p = scores[np.arange(len(scores)), target] - log_sum_exp(scores)
    factor = (1 - np.exp(log_p)) ** gamma
    return (-factor * log_p).sum() / factor.sum()


def log_sum_exp(rows):
    largest = rows.max(axis=1)
    return largest + np.log(np.exp(rows - largest[:, None]).sum(axis=1))
