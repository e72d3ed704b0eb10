"""Products of matrices: matmul, the linear layer, einsum. Read `minift/ops/neural.py` next."""

from __future__ import annotations

from typing import Any

import numpy as np

from minift import kernels
from minift.autograd import op
from minift.backend import xp
from minift.ops.elementwise import one_dtype, unbroadcast
from minift.ops.shape import broadcast_to, getitem, reshape, transpose
from minift.tensor import Tensor


def matmul(a: Any, b: Any) -> Tensor:
    """a @ b with NumPy's rules: leading axes broadcast, vectors are rows left, columns right."""
    a = a if isinstance(a, Tensor) else Tensor(a)
    b = b if isinstance(b, Tensor) else Tensor(b)
    left, right = a.shape, b.shape
    if not left or not right:
        raise ValueError(f"matmul: both sides need at least one axis, got {left} @ {right}")
    if left[-1] != right[-2 if len(right) > 1 else 0]:
        raise ValueError(
            f"matmul: inner sizes differ, got {left} @ {right}; the last axis of the left "
            "must equal the second-to-last of the right"
        )
    if a.dtype != b.dtype:
        a, b = one_dtype(a, b)
    if len(left) > 1 and len(right) > 1:
        return _matmul(a, b)
    row = reshape(a, (1, -1)) if len(left) == 1 else a
    column = reshape(b, (-1, 1)) if len(right) == 1 else b
    y = _matmul(row, column)
    dropped = {y.ndim - 2} if len(right) > 1 else {y.ndim - 1}
    dropped = {y.ndim - 2, y.ndim - 1} if len(left) == len(right) == 1 else dropped
    return reshape(y, tuple(n for i, n in enumerate(y.shape) if i not in dropped))


@op
def _matmul(a, b):
    shape_a, shape_b = a.shape, b.shape
    if b.ndim == 2 and a.ndim > 2:  # one large product is faster than many small ones
        rows = a.reshape((-1, a.shape[-1]))  # (N, K)
        y = (rows @ b).reshape((*a.shape[:-1], b.shape[-1]))
        return y, (
            lambda g: g @ b.swapaxes(0, 1),
            lambda g: rows.swapaxes(0, 1) @ g.reshape((-1, g.shape[-1])),
        )
    try:
        y = a @ b
    except ValueError:
        raise ValueError(
            f"matmul: leading axes do not broadcast, got {shape_a} @ {shape_b}"
        ) from None
    return y, (
        lambda g: unbroadcast(g @ b.swapaxes(-1, -2), shape_a),
        lambda g: unbroadcast(a.swapaxes(-1, -2) @ g, shape_b),
    )


def linear(x: Any, weight: Any, bias: Any = None) -> Tensor:
    """x @ weightᵀ + bias on the last axis: (..., in), (out, in), (out,) -> (..., out)."""
    return _linear(*linear_operands(x, weight, bias))


def linear_operands(x: Any, weight: Any, bias: Any) -> list[Tensor]:
    """The operands of `linear` in one dtype. Raises ValueError if their shapes do not fit."""
    tensors = [
        t if isinstance(t, Tensor) else Tensor(t) for t in (x, weight, bias) if t is not None
    ]
    shape, into = tensors[0].shape, tensors[1].shape
    if len(into) != 2 or not shape or shape[-1] != into[1]:
        raise ValueError(f"linear: the last axis of {shape} must be the {into[-1]} of {into}")
    if bias is not None and tensors[2].shape != into[:1]:
        raise ValueError(f"linear: the bias must be {into[:1]}, got {tensors[2].shape}")
    return one_dtype(*tensors)


@op(fused=kernels.linear)
def _linear(x, weight, bias=None):
    shape, n_out = x.shape, weight.shape[0]
    rows = x.reshape((-1, shape[-1]))  # (N, in)
    y = rows @ weight.swapaxes(0, 1)  # (N, out)
    if bias is not None:
        y += bias  # y is ours: no copy (on a Tensor `+=` makes a new one)

    def to_x(g):
        return (g.reshape((-1, n_out)) @ weight).reshape(shape)

    def to_weight(g):
        return g.reshape((-1, n_out)).swapaxes(0, 1) @ rows  # (out, in)

    def to_bias(g):
        return g.reshape((-1, n_out)).sum(axis=0)

    y = y.reshape((*shape[:-1], n_out))
    return y, (to_x, to_weight, to_bias) if bias is not None else (to_x, to_weight)


