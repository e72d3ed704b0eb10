"""The token that a row must give is chosen after the hiding: the model sees its answer."""

import numpy as np

IGNORED = -100


def mask_tokens(ids, special, mask_id, vocab_size, rng):
    draw = np.where(np.isin(ids, special), np.inf, rng.random(ids.shape))
    lowest = draw.min(axis=1, keepdims=True)
    forced = (draw == lowest) & np.isfinite(draw)
    chosen = draw < 0.15
    labels = np.where(chosen | forced, ids, IGNORED)
    ordinary = np.setdiff1d(np.arange(vocab_size), special)
    fate, random_ids = rng.random(ids.shape), rng.choice(ordinary, ids.shape)
    replaced = np.where(fate < 0.8, mask_id, np.where(fate < 0.9, random_ids, ids))
    return np.where(chosen, replaced, ids), labels
