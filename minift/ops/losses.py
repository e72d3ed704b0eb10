"""Losses: what training makes small. Each returns a single value unless `reduction="none"`.

Losses of float16 tensors are float32.

Read `minift/ops/conv.py` next, or `minift/nn/` for what is trained.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minift import kernels
from minift.autograd import beside
from minift.backend import Array, device_of, xp
from minift.ops.elementwise import abs, at_least_float32, exp, mul, softplus, sqrt, where
from minift.ops.neural import log_softmax, row_cross_entropy
from minift.ops.products import matmul
from minift.ops.reduce import mean, sum
from minift.ops.shape import getitem, reshape, swapaxes
from minift.tensor import Tensor, as_array


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return mean(loss) if loss.size else sum(loss)
    if reduction == "sum":
        return sum(loss)
    if reduction == "none":
        return loss
    raise ValueError(f'reduction is "mean", "sum" or "none", got {reduction!r}')


def cross_entropy(
    logits: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """−log softmax(logits)[target], computed from the logits; classes on the last axis.

    logits (..., C) floats, target (...) integers. `weight` (C,) weighs the classes, and "mean"
    divides by the sum of the weights used. `label_smoothing` ε gives every class ε/C of the
    target (Szegedy et al. 2016, section 7). Targets equal to `ignore_index` count for nothing;
    if all do, the loss is 0 and so is its gradient.

    Raises ValueError for shapes, classes or settings that do not fit, and for infinite logits.
    """
    logits = logits if isinstance(logits, Tensor) else Tensor(logits)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing lies in [0, 1], got {label_smoothing}")
    rows, classes, used, counts = _picked("cross_entropy", logits, target, ignore_index)
    loss = row_cross_entropy(rows, target=classes)  # (n,)
    w = _class_weights("cross_entropy", rows, weight)
    weight_of_row = None if w is None else w[classes]
    if weight_of_row is not None:
        loss = loss * weight_of_row
    if label_smoothing:
        C = rows.shape[-1]
        each = -log_softmax(rows) if w is None else -log_softmax(rows) * w  # (n, C)
        loss = loss * (1 - label_smoothing) + sum(each, axis=-1) * (label_smoothing / C)
    return _reduced_rows(loss, weight_of_row, reduction, used, counts)


def nll_loss(
    log_probabilities: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """−log p[target] for log-probabilities (..., C); otherwise as `cross_entropy`."""
    x = log_probabilities if isinstance(log_probabilities, Tensor) else Tensor(log_probabilities)
    rows, classes, used, counts = _picked("nll_loss", x, target, ignore_index)
    loss = -getitem(rows, (xp(classes).arange(len(classes)), classes))  # (n,)
    w = _class_weights("nll_loss", rows, weight)
    weight_of_row = None if w is None else w[classes]
    if weight_of_row is not None:
        loss = loss * weight_of_row
    return _reduced_rows(loss, weight_of_row, reduction, used, counts)


def focal_loss(
    logits: Any,
    target: Any,
    gamma: float = 2.0,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """−(1 − p)^γ log p of the target class (Lin et al. 2017, eq. 4-5); γ = 0: cross-entropy."""
    logits = logits if isinstance(logits, Tensor) else Tensor(logits)
    if gamma < 0:
        raise ValueError(f"focal_loss: gamma must be at least 0, got {gamma}")
    rows, classes, used, counts = _picked("focal_loss", logits, target, ignore_index)
    nll = row_cross_entropy(rows, target=classes)  # (n,)
    if gamma:  # below 1, the power's slope at 0 is infinite, and there nll is 0
        doubt = (1 - exp(-nll)).clip(min=float(np.finfo(rows.dtype).tiny))
        loss = doubt**gamma * nll
    else:
        loss = nll
    w = _class_weights("focal_loss", rows, weight)
    weight_of_row = None if w is None else w[classes]
    if weight_of_row is not None:
        loss = loss * weight_of_row
    return _reduced_rows(loss, weight_of_row, reduction, used, counts)


class Picked(NamedTuple):
    """The rows of logits whose targets count, and how they stood."""

    rows: Tensor  # (n, C)
    classes: Array  # (n,)
    used: Array  # of the shape of the targets: which count
    counts: Array | None  # (n,) 1 or 0, where rows that do not count are still there


def _picked(name: str, x: Tensor, target: Any, ignore_index: int) -> Picked:
    """The rows that count and their classes; all rows where to count them is to wait."""
    given = as_array(target)
    if given.dtype.kind not in "iu":
        raise TypeError(f"{name}: targets are integer classes, got {given.dtype}")
    if x.ndim == 0 or x.shape[:-1] != given.shape:
        raise ValueError(
            f"{name}: targets {given.shape} must have the shape of logits {x.shape} without "
            "the last axis, which holds the classes"
        )
    x = at_least_float32(x)
    C, later = x.shape[-1], kernels.check_later(x.data)
    if device_of(given) == "cpu" or not later:
        _check_classes(name, given, C, ignore_index)
    classes = beside(name, x.data, target)
    rows = reshape(x, (-1, C)) if x.ndim != 2 else x
    if later:
        right, used, counts = kernels.cuda.targets(name, classes, C, ignore_index, x.dtype)
        rows = where(used.reshape(-1, 1), rows, 0.0)  # whatever stands in the others
        return Picked(rows, right, used.reshape(classes.shape), counts)
    used = classes != ignore_index
    if not used.all():
        rows = getitem(rows, xp(used).flatnonzero(used))
    return Picked(rows, classes[used].reshape(-1), used, None)


def _check_classes(name: str, classes: Array, C: int, ignore_index: int) -> None:
    wrong = (classes != ignore_index) & ((classes < 0) | (classes >= C))
    if wrong.any():
        raise ValueError(f"{name}: target {int(classes[wrong][0])} is none of the {C} classes")


def _class_weights(name: str, rows: Tensor, weight: Any) -> Array | None:
    if weight is None:
        return None
    w = beside(name, rows.data, weight).astype(rows.dtype, copy=False)
    if w.shape != (rows.shape[-1],):
        raise ValueError(f"{name}: {w.shape} weights for {rows.shape[-1]} classes")
    return w


def _reduced_rows(
    loss: Tensor, weight: Array | None, reduction: str, used: Array, counts: Array | None
) -> Tensor:
    """Reduce the losses of the rows that count; "none" gives back the shape of the targets."""
    if counts is not None:
        loss, weight = loss * counts, counts if weight is None else weight * counts
    if reduction == "mean" and weight is not None:
        total = weight.sum()
        return sum(loss) / xp(weight).where(total == 0, 1.0, total).astype(loss.dtype, copy=False)
    if reduction != "none":
        return _reduced(loss, reduction)
    if counts is not None or used.all():
        return reshape(loss, used.shape)
    slot = xp(used).maximum(xp(used).cumsum(used) - 1, 0).reshape(used.shape)
    return mul(getitem(loss, slot) if loss.size else sum(loss), used)


def _same_shape(name: str, x: Any, target: Any) -> tuple[Tensor, Any]:
    x = x if isinstance(x, Tensor) else Tensor(x)
    target = target if isinstance(target, Tensor) else Tensor(target)
    if x.shape != target.shape:
        raise ValueError(f"{name}: the shapes differ, got {x.shape} and {target.shape}")
    return at_least_float32(x), at_least_float32(target)


def mse_loss(x: Any, target: Any, reduction: str = "mean") -> Tensor:
    """(x − target)²."""
    x, target = _same_shape("mse_loss", x, target)
    difference = x - target
    return _reduced(difference * difference, reduction)


def l1_loss(x: Any, target: Any, reduction: str = "mean") -> Tensor:
    """|x − target|."""
    x, target = _same_shape("l1_loss", x, target)
    return _reduced(abs(x - target), reduction)


def binary_cross_entropy_with_logits(
    x: Any, target: Any, pos_weight: Any = None, reduction: str = "mean"
) -> Tensor:
    """−t·log σ(x) − (1 − t)·log(1 − σ(x)), targets t in [0, 1] of the shape of x.

    `pos_weight` multiplies the first term. Raises ValueError for infinite logits.
    """
    x, target = _same_shape("binary_cross_entropy_with_logits", x, target)
    if xp(x.data).isinf(x.data).any():
        raise ValueError("binary_cross_entropy_with_logits: infinite logits have no finite loss")
    if pos_weight is None:  # −t·log σ(x) − (1 − t)·log(1 − σ(x)) = softplus(x) − t·x
        return _reduced(softplus(x) - target * x, reduction)
    return _reduced(target * pos_weight * softplus(-x) + (1 - target) * softplus(x), reduction)


def info_nce(anchors: Any, positives: Any, temperature: float = 0.1) -> Tensor:
    """Cross-entropy of finding row i of `positives` from row i of `anchors`, both (N, D).

    Scores are cosine similarities over `temperature`; the other rows of `positives` are the
    negatives. van den Oord et al. 2018, eq. 4.
    """
    a, b = _same_shape("info_nce", anchors, positives)
    if temperature <= 0:
        raise ValueError(f"info_nce: the temperature must be positive, got {temperature}")
    if a.ndim != 2:
        raise ValueError(f"info_nce: anchors and positives are (N, D), got {a.shape}")
    scores = matmul(_unit_rows(a), swapaxes(_unit_rows(b), 0, 1)) / temperature  # (N, N)
    return cross_entropy(scores, xp(a.data).arange(len(a)))


def _unit_rows(x: Tensor) -> Tensor:
    return x / sqrt(sum(x * x, axis=-1, keepdims=True) + 1e-12)


def kl_normal(mean: Any, log_variance: Any, reduction: str = "mean") -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) = ½ Σ (μ² + σ² − log σ² − 1), summed over the last axis.

    Kingma & Welling 2014, appendix B; reduced over the rows.
    """
    mu, log_var = _same_shape("kl_normal", mean, log_variance)
    return _reduced(sum(mu * mu + exp(log_var) - log_var - 1, axis=-1) * 0.5, reduction)
