"""What a run needs in order to go on exactly where it was, as plain values and arrays.

Weights, optimizer, which weights are frozen, random generators, the place in the data, the
callbacks' own state, and what has happened so far. Where it is kept is the business of
`minift/checkpoint.py`.

The state also says what kind of run it is of. One that goes on with another rate or other data
would be neither the old run nor a new one, so it is refused.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from minift.backend import random
from minift.data import DataLoader
from minift.train.config import History

if TYPE_CHECKING:
    from minift.train.trainer import Trainer

SETTINGS = (
    "epochs", "steps", "warmup", "max_grad_norm", "evaluate_every", "accumulate", "seed",
    "precision",
)  # fmt: skip


def state_of(trainer: Trainer) -> dict[str, Any]:
    """All of the run, to be read between two steps (`Callback.on_between_steps`)."""
    named = trainer.model.named_parameters()
    validation = loader_of_validation(trainer)
    return {
        "run": identity(trainer),
        "step": trainer.step,
        "total_steps": trainer.total_steps,
        "model": trainer.model.state_dict() | trainer.exact_weights(),
        "trainable": [name for name, parameter in named if parameter.requires_grad],
        "optimizer": trainer.optimizer.state_dict(),
        "loader": trainer.loader.state_dict(),
        "validation": None if validation is None else validation.state_dict(),
        "random": random.get_state(),
        "callbacks": [callback.state_dict() for callback in trainer.callbacks],
        "loss_scale": None if trainer.loss_scale is None else trainer.loss_scale.state_dict(),
        "history": {
            "steps": list(trainer.history.steps),
            "evaluations": list(trainer.history.evaluations),
        },
    }


def restore(trainer: Trainer, state: dict[str, Any]) -> None:
    """Put `trainer`, made as the saved one was, where that one stood.

    Raises ValueError, before anything is written, if it was made in another way.
    """
    check_identity(state["run"], identity(trainer))
    check_callbacks(len(state["callbacks"]), len(trainer.callbacks))
    trainer.model.load_state_dict(state["model"])
    for name, parameter in trainer.model.named_parameters():
        parameter.requires_grad = name in state["trainable"]
    trainer.optimizer.load_state_dict(state["optimizer"])
    trainer.loader.load_state_dict(state["loader"])
    validation = loader_of_validation(trainer)
    if validation is not None:
        validation.load_state_dict(state["validation"])
    random.set_state(state["random"])
    for callback, saved in zip(trainer.callbacks, state["callbacks"]):
        callback.load_state_dict(saved)
    if trainer.loss_scale is not None:
        trainer.loss_scale.load_state_dict(state["loss_scale"])
    trainer.history = History(**{name: list(records) for name, records in state["history"].items()})
    trainer.step, trainer.total_steps = state["step"], state["total_steps"]


def loader_of_validation(trainer: Trainer) -> DataLoader | None:
    """The loader whose order, and so the last digit of its mean loss, may change from one
    evaluation to the next; None for a plain data set, which is always read from its start."""
    return trainer.validation if isinstance(trainer.validation, DataLoader) else None


def identity(trainer: Trainer) -> dict[str, Any]:
    """What must be the same for a run to be the same."""
    settings = {name: getattr(trainer.config, name) for name in SETTINGS}
    schedule = trainer.config.schedule
    return {
        **settings,
        "schedule": getattr(schedule, "__name__", type(schedule).__name__),
        "lr": [float(rate) for rate in trainer.peak_rates],
        "data": order_of(trainer.loader),
    }


def order_of(loader: DataLoader) -> int:
    """A checksum of the batches of the first epoch: of the data's size, batch size and seed."""
    batches = loader.sampler.batches(0)
    rows = np.concatenate([[len(batch), *batch] for batch in batches])
    return zlib.crc32(rows.astype(np.int64).tobytes())


def check_identity(saved: dict[str, Any], ours: dict[str, Any]) -> None:
    """Raise ValueError that names what differs."""
    words = {"data": "the data, their batch size or their seed"}
    for name, value in ours.items():
        if saved.get(name) != value:
            numbers = f" was {saved.get(name)} and is {value}" if name not in words else " differ"
            raise ValueError(
                f"the saved run cannot go on in this Trainer, because {words.get(name, name)}"
                f"{numbers}; make the Trainer as it was, or start a new run"
            )


def check_callbacks(saved: int, ours: int) -> None:
    """Raise ValueError if the callbacks cannot be the same ones."""
    if saved != ours:
        raise ValueError(
            f"the saved run had {saved} callbacks, this Trainer has {ours}; give it the same ones "
            f"in the same order"
        )
