"""Cut a loop over rows into tiles that stay in the processor's second-level cache."""

from __future__ import annotations

from collections.abc import Iterator

TILE = 65536  # elements: 256 KiB of float32, so that a few operands fit in 1-2 MiB


def tiles(rows: int | slice, width: int, size: int = TILE) -> Iterator[slice]:
    """Slices that cover `rows`, each of about `size` elements when a row has `width`."""
    first, last = (0, rows) if isinstance(rows, int) else (rows.start, rows.stop)
    step = max(1, size // max(1, width))
    return (slice(start, min(start + step, last)) for start in range(first, last, step))
