"""Trainer: one loop for every model, objective and strategy.

A step is: objective, backward, read the numbers, write the rate, update. All else that happens
hangs on named points (`callbacks.py`). What the loop needs in order to go on lies in objects with a
state_dict: model, optimizer, loader, random generators, callbacks, and the number of the step.

Not here: what is learnt (`minift/objectives/`), which weights move (`minift/finetune/`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minift.backend import Array, random
from minift.data import DataLoader, Dataset
from minift.kernels.gradients import clipping_factor, joint_length
from minift.nn import Module
from minift.optim import AdamW, Optimizer, schedules
from minift.tape import no_grad
from minift.tensor import Tensor
from minift.train.callbacks import Callback
from minift.train.device import choose_device
from minift.train.logs import Log, mean_log, read_log
from minift.train.loss_scale import LossScale
from minift.train.precision import check_precision, weights_in
from minift.train.records import JsonLog

Objective = Callable[[Module, Any], tuple[Tensor, Log]]
Group = dict[str, Any]


@dataclass(frozen=True)
class TrainConfig:
    """How to train. Give `epochs` (passes over the data) or `steps` (updates); neither: 1 epoch.

    `lr` is the peak rate, `schedule` a function (step, total, warmup) -> factor of it, `warmup`
    the share of the steps that rise. `weight_decay` concerns matrices only. Gradients longer than
    `max_grad_norm` are scaled down to it; None: never. The validation data are evaluated every
    `evaluate_every` steps; None: after each epoch. `precision` "float16" halves the memory of a
    GPU that weights and activations take (`precision.py`). With `output`, the run is logged to
    train.jsonl in that folder. Raises ValueError for numbers that make no training.
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
    seed: int = 0
    device: str = "auto"
    precision: str = "float32"
    output: str | Path | None = None

    def __post_init__(self) -> None:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("TrainConfig: give epochs or steps, not both")
        for name in ("epochs", "steps", "batch_size", "evaluate_every"):
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


