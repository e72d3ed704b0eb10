"""The masked-language-modelling task: hide some tokens, ask for them back.

Devlin et al. 2018 (arXiv:1810.04805), section 3.1: 15 % of the tokens are chosen; of these 80 %
become [MASK], 10 % a random token, and 10 % stay, so that a model cannot know which tokens it
may trust and has to represent all of them. The choice is made anew whenever a batch is drawn
(Liu et al. 2019, RoBERTa, arXiv:1907.11692, section 4.1: dynamic masking).

Not here: the loss over the labels (`minift.objectives`).
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

IGNORED = -100  # the label of a token that is not asked for: cross_entropy's ignore_index
MASKED_SHARE, RANDOM_SHARE = 0.8, 0.1  # of the chosen tokens; the rest stay


class MaskableVocabulary(Protocol):
    """What masking needs of a tokenizer."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def special_ids(self) -> Sequence[int]: ...
    @property
    def continuation_ids(self) -> Sequence[int]: ...

    mask_id: int


def mask_tokens(
    input_ids: np.ndarray,
    tokenizer: MaskableVocabulary,
    rate: float = 0.15,
    whole_words: bool = False,
    *,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Hide tokens of (B, T) ids: (ids with tokens hidden, labels), both int64 (B, T).

    Every token that is not special (padding and [UNK] are) is chosen with probability `rate`. A
    row in which none was chosen gives one token, drawn evenly, if it has any; for texts of few
    tokens the true rate is therefore higher (.24 for five). With `whole_words`, words are chosen in
    this way, each with all its pieces: to guess ##ding after embed teaches little (Devlin's
    note of May 2019 on BERT's repository). Labels hold the original id where a token was chosen and
    -100 elsewhere. `input_ids` is left as it was. Raises ValueError unless 0 < rate <= 1 and the
    ids are integers of two dimensions.
    """
    if not 0 < rate <= 1:
        raise ValueError(f"mask_tokens: rate must lie in (0, 1], got {rate}")
    if np.ndim(input_ids) != 2 or not np.issubdtype(np.asarray(input_ids).dtype, np.integer):
        raise ValueError(
            f"mask_tokens: input_ids must be integers (B, T), got {np.asarray(input_ids).dtype} "
            f"of shape {np.shape(input_ids)}"
        )
    ids = np.array(input_ids, np.int64)  # a copy
    maskable = ~np.isin(ids, tokenizer.special_ids)  # (B, T)
    draw = rng.random(ids.shape)  # (B, T)
    if whole_words:
        draw = _of_first_pieces(draw, np.isin(ids, tokenizer.continuation_ids))
    chosen = _choose(maskable, draw, rate)  # (B, T)
    labels = np.where(chosen, ids, IGNORED)
    rows, columns = np.nonzero(chosen)  # (N,) each: the rest of the work is per chosen token
    ids[rows, columns] = _replace(ids[rows, columns], tokenizer, rng)
    return ids, labels


def _of_first_pieces(draw: np.ndarray, continues: np.ndarray) -> np.ndarray:
    """Every piece gets the draw of its word's first, (B, T).

    A text may be cut inside a word: the pieces that open it have the draw of the special token
    before them, which serves nobody else.
    """
    places = np.where(continues, 0, np.arange(draw.shape[1]))
    first = np.maximum.accumulate(places, axis=1)  # (B, T): where each piece's word begins
    return np.take_along_axis(draw, first, axis=1)


def _choose(maskable: np.ndarray, draw: np.ndarray, rate: float) -> np.ndarray:
    """Each maskable place whose draw is below `rate`, and at least the lowest of a row."""
    draw = np.where(maskable, draw, np.inf)  # (B, T)
    # The lowest draw is evenly placed; where any was chosen, it was.
    lowest = draw.min(axis=1, keepdims=True, initial=np.inf)  # (B, 1)
    return maskable & ((draw < rate) | (draw == lowest))


def _replace(
    ids: np.ndarray, tokenizer: MaskableVocabulary, rng: np.random.Generator
) -> np.ndarray:
    """80 % [MASK], 10 % any token that is not special, 10 % as they are; (N,)."""
    ordinary = np.delete(np.arange(tokenizer.vocab_size), tokenizer.special_ids)
    if not len(ids):  # nor need there be an ordinary token to draw from
        return ids
    fate = rng.random(ids.shape)
    random_ids = rng.choice(ordinary, ids.shape)
    kept = np.where(fate < MASKED_SHARE + RANDOM_SHARE, random_ids, ids)
    return np.where(fate < MASKED_SHARE, tokenizer.mask_id, kept)


class MaskingCollator:
    """A `collate_fn` for pre-training: a batch of texts, masked from its own generator.

    Replaces `input_ids` and adds `labels`. Its state goes with the DataLoader's, so that a resumed
    run hides the same tokens.
    """

    def __init__(
        self,
        tokenizer: MaskableVocabulary,
        rate: float = 0.15,
        seed: int = 0,
        whole_words: bool = False,
    ) -> None:
        self.tokenizer = tokenizer
        self.rate, self.whole_words = rate, whole_words
        self.rng = np.random.default_rng(seed)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        ids, labels = mask_tokens(
            batch["input_ids"], self.tokenizer, self.rate, self.whole_words, rng=self.rng
        )
        return batch | {"input_ids": ids, "labels": labels}

    def state_dict(self) -> dict[str, Any]:
        """The generator's state: plain numbers, fit for JSON."""
        return {"generator": self.rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the draws that would have come next."""
        self.rng.bit_generator.state = state["generator"]