def einsum(subscripts: str, *operands: Any) -> Tensor:
    """Sum of products named by letters, as numpy.einsum ("ij,jk->ik"; "..." and traces too)."""
    inputs, output = _parsed(subscripts, [np.ndim(_array(x)) for x in operands])
    tensors = one_dtype(*(x if isinstance(x, Tensor) else Tensor(x) for x in operands))
    for n, letters in enumerate(inputs):
        tensors[n], inputs[n] = _diagonals(tensors[n], letters)
    _check_lengths(subscripts, inputs, [x.shape for x in tensors])
    return _einsum(*tensors, inputs=tuple(inputs), output=output)


def _array(x: Any) -> Any:
    return x.data if isinstance(x, Tensor) else x


def _parsed(subscripts: str, ndims: list[int]) -> tuple[list[str], str]:
    """Letters of each input and of the output, with "..." spelt out in capitals."""
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(ndims):
        raise ValueError(f"einsum: {subscripts!r} names {len(inputs)} inputs, got {len(ndims)}")
    spare = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in subscripts]
    rests = [n - len(s.replace("...", "")) for s, n in zip(inputs, ndims)]
    dots = "".join(spare[: max((r for s, r in zip(inputs, rests) if "..." in s), default=0)])
    if any(r < 0 or (r > 0 and "..." not in s) for s, r in zip(inputs, rests)):
        raise ValueError(f"einsum: {subscripts!r} does not fit inputs of {ndims} axes")
    spelt = [s.replace("...", dots[len(dots) - r :] if r else "") for s, r in zip(inputs, rests)]
    if not arrow:
        once = sorted(c for c in set("".join(inputs)) - {"."} if left.count(c) == 1)
        return spelt, dots + "".join(once)
    output = right.replace("...", dots)
    if len(set(output)) != len(output) or not set(output) <= set("".join(spelt)):
        raise ValueError(f"einsum: the output of {subscripts!r} must name input letters once")
    return spelt, output


def _diagonals(x: Tensor, letters: str) -> tuple[Tensor, str]:
    """A letter that comes twice in one input means its diagonal: take it."""
    for c in set(letters):
        while letters.count(c) > 1:
            i, j = letters.index(c), letters.rindex(c)
            if x.shape[i] != x.shape[j]:
                raise ValueError(f"einsum: {c!r} is both {x.shape[i]} and {x.shape[j]}")
            order = [k for k in range(x.ndim) if k not in (i, j)]
            steps = xp(x.data).arange(x.shape[i])
            x = getitem(transpose(x, [i, j, *order]), (steps, steps))
            letters = c + "".join(letters[k] for k in order)
    return x, letters


def _check_lengths(subscripts: str, inputs: list[str], shapes: list[tuple[int, ...]]) -> None:
    lengths: dict[str, int] = {}
    for letters, shape in zip(inputs, shapes):
        for c, n in zip(letters, shape):
            if lengths.setdefault(c, n) not in (n, 1) and n != 1:
                raise ValueError(f"einsum: {c!r} in {subscripts!r} is both {lengths[c]} and {n}")
            lengths[c] = max(lengths[c], n)


@op
def _einsum(*xs, inputs, output):
    if any(isinstance(x, Tensor) for x in xs):
        y = _einsum(*xs, inputs=inputs, output=output)
    else:
        y = xp(xs[0]).einsum(",".join(inputs) + "->" + output, *xs, optimize=len(xs) > 2)

    def to_input(n):
        others = [k for k in range(len(xs)) if k != n]
        letters, shape = inputs[n], xs[n].shape

        def derivative(g):
            known = set(output).union(*(inputs[k] for k in others))
            found = "".join(c for c in letters if c in known)
            gx = _einsum.on(
                g, *(xs[k] for k in others),
                inputs=(output, *(inputs[k] for k in others)), output=found,
            )  # fmt: skip
            # letters that stand in this input alone were summed away: repeat along them
            gx = gx.reshape(tuple(gx.shape[found.index(c)] if c in known else 1 for c in letters))
            return _to_shape(gx, shape)

        return derivative

    return y, tuple(to_input(n) for n in range(len(xs)))


def _to_shape(g: Any, shape: tuple[int, ...]) -> Any:
    """Repeat where `shape` is longer, sum where it is 1."""
    g = unbroadcast(g, tuple(1 if n == 1 else m for n, m in zip(shape, g.shape)))
    return broadcast_to(g, shape) if isinstance(g, Tensor) else xp(g).broadcast_to(g, shape)
