"""A MODEL of one training step of a BERT on an H100: launches, bytes, flops. Not a measurement.

Bytes and flops follow from shapes (`gpu_costs.py`, and what the code keeps in memory between
kernels); launches and products are read off the code, kernel by kernel, and `tests/test_gpu_model`
compares both with what the pretended GPU counts. From them follow two floors of the time of a step:
what the chip needs (the roofline), and what the host needs to launch. `python -m
benchmarks.gpu_model` writes `gpu_model.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from benchmarks import gpu_costs as costs
from benchmarks.gpu_costs import Cost, elements, gemm

FILE = Path(__file__).with_name("gpu_model.md")

# An H100 SXM. NVIDIA's data sheet: 3.35 TB/s, 67 TFLOP/s in float32; dense tensor cores: 494.7
# TFLOP/s in TF32, 989.4 in float16. A copy was seen to reach 3.0 TB/s.
BANDWIDTH = 3.0e12
PEAKS = {"float32": 67e12, "TF32": 494.7e12}
# CuPy's dispatch of a RawKernel took 2.6 µs on a CPU core, a driver's launch takes 2 to 4 µs more
LAUNCH = 5e-6


@dataclass(frozen=True)
class Shape:
    """A model and its batch: B texts of T tokens, width D, H heads, `layers`, V words."""

    name: str
    layers: int
    D: int
    H: int
    B: int = 32
    T: int = 128
    V: int = 30522
    positions: int = 512
    labels: int = 2

    @property
    def tokens(self) -> int:
        return self.B * self.T

    @property
    def hidden(self) -> int:
        """Words that are guessed: 15 % of the tokens."""
        return round(0.15 * self.tokens)


SHAPES = (
    Shape("6 x 384 (MiniLM size)", 6, 384, 12),
    Shape("6 x 768 (BERT-base width)", 6, 768, 12),
)
TASKS = ("masked words", "classifier")


@dataclass(frozen=True)
class Family:
    """Kernels of one kind: launches of a layer, and beyond the layers by task."""

    kernels: tuple[str, ...]
    per_layer: int
    masked_words: int
    classifier: int

    def launches(self, layers: int, task: str) -> int:
        fixed = self.masked_words if task == "masked words" else self.classifier
        return self.per_layer * layers + fixed


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    family: str
    launches: int
    cost: Cost


PRODUCTS, UPDATES = "products (cuBLAS)", "AdamW, gradient length"
FAMILIES = {
    # a layer: 4 linear maps (1 forward, 2 backward), attention (2 forward, 4 backward)
    PRODUCTS: Family(("gemm",), 18, 6, 6),
    "attention weights": Family(("attention_weights", "attention_backward"), 2, 0, 0),
    "layer norm": Family(("layer_norm", "layer_norm_to_x", "slab_sums", "sum_of_slabs"), 8, 8, 4),
    "GELU": Family(("gelu", "gelu_backward"), 2, 2, 0),
    "dropout": Family(("dropout",), 4, 2, 4),
    "cross-entropy": Family(("cross_entropy", "cross_entropy_backward"), 0, 2, 2),
    "embedding": Family(("take_rows", "scatter_rows"), 0, 4, 2),
    # forward: 3 biases, 2 residuals; backward: 2 gradients that meet at a residual
    "additions": Family(("cupy_add",), 7, 5, 4),
    "gradients of biases": Family(("cupy_sum",), 4, 6, 6),
    # attention's heads are brought together: q, k, v and the output, forward and backward
    "copies and fills": Family(("cupy_copy", "cupy_fill"), 4, 1, 4),
    "joining q, k, v": Family(("copy_parts",), 4, 0, 0),
    UPDATES: Family(("step", "squares", "length"), 0, 2, 2),  # and the updates themselves
}
SMALL = "small things"  # a few numbers, whose bytes do not count: the log, the clipping, the pooler
SMALL_LAUNCHES = {"masked words": 16, "classifier": 20}
UPDATED = 50  # arrays that one launch of AdamW can take


# ---- bytes and flops ----------------------------------------------------------------------------


def linears(s: Shape, task: str) -> Iterator[tuple[int, int, int]]:
    """(rows, in, out) of every linear map of a step."""
    N, D = s.tokens, s.D
    for _ in range(s.layers):
        yield from ((N, D, 3 * D), (N, D, D), (N, D, 4 * D), (N, 4 * D, D))
    if task == "masked words":
        yield from ((s.hidden, D, D), (s.hidden, D, s.V))
    else:
        yield from ((s.B, D, D), (s.B, D, s.labels))


def parameters(s: Shape, task: str) -> int:
    """Numbers that are trained."""
    D = s.D
    body = (s.V + s.positions + 2) * D + 2 * D + s.layers * (12 * D * D + 13 * D)
    if task == "masked words":
        return body + D * D + 3 * D + s.V
    return body + D * D + D + s.labels * (D + 1)


def arrays(s: Shape, task: str) -> int:
    """Arrays that are trained: 16 a layer, 5 of the embeddings, the head's."""
    return 16 * s.layers + 5 + (5 if task == "masked words" else 4)


