"""CollapseDetector: says so when a classifier gives one answer to everything.

Fine-tuning with too large a rate, or without a warm-up, can end there, with a loss that looks
harmless (Mosbach et al. 2021, section 4).
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from minift.objectives.classification import split_labels
from minift.tape import no_grad
from minift.train.callbacks import Callback
from minift.train.trainer import as_loader

if TYPE_CHECKING:
    from minift.train.trainer import Trainer


class CollapseDetector(Callback):
    """Warns after an evaluation whose predictions are all of one class though the labels are not.

    For models that give scores (B, L) for batches with `labels` (B,). It looks at validation
    batches until two predictions differ, so that a healthy model costs one batch.
    """

    def on_evaluate(self, trainer: Trainer) -> None:
        assert trainer.validation is not None
        predicted: set[int] = set()
        labels: set[int] = set()
        rows = 0
        with trainer.model.evaluating(), no_grad():
            for batch in as_loader(trainer.validation, trainer.config.batch_size):
                inputs, target = split_labels(batch)
                predicted |= set(trainer.model(**inputs).numpy().argmax(axis=-1).tolist())
                labels |= set(target.tolist())
                rows += len(target)
                if len(predicted) > 1:
                    return
        if len(labels) > 1:
            warnings.warn(
                f"step {trainer.step}: all {rows} predictions are class {predicted.pop()}, the "
                f"labels are of {len(labels)} classes; lower the learning rate or lengthen the "
                f"warm-up if this stays",
                stacklevel=2,
            )