class Trainer:
    """Trains `model` on `train` to lower `objective`, by `config`.

    `train` and `validation` are data sets (batched by `config.batch_size`) or DataLoaders. The
    optimizer is AdamW over all parameters unless one is given; the rates of its groups are the
    peaks that the schedule scales. The model is moved to the device of `config`.
    """

    def __init__(
        self,
        model: Module,
        train: Dataset | DataLoader,
        validation: Dataset | DataLoader | None = None,
        *,
        objective: Objective,
        config: TrainConfig | None = None,
        optimizer: Optimizer | None = None,
        callbacks: Sequence[Callback] = (),
    ):
        self.config = config = config or TrainConfig()
        device = choose_device(config.device)
        check_precision(config.precision, device)
        self.model = model.to(device)
        self.loss_scale = LossScale() if config.precision == "float16" else None
        self.loader = as_loader(train, config.batch_size, shuffle=True, seed=config.seed)
        self.validation, self.objective = validation, objective
        everything = [{"params": model.parameters()}]
        self.optimizer = optimizer or adamw(everything, config.lr, config.weight_decay)
        self.peak_rates = [group["lr"] for group in self.optimizer.param_groups]
        self.callbacks = list(callbacks)
        if config.output is not None:
            self.callbacks.append(JsonLog(Path(config.output) / "train.jsonl"))
        self.total_steps = config.steps or steps_in(self.loader, config.epochs or 1)
        self.step = 0  # updates done
        self.history = History()
        self.log: Log = {}
        self.batch: Any = None

    @property
    def epoch(self) -> int:
        """Epochs finished, which before an epoch is its number, from 0."""
        return self.loader.epoch + (self.loader.position >= len(self.loader))

    def fit(self) -> History:
        """Train until the last step of `config`; Ctrl-C passes through at once.

        Dropout's generators restart from `config.seed`, so that a run can be repeated.
        """
        if self.step == 0:
            random.manual_seed(self.config.seed)
        self.model.train()
        try:
            self._call("on_fit_start")
            with weights_in(self.config.precision, self.model, self.optimizer):
                while self.step < self.total_steps:
                    self._train_epoch()
        finally:
            self._call("on_fit_end")
            self.batch = None
        return self.history

    def _train_epoch(self) -> None:
        self._call("on_epoch_start")
        for batch in self.loader:
            self.train_step(batch)
            self._call("on_step_end")
            if self._evaluation_is_due():
                self._validate()
            if self.step == self.total_steps:
                break
        self._call("on_epoch_end")

    def train_step(self, batch: Any) -> None:
        """One update; its numbers are in `log` afterwards.

        In float16, a batch whose gradient overflows is tried again with a smaller loss scale.
        """
        log = self._gradient(batch)
        while self.loss_scale is not None and not self.loss_scale.accept(log["grad_norm"]):
            log = self._gradient(batch)
        scale = 1 / log.get("loss_scale", 1)
        if self.config.max_grad_norm is not None:
            scale *= clipping_factor(log["grad_norm"], self.config.max_grad_norm)
        log["lr_factor"] = factor = self.factor()
        for group, peak in zip(self.optimizer.param_groups, self.peak_rates):
            group["lr"] = peak * factor
        self.optimizer.step(scale)
        self.step += 1
        self.batch, self.log = batch, log
        self.history.steps.append(log)

    def _gradient(self, batch: Any) -> Log:
        """Go forward and back; the numbers of the batch.

        They are read here, before the update, and the host waits for the GPU this one time in a
        step: so the GPU has work left while the host prepares the next batch, and nothing is
        written to the weights if anything went wrong.
        """
        loss, log = self.objective(self.model, batch)
        self.optimizer.zero_grad()
        scaled = loss if self.loss_scale is None else loss * self.loss_scale.scale
        scaled.backward()
        log = {"step": self.step + 1, "loss": loss, **log}
        if self.config.max_grad_norm is not None or self.loss_scale is not None:
            log["grad_norm"] = joint_length(self._gradients())
        log = read_log(log)
        if self.loss_scale is not None:
            log["loss_scale"] = self.loss_scale.scale
            log["grad_norm"] /= self.loss_scale.scale
        return log

    def factor(self) -> float:
        """The schedule's factor of the peak rates for the next update."""
        warmup = int(self.config.warmup * self.total_steps)
        return self.config.schedule(self.step, self.total_steps, warmup)

    def evaluate(self, data: Dataset | DataLoader) -> dict[str, float]:
        """Means of what the objective logs, over one pass in evaluation mode without gradients.

        Batches weigh as the `count` that the objective logs (1 without), which itself is summed.
        Raises ValueError if there are no data.
        """
        loader = as_loader(data, self.config.batch_size)
        asked_to_train = self.model._asked_to_train
        self.model.eval()
        try:
            with no_grad():
                logs = [
                    read_log({"count": 1, "loss": loss, **log})
                    for loss, log in (self.objective(self.model, batch) for batch in loader)
                ]
        finally:
            self.model._ask_to_train(asked_to_train)
        return mean_log(logs)

    def _validate(self) -> None:
        assert self.validation is not None
        numbers = self.evaluate(self.validation)
        named = {f"validation_{name}": value for name, value in numbers.items()}
        self.history.evaluations.append({"step": self.step, **named})
        self._call("on_evaluate")

    def _evaluation_is_due(self) -> bool:
        if self.validation is None:
            return False
        every = self.config.evaluate_every
        if every is None:
            at_end_of_epoch = self.loader.position >= len(self.loader)
            return at_end_of_epoch or self.step == self.total_steps
        return self.step % every == 0 or self.step == self.total_steps

    def _gradients(self) -> list[Array]:
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        return [p.grad.data for p in trained if p.grad is not None]

    def _call(self, point: str) -> None:
        for callback in self.callbacks:
            getattr(callback, point)(self)

    # --------------------------------------------------------------------------- save and load

    def state_dict(self) -> dict[str, Any]:
        """Everything that a run needs in order to go on exactly here."""
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "trainable": [n for n, p in self.model.named_parameters() if p.requires_grad],
            "optimizer": self.optimizer.state_dict(),
            "loader": self.loader.state_dict(),
            "random": random.get_state(),
            "callbacks": [callback.state_dict() for callback in self.callbacks],
            "loss_scale": None if self.loss_scale is None else self.loss_scale.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned, in a Trainer that was made in the same way."""
        self.model.load_state_dict(state["model"])
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad = name in state["trainable"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.loader.load_state_dict(state["loader"])
        random.set_state(state["random"])
        for callback, saved in zip(self.callbacks, state["callbacks"], strict=True):
            callback.load_state_dict(saved)
        if self.loss_scale is not None and state["loss_scale"] is not None:
            self.loss_scale.load_state_dict(state["loss_scale"])
        self.step = state["step"]


def as_loader(
    data: Dataset | DataLoader, batch_size: int, shuffle: bool = False, seed: int = 0
) -> DataLoader:
    """A loader as it is; a data set in batches. Raises ValueError if it holds nothing."""
    if isinstance(data, DataLoader):
        loader = data
    else:
        loader = DataLoader(data, batch_size=batch_size, shuffle=shuffle, seed=seed)
    if len(loader) == 0:
        raise ValueError("the data set is empty: there is nothing to train on or to evaluate")
    return loader


def steps_in(loader: DataLoader, epochs: int) -> int:
    """Batches of that many epochs; with buckets, epochs may differ by a few."""
    first = loader.epoch
    return sum(len(loader.sampler.batches(epoch)) for epoch in range(first, first + epochs))


def adamw(
    groups: Iterable[Group],
    lr: float,
    weight_decay: float,
    betas: tuple[float, float] = (0.9, 0.999),
) -> AdamW:
    """AdamW that decays matrices only: a bias or a norm's scale has no reason to be near 0.

    `groups` are parameter groups, each with a rate of its own if it holds "lr".
    """
    split: list[Group] = []
    for group in groups:
        for is_matrix in (True, False):
            params = [p for p in group["params"] if (p.ndim >= 2) is is_matrix]
            decay = weight_decay if is_matrix else 0.0
            split += [{"weight_decay": decay, **group, "params": params}] if params else []
    return AdamW(split, lr=lr, betas=betas)
