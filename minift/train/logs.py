"""The numbers of a step or an evaluation: read from the device in one copy, averaged by count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from minift.kernels import numbers
from minift.tensor import Tensor

Log = dict[str, Any]


def read_log(log: Mapping[str, Any]) -> Log:
    """The same log in Python's numbers; Tensors and arrays of one value are read, in one copy.

    Raises what kernels met on the way: ids out of range, infinite scores.
    """
    values = [v.data if isinstance(v, Tensor) else v for v in log.values()]
    return dict(zip(log, numbers.read(values)))


def mean_log(logs: Sequence[Log]) -> dict[str, float]:
    """Means of the batches' numbers, weighted by `count`, which itself is summed."""
    total = sum(log["count"] for log in logs)
    sums: defaultdict[str, float] = defaultdict(float)
    for log in logs:
        for name, value in log.items():
            sums[name] += value * log["count"]
    return {name: value / total for name, value in sums.items() if name != "count"} | {
        "count": total
    }
