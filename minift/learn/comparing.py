"""What a check says when an exercise is wrong: the case, both arrays, and nothing of the solution.

Each raises an AssertionError whose message a learner reads; `what` names the case in words, with
its numbers ("softmax of [0, 1000]"). Not here: how the cases are run (`checking.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

ROWS = 12  # of an array that is shown


def same(what: str, yours: Any, expected: Any, atol: float = 1e-8, rtol: float = 1e-6) -> None:
    """Raise if `yours` is no number or array of the shape and values of `expected`.

    Tensors count as their arrays. NaN equals NaN.
    """
    wanted = array(expected)
    if yours is None:
        raise AssertionError(f"{what}: your function returned None; did you forget to return?")
    try:
        found = array(yours)
        comparable = found.dtype != object
    except (ValueError, TypeError):
        comparable = False
    if not comparable:
        raise AssertionError(f"{what}: expected numbers, yours is {type(yours).__name__}: {yours}")
    if found.shape != wanted.shape:
        raise AssertionError(
            f"{what}: the shape should be {wanted.shape}, yours is {found.shape}\n"
            + both(found, wanted)
        )
    if wanted.dtype.kind in "US":
        equal = bool((found == wanted).all())
    else:
        equal = np.allclose(found, wanted, rtol=rtol, atol=atol, equal_nan=True)
    if not equal:
        raise AssertionError(f"{what}\n{both(found, wanted)}")


def true(what: str, condition: Any) -> None:
    """Raise with the sentence `what` unless the condition holds."""
    if not condition:
        raise AssertionError(what)


def refuses(what: str, act: Callable[[], Any], error: type[Exception]) -> None:
    """Raise unless `act()` raises `error`, as a check that must not accept something does."""
    try:
        act()
    except error:
        return
    raise AssertionError(f"{what}: it should raise {error.__name__}, and nothing was raised")


def array(value: Any) -> np.ndarray:
    """A number, list, Tensor or array as an array."""
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value)


def both(found: np.ndarray, wanted: np.ndarray) -> str:
    """The two arrays, one below the other."""
    return f"  yours:    {shown(found)}\n  expected: {shown(wanted)}"


def shown(values: np.ndarray) -> str:
    """An array as text, indented as a block; of a long one its beginning and its end."""
    text = np.array2string(values, precision=6, threshold=8 * ROWS, max_line_width=84)
    return text.replace("\n", "\n" + " " * 12)
