"""Single numbers from wherever they are: those of a GPU come to the host in one copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minift.backend import device_of, trouble
from minift.kernels.choice import Choice
from minift.kernels.cuda import multi_tensor


def read(values: Sequence[Any]) -> list[int | float]:
    """Python's numbers, and arrays of one value, as Python's numbers.

    Raises what kernels have met since they were last asked (`minift/backend/trouble.py`).
    """
    waiting = [v for v in values if device_of(v) == "cuda"]
    if not waiting or Choice.plain:
        return [v.item() if hasattr(v, "item") else v for v in values]
    *arrived, flags = multi_tensor.pack([*waiting, trouble.word()]).get().tolist()
    trouble.raise_if_set(int(flags))
    fetched = iter(arrived)
    return [next(fetched) if device_of(v) == "cuda" else v for v in values]
