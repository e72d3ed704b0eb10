"""Cut a loop over rows into tiles that stay in the processor's second-level cache."""

from __future__ import annotations

from collections.abc import Iterator

TILE = 65536  # elements: 256 KiB of float32, so that a few operands fit in 1-2 MiB


def tiles(rows: int, width: int, size: int = TILE) -> Iterator[slice]:
    """Slices that cover range(rows), each of about `size` elements when a row has `width`."""
    step = max(1, size // max(1, width))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))
