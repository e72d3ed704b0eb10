"""What the tape costs: time per small op, memory of a BERT step, and import, beside PyTorch.

    python -m benchmarks.engine [--rounds 7]

Each figure comes from a process of its own; the processes take turns and the order flips each
round, so that a machine that changes its speed disturbs both alike. Ratios are taken per round.
Peak memory is the resident peak less what importing the library takes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SIZES = {"layers": 6, "hidden": 384, "heads": 12, "words": 30522, "texts": 16, "tokens": 128}


# ---- what one process measures ------------------------------------------------------------------


def microseconds_per_op(chain: Callable[[int], Any]) -> float:
    """Slope of forward + backward between a chain of 10 ops and one of 110."""

    def best(length: int) -> float:
        times = []
        for _ in range(200):
            start = time.perf_counter()
            chain(length).sum().backward()
            times.append(time.perf_counter() - start)
        return min(times)

    return (best(110) - best(10)) / 100 * 1e6


def resident_peak() -> float:
    """MiB, of this process so far."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


CHAINS: dict[str, Callable[[Any], Any]] = {
    "x + 1": lambda x: x + 1.0,
    "x * 0.9": lambda x: x * 0.9,
    "x.tanh()": lambda x: x.tanh(),
}


def overhead(library: str) -> dict[str, float]:
    """µs per op, forward and backward, on 4 × 4 float32."""
    weight = np.eye(4, dtype=np.float32)
    if library == "torch":
        import torch

        x, w = torch.zeros(4, 4, requires_grad=True), torch.tensor(weight)
    else:
        import minift as mf

        x, w = mf.zeros(4, 4, requires_grad=True), mf.Tensor(weight)
    chains = {**CHAINS, "x @ W": lambda y: y @ w}
    found = {}
    for name, step in chains.items():

        def chain(length: int, step: Callable[[Any], Any] = step) -> Any:
            y = x
            for _ in range(length):
                y = step(y)
            return y

        found[name] = microseconds_per_op(chain)
    return found


def step_memory(library: str) -> dict[str, float]:
    """MiB that three training steps of a MiniLM-sized BERT take at their peak."""
    rng = np.random.default_rng(0)
    shape = SIZES["texts"], SIZES["tokens"]
    ids, labels = rng.integers(5, SIZES["words"], shape), rng.integers(0, 2, SIZES["texts"])
    config = {
        "vocab_size": SIZES["words"],
        "hidden_size": SIZES["hidden"],
        "num_hidden_layers": SIZES["layers"],
        "num_attention_heads": SIZES["heads"],
        "intermediate_size": 4 * SIZES["hidden"],
    }
    step = (torch_step if library == "torch" else minift_step)(config, ids, labels)
    before = resident_peak()
    for _ in range(3):
        step()
    return {"peak": resident_peak(), "of the step": resident_peak() - before}


def minift_step(config: dict[str, int], ids: Any, labels: Any) -> Callable[[], None]:
    import minift as mf

    model = mf.models.BertForSequenceClassification(mf.models.BertConfig(**config))
    optimizer = mf.optim.AdamW(model.parameters(), lr=1e-4)
    model.train()

    def step() -> None:
        optimizer.zero_grad()
        mf.functional.cross_entropy(model(ids), labels).backward()
        optimizer.step()

    return step


def torch_step(config: dict[str, int], ids: Any, labels: Any) -> Callable[[], None]:
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    model = BertForSequenceClassification(BertConfig(**config))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    model.train()
    ids, labels = torch.tensor(ids), torch.tensor(labels)

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(ids).logits, labels).backward()
        optimizer.step()

    return step


def import_seconds(library: str) -> dict[str, float]:
    """Seconds to import the library in a fresh process."""
    start = time.perf_counter()
    __import__(library)
    return {"import": time.perf_counter() - start}


TASKS = {"overhead": overhead, "memory": step_memory, "import": import_seconds}


# ---- the processes, in turn ---------------------------------------------------------------------


def measure(task: str, library: str, module: str) -> dict[str, float]:
    command = [sys.executable, "-m", module, "--worker", task, library]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(output.splitlines()[-1])


def compare(
    task: str, rounds: int, module: str = "benchmarks.engine"
) -> dict[str, dict[str, list[float]]]:
    """figure -> library -> values, one per round."""
    found: dict[str, dict[str, list[float]]] = {}
    for n in range(rounds):
        order = ["minift", "torch"] if n % 2 == 0 else ["torch", "minift"]
        for library in order:
            for figure, value in measure(task, library, module).items():
                found.setdefault(figure, {}).setdefault(library, []).append(value)
    return found


def show(title: str, unit: str, found: dict[str, dict[str, list[float]]]) -> None:
    print(f"\n{title}\n{'':14}{'minift':>12}{'PyTorch':>12}   ratio [min-max]")
    for figure, by_library in found.items():
        ours, theirs = by_library["minift"], by_library["torch"]
        ratios = [a / b for a, b in zip(ours, theirs)]
        print(
            f"{figure:14}{statistics.median(ours):9.2f} {unit:2}{statistics.median(theirs):9.2f} "
            f"{unit:2}   {statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--worker", nargs=2, metavar=("TASK", "LIBRARY"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        task, library = options.worker
        print(json.dumps(TASKS[task](library)))
        return
    print(f"NumPy {np.__version__}, Python {sys.version.split()[0]}, {options.rounds} rounds")
    show("One op, forward + backward (4 × 4)", "µs", compare("overhead", options.rounds))
    show(f"A BERT training step {SIZES}", "MB", compare("memory", min(3, options.rounds)))
    show("Import", "s", compare("import", options.rounds))


if __name__ == "__main__":
    main()
