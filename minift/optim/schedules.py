"""Learning-rate schedules: pure functions (step, total, warmup) -> factor of the base rate.

`step` counts updates from 0, `total` is how many there will be, `warmup` how many of them rise
towards 1. Nothing is kept between calls, so there is nothing to save or to resume, and a schedule
can be plotted with one line. Steps beyond `total` have the factor of the last one.
"""

from __future__ import annotations

import math


def constant(step: int, total: int, warmup: int = 0) -> float:
    """Rise to 1, then stay there."""
    check(step, total, warmup)
    return rise(step, warmup)


def linear(step: int, total: int, warmup: int = 0) -> float:
    """Rise to 1, then fall on a straight line to 0 at `total` (Devlin et al. 2019, A.2)."""
    left = 1 - progress(step, total, warmup)
    return rise(step, warmup) * left


def cosine(step: int, total: int, warmup: int = 0) -> float:
    """Rise to 1, then fall along (1 + cos πx) / 2 (Loshchilov & Hutter 2017, eq. 5, one cycle)."""
    left = anneal(1, 0, progress(step, total, warmup))
    return rise(step, warmup) * left


def one_cycle(step: int, total: int, warmup: int | None = None) -> float:
    """From 1/25 up to 1 and down to 1/250,000, along cosines (Smith & Topin 2019).

    The rise takes 30 % of the steps unless `warmup` says how many; the numbers are PyTorch's.
    """
    warmup = int(0.3 * total) if warmup is None else warmup
    fall = progress(step, total, warmup)
    if step < warmup:
        return anneal(1 / 25, 1, step / warmup)
    return anneal(1, 1 / 250_000, fall)


def slanted_triangular(step: int, total: int, warmup: int | None = None) -> float:
    """A short rise from 1/32 to 1, a long fall back (Howard & Ruder 2018, equation 3).

    cut = ⌊T · cut_frac⌋, p = t / cut or 1 - (t - cut) / (T - cut), factor = (1 + p (ratio - 1)) /
    ratio with ratio = 32. The rise takes a tenth of the steps unless `warmup` says how many.
    """
    ratio = 32
    cut = int(0.1 * total) if warmup is None else warmup
    fall = progress(step, total, cut)
    p = step / cut if step < cut else 1 - fall
    return (1 + p * (ratio - 1)) / ratio


def rise(step: int, warmup: int) -> float:
    """A straight line that reaches 1 at `warmup`. It starts above 0: a rate of 0 wastes a batch."""
    return min(1.0, (step + 1) / (warmup + 1))


def progress(step: int, total: int, warmup: int) -> float:
    """How much of what follows the warm-up is done: 0 until its end, 1 from `total` on."""
    check(step, total, warmup)
    return min(max((step - warmup) / (total - warmup), 0.0), 1.0)


def anneal(start: float, end: float, x: float) -> float:
    """Half a cosine from `start` at x = 0 to `end` at x = 1."""
    return end + (start - end) * (1 + math.cos(math.pi * x)) / 2


def check(step: int, total: int, warmup: int) -> None:
    """Raise ValueError for counts that make no schedule."""
    if step < 0:
        raise ValueError(f"a step is counted from 0, got {step}")
    if total < 1:
        raise ValueError(f"a schedule needs at least 1 step in total, got {total}")
    if not 0 <= warmup < total:
        raise ValueError(
            f"warmup must be at least 0 and less than the {total} steps in total, got {warmup}"
        )
