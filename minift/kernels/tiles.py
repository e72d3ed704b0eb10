"""Cut a loop over rows into tiles that stay in the processor's second-level cache."""

from __future__ import annotations

from collections.abc import Iterator

TILE = 131072  # elements: 512 KiB of float32; in smaller ones two threads wait for Python's lock


def tiles(rows: int | slice, width: int, size: int = TILE) -> Iterator[slice]:
    """Slices that cover `rows`, each of about `size` elements when a row has `width`."""
    first, last = (0, rows) if isinstance(rows, int) else (rows.start, rows.stop)
    step = max(1, size // max(1, width))
    return (slice(start, min(start + step, last)) for start in range(first, last, step))
