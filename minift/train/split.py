"""One batch on several threads: each goes forward and back with its rows, then gradients are added.

Kernels that share their own loops between threads wait for each other some forty times in a step of
a small BERT, 50 µs each, and what lies between them has one thread. Here the threads meet once.
The step is that of the whole batch to rounding, its dropout included.

Not for losses that compare the examples of a batch with each other, nor for batch normalisation.
Read `minift/kernels/threads.py` for the threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minift.autograd import accumulate, gradients_of_leaves
from minift.backend import Array, random
from minift.kernels.threads import WORTH_A_THREAD, in_parts
from minift.kernels.updates import Update, run_plain
from minift.tensor import Tensor
from minift.train.logs import Log, divisor

Gradients = dict[int, tuple[Tensor, Array]]  # by the id of the leaf


def backward_in_parts(
    loss_of: Callable[[slice], tuple[Tensor, Log]], rows: int, unit: float
) -> list[Log]:
    """Add to the `.grad` of leaves the gradient of Σ nₖ lossₖ / unit; the logs of the parts.

    `loss_of(part)` goes forward with those of the batch's `rows` and gives the mean loss over nₖ
    examples or words and a log that says what nₖ is, by "divisor" or "count". With `unit` = Σ nₖ
    the gradient is that of the batch's mean.

    Raises ValueError for what only a whole batch can do: batch normalisation, draws other than
    dropout's, layers that are recomputed.
    """

    def work(part: slice) -> tuple[Gradients, Log, int]:
        with random.part_of_batch(part):
            loss, log = loss_of(part)
            share = np.asarray(divisor(log) / unit, loss.dtype)
            found = gradients_of_leaves(loss, share)
            return {id(leaf): (leaf, g) for leaf, g in found}, {"loss": loss, **log}, random.drawn()

    parts = in_parts(work, rows, WORTH_A_THREAD)
    random.go_on_after(max(drawn for _, _, drawn in parts))
    accumulate(_added([gradients for gradients, _, _ in parts]))
    return [log for _, log, _ in parts]


def _added(parts: list[Gradients]) -> list[tuple[Tensor, Array]]:
    """Σ over the parts for each leaf, into arrays of the first that has it."""
    total: Gradients = {}
    held: set[int] = set()
    for part in parts:
        more = []
        for key, (leaf, g) in part.items():
            if key in total:
                more.append(Update(_add, total[key][1], g, (), {}))
            else:
                shared = g.base is not None or id(g) in held  # as when add gives g to both
                total[key] = leaf, g.copy() if shared else g
                held.add(id(g))
        run_plain(more, 1.0)
    return list(total.values())


def _add(total: Array, g: Array) -> None:
    total += g


def rows_of(batch: Any) -> int:
    """How many examples a batch holds: a dict of arrays with one row for each.

    Raises TypeError for another kind of batch, ValueError if the arrays differ in length.
    """
    if not isinstance(batch, dict) or not all(isinstance(x, np.ndarray) for x in batch.values()):
        raise TypeError(
            f"split_batch: a batch must be a dict of arrays to be cut, got {type(batch).__name__}; "
            f"leave out split_batch"
        )
    lengths = {name: len(x) for name, x in batch.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"split_batch: the arrays of a batch differ in length: {lengths}")
    return next(iter(lengths.values()))


def part_of(batch: dict[str, np.ndarray], rows: slice) -> dict[str, np.ndarray]:
    """Those rows of every array."""
    return {name: x[rows] for name, x in batch.items()}
