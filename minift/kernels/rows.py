"""Softmax, cross-entropy and the sum of rows that share an id, on NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from minift.kernels.threads import in_parts
from minift.kernels.tiles import tiles

STEPS = 6  # elementary steps an element
ROUNDS = 8  # of `scatter_rows`


def softmax(x: np.ndarray, *, axis: int) -> tuple[np.ndarray, Any]:
    """exp(x) / Σ exp(x) along `axis`; keeps only y."""
    last = np.moveaxis(x, axis, -1)
    y = np.empty(last.shape, x.dtype)
    flat, out = last.reshape(-1, last.shape[-1]), y.reshape(-1, last.shape[-1])

    def work(part: slice) -> None:
        for s in tiles(part, flat.shape[1]):
            np.subtract(flat[s], finite_top("softmax", flat[s]), out=out[s])
            exp_over_sum(out[s])

    in_parts(work, len(flat), STEPS * flat.shape[1])

    def to_x(g: np.ndarray) -> np.ndarray:
        g_last = np.moveaxis(g, axis, -1)
        gx = g_last - np.vecdot(g_last, y)[..., None]
        gx *= y
        return np.moveaxis(gx, -1, axis)

    return np.moveaxis(y, -1, axis), (to_x,)


def finite_top(name: str, rows: np.ndarray) -> np.ndarray:
    """Largest value of each row, (N, 1). Raises ValueError where it is infinite."""
    top = rows.max(axis=-1, keepdims=True)
    if np.isinf(top).any():
        raise ValueError(f"{name}: a row's largest value is infinite, so it has no distribution")
    return top


def exp_over_sum(z: np.ndarray) -> np.ndarray:
    """In place: z becomes exp(z) / Σ exp(z) over the last axis; returns the sums."""
    np.exp(z, out=z)
    total = z @ np.ones(z.shape[-1], z.dtype)
    z *= np.reciprocal(total)[..., None]
    return total


def cross_entropy(logits: np.ndarray, *, target: np.ndarray) -> tuple[np.ndarray, Any]:
    """−log softmax(logits)[target] for each row of (N, C); keeps only the probabilities."""
    N, C = logits.shape
    p = np.empty((N, C), logits.dtype)
    loss = np.empty(N, logits.dtype)

    def work(part: slice) -> None:
        for s in tiles(part, C):
            z = p[s]
            np.subtract(logits[s], finite_top("cross_entropy", logits[s]), out=z)
            right = z[np.arange(len(z)), target[s]]
            loss[s] = np.log(exp_over_sum(z)) - right

    in_parts(work, N, STEPS * C)

    def to_logits(g: np.ndarray) -> np.ndarray:
        gx = np.empty_like(p)

        def work(s: slice) -> None:
            np.multiply(p[s], g[s, None], out=gx[s])

        in_parts(work, N, C)
        gx[np.arange(N), target] -= g
        return gx

    return loss, (to_logits,)


def scatter_rows(g: np.ndarray, *, ids: np.ndarray, n_rows: int) -> tuple[np.ndarray, Any]:
    """y[ids[i]] += g[i] for (N, C): in round k the k-th row of every id, none of which is twice.

    Few ids have more than `ROUNDS` rows; theirs are summed one id after the other.
    """
    y = np.zeros((n_rows, g.shape[-1]), g.dtype)
    order = np.argsort(ids, kind="stable")
    ordered = ids[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]][: len(ids)])
    counts = np.diff(np.r_[starts, len(ids)])
    for k in range(min(ROUNDS, counts.max(initial=0))):
        rows = starts[counts > k] + k
        y[ordered[rows]] += g[order[rows]]
    for start, count in zip(starts[counts > ROUNDS], counts[counts > ROUNDS]):
        y[ordered[start]] += g[order[start + ROUNDS : start + count]].sum(axis=0)
    return y, (lambda h: h[ids],)
