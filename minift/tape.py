"""The tape: what an op leaves behind so that gradients can find the way back.

Ops on tensors leave numbered *nodes*; a write into a tensor leaves the time of writing. Both are
numbered by one clock, so that "was this overwritten after that op read it?" is one comparison.

Not here: the walk over the nodes, which is in `minift/autograd.py`. Read `minift/tensor.py` next.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import weakref
from typing import TYPE_CHECKING, Any, ClassVar

from minift.backend import Array

if TYPE_CHECKING:
    from minift.autograd import Op
    from minift.tensor import Tensor


class Recording(threading.local):
    """Whether ops leave nodes, for each thread."""

    on = True


class Tape:
    """The state of recording, one for the process but for `recording`."""

    recording: ClassVar[Recording] = Recording()
    clock: ClassVar[itertools.count[int]] = itertools.count(1)  # larger happened later
    last_write: ClassVar[int] = 0  # on the clock


class recording(contextlib.ContextDecorator):  # noqa: N801 - used like no_grad
    """Turn the recording of nodes on or off inside a `with` block, and back after it."""

    def __init__(self, on: bool) -> None:
        self._on = on
        self._outer: list[bool] = []  # a decorated function may call itself

    def __enter__(self) -> None:
        self._outer.append(Tape.recording.on)
        Tape.recording.on = self._on

    def __exit__(self, *exception: object) -> None:
        Tape.recording.on = self._outer.pop()


class no_grad(recording):  # noqa: N801 - PyTorch's name
    """Inside `with no_grad():` (or a function decorated `@no_grad()`), ops leave no nodes."""

    def __init__(self) -> None:
        super().__init__(False)


class Version:
    """When the memory of a tensor was last written; shared by the tensors that share memory."""

    __slots__ = ("array", "written_at")

    def __init__(self) -> None:
        self.written_at = 0  # on the clock; 0: never since it was made
        self.array: Array = None  # the memory that was written

    def write(self, array: Array) -> None:
        """Note that `array` is being written to now."""
        self.array = array
        self.written_at = Tape.last_write = next(Tape.clock)


class Node:
    """One op that was applied: its inputs, and the derivatives that lead back to them."""

    __slots__ = (
        "derivatives", "dtype", "inputs", "op", "order", "output", "settings", "shape",
        "tracked", "version",
    )  # fmt: skip

    order: int  # on the clock
    op: Op
    settings: dict[str, Any]
    inputs: Any  # list: the Node of an interior tensor, leaf Tensor, array or number; None: freed
    tracked: list[int]  # which inputs require a gradient
    derivatives: Any  # one function per input, or one for all: (g, wanted) -> gradients
    shape: tuple[int, ...]
    dtype: Any
    version: Version  # of the output
    output: weakref.ref[Tensor]
