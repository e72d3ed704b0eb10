"""The log of a run: one JSON object a line, on the disk as soon as it is made."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minift.train.callbacks import Callback

if TYPE_CHECKING:
    from minift.train.trainer import Trainer


def append_record(file: str | Path, record: dict[str, Any]) -> None:
    """Add one line to a JSONL file. The file is closed again, so that every line is whole."""
    line = json.dumps(record, ensure_ascii=False, allow_nan=False)
    with Path(file).open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")


def read_records(file: str | Path) -> list[dict[str, Any]]:
    """All records of a JSONL file. Raises ValueError that names the line that is no JSON."""
    records = []
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise ValueError(f"{file}, line {number} is not JSON: {error}") from None
    return records


class JsonLog(Callback):
    """Appends the step's numbers every `every` steps, and every evaluation.

    `labels` (`run="pre-training"`, say) stand in each record. Training numbers are those of that
    one batch.
    """

    def __init__(self, file: str | Path, every: int = 1, **labels: Any):
        if every < 1:
            raise ValueError(f"JsonLog: every must be 1 or more steps, got {every}")
        self.file, self.every, self.labels = Path(file), every, labels
        self._size: int | None = None  # in bytes, when the run was saved that goes on here

    def on_fit_start(self, trainer: Trainer) -> None:
        """Takes off what a killed run wrote after its last checkpoint: it will come again."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        if self._size is not None and self.file.exists():
            os.truncate(self.file, min(self._size, self.file.stat().st_size))
            self._size = None

    def on_step_end(self, trainer: Trainer) -> None:
        if trainer.step % self.every == 0 or trainer.step == trainer.total_steps:
            append_record(self.file, {**self.labels, **trainer.log})

    def on_evaluate(self, trainer: Trainer) -> None:
        append_record(self.file, {**self.labels, **trainer.history.evaluations[-1]})

    def state_dict(self) -> dict[str, Any]:
        return {"size": self.file.stat().st_size if self.file.exists() else 0}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._size = state["size"]
