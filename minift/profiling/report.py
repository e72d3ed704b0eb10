"""What a profile found: costs by place, added up by op and by layer, as tables and as JSON.

A place is a path: the phase (forward, backward, inference, optimizer), the layers from the model
inwards, and last the op, which ends in (). Not here: how they are measured (`recorder.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path as FilePath
from typing import Any

from minift import hub

Path = tuple[str, ...]

PHASES = ("forward", "backward", "optimizer", "inference")
OUTSIDE = "(outside layers)"
MIB = 2**20
LONGEST = 44  # characters of a name in a table; of a layer's the end says more


class Cost:
    """Of one place: calls, seconds, and bytes in the calls in which memory was looked at."""

    __slots__ = ("clean_calls", "clean_seconds", "kept", "peak", "traced_calls", "traced_seconds")

    def __init__(self) -> None:
        self.clean_calls = self.traced_calls = 0
        self.clean_seconds = self.traced_seconds = 0.0
        self.kept = self.peak = 0  # bytes: more than before the call, after it and at most in it

    def add(self, seconds: float, traced: bool) -> None:
        """A call; while memory is traced the clock runs fast, and is heard only for want of
        another."""
        if traced:
            self.traced_calls += 1
            self.traced_seconds += seconds
        else:
            self.clean_calls += 1
            self.clean_seconds += seconds

    def add_memory(self, kept: int, peak: int) -> None:
        """The largest count: the first call may make what the others find there."""
        self.kept, self.peak = max(self.kept, kept), max(self.peak, peak)

    @property
    def calls(self) -> int:
        return self.clean_calls + self.traced_calls

    @property
    def seconds(self) -> float:
        """Of all calls, as if none had been traced."""
        if not self.clean_calls:
            return self.traced_seconds
        return self.clean_seconds / self.clean_calls * self.calls


class Report:
    """Filled by `mf.profile()`; `print(report)` shows the tables, `save(folder)` writes all."""

    def __init__(self) -> None:
        self.costs: dict[Path, Cost] = {}
        self.seconds = 0.0  # of the whole block
        self.rest = 0.0  # of them outside layers, ops and optimizers

    # ---- sums -------------------------------------------------------------------------------

    def phases(self) -> dict[str, float]:
        """Seconds of each phase."""
        return {
            phase: sum(cost.seconds for path, cost in self.costs.items() if path[0] == phase)
            for phase in PHASES
        }

    def by_op(self) -> list[dict[str, Any]]:
        """Each op over all layers, the longest first; what Python does between the ops of layers
        and of the tape stands as a row of its own."""
        return self._added(lambda path: path[-1] if is_op(path) else between_ops(path))

    def by_layer(self) -> list[dict[str, Any]]:
        """Each layer with the ops it calls itself, not those of layers inside it, the longest
        first; layers that differ in a number alone are one, as layer.*."""
        return self._added(layer_of)

    def _added(self, name_of: Callable[[Path], str]) -> list[dict[str, Any]]:
        rows: dict[str, dict[str, Any]] = {}
        for path, cost in self.costs.items():
            name = name_of(path)
            row = rows.setdefault(name, new_row(name))
            row[path[0]] += cost.seconds
            row["seconds"] += cost.seconds
            row["calls"] += cost.calls if is_call(path) else 0
            row["kept_mib"] += cost.kept / MIB if is_op(path) and path[0] == "forward" else 0
            row["peak_mib"] = max(row["peak_mib"], cost.peak / MIB)
            row["memory_seen"] |= cost.traced_calls > 0
        total = sum(row["seconds"] for row in rows.values()) or 1.0
        for row in rows.values():
            row["share"] = row["seconds"] / total
        return sorted(rows.values(), key=lambda row: -row["seconds"])

    # ---- telling ----------------------------------------------------------------------------

    def __str__(self) -> str:
        """The phases, and the top ten of ops and of layers."""
        if not self.costs:
            return "profile: no op and no layer ran"
        named = {**self.phases(), "all else": self.rest}
        total = sum(named.values()) or 1.0
        said = [f"{name} {s:.2f} s ({s / total:.0%})" for name, s in named.items() if s > 0]
        return "\n".join(
            [
                f"{self.seconds:.2f} s: " + ", ".join(said),
                "",
                *table("op", self.by_op()[:10]),
                "",
                *table("layer", self.by_layer()[:10]),
            ]
        )

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "seconds": self.seconds,
            "phases": {**self.phases(), "all else": self.rest},
            "ops": self.by_op(),
            "layers": self.by_layer(),
            "places": [
                {
                    "path": list(path),
                    "calls": cost.calls,
                    "seconds": cost.seconds,
                    "kept_mib": cost.kept / MIB,
                    "peak_mib": cost.peak / MIB,
                }
                for path, cost in sorted(self.costs.items(), key=lambda item: -item[1].seconds)
            ],
        }

    def save(self, folder: str | FilePath) -> None:
        """Write profile.json and the picture profile.png. Raises OSError."""
        from minift.plot.flame import flame

        folder = FilePath(folder)
        text = json.dumps(self.as_dict(), indent=1) + "\n"
        hub.write(folder / "profile.json", text.encode())
        flame(self, folder / "profile.png")


# ---- names and rows -----------------------------------------------------------------------------


def is_op(path: Path) -> bool:
    return path[-1].endswith("()")


def is_call(path: Path) -> bool:
    """Whether a place counts as a call: derivatives go with the op that was called."""
    return path[0] == "optimizer" or (is_op(path) and path[0] != "backward")


def between_ops(path: Path) -> str:
    """What a place that is no op is doing."""
    if path[0] == "optimizer":
        return path[-1]
    return "the tape's walk" if path == ("backward",) else "Python of the layers"


def layer_of(path: Path) -> str:
    """BertModel.encoder.layer.*.attention: the layer of a place."""
    if path[0] == "optimizer":
        return path[-1]
    inside = [part for part in path[1:] if not part.endswith("()")]
    if not inside:
        return OUTSIDE if is_op(path) else between_ops(path)
    return re.sub(r"(?<=\.)\d+(?=\.|$)", "*", ".".join(inside))


def new_row(name: str) -> dict[str, Any]:
    zeros = dict.fromkeys((*PHASES, "seconds", "kept_mib", "peak_mib", "share"), 0.0)
    return {"name": name, "calls": 0, **zeros, "memory_seen": False}


def table(what: str, rows: Iterable[dict[str, Any]]) -> list[str]:
    """Seconds by phase and together, share, calls, memory."""
    rows = list(rows)
    wide = min(LONGEST, max([12, *(len(row["name"]) for row in rows)]))
    shown = [phase for phase in PHASES if any(row[phase] > 0 for row in rows)]
    columns = "".join(f"{phase:>11}" for phase in shown)
    numbers = f"{'seconds':>10}{'share':>7}{'calls':>9}{'kept MiB':>10}{'peak MiB':>10}"
    head = f"{what:{wide}}{columns}{numbers}"
    return [head, *(row_line(row, wide, shown) for row in rows)]


def row_line(row: dict[str, Any], wide: int, shown: list[str]) -> str:
    times = "".join(f"{row[phase]:11.3f}" if row[phase] else f"{'':11}" for phase in shown)
    numbers = f"{row['seconds']:10.3f}{row['share']:7.1%}{row['calls']:9,}"
    memory = "".join(f"{row[key]:10.2f}" for key in ("kept_mib", "peak_mib"))
    name = row["name"] if len(row["name"]) <= wide else f"…{row['name'][1 - wide :]}"
    return f"{name:{wide}}{times}{numbers}{memory if row['memory_seen'] else ''}"
