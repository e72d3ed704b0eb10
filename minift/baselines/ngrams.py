"""The next token from the n − 1 before it, by counting: what a language model has to beat.

Interpolated Kneser-Ney (Kneser & Ney 1995; Chen & Goodman 1999, section 2.7): with h the n − 1
tokens before w, h' the same without its first, and c the counts of the text,

    P_n(w | h) = max(c(hw) − D, 0) / c(h) + D · types(h) / c(h) · P_{n−1}(w | h').

`types(h)` is how many different tokens followed h. Below the highest order, c(hw) is not how often
hw stood there but after how many different tokens: "Francisco" is frequent, yet only after "San".
P_0 = 1/V, so that no token has probability 0; a history that never came up leaves P_n = P_{n−1}.

Not here: a model that learns (`models/gpt2.py`). Tokens are integers 0 … V − 1: a tokenizer's, or
characters (`character_nats`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Order(NamedTuple):
    """The counts of one n: rows are the different n-grams, in the order of their keys.

    `keys` (G,): (row of the first n − 1 tokens among the (n − 1)-grams) · V + the last token.
    `counts` (G,); of each history, (rows of order n − 1,): `totals` and `types`; the discount D.
    """

    keys: np.ndarray
    counts: np.ndarray
    totals: np.ndarray
    types: np.ndarray
    discount: float


class NGram:
    """Interpolated Kneser-Ney of the order n = `order` over V = `vocab_size` tokens.

    `ids` (M,) is the text to count, documents one after the other. Raises ValueError for an empty
    text, an order below 1 and ids outside the vocabulary.
    """

    def __init__(self, ids: np.ndarray, vocab_size: int, order: int = 3) -> None:
        if order < 1:
            raise ValueError(f"NGram: order must be 1 or more, got {order}")
        self.vocab_size = vocab_size
        self.orders: list[Order] = []
        tokens = self._checked(ids)
        histories = np.zeros(len(tokens), np.int64)  # of order 0 there is one
        found: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
        for n in range(1, min(order, len(tokens)) + 1):
            keys = histories[n - 1 :] * vocab_size + tokens[n - 1 :]
            unique = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
            found.append(unique)
            rows = np.full(len(tokens), -1)  # of the n-gram that ends at each place
            rows[n - 1 :] = unique[2].reshape(-1)
            histories = np.concatenate([[-1], rows[:-1]])
        for n, (keys, _, rows, counts) in enumerate(found, start=1):
            if n < len(found):  # after how many tokens: one for each longer n-gram that ends so
                longer = found[n][1]  # where each of them first stands, from the n-th token on
                counts = np.bincount(rows.reshape(-1)[longer + 1], minlength=len(keys))
            size = 1 if n == 1 else len(found[n - 2][0])
            self.orders.append(_order(keys, counts, vocab_size, size))

    def log_probabilities(self, ids: np.ndarray) -> np.ndarray:
        """log P of each token after those before it, (M,) float64, in nats.

        The first tokens have shorter histories: what stands before the text is not known.
        """
        tokens = self._checked(ids)
        p = np.full(len(tokens), 1 / self.vocab_size)
        histories = np.zeros(len(tokens), np.int64)
        for order in self.orders:
            p, rows = _interpolated(order, histories, tokens, p, self.vocab_size)
            histories = np.concatenate([[-1], rows[:-1]])
        return np.log(p)

    def nats(self, ids: np.ndarray) -> float:
        """Mean −log P a token of a text, usually a held-out one."""
        return float(-self.log_probabilities(ids).mean())

    def _checked(self, ids: np.ndarray) -> np.ndarray:
        tokens = np.asarray(ids)
        if tokens.ndim != 1 or tokens.dtype.kind not in "iu" or not len(tokens):
            raise ValueError(
                f"NGram: a text of integer ids (M,) with M > 0 is needed, got {tokens.dtype} of "
                f"shape {tokens.shape}"
            )
        if tokens.min() < 0 or tokens.max() >= self.vocab_size:
            raise ValueError(
                f"NGram: ids must lie in 0 … {self.vocab_size - 1} (vocab_size), got "
                f"{tokens.min()} … {tokens.max()}"
            )
        return tokens.astype(np.int64)


def character_nats(text: str, held_out: str, order: int = 3) -> float:
    """Nats a character of `held_out` under the n-grams of the characters of `text`.

    The vocabulary is the characters of `text` and one that stands for all others.
    """
    seen = np.unique(_code_points(text))
    ids = [_numbered(_code_points(part), seen) for part in (text, held_out)]
    return NGram(ids[0], len(seen) + 1, order).nats(ids[1])


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


def _numbered(codes: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The place of each code in `seen`, (M,); len(seen) for those that are not there."""
    places = np.searchsorted(seen, codes)
    return np.where(seen[np.minimum(places, len(seen) - 1)] == codes, places, len(seen))


def _order(keys: np.ndarray, counts: np.ndarray, vocab_size: int, histories: int) -> Order:
    history = keys // vocab_size
    totals = np.bincount(history, counts, histories)
    types = np.bincount(history, counts > 0, histories)
    once, twice = ((counts == n).sum() for n in (1, 2))
    # Ney et al. 1994; a text too small to tell gets the middle.
    discount = once / (once + 2 * twice) if once and twice else 0.5
    return Order(keys, counts, totals, types, float(discount))


def _interpolated(
    order: Order, histories: np.ndarray, tokens: np.ndarray, lower: np.ndarray, vocab_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """P_n of each token, (M,), and the row of its n-gram; -1 stands for one never seen."""
    keys = np.where(histories < 0, -1, histories * vocab_size + tokens)
    rows = np.minimum(np.searchsorted(order.keys, keys), len(order.keys) - 1)
    rows = np.where(order.keys[rows] == keys, rows, -1)
    counts = np.where(rows < 0, 0, order.counts[rows])
    totals = np.where(histories < 0, 0, order.totals[histories])
    kept = np.maximum(counts - order.discount, 0) + order.discount * order.types[histories] * lower
    return np.where(totals > 0, kept / np.maximum(totals, 1), lower), rows
