"""Whether ops may take a fused kernel, or keep to the plain formula that it stands for.

Read `minift/autograd.py` for who asks, `minift/ops/neural.py` for the formulas.
"""

from __future__ import annotations

import contextlib
from typing import ClassVar


class Choice:
    """The state of the choice, one for the process."""

    plain: ClassVar[bool] = False


class plain_formulas(contextlib.ContextDecorator):  # noqa: N801 - used like no_grad
    """Inside `with plain_formulas():`, every op runs its plain formula on every device."""

    def __init__(self) -> None:
        self._outer: list[bool] = []  # a decorated function may call itself

    def __enter__(self) -> None:
        self._outer.append(Choice.plain)
        Choice.plain = True

    def __exit__(self, *exception: object) -> None:
        Choice.plain = self._outer.pop()
