"""Trainer: one loop for every model, objective and strategy.

A step is: objective, backward, read the numbers, write the rate, update. All else that happens
hangs on named points (`callbacks.py`). What the loop needs in order to go on lies in objects with a
state_dict: model, optimizer, loader, random generators, callbacks, and the number of the step
(`state.py`).

Not here: what is learnt (`minift/objectives/`), which weights move (`minift/finetune/`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minift import checkpoint
from minift.backend import Array, random
from minift.data import DataLoader, Dataset
from minift.kernels.gradients import clipping_factor, joint_length
from minift.nn import Module
from minift.optim import AdamW, Optimizer
from minift.tape import no_grad
from minift.tensor import Tensor
from minift.train import state
from minift.train.callbacks import Callback
from minift.train.config import History, TrainConfig
from minift.train.device import choose_device
from minift.train.logs import DIVISOR, Log, divisor, mean_log, read_log
from minift.train.loss_scale import LossScale
from minift.train.not_finite import explain
from minift.train.precision import check_precision, weights_in
from minift.train.records import JsonLog
from minift.train.split import backward_in_parts, part_of, rows_of

Objective = Callable[[Module, Any], tuple[Tensor, Log]]
Group = dict[str, Any]


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
        if config.split_batch and device != "cpu":
            raise ValueError("split_batch is for the threads of a CPU; leave it out on a GPU")
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
        self.total_steps = config.steps or steps_in(
            self.loader, config.epochs or 1, config.accumulate
        )
        self.step = 0  # updates done
        self.history = History()
        self.log: Log = {}
        self.batches: list[Any] = []  # of the last step: one, or `config.accumulate`
        self.exact_weights: Callable[[], dict[str, np.ndarray]] = dict  # where float16 rounds them

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
            with weights_in(self.config.precision, self.model, self.optimizer) as exact:
                self.exact_weights = exact
                while self.step < self.total_steps:
                    self._train_epoch()
        finally:
            self.exact_weights = dict
            self._call("on_fit_end")
            self.batches = []
        return self.history

    def _train_epoch(self) -> None:
        if self.loader.position in (0, len(self.loader)):  # a resumed run may stand in its middle
            self._call("on_epoch_start")
        for batches in in_groups(self.loader, self.config.accumulate):
            self.train_step(*batches)
            self._call("on_step_end")
            if self._evaluation_is_due():
                self._validate()
            if self._epoch_is_over() or self.step >= self.total_steps:
                self._call("on_epoch_end")
            self._call("on_between_steps")
            if self.step >= self.total_steps:
                break

    def train_step(self, *batches: Any) -> None:
        """One update, from batches as if they were one; its numbers are in `log` afterwards.

        In float16, a step whose gradient overflows is tried again with a smaller loss scale.
        Raises FloatingPointError, before anything is written, if the loss is not finite.
        """
        before = random.get_state()
        log, scale = self._gradient(batches)
        while self._overflowed(log):
            log, scale = self._gradient(batches)
        if not all(map(math.isfinite, (log["loss"], log.get("grad_norm", 0)))):
            random.set_state(before)  # so that the masks of dropout are the same again
            raise FloatingPointError(explain(self, log, batches))
        if self.config.max_grad_norm is not None:
            scale *= clipping_factor(log["grad_norm"], self.config.max_grad_norm)
        log["lr_factor"] = factor = self.factor()
        for group, peak in zip(self.optimizer.param_groups, self.peak_rates):
            group["lr"] = peak * factor
        self.optimizer.step(scale)
        self.step += 1
        self.batches, self.log = list(batches), log
        self.history.steps.append(log)

    def _overflowed(self, log: Log) -> bool:
        """Whether the gradients alone are too large for float16; halves the loss scale then."""
        if self.loss_scale is None or not math.isfinite(log["loss"]):
            return False
        return not self.loss_scale.accept(log["grad_norm"])

    def _gradient(self, batches: Sequence[Any]) -> tuple[Log, float]:
        """Go forward and back with each batch; their numbers, and what the gradients must count.

        The loss of all batches as one is Σ nₖ lossₖ / Σ nₖ, where the k-th is a mean over nₖ
        examples or words. What the n are is known when the last batch has been through, so the
        gradients are those of Σ (nₖ / n₁) lossₖ, and the update divides.

        Numbers are read here, before the update, and the host waits for the GPU this one time in a
        step: so the GPU has work left while the host prepares the next batch, and nothing is
        written to the weights if anything went wrong.
        """
        self.optimizer.zero_grad()
        if self.config.split_batch:
            return self._gradient_of_parts(batches)
        logs: list[Log] = []
        for batch in batches:
            loss, log = self.objective(self.model, batch)
            logs.append({"loss": loss, **log})
            share = self._factor_of_loss() * divisor(log) / (divisor(logs[0]) or 1)
            (loss if share == 1 else loss * share).backward()
        shares = sum(map(divisor, logs)) / (divisor(logs[0]) or 1)
        scale = 1 / (self._factor_of_loss() * (shares or 1))
        return self._read(logs, scale), scale

    def _gradient_of_parts(self, batches: Sequence[Any]) -> tuple[Log, float]:
        """The same with every batch cut, one part for each thread."""
        logs: list[Log] = []
        unit = rows_of(batches[0])
        for batch in batches:
            loss_of = lambda rows, batch=batch: self.objective(self.model, part_of(batch, rows))
            logs += backward_in_parts(loss_of, rows_of(batch), unit)
        scale = unit / (sum(map(divisor, logs)) or 1)
        return self._read(logs, scale), scale

    def _factor_of_loss(self) -> float:
        return 1 if self.loss_scale is None else self.loss_scale.scale

    def _read(self, logs: list[Log], scale: float) -> Log:
        """The numbers of the step's batches and of their gradient, in one copy."""
        flat: dict[Any, Any] = {
            (i, name): value for i, log in enumerate(logs) for name, value in log.items()
        }
        if self.config.max_grad_norm is not None or self.loss_scale is not None:
            flat["grad_norm"] = joint_length(self._gradients())
        read = read_log(flat)
        each = [{name: read[i, name] for name in log} for i, log in enumerate(logs)]
        log = mean_log([{"count": 1, **one} for one in each]) if len(each) > 1 else each[0]
        log = {"step": self.step + 1, **log}
        log.pop(DIVISOR, None)
        if "grad_norm" in read:
            log["grad_norm"] = read["grad_norm"] * scale
        if self.loss_scale is not None:
            log["loss_scale"] = self.loss_scale.scale
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
        self._call("on_evaluate_start")
        numbers = self.evaluate(self.validation)
        named = {f"validation_{name}": value for name, value in numbers.items()}
        self.history.evaluations.append({"step": self.step, **named})
        self._call("on_evaluate")
        self._call("on_evaluate_end")

    def _evaluation_is_due(self) -> bool:
        if self.validation is None:
            return False
        every = self.config.evaluate_every
        if every is None:
            return self._epoch_is_over() or self.step == self.total_steps
        return self.step % every == 0 or self.step == self.total_steps

    def _epoch_is_over(self) -> bool:
        return self.loader.position >= len(self.loader)

    def _gradients(self) -> list[Array]:
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        return [p.grad.data for p in trained if p.grad is not None]

    def _call(self, point: str) -> None:
        for callback in self.callbacks:
            getattr(callback, point)(self)

    # --------------------------------------------------------------------------- save and load

    def state_dict(self) -> dict[str, Any]:
        """Everything that a run needs in order to go on exactly here; see `state.py`."""
        return state.state_of(self)

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned, in a Trainer that was made in the same way."""
        state.restore(self, saved)

    def resume(self, folder: str | Path) -> Trainer:
        """Stand where the newest whole checkpoint of this run's folder was made; then `fit()`.

        The Trainer must have been made as the saved one was. A damaged checkpoint is skipped with
        a warning. Raises FileNotFoundError if there is none, ValueError if it is of another run.
        """
        self.load_state_dict(checkpoint.load_newest(Path(folder) / "checkpoints"))
        return self


def in_groups(loader: DataLoader, size: int) -> Iterator[list[Any]]:
    """The rest of the epoch, `size` batches at a time; the last group may have fewer."""
    group = []
    for batch in loader:
        group.append(batch)
        if len(group) == size or loader.position >= len(loader):
            yield group
            group = []


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


def steps_in(loader: DataLoader, epochs: int, accumulate: int = 1) -> int:
    """Updates in that many epochs; with buckets, epochs may differ by a few."""
    first = loader.epoch
    sizes = (len(loader.sampler.batches(epoch)) for epoch in range(first, first + epochs))
    return sum(math.ceil(size / accumulate) for size in sizes)


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
