"""Which device a command runs on: a name that the user gave, or whichever is there."""

from __future__ import annotations

from minift.backend import cuda

DEVICES = ("auto", "cpu", "cuda")


def choose_device(name: str) -> str:
    """ "cpu" or "cuda"; "auto" takes the GPU if it works, and says nothing if it does not.

    Raises ValueError for another name, RuntimeError with the reason for "cuda" where CUDA is not
    usable: an order for the GPU is never carried out on the CPU.
    """
    if name not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}, got {name!r}")
    if name == "auto":
        return "cuda" if cuda.is_available() else "cpu"
    if name == "cuda":
        cuda.module()  # raises where it cannot be used
    return name
