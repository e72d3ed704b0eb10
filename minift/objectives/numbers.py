"""What objectives log: floats on the CPU; on a GPU single values that nobody has waited for.

The Trainer reads those of a step together, with one copy (`minift/train/logs.py`).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from minift import ops
from minift.autograd import op
from minift.backend import Array
from minift.tensor import Tensor

Log: TypeAlias = dict[str, float | Tensor]


def number(x: Tensor) -> float | Tensor:
    """A Tensor of one value as the log holds it."""
    return x.item() if x.device == "cpu" else x.detach()


def perplexity(loss: Tensor) -> float | Tensor:
    """exp of a mean negative log-likelihood in nats; inf where that overflows."""
    with np.errstate(over="ignore"):
        return number(ops.exp(loss.detach()))


def accuracy(scores: Tensor, target: Array) -> float | Tensor:
    """Share of rows of scores (N, C) whose largest is the target's; `target` (N,) beside them."""
    return number(_share_of_right(scores.detach(), target=target))


@op
def _share_of_right(scores, *, target):
    return (scores.argmax(axis=-1) == target).mean(), (None,)


def all_right(scores: Tensor, target: Array) -> float | Tensor:
    """Share of rows of scores (N, L) with the sign of every label; `target` (N, L) of 0 and 1."""
    return number(_share_of_all_right(scores.detach(), target=target))


@op
def _share_of_all_right(scores, *, target):
    return ((scores > 0) == (target > 0)).all(axis=-1).mean(), (None,)
