"""What a measurement is, and where its results are kept, seed by seed.

A result that is in the file is not measured again, so that a run that was killed goes on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minift import hub
from minift.metrics import paired_interval
from minift.train.machine import machine

Values = dict[str, float]  # what was reached, by the name of its row


@dataclass(frozen=True)
class Measurement:
    """`run` (a seed, where pictures go) trains and measures; `baselines` needs no training."""

    goal: str
    run: Callable[[int, Path | None], Values]
    baselines: Callable[[], Values]


class Results:
    """A JSON file: each measurement's goal, baselines, and the values and seconds of each seed."""

    def __init__(self, file: Path):
        self.file = file
        self.content: dict[str, Any] = {}
        if file.is_file():
            self.content = json.loads(file.read_text(encoding="utf-8"))

    def measure(
        self, name: str, measurement: Measurement, seeds: range, pictures: Path | None
    ) -> None:
        """Measure what is not there yet; the file is whole after every seed."""
        entry = self.content.setdefault(name, {"seeds": {}})
        entry["goal"] = measurement.goal
        entry["machine"] = machine("cpu")
        if "baselines" not in entry:
            entry["baselines"] = measurement.baselines()
        for seed in seeds:
            if str(seed) not in entry["seeds"]:
                started = time.perf_counter()
                values = measurement.run(seed, pictures)
                seconds = round(time.perf_counter() - started, 1)
                entry["seeds"][str(seed)] = {"seconds": seconds, "values": values}
                self.save()

    def save(self) -> None:
        """Write the file in one move."""
        hub.write(self.file, (json.dumps(self.content, indent=1) + "\n").encode("utf-8"))

    def forget(self, name: str) -> None:
        """Let a measurement be made anew."""
        self.content.pop(name, None)

    def table(self, name: str) -> str:
        """The goal, a line a row (mean and interval over seeds), the baselines indented."""
        entry = self.content[name]
        runs = [entry["seeds"][seed] for seed in sorted(entry["seeds"], key=int)]
        seconds = sum(run["seconds"] for run in runs) / len(runs)
        numbers = ", ".join(sorted(entry["seeds"], key=int))
        lines = [f"{name}: {seconds:.0f} s a seed (seeds {numbers}); goal: {entry['goal']}"]
        for label in runs[0]["values"]:
            lines.append(f"  {label:<52} {written([run['values'][label] for run in runs])}")
        for label, value in entry["baselines"].items():
            lines.append(f"    {label:<50} {written([value])}")
        return "\n".join(lines)


def written(values: list[float]) -> str:
    """The mean, and Student's interval of 95 % where there are several."""
    if len(values) == 1:
        return f"{values[0]:.4f}"
    mean, low, high = paired_interval(values, [0.0] * len(values))
    return f"{mean:.4f} [{low:.4f}, {high:.4f}]"
