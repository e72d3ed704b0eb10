"""What a model can show besides its result: hidden states and attention weights.

    scores = model(**batch)                                 # a Tensor
    outputs = model(**batch, output_attentions=True, output_hidden_states=True)
    outputs.logits, outputs.hidden_states, outputs.attentions

A `Seen` travels with the call through encoder, layers and attention, and each puts in what passes.
Nothing is stored on a module, and nobody pays who does not look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minift import ops
from minift.nn.attention import merge_heads, split_heads
from minift.tensor import Tensor


@dataclass
class ModelOutput:
    """The result under transformers' names; what was not asked for, or is not there, is None.

    `hidden_states` holds what enters the first layer and what leaves each one; `attentions` the
    weights of each layer, (B, H, T, T), each row a distribution over the tokens looked at.
    """

    logits: Tensor | None
    last_hidden_state: Tensor | None
    hidden_states: tuple[Tensor, ...] | None
    attentions: tuple[Tensor, ...] | None


class Seen:
    """Collects what one call shows; a list is None if nobody asked for it."""

    def __init__(self, attentions: bool, hidden_states: bool):
        self.attentions: list[Tensor] | None = [] if attentions else None
        self.hidden_states: list[Tensor] | None = [] if hidden_states else None

    def output(self, result: Tensor, is_bare: bool) -> ModelOutput:
        """The result of the call and what was collected."""
        logits, hidden = (None, result) if is_bare else (result, None)
        lists = (self.hidden_states, self.attentions)
        return ModelOutput(logits, hidden, *(None if x is None else tuple(x) for x in lists))


def show_hidden(seen: Seen | None, x: Tensor) -> None:
    """Keep a hidden state if somebody looks."""
    if seen is not None and seen.hidden_states is not None:
        seen.hidden_states.append(x)


def attend(
    qkv: Tensor,
    heads: int,
    mask: Any = None,
    causal: bool = False,
    dropout: float = 0.0,
    seen: Seen | None = None,
) -> Tensor:
    """`ops.self_attention`, (B, T, 3C) -> (B, T, C), that shows its weights to those who look."""
    if seen is None or seen.attentions is None:
        return ops.self_attention(qkv, heads=heads, mask=mask, causal=causal, dropout=dropout)
    q, k, v = (split_heads(part, heads) for part in ops.split(qkv, qkv.shape[-1] // 3, axis=-1))
    eye = np.broadcast_to(np.eye(q.shape[2], dtype=q.dtype), (*q.shape[:-1], q.shape[2]))
    weights = ops.scaled_dot_product_attention(  # of values that are unit vectors: the weights
        q, k, Tensor(eye, device=q.device), mask=mask, causal=causal, dropout=dropout
    )  # (B, H, T, T)
    seen.attentions.append(weights)
    return merge_heads(weights @ v)  # (B, T, C)
