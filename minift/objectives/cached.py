"""A loss over a batch that does not fit into memory: gradients by way of cached ones.

Gao et al. 2021 ("GradCache"). A contrastive loss compares all rows of a batch, so that it cannot be
summed over small batches. But its gradient can: (1) embed all rows, chunk by chunk, without a
graph; (2) compute the loss of all embeddings, and d loss / d embedding; (3) embed each chunk again
with its graph, and go back from that gradient. The result is the same, at the price of one more
forward pass; memory holds the graph of one chunk. A model whose rows see each other
(batch normalisation in training) would see chunks instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minift.autograd import grad, op
from minift.backend import random, xp
from minift.nn import Module
from minift.tape import no_grad, recording
from minift.tensor import Tensor


def cached_loss(
    model: Module,
    embed: Callable[[np.ndarray], Tensor],
    rows: np.ndarray,
    loss_of: Callable[[Tensor], Tensor],
    chunk: int,
) -> Tensor:
    """`loss_of(embed(rows))`, whose backward needs the graph of only `chunk` rows at a time.

    `loss_of` takes the embeddings of all rows, (n, P), and draws nothing at random; `embed` may
    (dropout): its draws are repeated for the second pass.
    """
    chunks = [rows[i : i + chunk] for i in range(0, len(rows), chunk)]
    before = random.get_state()
    with no_grad():
        embeddings = [embed(part).data for part in chunks]
    leaf = Tensor(xp(embeddings[0]).concatenate(embeddings), requires_grad=True)
    loss = loss_of(leaf)
    trained = [p for p in model.parameters() if p.requires_grad]
    if not loss.requires_grad or not trained:
        return loss.detach()
    (cached,) = grad(loss, [leaf])
    return _value_with_cached_gradient(
        *trained, value=loss.data, pass_back=_PassBack(embed, chunks, cached, trained, before)
    )


@op
def _value_with_cached_gradient(*weights, value, pass_back):
    return value, lambda g, wanted: pass_back(g, wanted)


class _PassBack:
    """The third step: from d loss / d embedding to the gradients of the weights."""

    def __init__(
        self,
        embed: Callable[[np.ndarray], Tensor],
        chunks: list[np.ndarray],
        cached: Tensor,
        weights: list[Any],
        random_state: dict[str, Any],
    ):
        self.embed, self.chunks, self.cached = embed, chunks, cached
        self.weights, self.random_state = weights, random_state

    def __call__(self, g: Any, wanted: list[bool]) -> list[Any]:
        now = random.get_state()
        random.set_state(self.random_state)  # the same dropout as in the first pass
        try:
            totals = self._sum_over_chunks()
        finally:
            random.set_state(now)
        return [total * g if want else None for total, want in zip(totals, wanted)]

    def _sum_over_chunks(self) -> list[Any]:
        totals: list[Any] = [xp(w.data).zeros_like(w.data) for w in self.weights]
        start = 0
        for part in self.chunks:
            with recording(True):
                embeddings = self.embed(part)
            share = self.cached[start : start + len(part)]
            for i, gradient in enumerate(grad(embeddings, self.weights, share)):
                totals[i] += gradient.data
            start += len(part)
        return totals
