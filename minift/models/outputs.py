"""What a model can show besides its result: hidden states and attention weights.

    scores = model(**batch)                                 # a Tensor
    outputs = model(**batch, output_attentions=True, output_hidden_states=True)
    outputs.logits, outputs.hidden_states, outputs.attentions

A `Seen` travels with the call through encoder, layers and attention (`attention.py`), and each puts
in what passes. Nothing is stored on a module, and nobody pays who does not look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minift.tensor import Tensor


@dataclass
class ModelOutput:
    """The result under transformers' names; what was not asked for, or is not there, is None.

    `hidden_states` holds what enters the first layer and what leaves each one; `attentions` the
    weights of each layer, (B, H, T, T), each row a distribution over the tokens looked at.
    """

    logits: Any  # a Tensor, or a tuple of them
    last_hidden_state: Tensor | None
    hidden_states: tuple[Tensor, ...] | None
    attentions: tuple[Tensor, ...] | None


class Seen:
    """Collects what one call shows; a list is None if nobody asked for it."""

    def __init__(self, attentions: bool, hidden_states: bool):
        self.attentions: list[Tensor] | None = [] if attentions else None
        self.hidden_states: list[Tensor] | None = [] if hidden_states else None

    def output(self, result: Any, is_bare: bool) -> ModelOutput:
        """The result of the call and what was collected."""
        logits, hidden = (None, result) if is_bare else (result, None)
        lists = (self.hidden_states, self.attentions)
        return ModelOutput(logits, hidden, *(None if x is None else tuple(x) for x in lists))


def show_hidden(seen: Seen | None, x: Tensor) -> None:
    """Keep a hidden state if somebody looks."""
    if seen is not None and seen.hidden_states is not None:
        seen.hidden_states.append(x)
