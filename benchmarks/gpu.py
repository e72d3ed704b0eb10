"""What `minift gpu-check` does: is the GPU right, and how fast is it beside this machine's CPU.

It runs the device suite, trains the same model on both devices and compares the losses, measures
ops against the roofline, whole steps, transfers and the size at which the GPU overtakes the CPU;
it ends in a table and a JSON file. On the pretended GPU (`tests/gpu/pretend.py`) all of it runs,
at tiny sizes, and every timing is left out: it would be the time of the pretence.

Read next: `gpu_kernels.py`, `gpu_steps.py`, `gpu_costs.py`.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import minift
from benchmarks import gpu_kernels, gpu_steps
from benchmarks.gpu_plot import draw_crossover
from minift import hub
from minift.backend import cuda
from minift.cli.doctor import blas

ROOT = Path(__file__).parent.parent
QUICK_SUITE = ("tests/test_device.py", "tests/test_kernels.py")
SMI = ("driver_version", "clocks.sm", "clocks.mem", "clocks.max.sm", "clocks.max.mem",
       "power.limit", "temperature.gpu")  # fmt: skip
TIMING = re.compile(r"_seconds?$|_share$")

Results = dict[str, Any]


class Check:
    """One run: its results, and for each thing that must hold whether it does, and a word."""

    def __init__(self, pretended: bool, quick: bool) -> None:
        self.pretended, self.quick = pretended, quick
        self.sizes = gpu_kernels.PRETENDED_SIZES if pretended else gpu_kernels.Sizes()
        self.models = gpu_steps.PRETENDED_MODELS if pretended else gpu_steps.MODELS
        self.widths = gpu_steps.WIDTHS[:1] if pretended else gpu_steps.WIDTHS
        self.rounds = 3 if quick and not pretended else self.sizes.rounds
        self.results: Results = {
            "minift": minift.__version__,
            "pretended": pretended,
            "quick": quick,
            "system": system(),
            "device": device(),
            "checks": [],
        }

    def hold(self, name: str, passed: bool, detail: str) -> None:
        """Write down whether something holds, and say so at once."""
        self.results["checks"].append({"name": name, "passed": passed, "detail": detail})
        print(f"{name}: {'pass' if passed else 'FAIL'}, {detail}", flush=True)

    def attempt(self, name: str, part: Callable[[], Any]) -> Any:
        """The result of a part; if it breaks, a failed check and None, and the rest goes on."""
        try:
            result = part()
            cuda.module().cuda.Device().synchronize()  # errors of a GPU come late
            self.check_pretence()
            return untimed(result) if self.pretended else result
        except Exception as error:
            self.hold(name, False, f"{type(error).__name__}: {cuda.first_line(error)}")
            return None

    def check_pretence(self) -> None:
        """Raise what went wrong in a launch on the pretended GPU."""
        if self.pretended:
            from gpu import pretend

            pretend.check()


def run(output: Path, pretended: bool, quick: bool) -> bool:
    """All of it; writes `gpu-check.json` (and `crossover.png`) to `output`; whether all holds."""
    check = Check(pretended, quick)
    print(heading(check.results), flush=True)
    suite(check)
    parity(check)
    speed(check)
    results = check.results
    results["passed"] = all(c["passed"] for c in results["checks"])
    content = json.dumps(results, indent=1, allow_nan=False) + "\n"
    hub.write(output / "gpu-check.json", content.encode())
    if not pretended and results["crossover"]:
        draw_crossover(results, output / "crossover.png")
    print("\n" + summary(results))
    print(f"\n{output / 'gpu-check.json'} holds all of it{'' if pretended else '; send it in'}")
    return results["passed"]


# ---- what is here -------------------------------------------------------------------------------


def system() -> Results:
    """The machine without its GPU."""
    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": blas(),
        "processors": os.cpu_count(),
        "date": time.strftime("%Y-%m-%d"),
    }


def device() -> Results:
    """The GPU, its driver and clocks as nvidia-smi gives them, and whether TF32 is on."""
    smi = shutil.which("nvidia-smi")
    values = [""] * len(SMI)
    if smi:
        query = [smi, f"--query-gpu={','.join(SMI)}", "--format=csv,noheader", "--id=0"]
        line = subprocess.run(query, capture_output=True, text=True).stdout.strip()
        if line.count(",") == len(SMI) - 1:
            values = [value.strip() for value in line.split(",")]
    clocks = {name.replace(".", "_"): value or None for name, value in zip(SMI, values)}
    return {**cuda.facts(), **clocks, "tf32": os.environ.get("CUPY_TF32") == "1"}


def heading(results: Results) -> str:
    """Two lines: on what this runs."""
    chip, here = results["device"], results["system"]
    name = chip["name"] + (": nothing below is a measurement" if results["pretended"] else "")
    driver = chip["driver_version"] or f"for CUDA {chip['driver_cuda']}"
    return (
        f"GPU: {name}; compute capability {chip['compute_capability']}, driver {driver}, CuPy "
        f"{chip['cupy']}, TF32 {'on' if chip['tf32'] else 'off'}\n"
        f"CPU: {here['processors']} processors, {here['blas']}; NumPy {here['numpy']}, "
        f"Python {here['python']}, minift {results['minift']}\n"
    )


# ---- is it right --------------------------------------------------------------------------------


def suite(check: Check) -> None:
    """The tests that take a device, on this one, in a process of their own."""
    tests = QUICK_SUITE if check.quick else ("tests",)
    command = [sys.executable, "-m", "pytest", "-m", "cuda", *tests]
    print(f"device suite: {' '.join(command[1:])}", flush=True)
    done = run_tests(command)
    said = done.stdout.splitlines()
    last = next((line.strip("= ") for line in reversed(said) if line.strip()), "no output")
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n")
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped|error)", last)}
    check.results["suite"] = counts
    passed = done.returncode == 0 and counts.get("passed", 0) > 0
    check.hold("device suite", passed, re.sub(r" in \d.*", "", last))


def run_tests(command: list[str]) -> subprocess.CompletedProcess[str]:
    """pytest in the checkout."""
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def parity(check: Check) -> None:
    """The same training on both devices."""
    found = check.attempt("parity", gpu_steps.parity)
    check.results["parity"] = found
    if found:
        detail = (
            f"losses of {found['steps']} steps differ by at most "
            f"{found['largest_difference']:.1e} (allowed: {found['allowed']:.0e})"
        )
        check.hold("parity", found["passed"], detail)


# ---- how fast is it -----------------------------------------------------------------------------


def speed(check: Check) -> None:
    """Peaks, transfers, ops, models, crossover."""
    results, sizes, rounds = check.results, check.sizes, check.rounds
    peaks = check.attempt("peaks", lambda: gpu_kernels.peaks(sizes)) or {}
    transfers = check.attempt("transfers", lambda: gpu_kernels.transfers(sizes)) or {}
    results |= {"peaks": peaks, "transfers": transfers, "kernels": [], "models": []}
    check.hold("peaks", len(peaks) == len(transfers) == 2, peaks_line({**peaks, **transfers}))
    for case in gpu_kernels.cases(sizes):
        op = check.attempt(case.name, partial(gpu_kernels.measure, case, peaks, rounds))
        if op:
            results["kernels"].append(op)
            check.hold(case.name, op["passed"], op_line(op))
    for model in check.models:
        step = check.attempt(model.name, partial(gpu_steps.measure, model, rounds))
        if step:
            results["models"].append(step)
            timed = step["gpu_tokens_per_second"] is not None
            check.hold(model.name, step["gpu_bytes"] > 0 or not timed, model_line(step))
    sweep = check.attempt("crossover", partial(gpu_steps.crossover, check.widths, rounds))
    results["crossover"] = sweep or []
    if sweep:
        check.hold("crossover", True, crossover_line(sweep))


def untimed(found: Any) -> Any:
    """The same with None for everything that a clock gave."""
    if isinstance(found, list):
        return [untimed(row) for row in found]
    return {key: None if TIMING.search(key) else value for key, value in found.items()}


def peaks_line(rates: Results) -> str:
    """What the chip and the bus reach: the roofline's two numbers, and both ways of the bus."""
    if None in rates.values() or len(rates) < 4:
        return "not timed"
    copied, product, there, back = rates.values()
    return (
        f"copy {copied / 1e12:.2f} TB/s, product {product / 1e12:.1f} TFLOP/s, "
        f"to the device {there / 1e9:.1f} GB/s, back {back / 1e9:.1f} GB/s"
    )


