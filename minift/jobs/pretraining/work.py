"""Work: one objective on one data set, and the questions that a run asks about it.

What a run does with the answers is `running.py`; `image_work.py` and `text_work.py` answer them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minift.data import ArrayDataset, DataLoader
from minift.jobs.pretraining.probing import Numbers, Sample
from minift.jobs.pretraining.recipes import Recipe
from minift.models.pretrained import PretrainedModel
from minift.nn import init
from minift.train import Callback, TrainConfig, Trainer, adamw
from minift.train.trainer import Objective


class Work(ABC):
    """An objective with its data. `sample` are labelled rows to judge by, None: there are none.

    "train" and "held" name the two parts of the data.
    """

    name: str
    recipe: Recipe
    source: str
    raw_name: str
    starts_fresh: bool  # and not from a model that was trained before
    sample: Sample | None
    new_weights: list[str]  # a line about those that the model's folder lacks; `check` finds them

    @abstractmethod
    def describe(self) -> list[str]:
        """What was read, in lines for the reader."""

    def remarks(self) -> list[str]:
        """What a reader should know of the labels."""
        return []

    def check(self) -> None:
        """Raise ValueError for what would only be found in training."""
        with init.undrawn(), np.errstate(all="ignore"):  # what memory held before is no weight
            model = self.new_model()
        self.new_weights = [] if model.load_report is None else model.load_report.notes

    @abstractmethod
    def digest(self) -> str:
        """SHA-256 of all that is learnt from and judged on."""

    @abstractmethod
    def new_model(self) -> PretrainedModel:
        """The model at its start; fresh weights come from the seeded generators."""

    @abstractmethod
    def store(self, output: Path) -> None:
        """Lay down in the run's folder what `loader` reads, unless it is in memory."""

    @abstractmethod
    def loader(self, seed: int) -> DataLoader:
        """Batches to learn from."""

    @abstractmethod
    def held_out(self) -> DataLoader:
        """Batches to judge on, the same each time."""

    @abstractmethod
    def objective(self) -> Objective:
        """The loss."""

    def trainer(
        self, model: Any, config: TrainConfig, callbacks: Sequence[Callback] = ()
    ) -> Trainer:
        """Everything put together."""
        groups = [{"params": model.parameters()}]
        return Trainer(
            model,
            self.loader(config.seed),
            self.held_out(),
            objective=self.objective(),
            config=config,
            optimizer=adamw(groups, config.lr, config.weight_decay, self.recipe.betas),
            callbacks=callbacks,
        )

    @abstractmethod
    def baselines(self, model: Any) -> Numbers:
        """The loss of those who have learnt next to nothing, on held-out data, by name."""

    @abstractmethod
    def features(self, model: Any, part: str, rows: np.ndarray) -> np.ndarray:
        """What the model makes of rows of a part, (n, F)."""

    def scores(self, model: Any) -> Numbers:
        """What the features are worth: see `probing.py`. {} without labels."""
        sample = self.sample
        if sample is None:
            return {}
        return sample.score(
            self.features(model, "train", sample.rows), self.features(model, "held", sample.judged)
        )

    @abstractmethod
    def raw_scores(self) -> Numbers:
        """The same of the data as they are, which `raw_name` calls."""

    def accuracy_baseline(self) -> tuple[str, float] | None:
        """Beside the accuracy that the objective logs, if it logs one: a name and a number."""
        return None

    def more(self, model: Any, held_out: Numbers) -> Numbers:
        """What else there is to say at the end, beside the means of the last evaluation."""
        return {}

    @abstractmethod
    def draw(self, model: Any, folder: Path, step: int) -> None:
        """Pictures of what the model does now; `step` is a part of their names."""

    def save(self, model: Any, folder: Path) -> None:
        """A folder that can be fine-tuned."""
        model.save_pretrained(folder)


class Ready(DataLoader):
    """One pass of a loader, kept: the same batches each time, with the same words hidden."""

    def __init__(self, loader: DataLoader):
        batches = list(loader)
        super().__init__(batches, batch_size=1, collate_fn=lambda items: items[0])


class FullBatches:
    """Shuffled batches, all of one size: a rest of one would have nothing to be compared with."""

    def __init__(self, n: int, batch_size: int, seed: int = 0):
        self.n, self.batch_size, self.seed = n, batch_size, seed

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Row numbers; fewer than `batch_size` rows stay out, others each epoch."""
        order = np.random.default_rng([self.seed, epoch]).permutation(self.n)
        return list(order[: self.n - self.n % self.batch_size].reshape(-1, self.batch_size))


def image_batches(images: np.ndarray, batch_size: int, seed: int) -> DataLoader:
    """Images (n, c, H, W) in full batches, or, of fewer, in one."""
    size = min(batch_size, len(images))
    sampler = FullBatches(len(images), size, seed)
    return DataLoader(ArrayDataset(pixel_values=images), sampler=sampler)
