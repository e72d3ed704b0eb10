"""Exactly 15 % of each row, the lowest draws: the texts lose their chance."""

import numpy as np

IGNORED = -100


def mask_tokens(ids, special, mask_id, vocab_size, rng):
    draw = np.where(np.isin(ids, special), np.inf, rng.random(ids.shape))
    wanted = np.maximum(1, np.round(0.15 * np.isfinite(draw).sum(axis=1, keepdims=True)))
    chosen = (draw.argsort(axis=1).argsort(axis=1) < wanted) & np.isfinite(draw)
    labels = np.where(chosen, ids, IGNORED)
    ordinary = np.setdiff1d(np.arange(vocab_size), special)
    fate, random_ids = rng.random(ids.shape), rng.choice(ordinary, ids.shape)
    replaced = np.where(fate < 0.8, mask_id, np.where(fate < 0.9, random_ids, ids))
    return np.where(chosen, replaced, ids), labels
