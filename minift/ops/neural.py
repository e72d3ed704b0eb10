"""The ops of neural networks: each stands here as its plain formula with its derivative.

Where `fused=` names a kernel, arrays on the CPU take that instead, and arrays on the GPU that of
`cuda=` (same result, less time and memory); the plain formula serves every other array, and
Tensors for gradients of gradients.
Read `minift/ops/losses.py` next.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from minift import kernels
from minift.autograd import beside, check_one_device, op
from minift.backend import Array, device_of, random, scatter_add, to_device, xp
from minift.ops.elementwise import astype, at_least_float32, erf, in_float32, one_dtype
from minift.ops.products import _linear, linear_operands
from minift.ops.shape import concatenate, one_axis, reshape
from minift.tensor import Tensor, as_array


def constant(x: Any) -> Any:
    """x outside the graph, for a term that cancels in the derivative."""
    return x.data if isinstance(x, Tensor) else x


# ---- distributions ------------------------------------------------------------------------------


@functools.partial(in_float32, fused=True)
def softmax(x: Any, axis: int = -1) -> Tensor:
    """exp(x) / Σ exp(x) along `axis`. Raises ValueError where the largest value is infinite."""
    return _softmax(x, axis=axis)


@op(fused=kernels.softmax, cuda=kernels.cuda.softmax)
def _softmax(x, *, axis):
    axis = one_axis("softmax", axis, x.ndim)
    e = xp(x).exp(x - _finite_top("softmax", x, axis))
    y = e / e.sum(axis=axis, keepdims=True)
    return y, (lambda g: y * (g - (g * y).sum(axis=axis, keepdims=True)),)


def _finite_top(name: str, x: Any, axis: int) -> Array:
    """Largest value along the axis, a constant: subtracting it changes no distribution."""
    x = constant(x)
    top = x.max(axis=axis, keepdims=True) if x.shape[axis] else x.sum(axis=axis, keepdims=True)
    if xp(x).isinf(top).any():
        raise ValueError(f"{name}: a row's largest value is infinite, so it has no distribution")
    return top


@functools.partial(in_float32, fused=True)
def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """x − log Σ exp(x) along `axis`. Raises ValueError where the largest value is infinite."""
    return _log_softmax(x, axis=axis)


@op(cuda=kernels.cuda.log_softmax)
def _log_softmax(x, *, axis):
    axis = one_axis("log_softmax", axis, x.ndim)
    z = x - _finite_top("log_softmax", x, axis)
    y = z - xp(z).log(xp(z).exp(z).sum(axis=axis, keepdims=True))
    return y, (lambda g: g - xp(y).exp(y) * g.sum(axis=axis, keepdims=True),)


@op(fused=kernels.cross_entropy, cuda=kernels.cuda.cross_entropy)
def row_cross_entropy(logits, *, target):
    """−log softmax(logits)[target] per row: (N, C), integers (N,) -> (N,)."""
    rows = xp(target).arange(len(target))
    z = logits - _finite_top("cross_entropy", logits, 1)
    log_p = z - xp(z).log(xp(z).exp(z).sum(axis=1, keepdims=True))
    one_hot = xp(target).zeros(logits.shape, logits.dtype)
    one_hot[rows, target] = 1
    return -log_p[rows, target], (lambda g: g.reshape((-1, 1)) * (xp(log_p).exp(log_p) - one_hot),)


# ---- activations --------------------------------------------------------------------------------


def gelu(x: Any, approximate: str = "none") -> Tensor:
    """x·Φ(x), Φ the normal distribution function (Hendrycks & Gimpel 2016), by erf;
    approximate="tanh" takes their eq. for ½x(1 + tanh(√(2/π)(x + 0.044715x³)))."""
    if approximate not in ("none", "tanh"):
        raise ValueError(f'gelu: approximate is "none" or "tanh", got {approximate!r}')
    if approximate == "none":
        return in_float32(_gelu, fused=True)(x)
    return in_float32(_gelu_tanh)(x)


@op(fused=kernels.gelu, value=kernels.gelu_value, cuda=kernels.cuda.gelu)
def _gelu(x):
    cdf = 0.5 * (1 + erf.on(x * math.sqrt(0.5)))
    pdf = xp(x).exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))
    return x * cdf, (lambda g: g * (cdf + x * pdf),)


@op
def _gelu_tanh(x):
    c = math.sqrt(2 / math.pi)
    t = xp(x).tanh(c * (x + 0.044715 * x * x * x))
    slope = 0.5 * (1 + t) + 0.5 * c * x * (1 - t * t) * (1 + 0.134145 * x * x)
    return 0.5 * x * (1 + t), (lambda g: g * slope,)


@functools.partial(in_float32, fused=True)
def linear_gelu(x: Any, weight: Any, bias: Any) -> Tensor:
    """gelu(x @ weightᵀ + bias): `linear`, then `gelu`, with one kernel for bias and GELU."""
    return _linear_gelu(*linear_operands(x, weight, bias))


def _linear_then(gelu: Any, x: Any, weight: Any, bias: Any) -> tuple[Any, Any]:
    """`gelu` is a body that takes the product, which is its own to change, and the bias."""
    product, (to_x, to_weight) = _linear.plain(x, weight)
    y, (to_sum,) = gelu(product, bias)

    def backward(g, wanted):
        h = to_sum(g)
        rows = h.reshape((-1, h.shape[-1]))
        return (
            to_x(h) if wanted[0] else None,
            to_weight(h) if wanted[1] else None,
            rows.sum(axis=0) if wanted[2] else None,
        )

    return y, backward


@op(
    fused=kernels.linear_gelu,
    value=kernels.linear_gelu_value,
    cuda=functools.partial(_linear_then, kernels.cuda.gelu),
)
def _linear_gelu(x, weight, bias):
    return _linear_then(lambda product, b: _gelu.plain(product + b), x, weight, bias)


# ---- normalisation ------------------------------------------------------------------------------


@functools.partial(in_float32, fused=True)
def layer_norm(x: Any, weight: Any, bias: Any, eps: float = 1e-5) -> Tensor:
    """(x − mean)/√(var + eps)·weight + bias over the last axis. Ba et al. 2016, eq. 3-4."""
    if tuple(weight.shape) != tuple(x.shape[-1:]) or weight.shape != bias.shape:
        raise ValueError(
            f"layer_norm: weight {weight.shape} and bias {bias.shape} must have the length of "
            f"the last axis of {x.shape}"
        )
    return _layer_norm(x, weight, bias, eps=eps)


@op(fused=kernels.layer_norm, value=kernels.layer_norm_value, cuda=kernels.cuda.layer_norm)
def _layer_norm(x, weight, bias, *, eps):
    axes = tuple(range(x.ndim - 1))
    centred = x - x.mean(axis=-1, keepdims=True)
    rstd = ((centred * centred).mean(axis=-1, keepdims=True) + eps) ** -0.5
    hat = centred * rstd

    def to_x(g):
        h = g * weight
        along = (h * hat).mean(axis=-1, keepdims=True)
        return rstd * (h - h.mean(axis=-1, keepdims=True) - hat * along)

    return hat * weight + bias, (
        to_x,
        lambda g: (g * hat).sum(axis=axes),
        lambda g: g.sum(axis=axes),
    )


def batch_norm(
    x: Any,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel of (B, C, ...). Ioffe & Szegedy 2015, algorithms 1 and 2.

    In training by the batch's own mean and variance, which move the running ones by
    `momentum` (the variance by its unbiased estimate, as in PyTorch); else by the running ones.
    """
    x = x if isinstance(x, Tensor) else Tensor(x)
    if x.ndim < 2 or x.shape[1] != running_mean.shape[0]:
        raise ValueError(f"batch_norm: {running_mean.shape[0]} channels do not fit {x.shape}")
    wide = at_least_float32(x)
    if training:
        random.refuse_a_part("takes the moments of whole batches (batch_norm)")
        n = x.size // x.shape[1]
        if n < 2:
            raise ValueError(f"batch_norm: training needs 2 values a channel, got {x.shape}")
        moments = _channel_moments(wide)
        for running, seen in ((running_mean, moments.data[0]), (running_var, moments.data[1])):
            unbiased = n / (n - 1) if running is running_var else 1
            running.data += momentum * (seen * unbiased - running.data)
    else:
        moments = Tensor(xp(x.data).stack([running_mean.data, running_var.data]))
    weight = xp(x.data).ones_like(running_mean.data) if weight is None else weight
    bias = xp(x.data).zeros_like(running_mean.data) if bias is None else bias
    tensors = [v if isinstance(v, Tensor) else Tensor(v) for v in (wide, moments, weight, bias)]
    y = _standardize(*one_dtype(*tensors), eps=eps)
    return y if wide is x else astype(y, x.dtype)


