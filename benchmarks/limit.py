"""What no step can be faster than, and how far minift is from it.

    python -m benchmarks.limit [W1 W2 W3] [--rounds 7] [--threads 2] [--json FILE]

A step's limit is its matrix products, on arrays that are there already, and the bytes that Adam
must move: for each parameter it reads weight, gradient and two moments and writes three of them
back, 28 bytes in float32. Both are done, not computed, in a process that takes turns with minift
and PyTorch. Attention's small products run one part of the heads a thread, which is the fastest way
that NumPy has. Nothing else of a step counts: no norm, no GELU, no look-up.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minift.bench import workloads as w
from minift.bench.contest import Entry, compete, ratios
from minift.bench.workloads import Step
from minift.kernels.threads import in_parts

BYTES_A_PARAMETER = 28


class Products(NamedTuple):
    """n products (rows, inner) @ (inner, columns), of `batch` matrices each."""

    batch: int
    rows: int
    inner: int
    columns: int
    n: int = 1

    @property
    def flops(self) -> int:
        return 2 * self.n * self.batch * self.rows * self.inner * self.columns


# ---- the products of each step ------------------------------------------------------------------


def linear(rows: int, fan_in: int, fan_out: int, n: int = 1, first: bool = False) -> list[Products]:
    """Value, gradient of the weight, and of the input unless it is the first layer."""
    value = Products(1, rows, fan_in, fan_out, n)
    to_weight = Products(1, fan_out, rows, fan_in, n)
    to_input = Products(1, rows, fan_out, fan_in, n)
    return [value, to_weight] if first else [value, to_weight, to_input]


def encoder(sizes: dict[str, int], texts: int) -> list[Products]:
    """All layers of a BERT: projections, attention's two products and their four derivatives."""
    C, T, layers, heads = sizes["width"], sizes["length"], sizes["layers"], sizes["heads"]
    N, D = texts * T, C // heads
    return [
        *linear(N, C, 3 * C, layers),
        *linear(N, C, C, layers),
        *linear(N, C, sizes["wide"], layers),
        *linear(N, sizes["wide"], C, layers),
        Products(texts * heads, T, D, T, 2 * layers),  # scores; gradient of the shares
        Products(texts * heads, T, T, D, 4 * layers),  # values; gradients of q, k and v
    ]


def products_of(name: str) -> list[Products]:
    if name == "W1":
        return [*linear(64, 784, 256, first=True), *linear(64, 256, 256), *linear(64, 256, 10)]
    sizes = w.SMALL if name == "W2" else w.MINILM
    C = sizes["width"]
    if name == "W2":
        masked = len(w.masked_text()[1])
        head = [*linear(masked, C, C), *linear(masked, C, sizes["words"])]
        return [*encoder(sizes, 32), *head]
    return [*encoder(sizes, 16), *linear(16, C, C), *linear(16, C, 2)]


def parameters_of(name: str) -> int:
    """Numbers that the optimizer moves."""
    if name == "W1":
        return 784 * 256 + 256 + 256 * 256 + 256 + 256 * 10 + 10
    sizes = w.SMALL if name == "W2" else w.MINILM
    C, V, wide = sizes["width"], sizes["words"], sizes["wide"]
    layer = 4 * C * C + 2 * C * wide + 9 * C + wide
    tables = (V + sizes["length"] + 2) * C + 2 * C
    head = C * C + 3 * C + V if name == "W2" else C * C + C + 2 * C + 2
    return tables + sizes["layers"] * layer + head


# ---- doing them ---------------------------------------------------------------------------------


def builder(name: str) -> Callable[..., Step]:
    """A step of the products and the optimizer's bytes, or of the products alone."""

    def build(products_alone: bool = False) -> Step:
        rng = np.random.default_rng(0)
        matrices = [operands(products, rng) for products in products_of(name)]
        half = BYTES_A_PARAMETER * parameters_of(name) // 8  # float32 that are read, and written
        read, written = np.ones(half, np.float32), np.ones(half, np.float32)

        def step() -> None:
            for (a, b, c), products in zip(matrices, products_of(name)):
                for _ in range(products.n):
                    multiply(a, b, c)
            if not products_alone:
                in_parts(lambda part: np.copyto(written[part], read[part]), half, 1)

        return step

    return build


def operands(products: Products, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Left, right and room for the result."""
    B, M, K, N = products.batch, products.rows, products.inner, products.columns
    left, right = rng.random((B, M, K), np.float32), rng.random((B, K, N), np.float32)
    return left, right, np.empty((B, M, N), np.float32)


def multiply(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    """One large product on the threads of BLAS, many small ones a part a thread."""
    if len(a) == 1:
        np.matmul(a[0], b[0], out=c[0])
    else:
        steps = a.shape[1] * a.shape[2] * b.shape[2] / 16  # products are cheap: 16 a step
        in_parts(lambda part: np.matmul(a[part], b[part], out=c[part]), len(a), steps)


NAMES = ("W1", "W2", "W3")
BUILDERS = {name: builder(name) for name in NAMES}


# ---- the table ----------------------------------------------------------------------------------

ENTRIES = {
    "limit": Entry("benchmarks.limit"),
    "products": Entry("benchmarks.limit", variant="products_alone"),
    "minift": Entry("minift.bench.in_minift"),
    "PyTorch": Entry("minift.bench.in_torch"),
}


def distances(names: Sequence[str], rounds: int, threads: int) -> Iterator[dict[str, object]]:
    """The figures of each workload, as they are measured."""
    for name in names:
        turns = compete(name, ENTRIES, rounds, threads)
        ms = {who: 1e3 * statistics.median(t["seconds"] for t in turns[who]) for who in turns}
        flops = sum(products.flops for products in products_of(name))
        yield {
            "workload": name,
            "milliseconds": ms,
            "gigaflop": flops / 1e9,
            "gigaflops a second": flops / 1e6 / ms["products"],
            "parameters": parameters_of(name),
            "minift over the limit": ratios(turns, "minift", "limit"),
            "PyTorch over the limit": ratios(turns, "PyTorch", "limit"),
        }


def line(figures: dict) -> str:
    ms = figures["milliseconds"]
    over = [figures[f"{who} over the limit"] for who in ("minift", "PyTorch")]
    spread = "".join(f"   {statistics.median(x):.2f} [{min(x):.2f}-{max(x):.2f}]" for x in over)
    return (
        f"{figures['workload']:4}{figures['gigaflop']:8.2f}{figures['gigaflops a second']:8.0f}"
        f"{ms['products']:10.3g}{ms['limit']:10.3g}{ms['minift']:10.3g}{ms['PyTorch']:10.3g}{spread}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.limit", description=__doc__.partition("\n")[0]
    )
    option = parser.add_argument
    option("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    option("--rounds", type=int, default=7, help="turns of each contestant (7)")
    option("--threads", type=int, default=2, help="for each contestant (2)")
    option("--json", type=Path, metavar="FILE", help="write all figures there as well")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in NAMES:
            parser.error(f"the limit of {name!r} is not known; of {', '.join(NAMES)} it is")
    print(
        f"{'':4}{'GFLOP':>8}{'GFLOP/s':>8}{'products':>10}{'limit':>10}{'minift':>10}{'PyTorch':>10}"
        "   minift / limit     PyTorch / limit    (ms of a step)"
    )
    found = []
    for figures in distances(options.names or NAMES, options.rounds, options.threads):
        found.append(figures)
        print(line(figures), flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
