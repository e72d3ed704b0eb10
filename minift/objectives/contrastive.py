"""Learning by comparison: two views of one image shall meet, views of others stay apart.

Chen et al. 2020 (SimCLR); the loss is van den Oord et al.'s InfoNCE (2018) over all views of a
batch. Not here: the model (`models/simclr.py`), the views (`data/augmentation.py`), sentences
(`sentences.py`, read it next); batches larger than memory are `cached.py`.

Shapes: N originals, 2N views (first views, then second ones), P = width of a projection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minift import ops
from minift.backend import random, xp
from minift.data.augmentation import Augmentation
from minift.nn import Module
from minift.objectives.cached import cached_loss
from minift.objectives.numbers import Log
from minift.objectives.reconstruction import images_of
from minift.tensor import Tensor

NEVER = -1e30  # a score whose exponential is 0 beside any cosine / temperature


class Contrastive:
    """SimCLR: NT-Xent between two random views of each image (see `nt_xent`).

    Views are drawn from the generator "views". An image that stands twice in the batch is no
    negative of itself. With `chunk`, the batch passes through the model that many views at a time
    and gives the same gradients in less memory (`cached.py`). The log holds loss, alignment,
    uniformity, accuracy (views whose nearest other view is their twin) and count (images).
    """

    def __init__(
        self, augmentation: Augmentation, temperature: float = 0.5, chunk: int | None = None
    ):
        check_temperature("Contrastive", temperature)
        check_chunk("Contrastive", chunk)
        self.augmentation, self.temperature, self.chunk = augmentation, temperature, chunk

    def __call__(self, model: Module, batch: dict[str, Any]) -> tuple[Tensor, Log]:
        """Raises ValueError for a batch of fewer than two images."""
        images, rng = images_of(batch), random.generator("views")
        views = np.concatenate([self.augmentation(images, rng), self.augmentation(images, rng)])
        embed = lambda rows: model(pixel_values=rows)
        return contrast(model, embed, views, equal_rows(images), self.temperature, self.chunk)


def contrast(
    model: Module,
    embed: Callable[[np.ndarray], Tensor],
    views: np.ndarray,
    originals: np.ndarray,
    temperature: float,
    chunk: int | None,
) -> tuple[Tensor, Log]:
    """NT-Xent of what `embed` makes of the views, at once or by chunks, and its log.

    `views` (2N, …): the first of each of N originals, then the second; `originals` (N,) as in
    `nt_xent`. `embed` gives (n, P) of any n of the views.
    """
    seen: dict[str, np.ndarray] = {}

    def loss_of(projections: Tensor) -> Tensor:
        seen["projections"] = projections.detach().numpy()
        first, second = projections[: len(originals)], projections[len(originals) :]
        return nt_xent(first, second, temperature, originals)

    if chunk is None:
        loss = loss_of(embed(views))
    else:
        loss = cached_loss(model, embed, views, loss_of, chunk)
    first, second = np.split(unit_rows(seen["projections"]), 2)
    log: Log = {
        "loss": loss.item(),
        "alignment": alignment(first, second),
        "uniformity": uniformity(np.concatenate([first, second])),
        "accuracy": twin_accuracy(first, second),
        "count": len(originals),
    }
    return loss, log


def nt_xent(
    first: Tensor, second: Tensor, temperature: float = 0.5, originals: Any = None
) -> Tensor:
    """ℓᵢ = −log exp(s_ij/τ) / Σ_{k≠i} exp(s_ik/τ), the mean over all 2N views i with twin j.

    Chen et al. 2020, equation 1; s is the cosine. k = i is left out: s_ii = 1 is the largest
    similarity there is, and with it perfect twins would still pay log 2 or more. `originals` (N,)
    numbers the originals: views of one number are no negatives of each other. If all are one,
    nothing is left to compare and the loss is 0.

    `first` and `second` are (N, P), row i of both made from original i. Raises ValueError for other
    shapes, for N = 1 (no negatives) and for a temperature that is not above 0.
    """
    check_temperature("nt_xent", temperature)
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(f"nt_xent: two views (N, P) are needed, got {first.shape}, {second.shape}")
    N = len(first)
    if N < 2:
        raise ValueError(f"nt_xent: {N} pair of views has no negatives; a batch needs two or more")
    z = ops.concatenate([first, second])  # (2N, P)
    z = z / ops.sqrt((z * z).sum(axis=1, keepdims=True) + 1e-12)
    scores = z @ z.T / temperature  # (2N, 2N)
    m = xp(z.data)
    left_out = m.asarray(not_compared(N, originals))
    twins = (m.arange(2 * N) + N) % (2 * N)
    return ops.cross_entropy(ops.where(left_out, NEVER, scores), twins)


def not_compared(N: int, originals: Any) -> np.ndarray:
    """Which pairs of views stay out of the denominator, (2N, 2N): itself, and other copies."""
    numbers = np.arange(N) if originals is None else np.asarray(originals)
    if numbers.shape != (N,):
        raise ValueError(f"nt_xent: {N} pairs, but originals of shape {numbers.shape}")
    both = np.tile(numbers, 2)
    left_out = both[:, None] == both
    views = np.arange(2 * N)
    left_out[views, (views + N) % (2 * N)] = False  # the twin stays
    return left_out


def equal_rows(originals: np.ndarray) -> np.ndarray:
    """A number for each original (N, …), (N,), the same for equal ones."""
    rows = originals.reshape(len(originals), -1)
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)


def alignment(first: np.ndarray, second: np.ndarray) -> float:
    """E ‖f(x) − f(x⁺)‖² over twins, unit rows (N, P); 0 is perfect. Wang & Isola 2020, eq. 5."""
    return float(((first - second) ** 2).sum(1).mean())


def uniformity(rows: np.ndarray) -> float:
    """log E exp(−2 ‖f(x) − f(y)‖²) over pairs of different rows (n, P) of unit length.

    Wang & Isola 2020, equation 6. 0: all in one point; −4 or below: spread over the sphere.
    """
    squares = 2 - 2 * rows @ rows.T
    pairs = squares[np.triu_indices(len(rows), 1)]
    return float(np.log(np.exp(-2 * pairs).mean()))


def twin_accuracy(first: np.ndarray, second: np.ndarray) -> float:
    """The share of views whose most similar other view is their twin."""
    z, N = np.concatenate([first, second]), len(first)
    scores = z @ z.T
    np.fill_diagonal(scores, -np.inf)
    return float((scores.argmax(1) == (np.arange(2 * N) + N) % (2 * N)).mean())


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Rows (n, P) brought to length 1, as `nt_xent` does."""
    return rows / np.sqrt((rows**2).sum(1, keepdims=True) + 1e-12)


def check_temperature(name: str, temperature: float) -> None:
    """Raise ValueError for a temperature that cannot divide."""
    if not 0 < temperature < float("inf"):
        raise ValueError(f"{name}: the temperature must be above 0, got {temperature}")


def check_chunk(name: str, chunk: int | None) -> None:
    """Raise ValueError for a chunk of no views."""
    if chunk is not None and chunk < 1:
        raise ValueError(f"{name}: chunk must be 1 or more views, got {chunk}")
