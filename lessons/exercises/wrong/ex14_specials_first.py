"""Whatever lies behind the first few ids is taken for ordinary: true here, not in BERT."""

import numpy as np

IGNORED = -100


def mask_tokens(ids, special, mask_id, vocab_size, rng):
    draw = np.where(np.isin(ids, special), np.inf, rng.random(ids.shape))
    lowest = draw.min(axis=1, keepdims=True)
    chosen = (draw < 0.15) | ((draw == lowest) & np.isfinite(draw))
    labels = np.where(chosen, ids, IGNORED)
    ordinary = np.arange(len(special), vocab_size)
    fate, random_ids = rng.random(ids.shape), rng.choice(ordinary, ids.shape)
    replaced = np.where(fate < 0.8, mask_id, np.where(fate < 0.9, random_ids, ids))
    return np.where(chosen, replaced, ids), labels
