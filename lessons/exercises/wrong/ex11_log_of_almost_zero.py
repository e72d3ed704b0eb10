"""A small number inside the logarithm against log 0: no view can pay more than 20."""

import numpy as np


def cosine_similarities(z):
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    return unit @ unit.T


def nt_xent(first, second, temperature):
    N = len(first)
    scores = cosine_similarities(np.concatenate([first, second])) / temperature
    np.fill_diagonal(scores, -np.inf)
    rows = np.arange(2 * N)
    p = np.exp(scores - log_sum_exp(scores)[:, None])
    return -np.log(p[rows, (rows + N) % (2 * N)] + 1e-9).mean()


def log_sum_exp(rows):
    largest = rows.max(axis=1)
    return largest + np.log(np.exp(rows - largest[:, None]).sum(axis=1))
