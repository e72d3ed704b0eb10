"""Ops that treat each element alike, and the arithmetic that broadcasts.

`y` is an op's value, `g` the gradient that arrives at it. Bodies run on raw arrays and, for
gradients of gradients, on Tensors (see `minift.tensor.op`), so they use only operators, array
methods and `xp(x)` functions. Read `minift/ops/reduce.py` next.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minift import kernels
from minift.autograd import Op, beside, check_one_device, op
from minift.backend import is_array, xp
from minift.tensor import Tensor, as_array

# ---- broadcasting and dtypes, once for all binary ops -------------------------------------------


NUMBERS = (float, int, bool)  # Python's own


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum `g` over the axes along which an input of `shape` was repeated."""
    if g.shape == shape:
        return g
    lead = g.ndim - len(shape)
    stretched = [lead + i for i, n in enumerate(shape) if n == 1]
    return g.sum(axis=(*range(lead), *stretched), keepdims=True).reshape(shape)


def common_dtype(a: Any, b: Any) -> tuple[Any, Any]:
    """Cast two operands so that the smaller part never promotes the larger one.

    Integers do not promote floats, and an operand without axes does not promote one with axes
    (float32 * np.float64(0.5) stays float32): PyTorch's rules. Python numbers are left alone.
    """
    if getattr(a, "dtype", None) == getattr(b, "dtype", None):
        return a, b
    if not hasattr(a, "dtype"):
        return a, (_float32(b) if isinstance(a, float) and b.dtype.kind != "f" else b)
    if not hasattr(b, "dtype"):
        return (_float32(a) if isinstance(b, float) and a.dtype.kind != "f" else a), b
    float_a, float_b = a.dtype.kind == "f", b.dtype.kind == "f"
    if float_a and (not float_b or (b.ndim == 0 and a.ndim > 0)):
        return a, b.astype(a.dtype)
    if float_b and (not float_a or (a.ndim == 0 and b.ndim > 0)):
        return a.astype(b.dtype), b
    return a, b


def _float32(x: Any) -> Any:
    return x.astype(np.float32)


def floating(x: Any) -> Any:
    """`x` as floats: integers and booleans become float32, numbers are left alone."""
    dtype = getattr(x, "dtype", None)
    return x if dtype is None or dtype.kind == "f" else _float32(x)


def one_dtype(*xs: Tensor) -> list[Tensor]:
    """Cast tensors to the largest of their float dtypes, differentiably."""
    if all(x.dtype == xs[0].dtype for x in xs[1:]):
        return list(xs)
    floats = [x.dtype for x in xs if x.dtype.kind == "f"] or [np.dtype(np.float32)]
    largest = np.result_type(*floats)
    return [x if x.dtype == largest else astype(x, largest) for x in xs]


def binary(body: Callable[..., Any]) -> Op:
    """An op of two operands: casts them to one dtype and undoes broadcasting in derivatives."""

    @functools.wraps(body)
    def broadcasting(a: Any, b: Any) -> Any:
        if _are_alike(a, b):
            return body(a, b)
        like_a = getattr(a, "shape", ()), getattr(a, "dtype", None)
        like_b = getattr(b, "shape", ()), getattr(b, "dtype", None)
        a, b = common_dtype(a, b)
        try:
            y, (to_a, to_b) = body(a, b)
        except ValueError:
            raise ValueError(
                f"{body.__name__}: shapes {like_a[0]} and {like_b[0]} do not broadcast; axes are "
                "aligned from the right and must be equal or 1"
            ) from None
        return y, (lambda g: _fit(to_a(g), *like_a), lambda g: _fit(to_b(g), *like_b))

    return Op(broadcasting)


def _are_alike(a: Any, b: Any) -> bool:
    """Whether nothing is broadcast or cast: the usual case, worth a short way."""
    if type(b) in NUMBERS:
        return type(a) not in NUMBERS and a.dtype.kind == "f"
    if type(a) in NUMBERS:
        return b.dtype.kind == "f"
    return a.shape == b.shape and a.dtype == b.dtype


