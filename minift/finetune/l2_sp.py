"""L2-SP: decay the body towards the weights it came with, not towards 0 (Li et al. 2018).

    strategy = full(model, lr=3e-5, head_lr=3e-4)
    strategy, objective = l2_sp(model, strategy, Classification(), alpha=0.01)
    Trainer(model, data, objective=objective, optimizer=adamw(strategy.param_groups, ...), ...)

    loss + α/2 Σ (w − w⁰)²    over the body (equation 3); the head, which came with nothing, decays
                              towards 0 as ever

The pull is a part of the loss, as in the paper, so that its α means what it means there, and
clipping and Adam's scaling see it. It does not count in evaluation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minift import ops
from minift.backend import Array, to_device
from minift.finetune.layers import layers_of
from minift.finetune.strategies import Strategy
from minift.nn import Module, Parameter
from minift.objectives.numbers import number
from minift.tensor import Tensor
from minift.train.trainer import Log, Objective


class L2SP:
    """An objective with the pull added to its loss; the log has it as `l2_sp`.

    w⁰ is what the body's weights are when this is made. Raises ValueError for an alpha that pulls
    to nowhere.
    """

    def __init__(self, objective: Objective, model: Module, alpha: float):
        if not 0 < alpha < float("inf"):
            raise ValueError(f"L2SP: alpha must be a number above 0, got {alpha}")
        self.objective, self.alpha = objective, alpha
        state = model.state_dict()  # copies
        self.body = [(w, Start(state[name])) for name, w in body_of(model).items()]

    def __call__(self, model: Module, batch: Any) -> tuple[Tensor, Log]:
        loss, log = self.objective(model, batch)
        moving = [(weight, start) for weight, start in self.body if weight.requires_grad]
        if not model.training or not moving:
            return loss, log
        distances = [ops.mse_loss(w, start.on(w.device), reduction="sum") for w, start in moving]
        penalty = ops.sum(ops.stack(distances)) * (self.alpha / 2)
        return loss + penalty, {"loss": number(loss), **log, "l2_sp": number(penalty)}


class Start:
    """Where a weight started, moved once to the device where it is trained."""

    def __init__(self, array: np.ndarray):
        self.array: Array = array

    def on(self, device: str) -> Tensor:
        self.array = to_device(self.array, device)
        return Tensor(self.array)


def l2_sp(
    model: Module, strategy: Strategy, objective: Objective, alpha: float = 0.01
) -> tuple[Strategy, Objective]:
    """The strategy without a decay of the body towards 0, and the objective with the pull.

    Call it while the model has its pre-trained weights. The default alpha is among those that the
    paper found to work (section 4.2).
    """
    body = {id(weight) for weight in body_of(model).values()}
    groups: list[dict[str, Any]] = []
    for group in strategy.param_groups:
        of_body = [p for p in group["params"] if id(p) in body]
        of_head = [p for p in group["params"] if id(p) not in body]
        groups += [{**group, "params": of_head}] if of_head else []
        groups += [{**group, "params": of_body, "weight_decay": 0.0}] if of_body else []
    return Strategy(groups, strategy.callbacks), L2SP(objective, model, alpha)


def body_of(model: Module) -> dict[str, Parameter]:
    """All weights below the head, by name."""
    head = layers_of(model)[-1]
    return {name: weight for name, weight in model.named_parameters() if name not in head}
