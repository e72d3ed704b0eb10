"""How often data crossed between host and device, and how much the device was asked to do.

    with counting() as counts:
        step()
    assert counts.d2h <= 1

    with budget(h2d=5, d2h=1):   # the same as a check, with a sentence when it fails
        step()

`h2d` and `d2h` are exact: one for each array that CuPy would move, and each that stops the program
until the device is done. `launches` is near: one for every call that computes, where CuPy takes two
or three for a few (`var`, `pad`, a mask) and a plain copy for some. A training step of a BERT of 6
layers has 2561 here, and 2657 kernels and products on CuPy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields


@dataclass
class Counts:
    """Host-to-device copies, device-to-host copies, kernel launches."""

    h2d: int = 0
    d2h: int = 0
    launches: int = 0


_open: list[Counts] = []  # of every `counting` block that is running


def count(kind: str) -> None:
    """One more of "h2d", "d2h" or "launches", for each block that counts."""
    for counts in _open:
        setattr(counts, kind, getattr(counts, kind) + 1)


@contextmanager
def counting() -> Iterator[Counts]:
    """What happens on the double inside the block; blocks may be nested."""
    counts = Counts()
    _open.append(counts)
    try:
        yield counts
    finally:
        _open[:] = [other for other in _open if other is not counts]


@contextmanager
def budget(**limits: int) -> Iterator[Counts]:
    """As `counting`; an AssertionError where the block takes more than `limits` allow."""
    with counting() as counts:
        yield counts
    for kind in (f.name for f in fields(Counts) if f.name in limits):
        used = getattr(counts, kind)
        assert used <= limits[kind], f"{used} {kind} where {limits[kind]} are allowed"