@op(fused=kernels.channel_moments)
def _channel_moments(x):
    """Mean and variance of each channel: (B, C, ...) -> (2, C)."""
    C, axes, across = _channels(x)
    n = x.size // C
    mu = x.sum(axis=axes, keepdims=True) / n  # (1, C, 1, ...)
    centred = x - mu
    sigma2 = (centred * centred).sum(axis=axes) / n  # (C,)
    y = _concatenated([mu.reshape((C,)), sigma2]).reshape((2, C))
    return y, (lambda g: (g[0].reshape(across) + 2 * centred * g[1].reshape(across)) / n,)


@op(fused=kernels.standardize)
def _standardize(x, moments, weight, bias, *, eps):
    """(x − mean)/√(variance + eps)·weight + bias for each channel."""
    C, axes, across = _channels(x)
    centred = x - moments[0].reshape(across)
    rstd = (moments[1] + eps) ** -0.5  # (C,)
    scale = rstd * weight

    def backward(g, wanted):
        along, level = (g * centred).sum(axis=axes), g.sum(axis=axes)  # (C,)
        to_moments = _concatenated([-level * scale, -0.5 * along * weight * rstd**3])
        return g * scale.reshape(across), to_moments.reshape((2, C)), along * rstd, level

    return centred * scale.reshape(across) + bias.reshape(across), backward


