"""`minift bench`: how fast minift is on this machine, beside PyTorch. The work is in `bench/`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from minift.cli.arguments import EXIT_FAILURE, MistakeError, count, folder

OUTPUT = Path("runs/bench")
ROUNDS, QUICK_ROUNDS = 7, 2


def add(commands: Any) -> None:
    """The command and its options."""
    command = commands.add_parser(
        "bench",
        help="speed and memory on this machine's CPU, beside PyTorch where installed",
        description=(
            "Time training, inference and generation, and the memory they take. Each library is a\n"
            "process of its own; they take turns in every round, and ratios are taken within a\n"
            "round. A second copy of one is the control (A/A): where the copies differ by more\n"
            "than 10 %, the machine was busy. It takes about five minutes; leave the machine alone."
        ),
    )
    option = command.add_argument
    option("--quick", action="store_true", help="two small workloads, two rounds")
    option("--rounds", type=count, metavar="N", help=f"turns of each library ({ROUNDS})")
    option("--threads", type=count, metavar="N", help="for each (as many as NumPy's BLAS has)")
    option(
        "--output", type=folder, metavar="DIR", default=OUTPUT,
        help=f"for bench.json and bench.png ({OUTPUT})",
    )  # fmt: skip
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure, print, write."""
    from minift.bench import machine, report
    from minift.kernels import get_num_threads
    from minift.plot.speed import speed

    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MistakeError(f"bench: {options.output}: {error.strerror}") from None
    facts = machine.facts(options.threads or get_num_threads())
    print(report.machine_lines(facts))
    if machine.warning():
        print(f"WARNING: {machine.warning()}")
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    names = report.QUICK if options.quick else report.CHOSEN
    print()
    try:
        found = report.measure(names, rounds, facts["threads"])
        write(options.output / "bench.json", {**facts, "rounds": rounds, "workloads": found})
        speed(found, options.output / "bench.png")
    except (OSError, RuntimeError) as error:  # a full disk, a contestant that died
        print(f"\nminift: bench: {error}", file=sys.stderr)
        return EXIT_FAILURE
    print(f"\n{options.output} holds bench.json, bench.png")
    return 0


def write(file: Path, result: dict[str, Any]) -> None:
    """The figures, whole or not at all."""
    from minift import hub

    hub.write(file, (json.dumps(result, indent=1) + "\n").encode())
