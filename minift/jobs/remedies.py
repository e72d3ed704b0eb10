"""Against uneven classes: what `minift finetune` can be told to do, on texts and on images.

Weights of the classes and the focal loss are a task's own (`Task.objective`); rows of rare classes
several times an epoch, and thresholds that are moved after training, stand here. What each of them
is worth: `benchmarks/` and lesson 20.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minift.jobs.classifiers import rescale_head
from minift.jobs.options import TrainingOptions
from minift.jobs.tasks import ClassificationTask, RegressionTask, Task


def check_remedies(options: TrainingOptions, task: Task, targets: np.ndarray) -> None:
    """Raises ValueError for a remedy that the task cannot have."""
    if options.balanced or options.focal:
        task.objective(targets, options.balanced, options.focal)
    if options.oversample and not isinstance(task, ClassificationTask):
        raise ValueError(f"--oversample needs one class a text; this is a {task.kind}")
    if options.oversample and options.balanced:
        raise ValueError(
            "--oversample and --class-weight balanced do the same twice over; give one of them"
        )
    if options.move_threshold and isinstance(task, RegressionTask):
        raise ValueError(f"--move-threshold needs classes; this is a {task.kind}")
    if options.move_threshold and not options.val_split:
        raise ValueError(
            "--move-threshold is chosen on the validation part, which --val-split 0 leaves out"
        )


def rows_an_epoch(options: TrainingOptions, targets: np.ndarray) -> int:
    """How many rows of training an epoch has."""
    if not options.oversample:
        return len(targets)
    counts = np.unique(targets, return_counts=True)[1]
    return int(len(counts) * counts.max())


def move_threshold(
    task: Task, model: Any, targets: np.ndarray, outputs: np.ndarray
) -> dict[str, float]:
    """Shift the head's biases to where these rows have their best macro-F1; the shifts, by label.

    The threshold is thus a part of the model: whoever opens it, transformers too, answers by it.
    """
    offsets = task.offsets(targets, outputs)
    rescale_head(model, 1.0, offsets)
    return dict(zip(task.names, offsets.round(4).tolist()))
