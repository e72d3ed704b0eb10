"""What a training is told and what it tells: its settings, and what happened at each step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from minift.optim import schedules
from minift.train.logs import Log


@dataclass(frozen=True)
class TrainConfig:
    """How to train. Give `epochs` (passes over the data) or `steps` (updates); neither: 1 epoch.

    `lr` is the peak rate, `schedule` a function (step, total, warmup) -> factor of it, `warmup`
    the share of the steps that rise. `weight_decay` concerns matrices only. Gradients longer than
    `max_grad_norm` are scaled down to it; None: never. The validation data are evaluated every
    `evaluate_every` steps; None: after each epoch. A step takes `accumulate` batches one after the
    other, and is that of the large batch that they make up. `precision` "float16" halves the
    memory of a GPU that weights and activations take (`precision.py`). `split_batch` gives each
    thread of a CPU a part of the batch (`split.py`): faster for small models, at the price of one
    more set of gradients for each thread. With `output`, the run is logged to train.jsonl in that
    folder. Raises ValueError for numbers that make no training.
    """

    epochs: int | None = None
    steps: int | None = None
    batch_size: int = 32
    lr: float = 1e-3
    schedule: Callable[[int, int, int], float] = schedules.linear
    warmup: float = 0.1
    weight_decay: float = 0.01
    max_grad_norm: float | None = 1.0
    evaluate_every: int | None = None
    accumulate: int = 1
    seed: int = 0
    device: str = "auto"
    precision: str = "float32"
    split_batch: bool = False
    output: str | Path | None = None

    def __post_init__(self) -> None:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("TrainConfig: give epochs or steps, not both")
        for name in ("epochs", "steps", "batch_size", "evaluate_every", "accumulate"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"TrainConfig: {name} must be 1 or more, got {value}")
        if self.max_grad_norm is not None and not self.max_grad_norm > 0:
            raise ValueError(
                f"TrainConfig: max_grad_norm must be above 0 or None, got {self.max_grad_norm}"
            )
        if not 0 <= self.warmup < 1:
            raise ValueError(f"TrainConfig: warmup is a share in [0, 1), got {self.warmup}")


@dataclass
class History:
    """What happened: one record a step, one an evaluation, in order."""

    steps: list[Log] = field(default_factory=list)
    evaluations: list[Log] = field(default_factory=list)

    def __getitem__(self, name: str) -> list[float]:
        """One number of all steps: `history["loss"]`."""
        return [record[name] for record in self.steps]
