"""Cost against size: a BERT's training step as tokens, width, layers and batch grow 16 times.

    python -m benchmarks.scaling [tokens width layers batch memory import] [--rounds 7]
                                 [--threads 2] [--json FILE] [--picture FILE]

Every size takes one turn in each round. A line is fitted through log(time) against log(size): its
slope is the exponent. Where the slope between neighbours changes most, the cost bends: overhead
below, arithmetic above, and what is quadratic (attention in tokens, products in width) takes over
further up. `memory` takes 1,000 steps and looks whether anything grows, `import` times imports.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minift as mf
from minift.bench.contest import resident
from minift.plot.training import BLUE, GREY, RED, save

BASE = {"tokens": 64, "width": 128, "layers": 2, "batch": 8}
SIZES = {
    "tokens": (32, 64, 128, 256, 512),
    "width": (64, 128, 256, 512, 1024),
    "layers": (1, 2, 4, 8, 16),
    "batch": (2, 4, 8, 16, 32),
}
FLAT = 0.02  # growth of memory that is none: a few kilobytes here
STEPS, WINDOW = 1000, 100


def training_step(tokens: int, width: int, layers: int, batch: int) -> Callable[[], None]:
    """Forward, backward and AdamW of a BERT with two classes."""
    config = mf.models.BertConfig(
        vocab_size=1000,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        intermediate_size=4 * width,
        max_position_embeddings=tokens,
    )
    model = mf.models.BertForSequenceClassification(config).train()
    optimizer = mf.optim.AdamW(model.parameters(), lr=1e-4)
    rng = np.random.default_rng(0)
    ids, classes = rng.integers(0, 1000, (batch, tokens)), rng.integers(0, 2, batch)

    def step() -> None:
        optimizer.zero_grad()
        mf.functional.cross_entropy(model(ids), classes).backward()
        optimizer.step()

    return step


# ---- time against size --------------------------------------------------------------------------


def seconds_of(what: str, sizes: Sequence[int], rounds: int) -> list[float]:
    """Seconds of a step at each size: the median over rounds in which all take turns."""
    steps = [training_step(**{**BASE, what: size}) for size in sizes]
    for step in steps:
        step()
    times = [[timed(step) for step in steps] for _ in range(rounds)]
    return [statistics.median(each) for each in zip(*times)]


def timed(step: Callable[[], None]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def curve(sizes: Sequence[int], seconds: Sequence[float]) -> dict[str, Any]:
    """The exponent through all sizes, those between neighbours, and where they change most."""
    x, y = np.log(sizes), np.log(seconds)
    slopes = np.diff(y) / np.diff(x)
    bend = int(np.abs(np.diff(slopes)).argmax()) + 1
    return {
        "sizes": list(sizes),
        "seconds": list(seconds),
        "exponent": float(np.polyfit(x, y, 1)[0]),
        "slopes": slopes.tolist(),
        "bend": sizes[bend],
        "below": float((y[bend] - y[0]) / (x[bend] - x[0])),
        "above": float((y[-1] - y[bend]) / (x[-1] - x[bend])),
    }


def curve_lines(what: str, found: dict[str, Any]) -> str:
    sizes, seconds = found["sizes"], found["seconds"]
    points = "  ".join(f"{size}: {1e3 * s:.1f} ms" for size, s in zip(sizes, seconds))
    return (
        f"{what:8}{points}\n{'':8}time ~ {what}^{found['exponent']:.2f}; it bends at "
        f"{found['bend']}: ^{found['below']:.2f} below, ^{found['above']:.2f} above"
    )


def draw(curves: dict[str, dict[str, Any]], file: Path) -> None:
    """One panel for each, both axes logarithmic, with the fitted line and the bend."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6.4), dpi=130, layout="constrained")
    for axes, (what, found) in zip(figure.subplots(2, 2).flat, curves.items()):
        sizes, ms = np.array(found["sizes"]), 1e3 * np.array(found["seconds"])
        centre = lambda values: np.exp(np.log(values).mean())
        fitted = centre(ms) * (sizes / centre(sizes)) ** found["exponent"]
        label = f"{what}$^{{{found['exponent']:.2f}}}$"
        axes.loglog(sizes, fitted, "--", color=GREY, label=label)
        axes.loglog(sizes, ms, "o-", color=BLUE, label="measured")
        at = found["sizes"].index(found["bend"])
        axes.loglog(sizes[at], ms[at], "o", markersize=12, fillstyle="none", color=RED,
                    label=f"bends: {found['below']:.2f} → {found['above']:.2f}")  # fmt: skip
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.set(xlabel=what, ylabel="ms a training step")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, fontsize=8.5)
    held = ", ".join(f"{name} {value}" for name, value in BASE.items())
    figure.suptitle(f"Cost of a BERT's training step; what does not grow: {held}", fontsize=11)
    save(figure, file)


