"""A model as a stack of layers, and learning rates by their depth.

What is deep learnt general things and should move little; what is near the head is particular to
the old task and may move more (Yosinski et al. 2014; Howard & Ruder 2018, section 3.2).
"""

from __future__ import annotations

from itertools import groupby, takewhile
from typing import Any

from minift.nn import Module


def layers_of(model: Module) -> list[list[str]]:
    """Names of the model's parameters, layer by layer, from the input up to the head.

    A number in a path marks a layer of a stack: `bert.encoder.layer.0`, `bert.encoder.layer.1`.
    What is assigned before the stack (embeddings) is one layer, what comes after it (pooler,
    classifier) is the head; if nothing does, the last of the stack is. Raises ValueError for a
    model of fewer than two layers: it has no head to tell from a body.
    """
    names = [name for name, _ in model.named_parameters()]
    layers = [list(group) for _, group in groupby(names, key=stack_path)]
    if len(layers) < 2:
        raise ValueError(
            f"{type(model).__name__} has no layers to tell apart: no parameter's path holds a "
            f"number (as in encoder.layer.0)"
        )
    return layers


def stack_path(name: str) -> str:
    """The path of a parameter up to its first number; "" if it stands in no stack."""
    parts = name.split(".")
    before = list(takewhile(lambda part: not part.isdecimal(), parts))
    return ".".join(parts[: len(before) + 1]) if len(before) < len(parts) else ""


def stacks_of(model: Module) -> list[str]:
    """Paths of the modules that stacks are made of: bert.encoder.layer.0, bert.encoder.layer.1."""
    return list(dict.fromkeys(path for n, _ in model.named_parameters() if (path := stack_path(n))))


def layerwise_lr(model: Module, lr: float, decay: float) -> list[dict[str, Any]]:
    """Parameter groups, one a layer: the head at `lr`, each below at `decay` of the one above.

    η(l-1) = decay · η(l); Howard & Ruder (2018, section 3.2) found a decay of 1/2.6 to work well.
    The head's group stands first. Raises ValueError unless 0 < decay <= 1.
    """
    if not 0 < decay <= 1:
        raise ValueError(f"layerwise_lr: decay must lie in (0, 1], got {decay}")
    parameters = dict(model.named_parameters())
    return [
        {"params": [parameters[name] for name in layer], "lr": lr * decay**depth}
        for depth, layer in enumerate(reversed(layers_of(model)))
    ]


def train_only(model: Module, names: list[str]) -> None:
    """Freeze every parameter but those of these paths."""
    model.freeze()
    for name in names:
        model.unfreeze(name)