def op_line(op: Results) -> str:
    """CPU and GPU agree; times, and the share of the roofline that the GPU reaches."""
    agree = f"largest difference {op['largest_difference']:.0e}"
    if op["gpu_seconds"] is None:
        return f"{agree}, not timed"
    return (
        f"{agree}; CPU {1e3 * op['cpu_seconds']:.2f} ms, GPU {1e3 * op['gpu_seconds']:.3f} ms "
        f"(host {1e3 * op['host_seconds']:.3f}), {op['roofline_share']:.0%} of the roofline "
        f"({op['bytes'] / 1e6:.0f} MB, {op['flops'] / 1e9:.1f} GFLOP)"
    )


def model_line(step: Results) -> str:
    """Tokens/s and memory of a training step."""
    if step["gpu_tokens_per_second"] is None:
        return "a step was made; neither time nor memory is measured"
    memory = f"{step['gpu_bytes'] / 2**20:.1f} MiB on the GPU"
    cpu, gpu = step["cpu_tokens_per_second"], step["gpu_tokens_per_second"]
    return f"{memory}; CPU {cpu:,.0f} tokens/s, GPU {gpu:,.0f} ({gpu / cpu:.1f} times)"


def crossover_line(rows: list[Results]) -> str:
    """The smallest width from which on the GPU is faster."""
    if any(row["gpu_seconds"] is None for row in rows):
        return "not timed"
    ahead = [row["width"] for row in rows if row["gpu_seconds"] < row["cpu_seconds"]]
    return f"the GPU is faster from width {min(ahead)} on" if ahead else "the CPU is always faster"


def summary(results: Results) -> str:
    """The table of what holds."""
    rows = [(c["name"], "pass" if c["passed"] else "FAIL", c["detail"]) for c in results["checks"]]
    wide = max(len(name) for name, *_ in rows)
    lines = [f"{name.ljust(wide)}  {verdict}  {detail}" for name, verdict, detail in rows]
    where = " on the pretended GPU: nothing here is a measurement" * results["pretended"]
    verdict = "all pass" if results["passed"] else "NOT ALL PASS"
    return "\n".join([*lines, f"{verdict}{where}"])
