"""What `minift bench` measures and says: speed and memory of a few workloads, beside PyTorch.

Not here: the turns (`contest.py`), the picture (`minift/plot/speed.py`).
"""

from __future__ import annotations

import importlib.util
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from minift.bench.contest import CONTROL_LIMIT, Entry, Turn, compete, ratios
from minift.bench.workloads import WORKLOADS, Workload

CHOSEN = ("W1", "W2-dropout", "W3-dropout", "W4-resnet", "W5", "W7", "W8-scale")
QUICK = ("W1", "W8-scale")
MINIFT, TORCH = Entry("minift.bench.in_minift"), Entry("minift.bench.in_torch")
PLURAL = {"step": "steps", "pass": "passes", "token": "tokens", "op": "ops"}

Figures = dict[str, Any]
Compete = Callable[[str, Mapping[str, Entry], int, int], dict[str, list[Turn]]]


def entries() -> dict[str, Entry]:
    """minift, PyTorch if it is installed, and a second copy of the last as the control."""
    if importlib.util.find_spec("torch") is None:
        return {"minift": MINIFT, "minift again": MINIFT}
    return {"minift": MINIFT, "PyTorch": TORCH, "PyTorch again": TORCH}


def measure(
    names: Sequence[str], rounds: int, threads: int, by: Compete = compete
) -> dict[str, Figures]:
    """Let the contestants take turns, and print a line for each workload when it is done."""
    found: dict[str, Figures] = {}
    taking_part = entries()
    print(header("PyTorch" in taking_part))
    for name in names:
        workload = WORKLOADS[name]
        print(f"{workload.title:40}", end="", flush=True)
        found[name] = figures_of(workload, by(name, taking_part, rounds, threads))
        print(line(found[name]), flush=True)
    return found


def figures_of(workload: Workload, turns: Mapping[str, list[Turn]]) -> Figures:
    """Units and tokens a second and the peak of memory; ratios of time to PyTorch's, if there."""
    last = "PyTorch" if "PyTorch" in turns else "minift"
    control = statistics.median(ratios(turns, f"{last} again", last))
    by_library: dict[str, dict[str, Any]] = {}
    for who in ("minift", "PyTorch"):
        if who in turns:
            seconds = statistics.median(turn["seconds"] for turn in turns[who])
            by_library[who] = {
                "seconds": seconds / workload.units,
                "per_second": workload.units / seconds,
                "tokens_per_second": workload.tokens / seconds or None,
                "peak_mib": turns[who][-1]["mib"],
            }
    figures: Figures = {
        "title": workload.title,
        "unit": workload.unit,
        "control": control,
        **by_library,
    }
    if "PyTorch" in turns:
        against = ratios(turns, "minift", "PyTorch")
        figures["time_ratio"] = statistics.median(against)
        figures["time_ratio_range"] = [min(against), max(against)]
        ours, theirs = (by_library[who]["peak_mib"] for who in ("minift", "PyTorch"))
        figures["memory_ratio"] = ours / theirs
    return figures


def unsure(figures: Figures) -> bool:
    """Whether two copies of one program differed so much that the machine was not quiet."""
    return abs(figures["control"] - 1) > CONTROL_LIMIT


# ---- the table ----------------------------------------------------------------------------------


def header(beside_torch: bool) -> str:
    """The columns' names, in two lines."""
    pair = f"{'minift':>9}{'PyTorch':>9}" if beside_torch else f"{'minift':>9}"
    wide = len(pair)
    ratio = f"   {'time ratio':18}{'MiB':>5}" if beside_torch else ""
    return (
        f"{'':48}{'a second':>{wide}}{'tokens a second':>{max(wide, 16)}}{'MiB':>{wide}}\n"
        f"{'':48}{pair}{pair:>{max(wide, 16)}}{pair}{ratio}{'A/A':>6}"
    )


def line(figures: Figures) -> str:
    """What follows the title; ratios below 1 are minift ahead."""
    each = [figures[who] for who in ("minift", "PyTorch") if who in figures]
    rates = "".join(f"{rounded(one['per_second']):>9}" for one in each)
    tokens = "".join(f"{rounded(one['tokens_per_second']):>9}" for one in each)
    memory = "".join(f"{one['peak_mib']:9,.0f}" for one in each)
    mark = "  unsure: the machine was busy" if unsure(figures) else ""
    ratio = ""
    if "PyTorch" in figures:
        low, high = figures["time_ratio_range"]
        spread = f"{figures['time_ratio']:.2f} [{low:.2f}-{high:.2f}]"
        ratio = f"   {spread:18}{figures['memory_ratio']:5.2f}"
    unit = PLURAL[figures["unit"]]
    return f"{unit:8}{rates}{tokens:>16}{memory}{ratio}{figures['control']:6.2f}{mark}"


def rounded(rate: float | None) -> str:
    """Three digits or so; nothing for what has no tokens."""
    if rate is None:
        return ""
    return f"{rate:,.{0 if rate >= 100 else 1 if rate >= 10 else 2}f}"


def machine_lines(facts: Mapping[str, Any]) -> str:
    """What the figures depend on, for a reader."""
    torch = f"PyTorch {facts['torch']}" if facts["torch"] else "no PyTorch: pip install torch"
    blas = "; ".join(facts["blas"]) or "of an unknown name"
    return (
        f"{facts['processor']}, {facts['cores']} cores, {facts['system']}\n"
        f"Python {facts['python']}, NumPy {facts['numpy']}, {torch}\n"
        f"BLAS: {blas}\n"
        f"threads of each contestant: {facts['threads']}"
    )