def products(s: Shape, task: str) -> Cost:
    """Linear maps, attention's six products a layer."""
    total = Cost()
    for shape in linears(s, task):
        forward, backward = costs.linear(*shape)
        total += forward + backward
    scores = gemm(s.T, s.T, s.D // s.H, batch=s.B * s.H)
    return total + scores * (6 * s.layers)


def costs_of(s: Shape, task: str) -> dict[str, Cost]:
    """Family -> what all of its kernels move and compute in a step."""
    N, D, P = s.tokens, s.D, parameters(s, task)
    lm = task == "masked words"
    scores = s.layers * s.B * s.H * s.T * s.T
    normed = N * D * (2 * s.layers + 1) + (s.hidden * D if lm else 0)
    wide = 4 * N * D * s.layers + (s.hidden * D if lm else 0)
    outputs = sum(rows * out for rows, _, out in linears(s, task))
    biased = outputs - 4 * N * D * s.layers  # a layer's wide map is biased inside GELU
    both = lambda pair: pair[0] + pair[1]
    classes = s.hidden * s.V if lm else s.B * s.labels
    rows = both(costs.embedding(N * D, s.V * D))
    if lm:  # the rows of hidden words are picked as well
        rows += both(costs.embedding(s.hidden * D, N * D))
    return {
        PRODUCTS: products(s, task),
        # forward: scores in, weights and their dropped copy out; backward: weights and gradient
        # in, gradient and dropped weights out
        "attention weights": elements(scores, 7, 16),
        "layer norm": both(costs.layer_norm(normed)) + elements(normed, 2, 4),  # sums read again
        "GELU": both(costs.gelu(wide)),
        "dropout": both(costs.dropout(N * D * (2 * s.layers + 1))),
        "cross-entropy": both(costs.cross_entropy(classes)),
        "embedding": rows,
        "additions": elements(biased, 2, 1) + elements(N * D * (4 * s.layers + 1), 3, 1),
        "gradients of biases": elements(outputs, 1, 1),
        "copies and fills": elements(N * D * 16 * s.layers, 1, 0),
        "joining q, k, v": elements(12 * D * D * s.layers, 1, 0),
        UPDATES: costs.adamw(P) + elements(P, 1, 2),
    }


def step(s: Shape, task: str) -> list[Row]:
    """The rows of the table of one training step."""
    found = costs_of(s, task)
    launches = {name: family.launches(s.layers, task) for name, family in FAMILIES.items()}
    launches[UPDATES] += ceil(arrays(s, task) / UPDATED)
    rows = [Row(name, count, found[name]) for name, count in launches.items()]
    return [*rows, Row(SMALL, SMALL_LAUNCHES[task], Cost())]


def floors(rows: list[Row], peak: float) -> tuple[float, float]:
    """Seconds below which no step can be: for the chip (each family's roofline), for the host."""
    chip = sum(row.cost.seconds(BANDWIDTH, peak_of(row, peak)) for row in rows)
    return chip, LAUNCH * sum(row.launches for row in rows)


def peak_of(row: Row, peak: float) -> float:
    """Tensor cores multiply matrices; all else is float32."""
    return peak if row.family == PRODUCTS else PEAKS["float32"]


# ---- the page -----------------------------------------------------------------------------------

HEAD = """# A training step on an H100: a model, not a measurement

**Nothing on this page was measured on a GPU.** `python -m benchmarks.gpu_model` computes it:
launches and products as the code makes them (a test counts them on the pretended GPU), bytes and
flops from shapes, in float32, forward, backward, clipping and AdamW, dropout 0.1, 32 texts of 128
tokens. The chip: an H100 SXM, {bandwidth:.1f} TB/s (a copy; the data sheet says 3.35), 67 TFLOP/s
in float32, 494.7 in TF32 (the data sheet, dense). A launch is taken to cost the host {launch:.0f}
µs: CuPy's dispatch about 2.6, the driver 2 to 4. The host's floor leaves out Python's tape.
"""


def page() -> str:
    """The text of gpu_model.md."""
    parts = [HEAD.format(bandwidth=BANDWIDTH / 1e12, launch=LAUNCH * 1e6)]
    parts += [section(shape, task) for shape in SHAPES for task in TASKS]
    return "\n".join(parts)


def section(s: Shape, task: str) -> str:
    """One table, and what follows from it."""
    rows = step(s, task)
    lines = [f"## {s.name}, {task}: {parameters(s, task) / 1e6:.1f} M parameters", ""]
    lines += ["| family | launches | MB | GFLOP | roofline, µs |", "|---|---:|---:|---:|---:|"]
    lines += [table_line(row) for row in rows]
    total = sum((row.cost for row in rows), Cost())
    launches = sum(row.launches for row in rows)
    lines.append(f"| **all** | {launches} | {mega(total.bytes)} | {total.flops / 1e9:.0f} | |")
    (chip, host), (fast, _) = (floors(rows, PEAKS[kind]) for kind in ("float32", "TF32"))
    bound = "the host" if host > chip else "the chip"
    lines += [
        "",
        f"The chip needs at least {1e3 * chip:.1f} ms ({1e3 * fast:.1f} with TF32), the launches "
        f"{1e3 * host:.1f} ms of the host: in",
        f"float32 {bound} sets the floor, {s.tokens / max(host, chip) / 1e6:.2f} M tokens/s at "
        f"most; with TF32 {s.tokens / max(host, fast) / 1e6:.2f} M.",
        "",
    ]
    return "\n".join(lines)


def table_line(row: Row) -> str:
    least = 1e6 * row.cost.seconds(BANDWIDTH, PEAKS["float32"])
    flops = f"{row.cost.flops / 1e9:.1f}"
    return f"| {row.family} | {row.launches} | {mega(row.cost.bytes)} | {flops} | {least:.0f} |"


def mega(count: float) -> str:
    return f"{count / 1e6:,.0f}"


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
