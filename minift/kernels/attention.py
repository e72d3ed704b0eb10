"""Attention on NumPy, block by block on strided views: no copy of q, k or v, and no T × T array.

The exponentials of a block of scores are used at once and dropped; the backward pass makes them
again (Dao et al. 2022, FlashAttention, without its running maximum: see `_are_small`). Only short
texts keep them, where they cost more time than memory.

    e = exp(q·kᵀ·s + bias − top)      s = 1/√D; top: the row's largest score, or 0
    out = (e·v) / total               total = Σ e over the row
    g' = g / total,  d = Σ g'·out over D
    ∂v = eᵀ·g',  ∂z = e·(g'·vᵀ − d),  ∂q = ∂z·k·s,  ∂k = ∂zᵀ·q·s      z: the scores
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from minift.backend import Array, xp
from minift.backend.random import first_draw
from minift.kernels.dropout import keep_mask, keep_range
from minift.kernels.threads import in_parts
from minift.kernels.tiles import TILE, tiles

BLOCK = 256  # rows and columns of a block of scores
KEPT = 128 * 128  # scores a head: up to here exponentials and masks are kept for backward
SAFE = 40.0  # exp of ±40 times any number of tokens is far from float32's limits
STEPS = 8  # elementary steps a score

Block = tuple[slice, slice, slice, slice]  # of (B, H, Tq, Tk)


def scores_bias(mask: Any, causal: bool, shape: tuple[int, ...], like: Array) -> Any:
    """What is added to scores of `shape`: 0, or −inf where not to look, or the numbers of the
    mask; None for nothing. In the dtype and on the device of `like`."""
    m, bias = xp(like), mask
    if mask is not None and mask.dtype == bool:
        bias = m.where(mask, 0.0, -math.inf).astype(like.dtype)
    if causal:
        future = m.triu(m.full(shape[-2:], -math.inf, like.dtype), 1)
        bias = future if bias is None else bias + future
    return bias


def attention(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, **settings: Any
) -> tuple[np.ndarray, Any]:
    """(B, H, Tq, D), (B, H, Tk, D) twice -> (B, H, Tq, D); settings as those of `Core`."""
    out = np.zeros((*q.shape[:-1], v.shape[-1]), q.dtype)
    core = Core(q, k, v, out, **settings)
    core.forward()

    def backward(g: np.ndarray, wanted: list[bool]) -> tuple[np.ndarray, ...]:
        gradients = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
        core.backward(g, *gradients)
        return gradients

    return out, backward


def self_attention(qkv: np.ndarray, *, heads: int, **settings: Any) -> tuple[np.ndarray, Any]:
    """(B, T, 3C) -> (B, T, C), on views of the merged product."""
    context, core = _self_attended(qkv, heads, settings)

    def backward(g: np.ndarray, wanted: list[bool]) -> tuple[np.ndarray]:
        gradient = np.zeros(qkv.shape, g.dtype)
        core.backward(_by_head(g, heads), *_split(gradient, heads))
        return (gradient,)

    return context, backward


def self_attention_value(qkv: np.ndarray, *, heads: int, **settings: Any) -> np.ndarray:
    """The same value; keeps no exponentials."""
    return _self_attended(qkv, heads, {**settings, "for_backward": False})[0]


def _self_attended(
    qkv: np.ndarray, heads: int, settings: dict[str, Any]
) -> tuple[np.ndarray, Core]:
    B, T, C = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    context = np.zeros((B, T, C), qkv.dtype)
    q, k, v = _split(qkv, heads)
    core = Core(q, k, v, _by_head(context, heads), **settings)
    core.forward()
    return context, core


def _split(qkv: np.ndarray, heads: int) -> np.ndarray:
    """(B, T, 3C) -> (3, B, H, T, D), a view."""
    B, T, C = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    return qkv.reshape(B, T, 3, heads, C // heads).transpose(2, 0, 3, 1, 4)


def _by_head(x: np.ndarray, heads: int) -> np.ndarray:
    """(B, T, C) -> (B, H, T, D), a view."""
    B, T, C = x.shape
    return x.reshape(B, T, heads, C // heads).transpose(0, 2, 1, 3)


class Core:
    """What the two passes share: arrays of shape (B, H, T, D), written through where they lie.

    `mask` broadcasts to the scores: booleans, or numbers that are added. `causal`: row i looks at
    columns 0 to i. `dropout` of the shares, by `key`. Not `for_backward`: nothing is kept.
    """

    def __init__(
        self,
        q: np.ndarray,
        k: np.ndarray,
        v: np.ndarray,
        out: np.ndarray,
        *,
        mask: Any,
        causal: bool,
        dropout: float,
        key: tuple[int, int],
        for_backward: bool = True,
    ):
        self.q, self.k, self.v, self.out = q, k, v, out
        self.shape = B, H, Tq, Tk = (*q.shape[:3], k.shape[2])
        self.scale = q.dtype.type(1 / math.sqrt(q.shape[-1]))
        bias = scores_bias(mask, False, self.shape, q)
        self.bias = None if bias is None else np.broadcast_to(bias, self.shape)
        self.causal, self.dropout, self.key = causal, dropout, key
        self.whole = Tq * Tk <= KEPT  # a block is then several texts with all their heads
        self.kept = np.empty(self.shape, q.dtype) if self.whole and for_backward else None
        self.kept_mask = keep_mask(self.shape, dropout, key) if dropout and self.whole else None
        self.total = np.zeros((B, H, Tq), q.dtype)
        self.top = None if _are_small(q, k, bias, self.scale) else self.row_tops()

    # ---- blocks -----------------------------------------------------------------------------

    def in_parts(self, work: Any) -> None:
        """`work(groups)` on several threads; a group is a slice of texts and one of heads."""
        B, H, Tq, Tk = self.shape
        everything = slice(None)
        if self.whole:
            cut = lambda part: ((s, everything) for s in tiles(part, H * Tq * Tk))
            in_parts(lambda part: work(cut(part)), B, STEPS * H * Tq * Tk)
        else:
            pair = lambda i: (slice(i // H, i // H + 1), slice(i % H, i % H + 1))
            pairs = lambda part: map(pair, range(part.start, part.stop))
            in_parts(lambda part: work(pairs(part)), B * H, STEPS * Tq * Tk)

    def blocks(self, group: tuple[slice, slice]) -> Iterator[Block]:
        """The blocks of a group; with dropout whole rows, whose masks lie in one run of draws."""
        Tq, Tk = self.shape[2:]
        height, width = (Tq, Tk) if self.whole else (BLOCK, BLOCK)
        if self.dropout and not self.whole:
            height, width = max(1, TILE // Tk), Tk
        for rows, columns in itertools.product(tiles(Tq, 1, height), tiles(Tk, 1, width)):
            if not self.causal or columns.start < rows.stop:
                yield (*group, rows, columns)

    def scores(self, block: Block, out: Any = None) -> np.ndarray:
        """q·kᵀ·s + bias of a block."""
        b, h, rows, columns = block
        q = self.q[b, h, rows] * self.scale
        z = np.matmul(q, self.k[b, h, columns].swapaxes(-1, -2), out=out)
        if self.bias is not None:
            z += self.bias[block]
        if self.causal and columns.stop > rows.start + 1:
            row, column = np.arange(rows.start, rows.stop), np.arange(columns.start, columns.stop)
            np.copyto(z, -np.inf, where=column > row[:, None])
        return z

    def exponentials(self, block: Block) -> np.ndarray:
        """e of a block; into the array that keeps them, if there is one."""
        e = self.scores(block, None if self.kept is None else self.kept[block[:2]])
        if self.top is not None:
            e -= self.top[block[:3]][..., None]
        return np.exp(e, out=e)

    def row_tops(self) -> np.ndarray:
        """The largest score of each row, 0 where it may look nowhere: (B, H, Tq)."""
        top = np.full(self.shape[:3], -np.inf, self.q.dtype)
        kept, self.kept = self.kept, None

        def work(groups: Any) -> None:
            for block in itertools.chain.from_iterable(map(self.blocks, groups)):
                here = top[block[:3]]
                np.maximum(here, self.scores(block).max(axis=-1, initial=-np.inf), out=here)

        self.in_parts(work)
        self.kept = kept
        if (top == np.inf).any():
            raise ValueError("attention: a score is infinite, so it has no share")
        return np.where(top == -np.inf, 0, top).astype(top.dtype)

    def keep(self, block: Block) -> np.ndarray | None:
        """The mask of a block; None without dropout."""
        if not self.dropout or self.kept_mask is not None:
            return None if self.kept_mask is None else self.kept_mask[block[:2]]
        _, H, Tq, Tk = self.shape
        b, h, rows, _ = block
        height = rows.stop - rows.start
        first = first_draw(math.prod(self.shape)) + ((b.start * H + h.start) * Tq + rows.start) * Tk
        keep = keep_range(first, first + height * Tk, self.dropout, self.key)
        return keep.reshape(1, 1, height, Tk)

    def dropped(self, x: np.ndarray, keep: np.ndarray | None) -> np.ndarray:
        """x·keep/(1 − p)."""
        if keep is None:
            return x
        y = x * keep
        y *= x.dtype.type(1 / (1 - self.dropout))
        return y

    # ---- the two passes ---------------------------------------------------------------------

    def forward(self) -> None:
        """Fill `out` and `total`."""

        def work(groups: Any) -> None:
            for group in groups:
                out, total = self.out[group], self.total[group]
                for block in self.blocks(group):
                    _, _, rows, columns = block
                    e = self.exponentials(block)
                    total[..., rows] += e @ np.ones(e.shape[-1], e.dtype)
                    used, v = self.dropped(e, self.keep(block)), self.v[group][..., columns, :]
                    _add_product(used, v, out[..., rows, :], columns.start == 0)
                total[total == 0] = 1  # a row that may look nowhere gives zeros
                out /= total[..., None]

        self.in_parts(work)

    def backward(self, g: np.ndarray, gq: np.ndarray, gk: np.ndarray, gv: np.ndarray) -> None:
        """Fill the gradients of q, k and v."""

        def work(groups: Any) -> None:
            for group in groups:
                self.backward_of_group(group, g[group], gq[group], gk[group], gv[group])

        self.in_parts(work)

    def backward_of_group(
        self, group: tuple[slice, slice], g: np.ndarray, gq: Any, gk: Any, gv: Any
    ) -> None:
        q, k, v = self.q[group], self.k[group], self.v[group]
        g = g / self.total[group][..., None]
        d = np.vecdot(g, self.out[group])[..., None]  # Σ p·∂p of a row
        for block in self.blocks(group):
            _, _, rows, columns = block
            first_row, first_column = rows.start == 0, columns.start == 0
            g_here, keep = g[..., rows, :], self.keep(block)
            e = self.exponentials(block) if self.kept is None else self.kept[group]
            used = self.dropped(e, keep).swapaxes(-1, -2)
            _add_product(used, g_here, gv[..., columns, :], first_row)
            z = self.dropped(g_here @ v[..., columns, :].swapaxes(-1, -2), keep)
            z -= d[..., rows, :]
            z *= e
            z *= self.scale
            _add_product(z, k[..., columns, :], gq[..., rows, :], first_column)
            _add_product(z.swapaxes(-1, -2), q[..., rows, :], gk[..., columns, :], first_row)


def _add_product(a: np.ndarray, b: np.ndarray, out: np.ndarray, first: bool) -> None:
    """out += a @ b, where the first product may write over the zeros."""
    if first:
        np.matmul(a, b, out=out)
    else:
        out += a @ b


def _are_small(q: np.ndarray, k: np.ndarray, bias: Any, scale: float) -> bool:
    """Whether every score lies within ±SAFE or is −∞, so that no maximum need be subtracted.

    By Cauchy and Schwarz |q·k| ≤ |q|·|k|; a NaN or an infinity makes this False.
    """
    if not q.size or not k.size:
        return True
    largest = math.sqrt(float(np.vecdot(q, q).max()) * float(np.vecdot(k, k).max())) * scale
    if bias is not None:
        largest += float(np.abs(np.where(bias == -np.inf, 0, bias)).max())
    return largest < SAFE
