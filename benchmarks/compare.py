"""minift beside PyTorch on the same cores: time and memory of one step of each workload.

    python -m benchmarks.compare [W1 W2-dropout ...] [--rounds 7] [--threads 2] [--json FILE]

A name may be a beginning: W6 stands for all lengths. Every contestant is a process of its own; in
each round all take one turn (`minift/bench/contest.py`), and ratios are taken within a round. A
second copy of PyTorch is the control: where the two copies differ by more than 10 %, a time is
"unsure". All of it takes about ten minutes.

With --peers, HIPS autograd, JAX, Chainer and DeZero do what they can express (`benchmarks/peers/`);
--python names the interpreter they are installed in.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.goals import GOALS, LINEAR, Goal, reached
from minift.bench import machine
from minift.bench.contest import Entry, Turn, compete, ratios
from minift.bench.workloads import WORKLOADS, Workload

TORCH = "minift.bench.in_torch"
OURS = {
    "minift": Entry("minift.bench.in_minift"),
    "PyTorch": Entry(TORCH),
    "PyTorch again": Entry(TORCH),
    "PyTorch fused": Entry(TORCH, variant="fused"),
}

Figures = dict[str, Any]
Compete = Callable[[str, Mapping[str, Entry], int, int], dict[str, list[Turn]]]


def entries_of(name: str, others: Mapping[str, Entry]) -> dict[str, Entry]:
    """Who takes part: the fused PyTorch where there is an optimizer, a peer where it can."""
    entries = {
        who: entry for who, entry in OURS.items() if not entry.variant or WORKLOADS[name].fused
    }
    return {**entries, **{who: e for who, e in others.items() if name in peers.CAN[who]}}


# ---- figures ------------------------------------------------------------------------------------


def summary(workload: Workload, goal: Goal, turns: dict[str, list[Turn]]) -> Figures:
    """The figures of one workload. Times are ms of a unit, medians over the rounds."""
    against = {who: ratios(turns, "minift", who) for who in turns if who != "minift"}
    against["PyTorch again"] = ratios(turns, "PyTorch again", "PyTorch")
    control = statistics.median(against.pop("PyTorch again"))
    memory = {who: each[-1]["mib"] for who, each in turns.items()}
    ratio, memory_ratio = (
        statistics.median(against["PyTorch"]),
        memory["minift"] / memory["PyTorch"],
    )
    return {
        "unit": workload.unit,
        "milliseconds": {
            who: 1e3 / workload.units * statistics.median(turn["seconds"] for turn in each)
            for who, each in turns.items()
        },
        "ratio": ratio,
        "range": [min(against["PyTorch"]), max(against["PyTorch"])],
        "ratios": {who: statistics.median(each) for who, each in against.items()},
        "control": control,
        "mib": memory,
        "mib of the step": {
            who: each[-1]["mib"] - each[-1]["before"] for who, each in turns.items()
        },
        "memory ratio": memory_ratio,
        "time": reached(ratio, goal.must[0], goal.aim[0], control),
        "memory": reached(memory_ratio, goal.must[1], goal.aim[1]),
        "turns": turns,
    }


def memory_exponent(found: Mapping[str, Figures], who: str) -> float | None:
    """x in memory ~ T^x of attention, between the shortest and the longest text over 1,000 tokens;
    None unless both were measured."""
    lengths = [T for T in (1024, 2048, 4096) if f"W6-{T}" in found]
    if len(lengths) < 2:
        return None
    few, many = (found[f"W6-{T}"]["mib of the step"][who] for T in (lengths[0], lengths[-1]))
    return math.log(many / few) / math.log(lengths[-1] / lengths[0])


# ---- the table ----------------------------------------------------------------------------------

HEADER = (
    f"{'':15}{'ms of a':8}{'minift':>9}{'PyTorch':>9}   {'ratio':17}{'must':>5}{'aim':>5}  {'':7}"
    f"{'A/A':>5}{'fused':>7}{'MiB':>7}{'MiB':>6}{'ratio':>6}{'must':>5}{'aim':>5}"
)


def row(name: str, goal: Goal, figures: Figures) -> str:
    """One line: time and its verdict, the control, memory and its verdict."""
    ms, mib = figures["milliseconds"], figures["mib"]
    low, high = figures["range"]
    fused = figures["ratios"].get("PyTorch fused")
    goals = [
        f"{limit:5.2f}" if limit is not None else " " * 5 for pair in zip(*goal) for limit in pair
    ]
    return (
        f"{name:15}{figures['unit']:8}{in_three(ms['minift']):>9}{in_three(ms['PyTorch']):>9}   "
        f"{figures['ratio']:.2f} {f'[{low:.2f}-{high:.2f}]':12}{goals[0]}{goals[1]}  "
        f"{figures['time']:7}{figures['control']:5.2f}{f'{fused:7.2f}' if fused else ' ' * 7}"
        f"{mib['minift']:7.0f}{mib['PyTorch']:6.0f}{figures['memory ratio']:6.2f}"
        f"{goals[2]}{goals[3]}  {figures['memory']}"
    ).rstrip()


def in_three(ms: float) -> str:
    """Three digits; all of them before the point."""
    return f"{ms:.0f}" if ms >= 1000 else f"{ms:.3g}"


def peer_row(figures: Figures) -> str:
    """The peers beside one workload: their time, and minift's over it."""
    ms, mib = figures["milliseconds"], figures["mib"]
    said = [
        f"{who} {ms[who]:.3g} ms (minift {figures['ratios'][who]:.2f} of it), {mib[who]:.0f} MiB"
        for who in peers.CAN
        if who in ms
    ]
    return f"{'':15}beside: {'; '.join(said)}" if said else ""


