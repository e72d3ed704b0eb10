"""The numbers of a step or an evaluation: read from the device in one copy, averaged by count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minift.kernels import numbers
from minift.metrics import perplexity
from minift.tensor import Tensor

Log = dict[str, Any]
DIVISOR = "divisor"  # what the loss was divided by, where it is not `count`


def read_log(log: Mapping[Any, Any]) -> dict[Any, Any]:
    """The same log in Python's numbers; Tensors and arrays of one value are read, in one copy.

    Raises what kernels met on the way: ids out of range, infinite scores.
    """
    values = [v.data if isinstance(v, Tensor) else v for v in log.values()]
    return dict(zip(log, numbers.read(values)))


def mean_log(logs: Sequence[Log]) -> dict[str, float]:
    """Means of the batches' numbers, weighted by `count`, which itself is summed.

    The loss is weighted by what it was divided by, so that it is the loss of all batches as one;
    perplexity is exp of that loss, not a mean.
    """
    total = sum(log["count"] for log in logs)
    divided = sum(map(divisor, logs))
    names = [name for name in logs[0] if name not in ("loss", "count", DIVISOR)]
    means = {name: sum(log[name] * log["count"] for log in logs) / total for name in names}
    loss = sum(log["loss"] * divisor(log) for log in logs) / divided
    if "perplexity" in means:
        means["perplexity"] = perplexity(loss)
    return {"loss": loss, **means, "count": total}


def divisor(log: Mapping[str, Any]) -> float:
    """How many examples, words or whatever the loss is a mean over; 1 if the log does not tell."""
    return log.get(DIVISOR, log.get("count", 1))
