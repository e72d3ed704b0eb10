"""Other libraries that can express some of the workloads, each in its own idiom.

    python -m benchmarks.compare --peers [--python FILE]

HIPS autograd, JAX (the whole step compiled), Chainer and DeZero. The last two are from before NumPy
2 and name things that it no longer has; `old_numpy.py` gives them back, so that all of them run on
the same BLAS. Not here: their verdicts, for no goal depends on them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from minift.bench.contest import Entry

CAN = {  # which workloads each takes part in
    "HIPS autograd": ("W1", "W8-scale", "W8-tanh", "W8-matmul"),
    "JAX": ("W1", "W2"),
    "Chainer": ("W1", "W2", "W8-scale", "W8-tanh", "W8-matmul"),
    "DeZero": ("W1", "W8-scale", "W8-tanh", "W8-matmul"),
}
MODULES = {
    "HIPS autograd": "benchmarks.peers.in_autograd",
    "JAX": "benchmarks.peers.in_jax",
    "Chainer": "benchmarks.peers.in_chainer",
    "DeZero": "benchmarks.peers.in_dezero",
}
ROOT = Path(__file__).parents[2]


def available(python: str = sys.executable) -> tuple[dict[str, Entry], dict[str, str]]:
    """Those that this interpreter can import, and why not the others."""
    reasons = {who: why_not(python, module) for who, module in MODULES.items()}
    can = {who: Entry(MODULES[who], python=python) for who in MODULES if not reasons[who]}
    return can, {who: reason for who, reason in reasons.items() if reason}


def why_not(python: str, module: str) -> str:
    """The last line of what importing the module says if it fails, else nothing."""
    command = [python, "-W", "ignore", "-c", f"import {module}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    except OSError as error:
        return f"{python}: {error.strerror}"
    return "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]
