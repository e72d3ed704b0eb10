"""Five strategies, from the one that moves least to those that move all.

    strategy = head_only(model, lr=1e-3)
    optimizer = adamw(strategy.param_groups, lr=1e-3, weight_decay=0.01)
    Trainer(model, data, objective=Classification(), optimizer=optimizer,
            callbacks=strategy.callbacks).fit()

Making a strategy freezes and unfreezes the model's weights as it needs them at the start.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from minift.finetune.layers import layers_of, layerwise_lr, train_only
from minift.finetune.low_rank import LoRA, adapter_names
from minift.nn import Module
from minift.train import Callback, Trainer


@dataclass
class Strategy:
    """Which parameters move and at what peak rate, and what happens to them on the way."""

    param_groups: list[dict[str, Any]]
    callbacks: list[Callback] = field(default_factory=list)


def head_only(model: Module, lr: float) -> Strategy:
    """Freeze all but the head: the body gives features, as fixed as any others."""
    train_only(model, layers_of(model)[-1])
    return Strategy(layerwise_lr(model, lr, decay=1.0)[:1])


def lora(
    model: Module, lr: float, head_lr: float | None = None, adapter: LoRA | None = None
) -> Strategy:
    """Freeze the body, move small matrices beside its own, and the head (Hu et al. 2021).

    `adapter` says which and how large; `LoRA.merge` turns the model into an ordinary one again.
    """
    (adapter or LoRA()).apply(model)
    parameters = dict(model.named_parameters())
    groups = [
        (layers_of(model)[-1], lr if head_lr is None else head_lr),
        (adapter_names(model), lr),
    ]
    return Strategy(
        [{"params": [parameters[name] for name in names], "lr": rate} for names, rate in groups]
    )


def full(model: Module, lr: float, head_lr: float | None = None) -> Strategy:
    """Move everything at one rate (Devlin et al. 2019, section 3.2).

    With `head_lr` the head has its own: it starts from nothing, and has further to go.
    """
    model.unfreeze()
    if head_lr is None:
        return Strategy([{"params": model.parameters(), "lr": lr}])
    head, *body = layerwise_lr(model, lr, decay=1.0)
    params = [parameter for layer in body for parameter in layer["params"]]
    return Strategy([{**head, "lr": head_lr}, {"params": params, "lr": lr}])


def discriminative(model: Module, lr: float, decay: float = 1 / 2.6) -> Strategy:
    """Move everything, the deeper the slower (Howard & Ruder 2018, section 3.2)."""
    model.unfreeze()
    return Strategy(layerwise_lr(model, lr, decay))


def gradual_unfreezing(
    model: Module, lr: float, decay: float = 1.0, epochs_per_layer: int = 1
) -> Strategy:
    """First the head alone, then one layer more every `epochs_per_layer`, from the top down.

    Howard & Ruder 2018, section 3.3: moving all weights at once, from the gradients of a head that
    is still random, would spoil what the body knows. They combine it with rates by depth: `decay`.
    """
    unfreezing = GradualUnfreezing(model, epochs_per_layer)
    train_only(model, unfreezing.layers[-1])
    return Strategy(layerwise_lr(model, lr, decay), [unfreezing])


class GradualUnfreezing(Callback):
    """Before epoch n, the top 1 + n // epochs_per_layer layers are trainable."""

    def __init__(self, model: Module, epochs_per_layer: int = 1):
        if epochs_per_layer < 1:
            raise ValueError(f"epochs_per_layer must be 1 or more, got {epochs_per_layer}")
        self.layers = layers_of(model)
        self.epochs_per_layer = epochs_per_layer

    def on_epoch_start(self, trainer: Trainer) -> None:
        count = 1 + trainer.epoch // self.epochs_per_layer
        train_only(trainer.model, [name for layer in self.layers[-count:] for name in layer])