def _fit(g: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    g = unbroadcast(g, shape)
    return g if g.dtype == dtype else g.astype(dtype)


# ---- arithmetic ---------------------------------------------------------------------------------


@binary
def add(a, b):
    return a + b, (lambda g: g, lambda g: g)


@binary
def sub(a, b):
    return a - b, (lambda g: g, lambda g: -g)


@binary
def mul(a, b):
    return a * b, (lambda g: g * b, lambda g: g * a)


@binary
def div(a, b):
    a, b = floating(a), floating(b)
    return a / b, (lambda g: g / b, lambda g: -g * a / (b * b))


@binary
def power(a, b):
    """a ** b. For a < 0 only whole b have a value, and a derivative for a alone."""
    if not hasattr(b, "dtype"):
        return _power_of_number(a, b)
    y = a**b

    def to_b(g):  # d aᵇ/db = aᵇ ln a, and 0 where a = 0
        if type(a) in NUMBERS:
            return g * y * (math.log(a or 1) if a >= 0 else math.nan)
        return g * y * log.on(xp(a).where(a == 0, 1.0, a))

    return y, (lambda g: g * b * a ** xp(b).where(b == 0, 1, b - 1), to_b)


def _power_of_number(a, n):
    """a ** n for a Python number n: squares and cubes by products (NumPy's pow is slow)."""
    y = a * a if n == 2 else a * a * a if n == 3 else a**n
    return y, (lambda g: g * (n * _power_of_number(a, n - 1)[0]) if n else g * 0.0, None)


@op
def neg(x):
    return -x, (lambda g: -g,)


@binary
def maximum(a, b):
    """The larger of two; at a tie half the gradient goes to each (as in PyTorch)."""
    y = xp(a if hasattr(a, "dtype") else b).maximum(a, b)
    return y, (lambda g: g * _share(a, b), lambda g: g * _share(b, a))


@binary
def minimum(a, b):
    """The smaller of two; at a tie half the gradient goes to each (as in PyTorch)."""
    y = xp(a if hasattr(a, "dtype") else b).minimum(a, b)
    return y, (lambda g: g * _share(b, a), lambda g: g * _share(a, b))


def _share(winner, loser):
    """1 where winner > loser, ½ at a tie, 0 elsewhere (float32 holds these exactly)."""
    return _float32(winner > loser) + _float32(winner == loser) * 0.5


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """a where the condition holds, b elsewhere; all three broadcast."""
    arrays = [as_array(x) for x in (a, b) if isinstance(x, Tensor) or is_array(x)]
    chosen = beside("where", arrays[0], condition) if arrays else as_array(condition)
    return _where(a, b, condition=chosen.astype(bool))


@op
def _where(a, b, *, condition):
    like_a = getattr(a, "shape", ()), getattr(a, "dtype", None)
    like_b = getattr(b, "shape", ()), getattr(b, "dtype", None)
    a, b = common_dtype(a, b)
    m = xp(a if hasattr(a, "dtype") else b if hasattr(b, "dtype") else condition)
    return m.where(condition, a, b), (
        lambda g: _fit(_where.on(g, g * 0.0, condition=condition), *like_a),
        lambda g: _fit(_where.on(g * 0.0, g, condition=condition), *like_b),
    )


# ---- functions of one argument ------------------------------------------------------------------


@op
def exp(x):
    x = floating(x)
    y = xp(x).exp(x)
    return y, (lambda g: g * y,)


@op
def log(x):
    x = floating(x)
    return xp(x).log(x), (lambda g: g / x,)


@op
def sqrt(x):
    x = floating(x)
    y = xp(x).sqrt(x)
    return y, (lambda g: g / (2 * y),)


@op
def abs(x):
    """|x|; the derivative at 0 is 0."""
    return xp(x).abs(x), (lambda g: g * sign(x),)


def sign(x: Any) -> Any:
    """-1, 0 or 1 in x's dtype: a constant for derivatives."""
    return (x > 0).astype(x.dtype) - (x < 0).astype(x.dtype)


@op
def sin(x):
    x = floating(x)
    return xp(x).sin(x), (lambda g: g * xp(x).cos(x),)


@op
def cos(x):
    x = floating(x)
    return xp(x).cos(x), (lambda g: -g * xp(x).sin(x),)


@op
def tanh(x):
    x = floating(x)
    y = xp(x).tanh(x)
    return y, (lambda g: g * (1 - y * y),)


@op
def sigmoid(x):
    """1 / (1 + e⁻ˣ), written with tanh, which does not overflow."""
    x = floating(x)
    y = 0.5 * xp(x).tanh(0.5 * x) + 0.5
    return y, (lambda g: g * (y * (1 - y)),)


@op
def softplus(x):
    """log(1 + eˣ) = max(x, 0) + log(1 + e^−|x|), which does not overflow."""
    x = floating(x)
    m = xp(x)
    return m.maximum(x, 0) + log1p.on(m.exp(-m.abs(x))), (lambda g: g * sigmoid.on(x),)


@op
def log1p(x):
    """log(1 + x), exact for small x."""
    y = log1p(x) if isinstance(x, Tensor) else xp(x).log1p(x)
    return y, (lambda g: g / (1 + x),)


@op
def erf(x):
    """2/√π ∫₀ˣ exp(−t²) dt."""
    x = floating(x)
    y = erf(x) if isinstance(x, Tensor) else kernels.erf(x)
    return y, (lambda g: g * (2 / math.sqrt(math.pi)) * xp(x).exp(-x * x),)


@op
def relu(x):
    """max(x, 0); the derivative at 0 is 0."""
    y = xp(x).maximum(x, 0)
    return y, (lambda g: g * (y > 0),)


def silu(x: Any) -> Tensor:
    """x · sigmoid(x). Elfwing et al. 2018."""
    return x * sigmoid(x)


def clip(x: Any, min: float | None = None, max: float | None = None) -> Tensor:
    """x held between `min` and `max` (numbers or None); the gradient passes at the bounds."""
    if min is None and max is None:
        raise ValueError("clip: give min, max or both")
    return _clip(x, low=-math.inf if min is None else min, high=math.inf if max is None else max)


@op
def _clip(x, *, low, high):
    inside = (x >= low) * (x <= high)
    return xp(x).clip(x, low, high), (lambda g: g * inside,)


def astype(x: Any, dtype: Any) -> Tensor:
    """x in another dtype; gradients come back in x's own."""
    return _astype(x, dtype=np.dtype(dtype))


@op
def _astype(x, *, dtype):
    before = x.dtype
    return x.astype(dtype), (lambda g: g.astype(before),)


def in_float32(function: Callable[..., Tensor], fused: bool = False) -> Callable[..., Tensor]:
    """Compute a function of float16 tensors in float32: its sums and exponents need the range.

    The result is float16 again, and so are the gradients. With `fused`, kernels of the GPU are
    given the float16 arrays, because they do so inside.
    """

    @functools.wraps(function)
    def widened(*inputs: Any, **settings: Any) -> Tensor:
        if fused and kernels.take_on_gpu([x.data for x in inputs if isinstance(x, Tensor)]):
            return function(*inputs, **settings)
        wide = [at_least_float32(x) for x in inputs]
        y = function(*wide, **settings)
        return y if all(a is b for a, b in zip(wide, inputs)) else astype(y, np.float16)

    return widened


def at_least_float32(x: Any) -> Any:
    """A float16 tensor as float32, all else as it is."""
    return astype(x, np.float32) if isinstance(x, Tensor) and x.dtype == np.float16 else x


# ---- comparisons: booleans, no gradient ---------------------------------------------------------


def _operand(x: Any) -> Any:
    """A number as it is, so that it serves on every device; all else as a raw array."""
    number = x.item() if isinstance(x, np.generic) else x
    return number if isinstance(number, (bool, int, float)) else as_array(x)


def _comparison(name: str) -> Callable[[Any, Any], Tensor]:
    def compare(a: Any, b: Any) -> Tensor:
        a, b = _operand(a), _operand(b)
        check_one_device(name, a, b)
        m = xp(a if is_array(a) else b if is_array(b) else as_array(a))
        return Tensor(getattr(m, name)(a, b))

    compare.__name__ = name
    compare.__doc__ = f"numpy.{name} as a boolean Tensor."
    return compare


equal = _comparison("equal")
not_equal = _comparison("not_equal")
less = _comparison("less")
less_equal = _comparison("less_equal")
greater = _comparison("greater")
greater_equal = _comparison("greater_equal")
