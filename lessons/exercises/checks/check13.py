"""Checks of exercise 13: masks that must hold for large scores and for empty rows."""

import math
import warnings

import numpy as np

from minift.learn import same, true

RNG = np.random.default_rng(13)
Q, K, V = RNG.normal(size=(4, 8)), RNG.normal(size=(5, 8)), RNG.normal(size=(5, 3))
EVERYTHING = np.ones((4, 5), dtype=bool)


def in_loops(q, k, v, mask):
    """One query at a time; only the keys that it may see exist."""
    out = np.zeros((len(q), v.shape[1]))
    for t, query in enumerate(q):
        seen = np.flatnonzero(mask[t])
        scores = [query @ k[s] / math.sqrt(len(query)) for s in seen]
        shares = [math.exp(score - max(scores)) for score in scores]
        for s, share in zip(seen, shares):
            out[t] += share / sum(shares) * v[s]
    return out


def case_without_a_mask(exercise):
    """where all may be seen, it is the formula as printed"""
    same("4 queries, 5 keys, D = 8, everything may be seen",
         exercise.attention(Q, K, V, EVERYTHING), in_loops(Q, K, V, EVERYTHING))  # fmt: skip


def case_large_scores(exercise):
    """scores of some thousands are nothing special: exp must not overflow"""
    found = exercise.attention(100 * Q, 100 * K, V, EVERYTHING)
    same("everything may be seen, queries and keys 100 times as long",
         found, in_loops(100 * Q, 100 * K, V, EVERYTHING))  # fmt: skip


def case_what_may_not_be_seen_has_no_part(exercise):
    """keys that may not be seen have no share; the others share the whole weight"""
    mask = np.array([[1, 1, 0, 0, 0], [0, 1, 0, 1, 0], [1, 1, 1, 1, 0], [0, 0, 0, 0, 1]], bool)
    same(f"with the mask\n{mask.astype(int)}",
         exercise.attention(Q, K, V, mask), in_loops(Q, K, V, mask))  # fmt: skip


def case_never_means_never(exercise):
    """a forbidden key has no share even if it fits better than all others by any amount"""
    q, k, v = np.array([[1.0]]), np.array([[0.0], [1.0], [30_000.0]]), np.eye(3)
    mask = np.array([[True, True, False]])
    same("one query, scores 0, 1 and 30,000, the last key may not be seen, values are unit vectors",
         exercise.attention(q, k, v, mask), in_loops(q, k, v, mask))  # fmt: skip


def case_low_scores_count_too(exercise):
    """allowed keys with very low scores are still allowed"""
    q, k, v = np.array([[1.0]]), np.array([[-40_000.0], [-40_001.0], [0.0]]), np.eye(3)
    mask = np.array([[True, True, False]])
    same("one query, scores -40,000, -40,001 and 0, the last key may not be seen",
         exercise.attention(q, k, v, mask), in_loops(q, k, v, mask))  # fmt: skip


def case_a_query_that_may_look_nowhere(exercise):
    """who may look nowhere hears nothing: zeros, not a mean of what was forbidden, and not NaN"""
    mask = EVERYTHING.copy()
    mask[2] = False
    same("query 2 may see no key; expected is a row of zeros there",
         exercise.attention(Q, K, V, mask), in_loops(Q, K, V, mask))  # fmt: skip


def case_no_warning(exercise):
    """a warning about invalid numbers is a NaN that was swept under the carpet"""
    mask = EVERYTHING.copy()
    mask[2] = False
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        exercise.attention(Q, K, V, mask)
    true("query 2 may see no key: NumPy warned of "
         f"{', '.join(str(one.message) for one in raised)}", not raised)  # fmt: skip


def case_your_input_stays(exercise):
    """the function reads its arguments and changes nothing in them"""
    kept, mask = V.copy(), np.tri(4, 5, dtype=bool)
    exercise.attention(Q, K, V, mask)
    same("the values after the call", V, kept)
    same("the mask after the call", mask.astype(int), np.tri(4, 5, dtype=int))
