"""Generator: text, token by token, from a model of the next one.

The distribution of the next token is sharpened or flattened by a temperature, cut to the likeliest
ones, and drawn from. With a cache of keys and values each step reads one token; without, it reads
all of them again, which must give the same and is how the cache is tested.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minift.backend import random
from minift.models.inputs import integers
from minift.nn import Module
from minift.tensor import Tensor, no_grad


class Generator(Module):
    """A model that knows `next_scores(ids, cache)` and the `new_cache(capacity)` for it."""

    config: Any

    def next_scores(self, ids: np.ndarray, cache: Any) -> Tensor:
        """Scores of the token after the last, (B, T) -> (B, V)."""
        raise NotImplementedError(f"{type(self).__name__} defines no next_scores()")

    def new_cache(self, capacity: int) -> Any:
        """A cache for so many tokens."""
        raise NotImplementedError(f"{type(self).__name__} defines no new_cache()")

    @no_grad()
    def generate(
        self,
        ids: Any,
        max_new_tokens: int = 20,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        use_cache: bool = True,
    ) -> np.ndarray:
        """Ids (B, T), or (T,) of one text -> the same with up to `max_new_tokens` more.

        `temperature` divides the scores: below 1 is bolder, 0 takes the likeliest token always.
        `top_k` and `top_p` leave only the likeliest tokens, see `next_distribution`. A text that
        has said `config.eos_token_id` says nothing else; when all have, it ends. One `seed`, one
        result; without, the draws go on from `manual_seed`. Raises ValueError for settings out of
        range and for more tokens than the model has positions.
        """
        given = integers("ids", ids)
        tokens = given[None] if given.ndim == 1 else given  # (B, T)
        check_settings(temperature, top_k, top_p)
        self.check_room(tokens, max_new_tokens)
        rng = random.generator("generate") if seed is None else np.random.default_rng(seed)
        cache = self.new_cache(tokens.shape[1] + max_new_tokens) if use_cache else None
        end = -1 if self.config.eos_token_id is None else self.config.eos_token_id
        ended = np.zeros(len(tokens), bool)
        with self.evaluating():
            scores = self.next_scores(tokens, cache)
            for left in reversed(range(max_new_tokens)):
                chosen = choose(scores.numpy(), temperature, top_k, top_p, rng)  # (B,)
                new = np.where(ended, end, chosen)
                tokens = np.concatenate([tokens, new[:, None]], axis=1)  # (B, T + 1)
                ended |= new == end
                if ended.all() or not left:
                    break
                scores = self.next_scores(tokens if cache is None else new[:, None], cache)
        return tokens[0] if given.ndim == 1 else tokens

    def check_room(self, tokens: np.ndarray, max_new_tokens: int) -> None:
        """Raise ValueError if prompt and answer do not fit into the model."""
        if not isinstance(max_new_tokens, int) or max_new_tokens < 1:
            raise ValueError(f"generate: max_new_tokens must be 1 or more, got {max_new_tokens!r}")
        room = self.config.n_positions - tokens.shape[-1]
        if max_new_tokens > room:
            raise ValueError(
                f"generate: a prompt of {tokens.shape[-1]} tokens leaves room for {max(room, 0)} "
                f"new ones in this model ({self.config.n_positions} positions), asked were "
                f"{max_new_tokens}"
            )


def check_settings(temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Raise ValueError for settings that leave no distribution."""
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"generate: temperature must be 0 or more, got {temperature}")
    if top_k is not None and (not isinstance(top_k, int) or top_k < 1):
        raise ValueError(f"generate: top_k must be a whole number of at least 1, got {top_k!r}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"generate: top_p must lie in (0, 1], got {top_p}")


def choose(
    scores: np.ndarray,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    rng: np.random.Generator,
) -> np.ndarray:
    """One token for each row of scores, (B, V) -> (B,)."""
    if temperature == 0:
        return scores.argmax(axis=-1)
    p = next_distribution(scores, temperature, top_k, top_p)
    cumulative = p.cumsum(axis=-1)  # (B, V)
    draw = rng.random((len(p), 1)) * cumulative[:, -1:]
    return (cumulative <= draw).sum(axis=-1)  # the first whose share reaches beyond the draw


def next_distribution(
    scores: np.ndarray,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> np.ndarray:
    """softmax(scores / temperature) of the likeliest tokens, in float64; the others get 0.

    `top_k` leaves the k likeliest (Fan et al. 2018), ties of the last included. `top_p` leaves the
    fewest whose probabilities reach p together (Holtzman et al. 2020); it comes after top_k.
    """
    below = scores.astype(np.float64) - scores.max(axis=-1, keepdims=True)  # (B, V), at most 0
    with np.errstate(over="ignore"):  # a tiny temperature leaves the likeliest alone
        z = below / temperature
    if top_k is not None and top_k < z.shape[-1]:
        least = -np.partition(-z, top_k - 1, axis=-1)[:, top_k - 1 : top_k]  # (B, 1)
        z = np.where(z < least, -np.inf, z)
    p = softmax(z)
    if top_p is None:
        return p
    order = np.argsort(-p, axis=-1, kind="stable")
    ranked = np.take_along_axis(p, order, axis=-1)
    before = ranked.cumsum(axis=-1) - ranked  # what stands before each token
    kept = np.empty(p.shape, bool)
    np.put_along_axis(kept, order, before < top_p, axis=-1)
    return softmax(np.where(kept, z, -np.inf))


def softmax(z: np.ndarray) -> np.ndarray:
    """On the host in float64, for scores of at most 0; -inf stands for a token that is out."""
    e = np.exp(z)
    return e / e.sum(axis=-1, keepdims=True)
