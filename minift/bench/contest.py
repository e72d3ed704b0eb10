"""Contestants take turns: each is a process of its own that waits while the others work.

In every round all take one turn, in an order that flips, and ratios are taken within a round:
machines change their speed, by twice and within minutes. Two copies of one contestant are the
control: where they differ, so may any others.

Not here: what a step does (`in_minift.py`), nor any table (`report.py`).
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from minift.bench.workloads import InParts, Step

TURN_SECONDS, LONG = 0.3, 0.7
CONTROL_LIMIT = 0.1
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

Turn = dict[str, float]  # seconds of a step, MiB at the peak so far, MiB before the first step


class Entry(NamedTuple):
    """Who takes part: a module whose BUILDERS build the steps, and the Python that runs it.

    `variant` is a keyword that the builder gets as True: "fused" of PyTorch's, say.
    """

    module: str
    variant: str = ""
    python: str = sys.executable


class Contestant:
    """A process that does turns when told; `serve` is its other end."""

    def __init__(self, workload: str, entry: Entry, threads: int):
        words = [workload, entry.module, str(threads), entry.variant]
        root = str(Path(__file__).parents[2])
        paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [entry.python, "-m", "minift.bench.contest", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **dict.fromkeys(THREADS, str(threads)), "PYTHONPATH": paths},
        )
        self._answer()  # it is ready

    def turn(self, number: int) -> Turn:
        """Do one. Raises RuntimeError if the process is gone."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then there is no answer
            self.process.stdin.write(f"{number}\n")
            self.process.stdin.flush()
        return json.loads(self._answer())

    def _answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.close()
            raise RuntimeError(f"a contestant died with exit code {self.process.returncode}")
        return line

    def close(self) -> None:
        """Let the process end."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def compete(
    workload: str, entries: Mapping[str, Entry], rounds: int, threads: int
) -> dict[str, list[Turn]]:
    """Contestant -> its turns, one a round. Raises RuntimeError if one dies."""
    contestants: dict[str, Contestant] = {}
    turns: dict[str, list[Turn]] = {who: [] for who in entries}
    try:
        for who, entry in entries.items():
            contestants[who] = Contestant(workload, entry, threads)
        for number in range(rounds):
            order = list(contestants)
            for who in order if number % 2 == 0 else reversed(order):
                time.sleep(0.05)  # idle threads of the last one stop spinning
                turns[who].append(contestants[who].turn(number))
    finally:
        for contestant in contestants.values():
            contestant.close()
    return turns


def ratios(turns: Mapping[str, list[Turn]], a: str, b: str) -> list[float]:
    """Time of `a` over time of `b`, round by round."""
    return [x["seconds"] / y["seconds"] for x, y in zip(turns[a], turns[b])]


# ---- in the process of a contestant -------------------------------------------------------------


def serve(workload: str, module: str, threads: int, variant: str) -> None:
    """Build the workload, then answer every line on standard input with the times of a turn."""
    library = importlib.import_module(module)
    if hasattr(library, "set_threads"):
        library.set_threads(threads)
    step: Step = library.BUILDERS[workload](**({variant: True} if variant else {}))
    before = resident()
    seconds = warm_up(step)
    gc.collect()
    print("ready", flush=True)
    for line in sys.stdin:
        if isinstance(step, InParts):
            step.turn = int(line)
        turn = {"seconds": one_turn(step, seconds), "mib": resident("VmHWM"), "before": before}
        print(json.dumps(turn), flush=True)


def warm_up(step: Step) -> float:
    """Seconds of a step that is not the first."""
    first = timed(step)
    return min(timed(step) for _ in range(3 if first < TURN_SECONDS else 1))


def one_turn(step: Step, seconds: float) -> float:
    """The median over steps that take about TURN_SECONDS together, two of up to LONG seconds each;
    short ones begin with one more, because the caches are cold."""
    if isinstance(step, InParts):
        return timed(step)
    if seconds < TURN_SECONDS:
        step()
    least = 2 if seconds < LONG else 1
    return statistics.median(timed(step) for _ in range(max(least, round(TURN_SECONDS / seconds))))


def timed(step: Step) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def resident(which: str = "VmRSS") -> float:
    """MiB of this process, now or (VmHWM) at its peak. (getrusage would count its parent's.)"""
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="utf-8").splitlines()
        return int(next(line for line in lines if line.startswith(which)).split()[1]) / 1024
    if sys.platform == "win32":
        return float("nan")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts bytes


if __name__ == "__main__":
    name, module, threads, variant = sys.argv[1:]
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is for the other end to speak of
        serve(name, module, int(threads), variant)