# ---- memory over many steps ---------------------------------------------------------------------


def memory(steps: int = STEPS, window: int = WINDOW) -> dict[str, Any]:
    """MiB in each window of steps: what Python and NumPy hold at their peak, and the process.

    Inside a window the garbage collector is off, so that what points to itself would pile up. It
    runs between them, because Python keeps some thousands of freed tuples until then.
    """
    step = training_step(tokens=16, width=32, layers=2, batch=4)
    for _ in range(window):
        step()
    peaks, residents, cycles = [], [], 0
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(steps // window):
            tracemalloc.reset_peak()
            for _ in range(window):
                step()
            peaks.append(tracemalloc.get_traced_memory()[1] / 2**20)
            residents.append(resident())
            cycles += gc.collect()
    finally:
        tracemalloc.stop()
        gc.enable()
    return {
        "steps": steps,
        "window": window,
        "peaks": peaks,
        "residents": residents,
        "growth": [max(each[1:]) / each[0] - 1 for each in (peaks, residents)],
        "objects in cycles": cycles,
    }


def memory_line(found: dict[str, Any]) -> str:
    peaks, residents, growth = found["peaks"], found["residents"], found["growth"]
    flat = max(growth) < FLAT and not found["objects in cycles"]
    return (
        f"memory  {found['steps']:,} steps: peak of the first {found['window']} {peaks[0]:.3f} "
        f"MiB, later at most {growth[0]:+.1%}; process {residents[0]:.1f} MiB, later at most "
        f"{growth[1]:+.1%}; {found['objects in cycles']} objects that only the garbage collector "
        f"finds: {'flat' if flat else 'not flat'}"
    )


# ---- import -------------------------------------------------------------------------------------


def imports(rounds: int) -> dict[str, float]:
    """Seconds of `import` in fresh processes, the median over rounds in which all take turns."""
    names = [name for name in ("numpy", "minift", "torch") if importlib.util.find_spec(name)]
    code = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
    commands = [[sys.executable, "-c", code.format(name)] for name in names]
    run = lambda c: float(subprocess.run(c, check=True, capture_output=True, text=True).stdout)
    times = [[run(command) for command in commands] for _ in range(rounds)]
    return {name: statistics.median(each) for name, each in zip(names, zip(*times))}


def import_line(found: dict[str, float]) -> str:
    return "import  " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in found.items())


# ---- the run ------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    everything = [*SIZES, "memory", "import"]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling", description=__doc__.partition("\n")[0]
    )
    option = parser.add_argument
    option("what", nargs="*", metavar="WHAT", help=f"of {', '.join(everything)} (all)")
    option("--rounds", type=int, default=7, help="turns of each size (7)")
    option("--threads", type=int, default=2, help="for minift and BLAS (2)")
    option("--json", type=Path, metavar="FILE", help="write all figures there as well")
    option("--picture", type=Path, metavar="FILE", help="and the curves there")
    options = parser.parse_args(arguments)
    for word in options.what:
        if word not in everything:
            parser.error(f"unknown {word!r}; there are {', '.join(everything)}")
    mf.set_num_threads(options.threads)
    found: dict[str, Any] = {}
    for what in options.what or everything:
        found[what], said = measured(what, options.rounds)
        print(said, flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    curves = {what: found[what] for what in SIZES if what in found}
    if options.picture and curves:
        draw(curves, options.picture)
    return 0


def measured(what: str, rounds: int) -> tuple[dict[str, Any], str]:
    """The figures of one, and how they are said."""
    if what == "memory":
        return (found := memory()), memory_line(found)
    if what == "import":
        return (times := imports(rounds)), import_line(times)
    found = curve(SIZES[what], seconds_of(what, SIZES[what], rounds))
    return found, curve_lines(what, found)


if __name__ == "__main__":
    sys.exit(main())
