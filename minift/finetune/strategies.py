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
from minift.train.best import Best


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

    With `head_lr`, here and below, the head has its own: it starts from nothing, and as long as it
    is random its gradients only distort the body (Kumar et al. 2022, arXiv:2202.10054).
    """
    model.unfreeze()
    if head_lr is None:
        return Strategy([{"params": model.parameters(), "lr": lr}])
    head, *body = layerwise_lr(model, lr, decay=1.0)
    params = [parameter for layer in body for parameter in layer["params"]]
    return Strategy([{**head, "lr": head_lr}, {"params": params, "lr": lr}])


def discriminative(
    model: Module, lr: float, decay: float = 1 / 2.6, head_lr: float | None = None
) -> Strategy:
    """Move everything, the deeper the slower (Howard & Ruder 2018, section 3.2)."""
    model.unfreeze()
    return Strategy(by_depth(model, lr, decay, head_lr))


def by_depth(model: Module, lr: float, decay: float, head_lr: float | None) -> list[dict[str, Any]]:
    """`layerwise_lr`, in which the head may have a rate of its own."""
    head, *body = layerwise_lr(model, lr, decay)
    return [head if head_lr is None else {**head, "lr": head_lr}, *body]


def gradual_unfreezing(
    model: Module,
    lr: float,
    decay: float = 1.0,
    epochs_per_layer: int = 1,
    patience: int | None = None,
    head_lr: float | None = None,
) -> Strategy:
    """First the head alone, then one layer more every `epochs_per_layer`, from the top down.

    With `patience`, a layer thaws instead when so many validations in a row were no better than the
    best. Howard & Ruder 2018, section 3.3: moving all weights at once, from the gradients of a head
    that is still random, would spoil what the body knows. They combine it with rates by depth:
    `decay`.
    """
    unfreezing = GradualUnfreezing(model, epochs_per_layer, patience)
    train_only(model, unfreezing.layers[-1])
    return Strategy(by_depth(model, lr, decay, head_lr), [unfreezing])


class GradualUnfreezing(Callback):
    """Before epoch n, the top 1 + n // epochs_per_layer layers are trainable.

    With `patience`, one more whenever validation has stalled: the loss of that many evaluations
    was no lower than the lowest. What thaws moves in the next step, by moments of its own that
    start there; those of the other layers go on (`Optimizer` counts steps by parameter).
    """

    def __init__(self, model: Module, epochs_per_layer: int = 1, patience: int | None = None):
        for name, value in (("epochs_per_layer", epochs_per_layer), ("patience", patience)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be 1 or more, got {value}")
        self.layers = layers_of(model)
        self.epochs_per_layer, self.patience = epochs_per_layer, patience
        self.thawed, self.waited, self.best = 1, 0, Best()

    def on_fit_start(self, trainer: Trainer) -> None:
        """Raises ValueError for layers that would thaw and never move, or could never thaw."""
        trained = {id(p) for group in trainer.optimizer.param_groups for p in group["params"]}
        for name, parameter in trainer.model.named_parameters():
            if id(parameter) not in trained:
                raise ValueError(
                    f"GradualUnfreezing: {name} is to thaw but not in the optimizer, so it would "
                    f"never move; give the optimizer strategy.param_groups"
                )
        if self.patience is not None and trainer.validation is None:
            raise ValueError("GradualUnfreezing: patience needs validation data, there are none")
        self._thaw(trainer.model)

    def on_epoch_start(self, trainer: Trainer) -> None:
        if self.patience is None:
            self.thawed = 1 + trainer.epoch // self.epochs_per_layer
            self._thaw(trainer.model)

    def on_evaluate(self, trainer: Trainer) -> None:
        if self.patience is None:
            return
        better = self.best.improves(trainer.history.evaluations[-1])
        self.waited = 0 if better else self.waited + 1
        if self.waited == self.patience:
            self.waited, self.thawed = 0, self.thawed + 1
            self._thaw(trainer.model)

    def _thaw(self, model: Module) -> None:
        train_only(model, [name for layer in self.layers[-self.thawed :] for name in layer])

    def state_dict(self) -> dict[str, Any]:
        best = {"step": self.best.step, "score": self.best.score}
        return {"thawed": self.thawed, "waited": self.waited, "best": best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.thawed, self.waited = state["thawed"], state["waited"]
        self.best.step, self.best.score = state["best"]["step"], state["best"]["score"]
