"""Whether two quickstarts, one on each device, came to the same: `python -m gpu.same_results A B`.

Every logged loss and the held-out loss may differ by TOLERANCE, since the devices add up in
different orders; all accuracies and F1 scores must be equal, and so must everything else but the
machine and the seconds.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TOLERANCE = 1e-4


def differences(here: Path, there: Path) -> list[str]:
    """A line for each number that is not the same in the two folders."""
    a, b = (json.loads((f / "results.json").read_text(encoding="utf-8")) for f in (here, there))
    for results in (a, b):
        del results["machine"]
        for row in results["finetuning"]:
            del row["seconds"]
    found = unequal("results.json", a, b)
    logs = [(f / "train.jsonl").read_text(encoding="utf-8").splitlines() for f in (here, there)]
    if len(logs[0]) != len(logs[1]):
        return [*found, f"train.jsonl: {len(logs[0])} lines and {len(logs[1])}"]
    for number, lines in enumerate(zip(*logs), 1):
        x, y = (json.loads(line).get("loss", 0.0) for line in lines)
        found += unequal(f"train.jsonl, line {number}, loss", x, y)
    return found


def unequal(name: str, x: Any, y: Any) -> list[str]:
    """Where two trees of numbers and words differ; a loss may by TOLERANCE."""
    if isinstance(x, dict) and isinstance(y, dict) and x.keys() == y.keys():
        return [line for key in x for line in unequal(f"{name}, {key}", x[key], y[key])]
    if isinstance(x, list) and isinstance(y, list) and len(x) == len(y):
        pairs = enumerate(zip(x, y))
        return [line for i, pair in pairs for line in unequal(f"{name} {i}", *pair)]
    same = abs(x - y) <= TOLERANCE if name.endswith("loss") else x == y
    return [] if same else [f"{name}: {x} and {y}"]


if __name__ == "__main__":
    folders = [Path(word) for word in sys.argv[1:3]]
    found = differences(*folders)
    print("\n".join(found) or f"the same: {folders[0]} and {folders[1]}")
    sys.exit(1 if found else 0)
