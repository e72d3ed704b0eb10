"""Rates and epochs for those who do not want to name them.

    strategy          lr (hidden size 768)   what has which rate
    full              3e-5                   the body lr, the new head ten times as much
    discriminative    1e-4                   the head lr, every layer below 0.8 of the one above
    gradual           1e-4                   all lr, thawed from the top down
    lora              5e-4                   adapters beside the queries and values, and the head
    head              3e-3                   the head alone, on features that are computed once

Rates are inversely proportional to the hidden size: with Adam, what a step does to a layer's output
grows with its width (Yang et al. 2021, arXiv:2203.03466). The number of epochs makes enough steps
even of few rows: a hundred labelled texts want more than the three passes that a hundred thousand
do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from minift import finetune
from minift.models import BertForSequenceClassification
from minift.optim import schedules

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
HEAD_FACTOR = 10.0  # a head that starts from nothing, against a body that only adapts
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
    unfreeze: str = "epoch"

    def prepare(self, model: BertForSequenceClassification) -> finetune.Strategy:
        """Freeze and thaw what the strategy wants; its parameter groups and callbacks."""
        if self.strategy == "full":
            return finetune.full(model, self.lr, head_lr=HEAD_FACTOR * self.lr)
        if self.strategy == "discriminative":
            return finetune.discriminative(model, self.lr, DECAY)
        if self.strategy == "gradual":
            per_layer = max(1, self.epochs // (len(finetune.layers_of(model)) + 1))
            stalled = 1 if self.unfreeze == "stall" else None
            return finetune.gradual_unfreezing(
                model, self.lr, epochs_per_layer=per_layer, patience=stalled
            )
        if self.strategy == "lora":
            return finetune.lora(model, self.lr, adapter=ADAPTER)
        return finetune.head_only(model, self.lr)


def choose_recipe(
    strategy: str,
    hidden_size: int,
    rows: int,
    lr: float | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    unfreeze: str = "epoch",
    accumulate: int = 1,
    patience: int | None = None,
) -> Recipe:
    """What the user said, and the table above for the rest; a step has `accumulate` batches."""
    batch_size = batch_size or 32
    least, most = EPOCHS[strategy]
    wanted = ceil(STEPS[strategy] / ceil(rows / (batch_size * accumulate)))
    return Recipe(
        strategy,
        lr or LR[strategy] * 768 / hidden_size,
        epochs or min(max(wanted, least), most),
        batch_size,
        patience or PATIENCE[strategy],
        unfreeze,
    )
