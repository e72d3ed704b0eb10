"""The two fine-tunings, on texts and on images, as a search sees them.

A search wants little of a fine-tuning: the marks by which its rows can be divided, the same
fine-tuning told of some rows only, and scores on others. The rest (`prepare`, `train`, `run`,
`prepare_again`) both modules call alike, so a search calls it there.

Not here: which rows are divided, taken and scored (`objective.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from minift.data import Table
from minift.jobs import finetuning, image_finetuning
from minift.jobs import plan as text_plan
from minift.jobs.image_finetuning import plan as image_plan
from minift.jobs.images import Images
from minift.jobs.options import TrainingOptions, check_training
from minift.jobs.tasks import Task
from minift.jobs.tasks.task import Scores


class Job(ABC):
    """A fine-tuning. Its plans are those that `module.prepare` makes; it keeps nothing itself."""

    module: ClassVar[ModuleType]  # with Options, prepare, prepare_again, train, run, ...
    noun: ClassVar[str]  # what a row is called

    @abstractmethod
    def task(self, plan: Any) -> Task:
        """What the labels ask."""

    @abstractmethod
    def source(self, plan: Any) -> str:
        """Where the rows come from, for messages."""

    @abstractmethod
    def groups(self, plan: Any) -> np.ndarray:
        """(n,) integers, equal for rows that are copies of each other."""

    @abstractmethod
    def inputs(self, plan: Any, rows: np.ndarray) -> Any:
        """Those rows without their labels, by which copies are known."""

    @abstractmethod
    def only(self, plan: Any, rows: np.ndarray) -> Any:
        """What `Options.data` may be for a fine-tuning that has those rows and no others."""

    @abstractmethod
    def outputs(self, plan: Any, rows: np.ndarray) -> np.ndarray:
        """The model's raw scores (n, L) of those rows."""

    @abstractmethod
    def options_of(self, record: dict[str, Any], folder: Path) -> Any:
        """What the user said when the search in that folder began; the output is the folder.

        Raises ValueError if it cannot be said again, or if the data or the model is another now.
        """

    @abstractmethod
    def check(self, options: Any) -> None:
        """Raise ValueError for options that make no run."""

    def strata(self, plan: Any) -> np.ndarray:
        """(n,) marks whose proportions all parts should keep."""
        return self.task(plan).strata(plan.targets)

    def scores(self, plan: Any, rows: np.ndarray) -> Scores:
        """How good the model in the plan is on those rows."""
        return self.task(plan).scores(plan.targets[rows], self.outputs(plan, rows))


class OnTexts(Job):
    """`minift/jobs/finetuning.py`."""

    module: ClassVar[ModuleType] = finetuning
    noun: ClassVar[str] = "row"

    def task(self, plan: finetuning.Plan) -> Task:
        return plan.classifier.task

    def source(self, plan: finetuning.Plan) -> str:
        return plan.examples.source

    def groups(self, plan: finetuning.Plan) -> np.ndarray:
        return plan.examples.groups

    def inputs(self, plan: finetuning.Plan, rows: np.ndarray) -> list[str]:
        part = plan.examples.take(rows)
        return ["\0".join(pair) for pair in zip(part.texts, part.pairs or [""] * len(part))]

    def only(self, plan: finetuning.Plan, rows: np.ndarray) -> Table:
        seen, options = plan.examples.take(rows), plan.options
        columns = {options.text: seen.texts, options.label: seen.labels}
        if options.text_pair is not None and seen.pairs is not None:
            columns[options.text_pair] = seen.pairs
        return Table(seen.source, columns, seen.lines)

    def outputs(self, plan: finetuning.Plan, rows: np.ndarray) -> np.ndarray:
        part = plan.examples.take(rows)
        return plan.classifier.outputs(part.texts, part.pairs)

    def options_of(self, record: dict[str, Any], folder: Path) -> finetuning.Options:
        return text_plan.options_of(record, folder)

    def check(self, options: finetuning.Options) -> None:
        text_plan.check_options(options)


class OnImages(Job):
    """`minift/jobs/image_finetuning/`."""

    module: ClassVar[ModuleType] = image_finetuning
    noun: ClassVar[str] = "image"

    def task(self, plan: image_finetuning.Plan) -> Task:
        return plan.classifier.task

    def source(self, plan: image_finetuning.Plan) -> str:
        return plan.images.source

    def groups(self, plan: image_finetuning.Plan) -> np.ndarray:
        return plan.images.groups

    def inputs(self, plan: image_finetuning.Plan, rows: np.ndarray) -> np.ndarray:
        return plan.images.images[rows]

    def only(self, plan: image_finetuning.Plan, rows: np.ndarray) -> Images:
        return plan.images.take(rows)

    def outputs(self, plan: image_finetuning.Plan, rows: np.ndarray) -> np.ndarray:
        return plan.classifier.scores(plan.images.images[rows])

    def options_of(self, record: dict[str, Any], folder: Path) -> image_finetuning.Options:
        return image_plan.options_of(record, folder)

    def check(self, options: image_finetuning.Options) -> None:
        check_training(options)


JOBS: dict[str, Job] = {"texts": OnTexts(), "images": OnImages()}  # as run.json calls them


def job_of(options: TrainingOptions) -> Job:
    """The job whose options these are."""
    return next(job for job in JOBS.values() if isinstance(options, job.module.Options))


def job_of_record(record: dict[str, Any]) -> Job:
    """The job of a search that goes on."""
    return JOBS[record.get("kind", "texts")]
