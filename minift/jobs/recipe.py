"""Rates and epochs for those who do not want to name them.

    strategy          lr (hidden size 768)   what has which rate
    full              3e-5                   the body lr
    discriminative    1e-4                   the top layer 0.8 lr, every layer below 0.8 of that
    gradual           1e-4                   all lr, thawed from the top down
    lora              5e-4                   adapters beside the queries and values
    head              3e-3                   the head alone, on features that are computed once

A new head beside a body that moves has 3e-3, whatever the model: it starts from nothing, and as
long as it lags behind, the body learns from a head that knows nothing (in 100 steps of 16 texts,
6e-4 instead of 6e-3 cost MiniLM 16 points, `benchmarks/README.md`). A head that was kept has lr.

The other rates are inversely proportional to the hidden size: with Adam, what a step does to a
layer's output grows with its width (Yang et al. 2021, arXiv:2203.03466). The number of epochs makes
enough steps even of few rows: a hundred labelled texts want more than the three passes that a
hundred thousand do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minift import finetune
from minift.nn import Module
from minift.optim import schedules

if TYPE_CHECKING:
    from minift.jobs.options import TrainingOptions

STRATEGIES = ("full", "head", "gradual", "discriminative", "lora")
UNFREEZING = ("epoch", "stall")  # when gradual unfreezing thaws the next layer
SCHEDULES: dict[str, tuple[Callable[[int, int, int], float], float]] = {  # and its share of rising
    "linear": (schedules.linear, 0.1),
    "cosine": (schedules.cosine, 0.1),
    "constant": (schedules.constant, 0.1),
    "one_cycle": (schedules.one_cycle, 0.3),
    "slanted_triangular": (schedules.slanted_triangular, 0.1),
}
FROZEN_BODY = ("head", "lora")
LR = {"full": 3e-5, "discriminative": 1e-4, "gradual": 1e-4, "lora": 5e-4, "head": 3e-3}
NEW_HEAD = 3e-3
DECAY = 0.8
STEPS = {"full": 300, "discriminative": 300, "gradual": 300, "lora": 300, "head": 1000}
EPOCHS = {
    "full": (3, 20), "discriminative": (3, 20), "gradual": (4, 20), "lora": (3, 20),
    "head": (10, 100),
}  # fmt: skip
PATIENCE = {  # None: all must thaw
    "full": 3, "discriminative": 3, "gradual": None, "lora": 3, "head": 10,
}  # fmt: skip
ADAPTER = finetune.LoRA()


@dataclass(frozen=True)
class Recipe:
    """How a strategy is trained; `patience` counts epochs without a better validation."""

    strategy: str
    lr: float
    epochs: int
    batch_size: int
    patience: int | None
    unfreeze: str
    head_lr: float

    def prepare(self, model: Module) -> finetune.Strategy:
        """Freeze and thaw what the strategy wants; its parameter groups and callbacks."""
        if self.strategy == "full":
            return finetune.full(model, self.lr, self.head_lr)
        if self.strategy == "discriminative":
            return finetune.discriminative(model, self.lr, DECAY, self.head_lr)
        if self.strategy == "gradual":
            per_layer = max(1, self.epochs // (len(finetune.layers_of(model)) + 1))
            stalled = 1 if self.unfreeze == "stall" else None
            return finetune.gradual_unfreezing(
                model, self.lr, 1.0, per_layer, stalled, self.head_lr
            )
        if self.strategy == "lora":
            return finetune.lora(model, self.lr, self.head_lr, ADAPTER)
        return finetune.head_only(model, self.head_lr)

    def finish(self, model: Module, output: Path) -> None:
        """Make an ordinary model of what the strategy left: LoRA's adapter is kept by itself, in
        OUTPUT/adapter, and merged."""
        if self.strategy == "lora":
            ADAPTER.save(model, output / "adapter")
            ADAPTER.merge(model)


def recipe_of(record: dict[str, Any], folder: Path) -> Recipe:
    """That of the run that began in `folder`. Raises ValueError for one of another version."""
    try:
        return Recipe(**record["recipe"])
    except TypeError:
        raise ValueError(
            f"{folder} was begun by a minift whose recipes were others; begin it anew"
        ) from None


def rates_of(hidden_size: int) -> dict[str, float]:
    """The table above for a model of this width."""
    return {strategy: rate * 768 / hidden_size for strategy, rate in LR.items()}


def choose_recipe(
    options: TrainingOptions, rates: Mapping[str, float], rows: int, new_head: bool
) -> Recipe:
    """What the user said, and for the rest a table of rates and that of epochs."""
    strategy, batch_size = options.strategy, options.batch_size or 32
    least, most = EPOCHS[strategy]
    wanted = ceil(STEPS[strategy] / ceil(rows / (batch_size * options.accumulate)))
    lr = options.lr or rates[strategy]
    usual = max(lr, NEW_HEAD) if new_head and strategy != "head" else lr
    return Recipe(
        strategy,
        lr,
        options.epochs or min(max(wanted, least), most),
        batch_size,
        options.patience or PATIENCE[strategy],
        options.unfreeze,
        options.head_lr or usual,
    )
