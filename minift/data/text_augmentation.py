"""Texts changed at random: tokens left out, so that no single word decides.

Iyyer et al. 2015 (word dropout). Unlike masking nothing tells the model where something is missing;
the rest closes up. For few labels, or as a second view beside SimCSE's dropout; a class that hangs
on one word ("not good") may change with it.

Not here: images (`augmentation.py`), hiding words to ask for them (`masking.py`).
"""

from typing import Any, Protocol

import numpy as np

from minift.data.datasets import Batch


class SpecialVocabulary(Protocol):
    """What dropping needs of a tokenizer."""

    @property
    def special_ids(self) -> Any: ...

    pad_id: int


def drop_tokens(
    batch: Batch, tokenizer: SpecialVocabulary, rate: float = 0.1, *, rng: np.random.Generator
) -> Batch:
    """Leave out each token that is not special with probability `rate`; a text keeps at least one.

    Changes input_ids, attention_mask and token_type_ids (B, T), which become as long as the longest
    text that is left; everything else in the batch is passed through. Raises ValueError unless
    0 <= rate < 1.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"drop_tokens: rate must lie in [0, 1), got {rate}")
    ids, real = batch["input_ids"], batch["attention_mask"] == 1  # (B, T) each
    ordinary = real & ~np.isin(ids, tokenizer.special_ids)
    draw = np.where(ordinary, rng.random(ids.shape), -1.0)
    # The highest draw is evenly placed; it stays even where all were dropped.
    highest = draw.max(axis=1, keepdims=True, initial=-1.0)  # (B, 1)
    kept = real & (~ordinary | (draw >= rate) | (draw == highest))
    order = np.argsort(~kept, axis=1, kind="stable")[:, : kept.sum(1).max(initial=0)]  # (B, T')
    left = np.take_along_axis(kept, order, 1)
    new = {"attention_mask": left.astype(np.int64)}
    for name, padding in (("input_ids", tokenizer.pad_id), ("token_type_ids", 0)):
        if name in batch:
            new[name] = np.where(left, np.take_along_axis(batch[name], order, 1), padding)
    return batch | new


class DroppingCollator:
    """A `collate_fn` that drops tokens of every batch anew, from its own generator.

    Its state goes with the DataLoader's.
    """

    def __init__(self, tokenizer: SpecialVocabulary, rate: float = 0.1, seed: int = 0) -> None:
        self.tokenizer, self.rate = tokenizer, rate
        self.rng = np.random.default_rng(seed)

    def __call__(self, batch: Batch) -> Batch:
        return drop_tokens(batch, self.tokenizer, self.rate, rng=self.rng)

    def state_dict(self) -> dict[str, Any]:
        """The generator's state: plain numbers, fit for JSON."""
        return {"generator": self.rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the draws that would have come next."""
        self.rng.bit_generator.state = state["generator"]
