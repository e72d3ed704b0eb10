"""Standing between a class and its callers for a while: whoever looks on costs nothing when gone.

`train/not_finite.py` looks at values this way, `profiling/` at time and memory.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def intercepted(owner: type, name: str, by: Callable[..., Any]) -> Iterator[None]:
    """Inside the `with` block, owner.name(self, ...) becomes by(original, self, ...)."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def method(self: Any, *inputs: Any, **more: Any) -> Any:
        return by(original, self, *inputs, **more)

    setattr(owner, name, method)
    try:
        yield
    finally:
        setattr(owner, name, original)
