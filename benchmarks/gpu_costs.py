"""What an op must at least move and compute: bytes and floating-point operations, in float32.

Bytes: each array that goes in is read once and each that comes out is written once, however many
passes a program takes; so bytes over time compares a kernel with the best that could be. Flops:
additions, multiplications and divisions count 1, and so does one exp, erf or square root.

The measurement (`gpu_kernels.py`) and the model (`gpu_model.py`) share these lines.
"""

from __future__ import annotations

from dataclasses import dataclass

FLOAT, ID = 4, 8  # bytes of a float32 and of an int64


@dataclass(frozen=True)
class Cost:
    """Bytes and flops; costs add up, and are multiplied by a count."""

    bytes: float = 0
    flops: float = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.bytes + other.bytes, self.flops + other.flops)

    def __mul__(self, count: float) -> Cost:
        return Cost(self.bytes * count, self.flops * count)

    def seconds(self, bandwidth: float, peak: float) -> float:
        """The roofline (Williams et al. 2009): no chip moves or computes faster than its peaks."""
        return max(self.bytes / bandwidth, self.flops / peak)


def elements(count: float, arrays: float, flops: float) -> Cost:
    """`arrays` passes over `count` elements, with so many flops per element."""
    return Cost(FLOAT * count * arrays, count * flops)


def gemm(m: float, n: float, k: float, batch: float = 1) -> Cost:
    """(m, k) @ (k, n): each operand read once, the product written once."""
    return Cost(FLOAT * (m * k + k * n + m * n), 2 * m * n * k) * batch


# One line an op: (forward, backward), n elements. The second column of `elements` says which
# arrays: x in, y out, g = d loss / d y in, gx = d loss / d x out.


def gelu(n: float) -> tuple[Cost, Cost]:
    """x Φ(x): x, y; then x, g, gx."""
    return elements(n, 2, 5), elements(n, 3, 9)


def softmax(n: float) -> tuple[Cost, Cost]:
    """Rows of exp(x − max) / sum: x, y; then y, g, gx."""
    return elements(n, 2, 5), elements(n, 3, 4)


def layer_norm(n: float) -> tuple[Cost, Cost]:
    """(x − mean) / deviation · w + b: x, y; then x, g, gx."""
    return elements(n, 2, 8), elements(n, 3, 14)


def dropout(n: float) -> tuple[Cost, Cost]:
    """The mask is drawn again in the backward pass, not stored: x, y; then g, gx."""
    return elements(n, 2, 3), elements(n, 2, 3)


def cross_entropy(n: float) -> tuple[Cost, Cost]:
    """−log softmax at the target; n scores: x; then x, gx."""
    return elements(n, 1, 4), elements(n, 2, 5)


def embedding(n: float, table: float) -> tuple[Cost, Cost]:
    """Rows of a table of so many elements: rows, y; then g, rows read and written, all zeroed."""
    return elements(n, 2, 0), elements(n, 3, 1) + elements(table, 1, 0)


def attention(batch: float, heads: float, tokens: float, width: float) -> tuple[Cost, Cost]:
    """softmax(q kᵀ) v with scores that never leave the chip: q, k, v, y; then all, g, 3 gradients.

    Two products forward, four backward and two that are made again.
    """
    n, scores = batch * heads * tokens * width, batch * heads * tokens * tokens
    forward = elements(n, 4, 0) + Cost(0, scores * (4 * width + 5))
    return forward, elements(n, 8, 0) + Cost(0, scores * (10 * width + 9))


def linear(rows: float, inputs: float, outputs: float) -> tuple[Cost, Cost]:
    """x Wᵀ + b; then g W and gᵀ x."""
    backward = gemm(rows, inputs, outputs) + gemm(outputs, inputs, rows)
    return gemm(rows, outputs, inputs), backward


def adamw(parameters: float) -> Cost:
    """Loshchilov & Hutter 2019: p, g, m, v in; p, m, v out."""
    return elements(parameters, 7, 14)
