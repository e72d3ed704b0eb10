"""What went wrong in a kernel, raised when the host next waits for the GPU.

A kernel cannot raise, and to ask after each one would make the host wait for it. So a kernel that
meets an infinite score or an id out of range sets a bit of one *trouble word* on the device (and
gives NaN for what it cannot compute). The next copy to the host looks at the word: that of
`to_device(x, "cpu")`, or a caller's own that brings the word along with other numbers.

Not here: the checks of arrays on the CPU, which raise at once, in `minift/ops/`.
"""

from __future__ import annotations

from typing import Any

from minift.backend import cuda

INFINITE = "a row's largest value is infinite, so it has no distribution"
CLASS = "target on the GPU is none of the classes"

# From the lowest bit up: what sets it, what is raised. The sentences open as those of the CPU.
BITS: dict[str, Exception] = {
    "embedding": IndexError("embedding: ids on the GPU do not fit the rows of the table"),
    "getitem": IndexError("getitem: index on the GPU is out of bounds for its axis"),
    "cross_entropy target": ValueError(f"cross_entropy: {CLASS}"),
    "nll_loss target": ValueError(f"nll_loss: {CLASS}"),
    "focal_loss target": ValueError(f"focal_loss: {CLASS}"),
    "attention": ValueError("attention: a score is infinite, so it has no share"),
    "softmax": ValueError(f"softmax: {INFINITE}"),
    "log_softmax": ValueError(f"log_softmax: {INFINITE}"),
    "cross_entropy": ValueError(f"cross_entropy: {INFINITE}"),
    "gradient": ValueError(
        "clip_grad_norm_: the gradient's length is not finite; lower the learning rate, or look "
        "for a division by zero or a logarithm of zero in the loss"
    ),
}


class State:
    """One word for the process."""

    word: Any = None  # int32 (1,) on the device
    unread = False  # whether a kernel got the word since `check` last looked


def word() -> Any:
    """The word, an int32 array (1,) on the device, to hand to a kernel or to copy along."""
    if State.word is None:
        State.word = cuda.module().zeros(1, "int32")
    State.unread = True
    return State.word


def bit(name: str) -> int:
    """The number that a kernel sets in the word; `name` as in BITS."""
    return 1 << list(BITS).index(name)


def check() -> None:
    """Raise what kernels have met since the last look; waits for the device if any could."""
    if State.unread:
        State.unread = False
        raise_if_set(int(State.word.get()[0]))


def raise_if_set(value: int) -> None:
    """Raise the sentence of the lowest bit that is set in `value`, a copy of the word; clear it."""
    State.unread = False
    if value:
        State.word.fill(0)
        lowest = (value & -value).bit_length() - 1
        error = list(BITS.values())[lowest]
        raise type(error)(*error.args)
