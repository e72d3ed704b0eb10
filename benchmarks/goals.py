"""What each workload is to reach beside PyTorch, and whether it did.

Ratios to PyTorch's default optimizers on the same threads: below 1 is ahead. A *must* is to be
held, an *aim* is where it should go. Not here: the workloads (`minift/bench/workloads.py`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from minift.bench.contest import CONTROL_LIMIT

Pair = tuple[float | None, float | None]  # of time, of peak memory


class Goal(NamedTuple):
    must: Pair
    aim: Pair


ATTENTION, ONE_OP = Goal((2.5, None), (1.5, None)), Goal((1.4, None), (0.8, None))

GOALS = {
    "W1": Goal((0.9, 0.25), (0.75, 0.15)),
    "W2": Goal((1.15, 0.4), (1.0, 0.33)),
    "W2-dropout": Goal((0.9, 0.4), (0.85, 0.33)),
    "W3": Goal((1.15, 0.8), (1.0, 0.7)),
    "W3-dropout": Goal((0.9, 0.65), (0.85, 0.55)),
    "W3-frozen": Goal((1.2, 0.6), (1.0, 0.4)),
    "W3-cached": Goal((0.05, None), (0.05, None)),
    "W4-autoencoder": Goal((5, 1.2), (3, 1.0)),
    "W4-resnet": Goal((5, 1.2), (3, 1.0)),
    "W5": Goal((1 / 0.85, 0.6), (1.0, 0.4)),
    **{f"W6-{T}": ATTENTION for T in (256, 512, 1024, 2048, 4096)},
    "W7": Goal((1.0, None), (0.8, None)),
    **{f"W8-{op}": ONE_OP for op in ("scale", "tanh", "matmul")},
}
LINEAR = 1.15  # the exponent of memory in T: a T × T array would make it 2


def reached(ratio: float, must: float | None, aim: float | None, control: float = 1.0) -> str:
    """ "aim", "must" or "missed"; "" without a goal.

    "unsure" for a time whose `control`, two copies of PyTorch, differs by more than a tenth.
    """
    if must is None or aim is None or math.isnan(ratio):
        return ""
    if abs(control - 1) > CONTROL_LIMIT:
        return "unsure"
    return "aim" if ratio <= aim else "must" if ratio <= must else "missed"
