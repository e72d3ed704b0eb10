"""What a saved state has to do with the tensors of a module: compare first, write later.

`match_state` pairs them and says what does not fit; writing is `Module.load_state_dict`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minift.tensor import Tensor


@dataclass
class LoadReport:
    """What `load_state_dict` did: names loaded, and everything that did not fit."""

    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # in the module, not in the state
    unexpected: list[str] = field(default_factory=list)  # in the state, not in the module
    mismatched: list[tuple[str, str]] = field(default_factory=list)  # (name, what differs)
    renamed: list[tuple[str, str]] = field(default_factory=list)  # (name in the state, our name)
    notes: list[str] = field(default_factory=list)  # in words: what is new, and whether it should

    def problems(self) -> list[str]:
        """One line for each weight that was not loaded as it should; empty if all fits."""
        return [
            *(f"missing: {name}" for name in self.missing),
            *(f"unexpected: {name}" for name in self.unexpected),
            *(f"mismatched: {name}: {difference}" for name, difference in self.mismatched),
        ]

    def about(self, matters: Callable[[str], bool]) -> LoadReport:
        """The part of this report about the names that matter."""
        return LoadReport(
            [name for name in self.loaded if matters(name)],
            [name for name in self.missing if matters(name)],
            [name for name in self.unexpected if matters(name)],
            [(name, difference) for name, difference in self.mismatched if matters(name)],
            [(old, new) for old, new in self.renamed if matters(new)],
        )

    def __str__(self) -> str:
        renamed = (f"renamed: {old} -> {new}" for old, new in self.renamed)
        loaded = f"loaded {len(self.loaded)} tensors"
        return "\n".join([loaded, *self.notes, *self.problems(), *renamed])


def match_state(
    tensors: Mapping[str, Tensor], state: Mapping[str, Any]
) -> tuple[list[tuple[Tensor, np.ndarray]], LoadReport]:
    """Pair tensors with the values that fit them; nothing is written here."""
    report = LoadReport()
    chosen: dict[str, tuple[Tensor, np.ndarray, str]] = {}  # with the path that brought the value
    names = {id(tensor): path for path, tensor in first_paths(tensors)}
    for path, value in state.items():
        if path not in tensors:
            report.unexpected.append(path)
            continue
        tensor, array = tensors[path], as_numpy(value)
        name = names[id(tensor)]
        difference = misfit(tensor, array) or conflict(array, chosen.get(name))
        if difference:
            report.mismatched.append((path, difference))
            continue
        chosen[name] = (tensor, array, path)
        if path != name:
            report.renamed.append((path, name))
    tried = {names[id(tensors[path])] for path in state if path in tensors}
    report.loaded = list(chosen)
    report.missing = [name for name in names.values() if name not in tried]
    return [(t, array.astype(t.dtype)) for t, array, _ in chosen.values()], report


def misfit(tensor: Tensor, array: np.ndarray) -> str:
    """Why `array` cannot become the value of `tensor`, or an empty string."""
    if array.shape != tensor.shape:
        return f"expected shape {tensor.shape}, got {array.shape}"
    if not np.can_cast(array.dtype, tensor.dtype, "same_kind"):
        return f"expected {tensor.dtype} values, got {array.dtype}"
    return ""


def conflict(array: np.ndarray, earlier: tuple[Tensor, np.ndarray, str] | None) -> str:
    """Why `array` contradicts what another path of the same tensor brought, or an empty string."""
    if earlier is None or np.array_equal(array, earlier[1]):
        return ""
    return f"is tied to {earlier[2]}, but the state holds other values there"


def as_numpy(value: Any) -> np.ndarray:
    """A Tensor, array or nested list as a NumPy array."""
    return value.numpy() if isinstance(value, Tensor) else np.asarray(value)


def first_paths(tensors: Mapping[str, Tensor]) -> list[tuple[str, Tensor]]:
    """Each tensor once, under the first of its paths."""
    first: dict[int, tuple[str, Tensor]] = {}
    for path, tensor in tensors.items():
        first.setdefault(id(tensor), (path, tensor))
    return list(first.values())
