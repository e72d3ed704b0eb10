"""minift beside PyTorch on the same cores: time and memory of one step of each workload.

    python -m benchmarks.compare [W1 W2-dropout ...] [--rounds 7] [--threads 2] [--json FILE]

Every contestant is a process of its own that waits while others work; in each round all take one
turn, in an order that flips, and ratios are taken within a round: these machines change speed.
A second copy of PyTorch is the control: no verdict where the two copies differ by over 10 %.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.workloads import WORKLOADS, Workload

CONTESTANTS = ("minift", "torch", "torch again", "torch fused")
TURN_SECONDS = 0.4  # steps are repeated until about that long, or three
CONTROL_LIMIT = 0.1

# ---- one contestant: a process that does turns when told ----------------------------------------


def serve(name: str, contestant: str, threads: int) -> None:
    """Build the workload, then answer every line on standard input with the times of a turn."""
    library = contestant.partition(" ")[0]
    module = importlib.import_module(f"benchmarks.workloads.in_{library}")
    builder = module.BUILDERS[name]
    if library == "torch":
        importlib.import_module("torch").set_num_threads(threads)
        step = builder("fused" in contestant)
    else:
        step = builder()
    for _ in range(3):
        step()
    start = time.perf_counter()
    step()
    turns = max(3, round(TURN_SECONDS / (time.perf_counter() - start)))
    gc.collect()
    print("ready", flush=True)
    for _ in sys.stdin:
        step()  # the caches are cold after the others' turns
        times = []
        for _ in range(turns):
            start = time.perf_counter()
            step()
            times.append(time.perf_counter() - start)
        print(json.dumps({"seconds": statistics.median(times), "mib": resident_peak()}), flush=True)


def resident_peak() -> float:
    """MiB, of this process so far. (Its getrusage would count what its parent held as well.)"""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts bytes


class Contestant:
    """The other end of `serve`."""

    def __init__(self, name: str, contestant: str, threads: int):
        command = [sys.executable, "-m", "benchmarks.compare", "--serve", name, contestant]
        numbers = {v: str(threads) for v in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")}
        self.process = subprocess.Popen(
            [*command, "--threads", str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **numbers},
        )
        self.answer()

    def turn(self) -> dict[str, float]:
        """Seconds of a step and the peak memory so far."""
        assert self.process.stdin is not None
        self.process.stdin.write("turn\n")
        self.process.stdin.flush()
        return json.loads(self.answer())

    def answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a contestant died with exit code {self.process.wait()}")
        return line

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def compete(name: str, rounds: int, threads: int) -> dict[str, list[dict[str, float]]]:
    """contestant -> its turns, one per round."""
    contestants = {who: Contestant(name, who, threads) for who in CONTESTANTS}
    turns: dict[str, list[dict[str, float]]] = {who: [] for who in contestants}
    try:
        for n in range(rounds):
            order = list(contestants)
            for who in order if n % 2 == 0 else reversed(order):
                time.sleep(0.05)  # idle threads of the last one stop spinning
                turns[who].append(contestants[who].turn())
    finally:
        for contestant in contestants.values():
            contestant.close()
    return turns


# ---- the table ----------------------------------------------------------------------------------


def ratios(turns: dict[str, list[dict[str, float]]], a: str, b: str) -> list[float]:
    return [x["seconds"] / y["seconds"] for x, y in zip(turns[a], turns[b])]


def summary(workload: Workload, turns: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """The figures of one workload."""
    against, control = ratios(turns, "minift", "torch"), ratios(turns, "torch again", "torch")
    memory = {who: turn[-1]["mib"] for who, turn in turns.items()}
    time_ratio = statistics.median(against)
    memory_ratio = memory["minift"] / memory["torch"]
    return {
        "milliseconds": {
            who: 1e3 / workload.units * statistics.median(turn["seconds"] for turn in each)
            for who, each in turns.items()
        },
        "ratio": time_ratio,
        "range": [min(against), max(against)],
        "fused ratio": statistics.median(ratios(turns, "minift", "torch fused")),
        "control": statistics.median(control),
        "mib": memory,
        "memory ratio": memory_ratio,
        "verdict": verdict(workload, time_ratio, memory_ratio, statistics.median(control)),
    }


def verdict(workload: Workload, time_ratio: float, memory_ratio: float, control: float) -> str:
    """Which goal is reached: the worse of time and memory."""
    if abs(control - 1) > CONTROL_LIMIT:
        return "no verdict"
    for word, goals in (("aim", workload.aim), ("must", workload.must)):
        pairs = zip((time_ratio, memory_ratio), goals)
        if all(goal is None or ratio <= goal for ratio, goal in pairs):
            return word
    return "missed"


def row(name: str, workload: Workload, figures: dict[str, Any]) -> str:
    ms, goal = figures["milliseconds"], workload.must
    limit = lambda g: "" if g is None else f"{g:.2f}"
    low, high = figures["range"]
    return (
        f"{name:15}{ms['minift']:9.3g}{ms['torch']:9.3g}   {figures['ratio']:.2f} "
        f"[{low:.2f}-{high:.2f}]{limit(goal[0]):>6}{figures['fused ratio']:7.2f}"
        f"{figures['control']:6.2f}{figures['mib']['minift']:7.0f}{figures['mib']['torch']:6.0f}"
        f"{figures['memory ratio']:6.2f}{limit(goal[1]):>6}  {figures['verdict']}"
    )


HEADER = (
    f"{'':15}{'minift':>9}{'PyTorch':>9}   {'ratio':16}{'must':>6}{'fused':>7}{'A/A':>6}"
    f"{'MiB':>7}{'MiB':>6}{'ratio':>6}{'must':>6}"
)


def machine(threads: int) -> dict[str, Any]:
    """What a figure depends on."""
    import numpy as np
    import threadpoolctl

    pools = threadpoolctl.threadpool_info()
    blas = [f"{p['internal_api']} {p['version']} {p.get('architecture')}" for p in pools]
    return {
        "processor": processor(),
        "threads": threads,
        "numpy": np.__version__,
        "blas": sorted(set(blas)),
        "torch": importlib.metadata.version("torch"),
        "python": platform.python_version(),
    }


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(*options.serve, options.threads)
        return
    found = {"machine": machine(options.threads), "rounds": options.rounds, "workloads": {}}
    print(json.dumps(found["machine"]), HEADER, sep="\n")
    for name in options.names or WORKLOADS:
        turns = compete(name, options.rounds, options.threads)
        found["workloads"][name] = figures = summary(WORKLOADS[name], turns)
        print(row(name, WORKLOADS[name], figures), flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