def _channels(x: Any) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Of (B, C, ...): C, the other axes, and the shape of one number a channel."""
    return x.shape[1], (0, *range(2, x.ndim)), (1, -1) + (1,) * (x.ndim - 2)


# ---- noise --------------------------------------------------------------------------------------


@functools.partial(in_float32, fused=True)
def dropout(x: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Zero each element with probability p and scale the rest by 1/(1 − p), in training only.

    Srivastava et al. 2014. p is rounded to a multiple of 1/65536.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p must lie between 0 and 1, got {p}")
    if not training or p == 0:
        return x if isinstance(x, Tensor) else Tensor(x)
    return _dropout(x, p=p, key=random.next_key())


@op(fused=kernels.dropout, cuda=kernels.cuda.dropout)
def _dropout(x, *, p, key):
    keep = _keep(constant(x), x.shape, p, key)
    return x * keep, (lambda g: g * keep,)


def _keep(like: Array, shape: tuple[int, ...], p: float, key: tuple[int, int]) -> Array:
    """The mask, already divided by 1 − p, in the dtype and on the device of `like`."""
    mask = kernels.keep_mask(shape, p, key).astype(like.dtype) * (1 / (1 - p) if p < 1 else 0)
    return to_device(mask, device_of(like))


@op
def _reversed(x, *, scale):
    return x * 1.0, (lambda g: g * -scale,)


def gradient_reversal(x: Any, scale: float = 1.0) -> Tensor:
    """x itself, but the gradient comes back times −scale. Ganin & Lempitsky 2015."""
    return _reversed(x, scale=scale)


# ---- look-up ------------------------------------------------------------------------------------


def embedding(ids: Any, weight: Any) -> Tensor:
    """Rows of `weight` (V, C) by integer ids (...) -> (..., C). Raises IndexError out of range."""
    table, given = constant(weight), as_array(ids)
    if given.dtype.kind not in "iu":
        raise TypeError(f"embedding: ids are integers, got {given.dtype}")
    if device_of(given) == "cpu" or not kernels.check_later(table):
        _check_ids(given, weight.shape[0])
    ids = beside("embedding", table, ids)
    rows = _embedding(weight, ids=ids.reshape(-1))
    return reshape(rows, (*ids.shape, weight.shape[1]))


def _check_ids(ids: Array, V: int) -> None:
    if ids.size and (ids.min() < 0 or ids.max() >= V):
        raise IndexError(f"embedding: ids from {ids.min()} to {ids.max()} do not fit {V} rows")


@op(cuda=kernels.cuda.embedding)
def _embedding(weight, *, ids):
    check_one_device("embedding", constant(weight), ids)
    n_rows = weight.shape[0]
    return weight[ids], (lambda g: scatter_rows.on(g, ids=ids, n_rows=n_rows),)


@op(fused=kernels.scatter_rows, cuda=kernels.cuda.scatter_rows)
def scatter_rows(g, *, ids, n_rows):
    """y[ids[i]] += g[i]: the transpose of a look-up, (N, C) -> (n_rows, C)."""
    if isinstance(g, Tensor):
        y = scatter_rows(g, ids=ids, n_rows=n_rows)
    else:
        y = xp(g).zeros((n_rows, g.shape[-1]), g.dtype)
        scatter_add(y, ids, g)
    return y, (lambda h: h[ids],)


# ---- attention ----------------------------------------------------------------------------------


@functools.partial(in_float32, fused=True)
def scaled_dot_product_attention(
    q: Any, k: Any, v: Any, mask: Any = None, causal: bool = False, dropout: float = 0.0
) -> Tensor:
    """softmax(q·kᵀ/√D)·v on (B, H, T, D). Vaswani et al. 2017, eq. 1.

    `mask` broadcasts to (B, H, Tq, Tk): booleans, True = look there, or floats that are added
    to the scores. `causal`: position i sees up to i. A row that may look nowhere gives zeros.
    """
    q, k, v = (x if isinstance(x, Tensor) else Tensor(x) for x in (q, k, v))
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2] or q.shape[:-2] != k.shape[:-2]:
        raise ValueError(f"attention: q {q.shape}, k {k.shape} and v {v.shape} do not fit")
    shape = (*q.shape[:-1], k.shape[-2])  # (B, H, Tq, Tk)
    mask = _attention_mask(q.data, shape, mask)
    key = random.next_key() if dropout else (0, 0)
    return _attention(q, k, v, mask=mask, causal=causal, dropout=dropout, key=key)


def _attention_mask(like: Array, shape: tuple[int, ...], mask: Any) -> Any:
    """The mask beside `like`: booleans or floats of its dtype that fit scores of `shape`."""
    if mask is None:
        return None
    mask = beside("attention", like, mask)
    try:
        np.broadcast_shapes(mask.shape, shape)
    except ValueError:
        raise ValueError(f"attention: the mask {mask.shape} must fit scores {shape}") from None
    return mask.astype(bool if mask.dtype.kind in "biu" else like.dtype, copy=False)


@op(fused=kernels.attention, cuda=kernels.cuda.attention)
def _attention(q, k, v, *, mask, causal, dropout, key):
    scale = 1 / math.sqrt(q.shape[-1])
    scores = q @ k.swapaxes(-1, -2) * scale  # (B, H, Tq, Tk)
    bias = kernels.scores_bias(mask, causal, scores.shape, constant(scores))
    p = _attention_weights(scores if bias is None else scores + bias)
    keep = _keep(constant(p), p.shape, dropout, key) if dropout else 1.0

    def backward(g, wanted):
        g_p = g @ v.swapaxes(-1, -2) * keep
        g_scores = p * (g_p - (g_p * p).sum(axis=-1, keepdims=True)) * scale
        return (
            g_scores @ k,
            g_scores.swapaxes(-1, -2) @ q,
            (p * keep).swapaxes(-1, -2) @ g,
        )

    return (p * keep) @ v, backward


def _attention_weights(scores: Any) -> Any:
    """Softmax over the last axis in which a row of −inf alone becomes zeros."""
    top = constant(scores).max(axis=-1, keepdims=True)
    if (top == math.inf).any():
        raise ValueError("attention: a score is infinite, so it has no share")
    blind = top == -math.inf
    e = xp(scores).exp(scores - xp(top).where(blind, 0, top).astype(top.dtype))
    return e / (e.sum(axis=-1, keepdims=True) + blind.astype(top.dtype))


@functools.partial(in_float32, fused=True)
def self_attention(
    qkv: Any, heads: int, mask: Any = None, causal: bool = False, dropout: float = 0.0
) -> Tensor:
    """Attention of a sequence to itself from one merged product: (B, T, 3C) -> (B, T, C).

    The last axis holds queries, keys and values side by side, each split into `heads` heads.
    Masks as in `scaled_dot_product_attention`.
    """
    qkv = qkv if isinstance(qkv, Tensor) else Tensor(qkv)
    if qkv.ndim != 3 or qkv.shape[-1] % (3 * heads):
        raise ValueError(f"self_attention: {qkv.shape} is not (B, T, 3·{heads}·D)")
    B, T = qkv.shape[:2]
    mask = _attention_mask(qkv.data, (B, heads, T, T), mask)
    key = random.next_key() if dropout else (0, 0)
    return _self_attention(qkv, heads=heads, mask=mask, causal=causal, dropout=dropout, key=key)


@op(
    fused=kernels.self_attention,
    value=kernels.self_attention_value,
    cuda=kernels.cuda.self_attention,
)
def _self_attention(qkv, *, heads, mask, causal, dropout, key):
    B, T, C = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    parts = qkv.reshape((B, T, 3, heads, C // heads)).transpose((2, 0, 3, 1, 4))
    q, k, v = parts[0], parts[1], parts[2]  # (B, H, T, D) each
    settings = {"mask": mask, "causal": causal, "dropout": dropout, "key": key}
    y, attention_backward = _attention.plain(q, k, v, **settings)

    def backward(g, wanted):
        g_out = g.reshape((B, T, heads, C // heads)).swapaxes(1, 2)  # (B, H, T, D)
        grads = attention_backward(g_out, wanted)
        merged = [x.swapaxes(1, 2).reshape((B, T, C)) for x in grads]
        return (_concatenated(merged),)

    return y.swapaxes(1, 2).reshape((B, T, C)), backward


def _concatenated(xs: list[Any]) -> Any:
    return concatenate(xs, -1) if isinstance(xs[0], Tensor) else xp(xs[0]).concatenate(xs, -1)
