"""10 % of all chosen are replaced after 80 % were hidden: hidden ones come back, 72/10/18."""

import numpy as np

IGNORED = -100


def mask_tokens(ids, special, mask_id, vocab_size, rng):
    draw = np.where(np.isin(ids, special), np.inf, rng.random(ids.shape))
    lowest = draw.min(axis=1, keepdims=True)
    chosen = (draw < 0.15) | ((draw == lowest) & np.isfinite(draw))
    labels = np.where(chosen, ids, IGNORED)
    ordinary = np.setdiff1d(np.arange(vocab_size), special)
    replaced = np.where(rng.random(ids.shape) < 0.8, mask_id, ids)
    random_ids = rng.choice(ordinary, ids.shape)
    replaced = np.where(rng.random(ids.shape) < 0.1, random_ids, replaced)
    return np.where(chosen, replaced, ids), labels
