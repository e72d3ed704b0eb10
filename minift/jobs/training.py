"""Train a model by a recipe: what fine-tunings on texts and on images have in common.

The Trainer is put together here, with the proof of what is frozen, early stopping, the log and the
checkpoints. Which model and which data: `finetuning.py`, `image_finetuning/`. What follows the
training, a moved threshold or a report, is theirs too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minift import finetune, plot
from minift.data import ArrayDataset, BucketSampler, DataLoader, OverSampler, TokenDataset
from minift.data.loader import Sampler, UniformSampler
from minift.finetune.layers import stacks_of
from minift.jobs import resuming, words
from minift.jobs.options import TrainingOptions
from minift.jobs.recipe import SCHEDULES, Recipe
from minift.nn import Module
from minift.train import (
    AverageWeights,
    Callback,
    EarlyStopping,
    History,
    Norms,
    Progress,
    TrainConfig,
    Trainer,
    adamw,
    find_learning_rate,
)
from minift.train.trainer import Objective

RATES = "learning_rates.png"
TRIED = 1e-2, 1e3  # times the usual rate: the ends of the range of rates


@dataclass(frozen=True)
class Learner:
    """What learns and what it is given: the whole model rows, or a head alone finished features."""

    module: Module
    train: DataLoader
    validation: DataLoader | None  # None: there are no such rows


@dataclass(frozen=True)
class Assembled:
    """A Trainer for `model`, and those of its callbacks that are asked afterwards."""

    model: Any
    trainer: Trainer
    stopping: EarlyStopping | None
    proof: finetune.FrozenProof


@dataclass(frozen=True)
class Trained:
    """What is known when a training is over; `frozen` is the proof of what stayed as it was."""

    stopping: EarlyStopping | None
    history: History
    frozen: dict[str, Any]


def learner(
    module: Module,
    datasets: Sequence[TokenDataset | ArrayDataset],
    targets: np.ndarray,
    options: TrainingOptions,
    recipe: Recipe,
) -> Learner:
    """`module` with batches of two data sets, to train on and to validate on.

    `targets` are those of the first.
    """
    train, validation = datasets
    size, oversampled = recipe.batch_size, targets if options.oversample else None
    return Learner(
        module,
        loader_of(train, size, options.seed, trains=True, oversampled=oversampled),
        loader_of(validation, size, options.seed) if len(validation) else None,
    )


def loader_of(
    dataset: TokenDataset | ArrayDataset,
    batch_size: int,
    seed: int,
    trains: bool = False,
    oversampled: np.ndarray | None = None,
) -> DataLoader:
    """Batches for training or, in order, for validation; texts of nearly one length together.

    With `oversampled`, the classes (n,) of the rows, those of rare classes come several times.
    """

    def batches_of(rows: np.ndarray) -> Sampler:
        if isinstance(dataset, ArrayDataset):
            return UniformSampler(len(rows), batch_size, trains, seed)
        lengths = dataset.lengths[rows]
        mean = float(lengths.mean()) if len(lengths) else 1.0
        tokens = max(round(batch_size * mean), int(lengths.max(initial=1)))
        return BucketSampler(lengths, tokens, seed=seed)

    if oversampled is not None:
        return DataLoader(dataset, sampler=OverSampler(oversampled, batches_of, seed))
    return DataLoader(dataset, sampler=batches_of(np.arange(len(dataset))))


def assemble(
    options: TrainingOptions,
    recipe: Recipe,
    model: Any,
    learner: Learner,
    objective: Objective,
    device: str,
) -> Assembled:
    """A Trainer that moves the weights of `model` as the recipe says; freezes what must rest."""
    strategy = recipe.prepare(model)
    for pattern in options.freeze:
        model.freeze(pattern)
    for block in stacks_of(model) if options.recompute else ():
        model.recompute(block)
    proof = finetune.FrozenProof(model)
    if options.l2_sp is not None:
        strategy, objective = finetune.l2_sp(model, strategy, objective, options.l2_sp)
    stopping = (
        None
        if learner.validation is None
        else EarlyStopping(recipe.patience, min_delta=options.min_delta)
    )
    trainer = Trainer(
        learner.module,
        learner.train,
        learner.validation,
        objective=objective,
        config=config_of(options, recipe, device),
        optimizer=adamw(strategy.param_groups, recipe.lr, weight_decay=0.01),
        callbacks=[
            *strategy.callbacks,
            proof,
            *callbacks_of(options, recipe),
            *([AverageWeights(options.ema)] if options.ema is not None else []),
            *([stopping] if stopping else []),
        ],
    )
    return Assembled(model, trainer, stopping, proof)


def train(assembled: Assembled, output: Path, goes_on: bool) -> Trained:
    """Train from the start or, if the run in `output` goes on, from its last checkpoint.

    Afterwards the model has the weights of its best epoch, and none of them is frozen.
    """
    if goes_on:
        print(resuming.stand(assembled.trainer, output), flush=True)
    history = fit(assembled.trainer)
    frozen = assembled.proof.numbers
    assembled.model.unfreeze()
    return Trained(assembled.stopping, history, frozen)


def find_rate(assembled: Assembled, recipe: Recipe, output: Path) -> str:
    """Where the loss falls fastest while the rate rises, drawn and in words; nothing is trained."""
    trainer = assembled.trainer
    head = trainer.peak_rates[0]
    with np.errstate(over="ignore", invalid="ignore"):
        curve = find_learning_rate(trainer, *(head * end for end in TRIED))
    rates = [rate * recipe.lr / head for rate in curve.rates]
    best = curve.suggestion * recipe.lr / head
    output.mkdir(parents=True, exist_ok=True)
    plot.learning_rates(rates, curve.losses, best, output / RATES)
    also = "" if head == recipe.lr else f" --head-lr {curve.suggestion:.2g}"
    return (
        f"{len(rates)} steps at rates from {rates[0]:.2g} to {rates[-1]:.2g}: the loss fell "
        f"fastest at {best:.2g}\n{output / RATES} shows it; nothing was trained. Try --lr "
        f"{best:.2g}{also}, or a third of it"
    )


def fit(trainer: Trainer) -> History:
    """Train. Raises RuntimeError, with the step and a remedy, where the numbers explode."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # said below, once
            return trainer.fit()
    except FloatingPointError as error:  # it begins with the step
        reason = str(error)
    except ValueError as error:
        reason = f"step {trainer.step + 1}: {error}"
    raise RuntimeError(f"training broke off at {reason}; try a smaller --lr")


def config_of(options: TrainingOptions, recipe: Recipe, device: str) -> TrainConfig:
    """The Trainer's settings."""
    schedule, warmup = SCHEDULES[options.schedule]
    return TrainConfig(
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        lr=recipe.lr,
        max_grad_norm=options.clip or None,
        accumulate=options.accumulate,
        schedule=schedule,
        warmup=warmup,
        seed=options.seed,
        device=device,
        output=options.output,
    )


def callbacks_of(options: TrainingOptions, recipe: Recipe) -> list[Callback]:
    """What is said and saved on the way."""
    minutes = options.checkpoint_minutes
    saving = [] if minutes is None else [resuming.saving(options.output, minutes)]
    progress = Progress("fine-tuning", keep=False)
    norms = [Norms()] if options.norms else []
    return [progress, words.EpochLines(recipe.epochs), *saving, *norms]
