"""Every differentiable function of minift with the cases that prove it.

A case holds our function, the inputs, and the same function in PyTorch (called with the torch
module first). `tests/test_ops.py` checks each case in every way it knows; `tests/mutants.py`
breaks each derivative and expects these cases to notice. A function without a row fails.

Inputs keep away from kinks (0 for relu, ties for max): those are tested by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minift import functional as F
from minift.backend import to_device

rng = np.random.default_rng(2026)


@dataclass
class Case:
    """One use of a function; `inputs` are float64 arrays that all require gradients."""

    ours: Callable[..., Any]
    torch: Callable[..., Any]
    inputs: tuple[np.ndarray, ...]
    elementwise: bool = False  # then 0-d and empty inputs are tried as well
    order: int = 2  # of derivatives to check by finite differences
    tolerance: float = 1e-11  # of float64 values against PyTorch's


def normal(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape)


def positive(*shape: int) -> np.ndarray:
    return rng.uniform(0.3, 2.0, shape)


def nonzero(*shape: int) -> np.ndarray:
    """At least 0.1 away from 0."""
    return rng.uniform(0.1, 2.0, shape) * rng.choice([-1.0, 1.0], shape)


def distinct(*shape: int) -> np.ndarray:
    """Values that differ by at least 0.1, shuffled."""
    n = int(np.prod(shape))
    return (rng.permutation(n) * 0.1 - 0.05 * n).reshape(shape)


def case(ours: Callable[..., Any], torch: Callable[..., Any], *inputs: np.ndarray, **kw) -> Case:
    return Case(ours, torch, inputs, **kw)


def each(ours: Callable[..., Any], torch: Callable[..., Any], draw=normal, **kw) -> list[Case]:
    """An elementwise function of one argument."""
    return [Case(ours, torch, (draw(3, 4),), elementwise=True, **kw)]


def pairs(ours: Callable[..., Any], torch: Callable[..., Any], a=normal, b=normal) -> list[Case]:
    """A function of two arguments that broadcasts."""
    shapes = [((3, 4), (3, 4)), ((3, 4), (4,)), ((1, 4), (3, 1)), ((2, 1, 4), (3, 1)), ((), (3,))]
    cases = [case(ours, torch, a(*p), b(*q)) for p, q in shapes]
    cases[0].elementwise = True
    return cases


def reductions(ours: Callable[..., Any], torch: Callable[..., Any], draw=normal) -> list[Case]:
    """A function of (x, axis, keepdims)."""
    settings = [(0, False), (-1, True), ((0, 2), False), ((1, -1), True)]
    return [
        case(
            lambda x, axis=axis, keep=keep: ours(x, axis, keep),
            lambda t, x, axis=axis, keep=keep: torch(t, x, axis, keep),
            draw(2, 3, 4),
        )
        for axis, keep in settings
    ]


def one(ours: Callable[..., Any], torch: Callable[..., Any], *inputs: np.ndarray, **kw):
    return [case(ours, torch, *inputs, **kw)]


MASK = np.array([[True, True, False, True], [True, False, False, True], [True, True, True, True]])
FLOAT_MASK = normal(2, 1, 3, 4)
WEIGHTS = np.array([0.5, 2.0, 1.0])
TARGET = np.array([2, 0, -100, 1, 1])


def beside(x: Any, array: np.ndarray | None) -> Any:
    """An index, mask or target where the input lies: ops move no array unasked."""
    return None if array is None else to_device(array, x.device)


def _attention(t: Any, q: Any, k: Any, v: Any, mask: Any = None, causal: bool = False) -> Any:
    if mask is not None:
        mask = t.tensor(mask)
    f = t.nn.functional.scaled_dot_product_attention
    return f(q, k, v, attn_mask=mask, is_causal=causal)


def _attention_rows() -> list[Case]:
    qkv = normal(2, 2, 3, 5), normal(2, 2, 4, 5), normal(2, 2, 4, 5)
    square = normal(2, 2, 4, 5), normal(2, 2, 4, 5), normal(2, 2, 4, 5)
    return [
        case(F.scaled_dot_product_attention, _attention, *qkv),
        case(
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v, mask=beside(q, MASK)),
            lambda t, q, k, v: _attention(t, q, k, v, MASK), *qkv,
        ),
        case(
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v, mask=beside(q, FLOAT_MASK)),
            lambda t, q, k, v: _attention(t, q, k, v, FLOAT_MASK), *qkv,
        ),
        case(
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v, causal=True),
            lambda t, q, k, v: _attention(t, q, k, v, causal=True), *square,
        ),
    ]  # fmt: skip


def _torch_self_attention(t: Any, qkv: Any, mask: Any = None, causal: bool = False) -> Any:
    B, T, C = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    q, k, v = qkv.reshape(B, T, 3, 2, C // 2).permute(2, 0, 3, 1, 4)
    return _attention(t, q, k, v, mask, causal).transpose(1, 2).reshape(B, T, C)


PADDING = np.array([[True, True, True, False], [True, True, False, False]])[:, None, None]


def _convolutions(ours: Callable[..., Any], name: str, transposed: bool) -> list[Case]:
    cases = []
    for stride, padding, dilation, groups in [
        (1, 0, 1, 1), (2, 1, 1, 2), ((2, 1), (0, 1), (1, 2), 1)
    ]:  # fmt: skip
        settings = {
            "stride": stride, "padding": padding, "dilation": dilation, "groups": groups
        }  # fmt: skip
        if transposed and stride == 2:
            settings["output_padding"] = 1
        kernel = (4, 6 // groups, 3, 2) if transposed else (6, 4 // groups, 3, 2)
        cases.append(
            case(
                lambda x, w, b, s=settings: ours(x, w, b, **s),
                lambda t, x, w, b, s=settings: getattr(t.nn.functional, name)(x, w, b, **s),
                normal(2, 4, 5, 6),
                normal(*kernel),
                normal(6),
            )
        )
    return cases


def _pools(ours: Callable[..., Any], name: str, draw: Callable[..., np.ndarray]) -> list[Case]:
    return [
        case(
            lambda x, s=settings: ours(x, *s),
            lambda t, x, s=settings: getattr(t.nn.functional, name)(x, *s),
            draw(2, 2, 6, 5),
        )
        for settings in [(2,), (3, 2, 1), ((3, 2), (1, 2), (1, 0)), (2, (2, 1))]
    ]


def _focal(t: Any, x: Any, gamma: float) -> Any:
    log_p = t.log_softmax(x, -1)[t.arange(5), t.tensor([2, 0, 1, 1, 0])]
    return (-((1 - log_p.exp()) ** gamma) * log_p).mean()


def _info_nce(t: Any, a: Any, b: Any) -> Any:
    f = t.nn.functional
    scores = f.normalize(a, dim=-1) @ f.normalize(b, dim=-1).T / 0.1
    return f.cross_entropy(scores, t.arange(len(a)))


def _batch_norm(t: Any, x: Any, w: Any, b: Any, training: bool) -> Any:
    mean, var = t.full((3,), 0.1, dtype=x.dtype), t.full((3,), 1.5, dtype=x.dtype)
    return t.nn.functional.batch_norm(x, mean, var, w, b, training=training)


def _our_batch_norm(x: Any, w: Any, b: Any, training: bool) -> Any:
    from minift import full

    mean, var = full(3, 0.1, x.dtype, device=x.device), full(3, 1.5, x.dtype, device=x.device)
    return F.batch_norm(x, mean, var, w, b, training)


def _losses(name: str, target: np.ndarray = TARGET, **settings: Any) -> Case:
    torch_settings = dict(settings)

    def torch(t: Any, x: Any) -> Any:
        weight = torch_settings.get("weight")
        kw = dict(torch_settings, weight=None if weight is None else t.tensor(weight).to(x.dtype))
        return getattr(t.nn.functional, name)(x, t.tensor(target), **kw)

    inputs = normal(5, 3) if name == "cross_entropy" else -positive(5, 3)

    def ours(x: Any) -> Any:
        kw = dict(settings, weight=beside(x, settings.get("weight")))
        return getattr(F, name)(x, beside(x, target), **kw)

    return case(ours, torch, inputs)


EVERY_REDUCTION: list[dict[str, Any]] = [
    {}, {"reduction": "sum"}, {"reduction": "none"}, {"weight": WEIGHTS},
    {"weight": WEIGHTS, "reduction": "none"},
]  # fmt: skip

TABLE: dict[str, list[Case]] = {
    # arithmetic
    "add": pairs(F.add, lambda t, a, b: a + b),
    "sub": pairs(F.sub, lambda t, a, b: a - b),
    "mul": pairs(F.mul, lambda t, a, b: a * b),
    "div": pairs(F.div, lambda t, a, b: a / b, b=nonzero),
    "power": [
        *pairs(F.power, lambda t, a, b: a**b, a=positive),
        *[
            c
            for n in (2, 3, 0.5, -1.5, 0, 1)
            for c in each(lambda x, n=n: x**n, lambda t, x, n=n: x**n, positive)
        ],
        *each(lambda x: 2.5**x, lambda t, x: 2.5**x),
    ],
    "neg": each(F.neg, lambda t, x: -x),
    "maximum": pairs(F.maximum, lambda t, a, b: t.maximum(a, b)),
    "minimum": pairs(F.minimum, lambda t, a, b: t.minimum(a, b)),
    "where": [
        *one(
            lambda a, b: F.where(beside(a, MASK), a, b),
            lambda t, a, b: t.where(t.tensor(MASK), a, b),
            normal(3, 4),
            normal(3, 1),
        ),
        *one(
            lambda a: F.where(beside(a, MASK), a, 2.0),
            lambda t, a: t.where(t.tensor(MASK), a, 2.0),
            normal(4),
        ),
    ],
    # one argument
    "exp": each(F.exp, lambda t, x: t.exp(x)),
    "log": each(F.log, lambda t, x: t.log(x), positive),
    "log1p": each(F.log1p, lambda t, x: t.log1p(x), positive),
    "sqrt": each(F.sqrt, lambda t, x: t.sqrt(x), positive),
    "abs": each(F.abs, lambda t, x: t.abs(x), nonzero),
    "sin": each(F.sin, lambda t, x: t.sin(x)),
    "cos": each(F.cos, lambda t, x: t.cos(x)),
    "tanh": each(F.tanh, lambda t, x: t.tanh(x)),
    "sigmoid": each(F.sigmoid, lambda t, x: t.sigmoid(x)),
    "relu": each(F.relu, lambda t, x: t.relu(x), nonzero),
    "erf": each(F.erf, lambda t, x: t.erf(x)),
    "gelu": [
        *each(F.gelu, lambda t, x: t.nn.functional.gelu(x)),
        *each(
            lambda x: F.gelu(x, "tanh"), lambda t, x: t.nn.functional.gelu(x, approximate="tanh")
        ),
    ],
    "linear_gelu": one(
        F.linear_gelu,
        lambda t, x, w, b: t.nn.functional.gelu(t.nn.functional.linear(x, w, b)),
        normal(2, 3, 4),
        normal(5, 4),
        normal(5),
    ),
    "silu": each(F.silu, lambda t, x: t.nn.functional.silu(x)),
    "softplus": each(F.softplus, lambda t, x: t.nn.functional.softplus(x)),
    "clip": [
        *each(lambda x: F.clip(x, -0.7, 0.8), lambda t, x: t.clip(x, -0.7, 0.8)),
        *each(lambda x: F.clip(x, max=0.3), lambda t, x: t.clip(x, max=0.3)),
    ],
    "astype": each(lambda x: F.astype(x, x.dtype), lambda t, x: x.clone()),
    # reductions
    "sum": reductions(F.sum, lambda t, x, a, k: x.sum(a, k)),
    "mean": reductions(F.mean, lambda t, x, a, k: x.mean(a, k)),
    "var": [
        *reductions(F.var, lambda t, x, a, k: x.var(a, correction=0, keepdim=k)),
        *one(lambda x: F.var(x, correction=1), lambda t, x: x.var(), normal(3, 4)),
    ],
    "max": reductions(F.max, lambda t, x, a, k: x.amax(a, k), distinct),
    "min": reductions(F.min, lambda t, x, a, k: x.amin(a, k), distinct),
    "logsumexp": reductions(F.logsumexp, lambda t, x, a, k: x.logsumexp(a, k)),
    "cumsum": [
        *one(lambda x: F.cumsum(x, 1), lambda t, x: x.cumsum(1), normal(2, 3, 4)),
        *one(lambda x: F.cumsum(x, -1), lambda t, x: x.cumsum(-1), normal(2, 3, 4)),
    ],
    # shapes
    "reshape": one(lambda x: F.reshape(x, (4, -1)), lambda t, x: x.reshape(4, -1), normal(2, 6)),
    "flatten": [
        *one(lambda x: F.flatten(x, 1), lambda t, x: x.flatten(1), normal(2, 3, 4)),
        *one(lambda x: F.flatten(x, -3, 1), lambda t, x: x.flatten(-3, 1), normal(2, 3, 4)),
    ],
    "squeeze": [
        *one(F.squeeze, lambda t, x: x.squeeze(), normal(1, 3, 1)),
        *one(lambda x: F.squeeze(x, -1), lambda t, x: x.squeeze(-1), normal(1, 3, 1)),
    ],
    "unsqueeze": one(lambda x: F.unsqueeze(x, -2), lambda t, x: x.unsqueeze(-2), normal(2, 3)),
    "broadcast_to": one(
        lambda x: F.broadcast_to(x, (2, 3, 4)), lambda t, x: x.broadcast_to(2, 3, 4), normal(3, 1)
    ),
    "expand": one(lambda x: F.expand(x, (5, -1, 4)), lambda t, x: x.expand(5, -1, 4), normal(3, 1)),
    "transpose": [
        *one(F.transpose, lambda t, x: x.permute(2, 1, 0), normal(2, 3, 4)),
        *one(
            lambda x: F.transpose(x, (1, -1, 0)), lambda t, x: x.permute(1, 2, 0), normal(2, 3, 4)
        ),
    ],
    "swapaxes": one(
        lambda x: F.swapaxes(x, 0, -1), lambda t, x: x.swapaxes(0, -1), normal(2, 3, 4)
    ),
    "getitem": [
        *one(lambda x: x[1], lambda t, x: x[1], normal(3, 4)),
        *one(lambda x: x[..., None, 1:3], lambda t, x: x[..., None, 1:3], normal(3, 4)),
        *one(lambda x: x[::2, -1], lambda t, x: x[::2, -1], normal(3, 4)),
        *one(lambda x: x[::-1], lambda t, x: x.flip(0), normal(3, 4)),
        *one(lambda x: x[[0, 2, 2], 1:], lambda t, x: x[[0, 2, 2], 1:], normal(3, 4)),
        *one(lambda x: x[beside(x, MASK)], lambda t, x: x[t.tensor(MASK)], normal(3, 4)),
    ],
    "gather": one(
        lambda x: F.gather(x, 1, [[0, 3, 3], [1, 1, 2]]),
        lambda t, x: x.gather(1, t.tensor([[0, 3, 3], [1, 1, 2]])),
        normal(3, 4),
    ),
    "take_along_axis": one(
        lambda x: F.take_along_axis(x, [[0, 3, 3], [1, 1, 2], [0, 0, 0]], axis=-1),
        lambda t, x: x.take_along_dim(t.tensor([[0, 3, 3], [1, 1, 2], [0, 0, 0]]), -1),
        normal(3, 4),
    ),
    "split": [
        *one(lambda x: F.split(x, 2, axis=-1)[1], lambda t, x: x.split(2, -1)[1], normal(3, 5)),
        *one(
            lambda x: F.split(x, [1, 4], axis=1)[1],
            lambda t, x: x.split([1, 4], 1)[1],
            normal(3, 5),
        ),
    ],
    "tril": [
        *one(F.tril, lambda t, x: x.tril(), normal(2, 4, 3)),
        *one(lambda x: F.tril(x, -1), lambda t, x: x.tril(-1), normal(4, 3)),
    ],
    "concatenate": [
        *one(
            lambda a, b: F.concatenate([a, b], -1),
            lambda t, a, b: t.cat([a, b], -1),
            normal(2, 3),
            normal(2, 2),
        ),
        *one(
            lambda a, b: F.concatenate([a, b, a]),
            lambda t, a, b: t.cat([a, b, a]),
            normal(2, 3),
            normal(4, 3),
        ),
    ],
    "stack": one(
        lambda a, b: F.stack([a, b], 1),
        lambda t, a, b: t.stack([a, b], 1),
        normal(2, 3),
        normal(2, 3),
    ),
    "pad": [
        *one(
            lambda x: F.pad(x, (1, 2, 0, 1), value=0.5),
            lambda t, x: t.nn.functional.pad(x, (1, 2, 0, 1), value=0.5),
            normal(2, 3, 4),
        ),
        *one(
            lambda x: F.pad(x, ((2, 0), (0, 1))),
            lambda t, x: t.nn.functional.pad(x, (0, 1, 2, 0)),
            normal(3, 4),
        ),
    ],
    "to_device": one(
        lambda x: F.to_device(x, device=x.device), lambda t, x: x.clone(), normal(3, 4)
    ),
    # products
    "matmul": [
        *one(F.matmul, lambda t, a, b: a @ b, normal(3, 4), normal(4, 5)),
        *one(F.matmul, lambda t, a, b: a @ b, normal(2, 3, 4), normal(4, 5)),
        *one(F.matmul, lambda t, a, b: a @ b, normal(2, 1, 3, 4), normal(3, 4, 5)),
        *one(F.matmul, lambda t, a, b: a @ b, normal(4), normal(2, 4, 5)),
        *one(F.matmul, lambda t, a, b: a @ b, normal(2, 3, 4), normal(4)),
        *one(F.matmul, lambda t, a, b: a @ b, normal(4), normal(4)),
    ],
    "linear": [
        *one(
            F.linear,
            lambda t, x, w, b: t.nn.functional.linear(x, w, b),
            normal(2, 3, 4),
            normal(5, 4),
            normal(5),
        ),
        *one(F.linear, lambda t, x, w: t.nn.functional.linear(x, w), normal(3, 4), normal(5, 4)),
        *one(
            F.linear,
            lambda t, x, w, b: t.nn.functional.linear(x, w, b),
            normal(4),
            normal(5, 4),
            normal(5),
        ),
        *one(
            F.linear,
            lambda t, x, w, b: t.nn.functional.linear(x, w, b),
            normal(1300, 3),
            normal(4, 3),
            normal(4),
            order=1,
        ),
    ],
    "einsum": [
        *one(
            lambda a, b: F.einsum("bij,bjk->bik", a, b),
            lambda t, a, b: t.einsum("bij,bjk->bik", a, b),
            normal(2, 3, 4),
            normal(2, 4, 2),
        ),
        *one(
            lambda a, b: F.einsum("...ij,j", a, b),
            lambda t, a, b: t.einsum("...ij,j", a, b),
            normal(2, 3, 4),
            normal(4),
        ),
        *one(
            lambda a, b: F.einsum("ij,jk->ik", a, b),
            lambda t, a, b: t.einsum("ij,jk->ik", a, b),
            normal(2, 1),
            normal(3, 4),
        ),
        *one(lambda a: F.einsum("iij->j", a), lambda t, a: t.einsum("iij->j", a), normal(3, 3, 2)),
        *one(lambda a: F.einsum("ij->", a), lambda t, a: t.einsum("ij->", a), normal(3, 2)),
        *one(
            lambda a, b, c: F.einsum("ij,jk,k->i", a, b, c),
            lambda t, a, b, c: t.einsum("ij,jk,k->i", a, b, c),
            normal(2, 3),
            normal(3, 4),
            normal(4),
        ),
    ],
    "conv2d": _convolutions(F.conv2d, "conv2d", transposed=False),
    "conv_transpose2d": _convolutions(F.conv_transpose2d, "conv_transpose2d", transposed=True),
    "conv1d": one(
        lambda x, w, b: F.conv1d(x, w, b, 2, 1),
        lambda t, x, w, b: t.nn.functional.conv1d(x, w, b, 2, 1),
        normal(2, 3, 7),
        normal(4, 3, 3),
        normal(4),
    ),
    "max_pool2d": _pools(F.max_pool2d, "max_pool2d", distinct),
    "avg_pool2d": _pools(F.avg_pool2d, "avg_pool2d", normal),
    # neural
    "softmax": [
        *one(F.softmax, lambda t, x: x.softmax(-1), normal(2, 3, 4)),
        *one(lambda x: F.softmax(x, 0), lambda t, x: x.softmax(0), normal(3, 4)),
    ],
    "log_softmax": [
        *one(F.log_softmax, lambda t, x: x.log_softmax(-1), normal(2, 3, 4)),
        *one(lambda x: F.log_softmax(x, 0), lambda t, x: x.log_softmax(0), normal(3, 4)),
    ],
    "layer_norm": one(
        F.layer_norm,
        lambda t, x, w, b: t.nn.functional.layer_norm(x, (5,), w, b),
        normal(2, 3, 5),
        normal(5),
        normal(5),
    ),
    "batch_norm": [
        *one(
            lambda x, w, b: _our_batch_norm(x, w, b, True),
            lambda t, x, w, b: _batch_norm(t, x, w, b, True),
            normal(4, 3, 2, 2),
            normal(3),
            normal(3),
        ),
        *one(
            lambda x, w, b: _our_batch_norm(x, w, b, False),
            lambda t, x, w, b: _batch_norm(t, x, w, b, False),
            normal(4, 3),
            normal(3),
            normal(3),
        ),
    ],
    "dropout": one(
        lambda x: F.dropout(x, 0.5, training=False), lambda t, x: x.clone(), normal(3, 4)
    ),
    "gradient_reversal": one(
        lambda x: F.gradient_reversal(x, 0.3),
        lambda t, x: -0.3 * x + 1.3 * x.detach(),
        normal(3, 4),
        order=0,
    ),
    "embedding": one(
        lambda w: F.embedding([[1, 2, 1], [0, 1, 4]], w),
        lambda t, w: t.nn.functional.embedding(t.tensor([[1, 2, 1], [0, 1, 4]]), w),
        normal(5, 3),
    ),
    "scaled_dot_product_attention": _attention_rows(),
    "self_attention": [
        *one(lambda x: F.self_attention(x, 2), _torch_self_attention, normal(2, 4, 12)),
        *one(
            lambda x: F.self_attention(x, 2, mask=beside(x, PADDING)),
            lambda t, x: _torch_self_attention(t, x, PADDING),
            normal(2, 4, 12),
        ),
        *one(
            lambda x: F.self_attention(x, 2, causal=True),
            lambda t, x: _torch_self_attention(t, x, causal=True),
            normal(2, 4, 12),
        ),
    ],
    # losses
    "cross_entropy": [
        *[_losses("cross_entropy", **s) for s in EVERY_REDUCTION],
        _losses("cross_entropy", target=np.array([1, 0, 1, 2, 0]), ignore_index=1),
        _losses("cross_entropy", target=np.array([1, 0, 1, 2, 0]), reduction="none"),
        _losses("cross_entropy", label_smoothing=0.1),
        _losses("cross_entropy", label_smoothing=0.2, weight=WEIGHTS),
        *one(
            lambda x: F.cross_entropy(x, [[1, 0], [2, 2]]),
            lambda t, x: t.nn.functional.cross_entropy(
                x.permute(0, 2, 1), t.tensor([[1, 0], [2, 2]])
            ),
            normal(2, 2, 3),
        ),
    ],
    "nll_loss": [_losses("nll_loss", **s) for s in EVERY_REDUCTION],
    "focal_loss": [
        *one(
            lambda x: F.focal_loss(x, [2, 0, 1, 1, 0]), lambda t, x: _focal(t, x, 2.0), normal(5, 3)
        ),
        *one(
            lambda x: F.focal_loss(x, [2, 0, 1, 1, 0], gamma=0.0),
            lambda t, x: _focal(t, x, 0.0),
            normal(5, 3),
        ),
        *one(
            lambda x: F.focal_loss(x, [2, 0, 1, 1, 0], gamma=0.5),
            lambda t, x: _focal(t, x, 0.5),
            normal(5, 3),
        ),
        *one(
            lambda x: F.focal_loss(x, [0, 1], 0.0, beside(x, WEIGHTS), reduction="sum"),
            lambda t, x: t.nn.functional.cross_entropy(
                x, t.tensor([0, 1]), t.tensor(WEIGHTS).to(x.dtype), reduction="sum"
            ),
            normal(2, 3),
        ),
    ],
    "mse_loss": [
        *one(
            F.mse_loss, lambda t, x, y: t.nn.functional.mse_loss(x, y), normal(3, 4), normal(3, 4)
        ),
        *one(
            lambda x, y: F.mse_loss(x, y, "none"),
            lambda t, x, y: t.nn.functional.mse_loss(x, y, reduction="none"),
            normal(3, 4),
            normal(3, 4),
        ),
    ],
    "l1_loss": one(
        lambda x, y: F.l1_loss(x, y, "sum"),
        lambda t, x, y: t.nn.functional.l1_loss(x, y, reduction="sum"),
        normal(3, 4),
        normal(3, 4),
    ),
    "binary_cross_entropy_with_logits": [
        *one(
            F.binary_cross_entropy_with_logits,
            lambda t, x, y: t.nn.functional.binary_cross_entropy_with_logits(x, y),
            normal(3, 4),
            rng.random((3, 4)),
        ),
        *one(
            lambda x, y: F.binary_cross_entropy_with_logits(x, y, 3.0),
            lambda t, x, y: t.nn.functional.binary_cross_entropy_with_logits(
                x, y, pos_weight=t.tensor(3.0, dtype=x.dtype)
            ),
            normal(3, 4),
            rng.random((3, 4)),
        ),
    ],
    "info_nce": one(F.info_nce, _info_nce, normal(4, 3), normal(4, 3)),
    "kl_normal": one(
        F.kl_normal,
        lambda t, m, s: 0.5 * (m**2 + s.exp() - s - 1).sum(-1).mean(),
        normal(4, 3),
        normal(4, 3),
    ),
}

# Functions without a derivative: comparisons and argmax. They have tests of their own.
WITHOUT_GRADIENT = {
    "argmax", "equal", "greater", "greater_equal", "less", "less_equal", "not_equal"
}  # fmt: skip


def all_cases() -> list[tuple[str, Case]]:
    return [(f"{name}-{i}", c) for name, row in TABLE.items() for i, c in enumerate(row)]