def attention_row(found: Mapping[str, Figures]) -> str:
    """How the memory of attention grows, or nothing."""
    ours, theirs = (memory_exponent(found, who) for who in ("minift", "PyTorch"))
    if ours is None or theirs is None:
        return ""
    word = "linear" if ours <= LINEAR else "missed: not linear"
    return f"{'W6 memory':15}grows as T^{ours:.2f} in minift, T^{theirs:.2f} in PyTorch: {word}"


def conclusion(found: Mapping[str, Figures]) -> str:
    """How many goals were reached, and the names of those that were not."""
    words = [
        (name, what, figures[what])
        for name, figures in found.items()
        for what in ("time", "memory")
        if figures[what]
    ]
    named = lambda word: ", ".join(f"{name} ({what})" for name, what, w in words if w == word)
    counted = lambda word: sum(w == word for _, _, w in words)
    lines = [f"{len(words)} goals: {counted('aim')} aims reached, {counted('must')} musts held"]
    lines += [f"missed: {named('missed')}"] if counted("missed") else []
    lines += [f"unsure: {named('unsure')}"] if counted("unsure") else []
    return "\n".join(lines)


# ---- the run ------------------------------------------------------------------------------------


def run(
    names: Sequence[str],
    rounds: int,
    threads: int,
    others: Mapping[str, Entry],
    by: Compete = compete,
) -> dict[str, Figures]:
    """Measure and print line by line."""
    found: dict[str, Figures] = {}
    for name in names:
        turns = by(name, entries_of(name, others), rounds, threads)
        found[name] = summary(WORKLOADS[name], GOALS[name], turns)
        print(row(name, GOALS[name], found[name]), flush=True)
        if others and peer_row(found[name]):
            print(peer_row(found[name]), flush=True)
    if attention_row(found):
        print(attention_row(found))
    print(conclusion(found), flush=True)
    return found


def chosen(words: Sequence[str]) -> list[str]:
    """The workloads that the words name or begin; all without words. Raises ValueError."""
    for word in words:
        if not any(begins(name, word) for name in WORKLOADS):
            raise ValueError(f"unknown workload {word!r}; there are {', '.join(WORKLOADS)}")
    return [name for name in WORKLOADS if not words or any(begins(name, word) for word in words)]


def begins(name: str, word: str) -> bool:
    """Whether the word names the workload itself, or a family that it belongs to."""
    return name == word or (word not in WORKLOADS and name.startswith(f"{word}-"))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description=__doc__.partition("\n")[0]
    )
    option = parser.add_argument
    option("names", nargs="*", metavar="NAME", help=f"of {', '.join(WORKLOADS)}")
    option("--rounds", type=int, default=7, help="turns of each contestant (7)")
    option("--threads", type=int, default=2, help="for each contestant (2)")
    option(
        "--peers", action="store_true", help="other libraries beside, where they can be imported"
    )
    option("--python", default=sys.executable, help="the interpreter of those (this one)")
    option("--json", type=Path, metavar="FILE", help="write all figures there as well")
    options = parser.parse_args(arguments)
    try:
        names = chosen(options.names)
    except ValueError as error:
        parser.error(str(error))
    started = time.time()
    print(*(f"{key}: {value}" for key, value in machine.facts(options.threads).items()), sep="\n")
    print(*filter(None, [machine.warning()]), sep="\n")
    others, absent = peers.available(options.python) if options.peers else ({}, {})
    for who, reason in absent.items():
        print(f"{who} does not take part: {reason}")
    print(HEADER, flush=True)
    found = run(names, options.rounds, options.threads, others)
    print(f"{(time.time() - started) / 60:.1f} minutes")
    if options.json:
        result = {
            "machine": machine.facts(options.threads),
            "rounds": options.rounds,
            "peers that are absent": absent,
            "workloads": found,
        }
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
