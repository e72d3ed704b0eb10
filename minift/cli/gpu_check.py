"""`minift gpu-check`: tests and benchmark of the GPU in one command, from a checkout.

With MINIFT_PRETEND_GPU=1 it runs on the pretended GPU of `tests/gpu/`, which shows that the check
works and nothing about speed. What it does is in `benchmarks/gpu.py`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path
from typing import Any

from minift.backend import cuda
from minift.cli.arguments import EXIT_FAILURE, MistakeError, folder

ROOT = Path(__file__).parents[2]
FROM_CHECKOUT = ("tests/gpu/pretend.py", "benchmarks/gpu.py")
OUTPUT = Path("runs/gpu-check")


def add(commands: Any) -> None:
    """The command and its options."""
    command = commands.add_parser(
        "gpu-check",
        help="test and time a GPU: one command, for whoever has one",
        description=(
            "Run the device suite, compare a training run with the CPU's, and measure ops and\n"
            "whole steps on both. Ends in a table and a JSON file. Exit code 0 if all pass."
        ),
    )
    command.add_argument("--quick", action="store_true", help="fewer tests, fewer rounds")
    command.add_argument(
        "--output", type=folder, metavar="DIR", default=OUTPUT, help=f"for the JSON file ({OUTPUT})"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Find the checkout and the GPU, then run the check."""
    absent = [file for file in FROM_CHECKOUT if not (ROOT / file).is_file()]
    if absent:
        raise MistakeError(
            f"gpu-check: it runs the tests and benchmarks of minift's checkout, and {ROOT} has no "
            f"{absent[0]}: clone the repository, pip install -e '.[test]' and run it there"
        )
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    pretended = os.environ.get("MINIFT_PRETEND_GPU") == "1"
    if pretended:
        pretend_gpu()
    reason = cuda.why_not()
    if reason is not None:
        raise MistakeError(f'gpu-check: device "cuda" cannot be used: {reason}')
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MistakeError(f"gpu-check: {options.output}: {error.strerror}") from None
    benchmark = importlib.import_module("benchmarks.gpu")
    return 0 if benchmark.run(options.output, pretended, options.quick) else EXIT_FAILURE


def pretend_gpu() -> None:
    """Put the pretended GPU in place of the driver."""
    pretend = importlib.import_module("gpu.pretend")
    reason = pretend.missing()
    if reason is not None:
        raise MistakeError(f"gpu-check: MINIFT_PRETEND_GPU=1, but {reason}")
    pretend.install(pretend.cache())
