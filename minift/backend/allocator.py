"""Freed memory stays with the process, ready for the next step.

glibc hands the top of its heap back to the system whenever much of it is free, which is at the end
of every training step; the next one then gets its activations page by page, each page zeroed. That
was 12 % of a small BERT's step on one thread and 18 % on two, which wait for each other there.

Not here: any array. NumPy asks malloc, and malloc is what is told here.
"""

from __future__ import annotations

import ctypes
import os
import sys

# The names of mallopt(3). An array larger than M_MMAP_THRESHOLD still goes back when freed.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
SETTINGS = {M_MMAP_THRESHOLD: 32 * 2**20, M_TRIM_THRESHOLD: 2**30}  # the first at its largest
THEIR_OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Tell glibc's malloc to keep up to 1 GiB of freed memory; whether it could be told.

    Elsewhere, and where the user has told malloc by `THEIR_OWN` variables, nothing is changed.
    """
    told = any(name in os.environ for name in THEIR_OWN)
    if told or not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    return mallopt is not None and all(mallopt(name, n) == 1 for name, n in SETTINGS.items())
