"""CsvLog: the run's numbers as a table, for a spreadsheet. The JSONL log is in `records.py`."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minift.hub import write
from minift.train.callbacks import Callback

if TYPE_CHECKING:
    from minift.train.trainer import Trainer


class CsvLog(Callback):
    """A row for each step and one for each evaluation, in `file`; what a row has not is empty.

    Columns are added as they come, for which the file is written anew.
    """

    def __init__(self, file: str | Path):
        self.file, self.columns, self.rows = Path(file), ["step"], 0
        self._resumed = False

    def on_fit_start(self, trainer: Trainer) -> None:
        """Begins an empty table, or takes off the rows after the last checkpoint."""
        rows = read_rows(self.file)[: self.rows] if self._resumed and self.file.exists() else []
        self._write_anew(rows)

    def on_step_end(self, trainer: Trainer) -> None:
        self._add(trainer.log)

    def on_evaluate(self, trainer: Trainer) -> None:
        self._add(trainer.history.evaluations[-1])

    def _add(self, record: dict[str, Any]) -> None:
        new = [name for name in record if name not in self.columns]
        if new:
            self.columns += new
            self._write_anew(read_rows(self.file))
        with self.file.open("a", encoding="utf-8", newline="") as stream:
            csv.DictWriter(stream, self.columns, restval="").writerow(record)
        self.rows += 1

    def _write_anew(self, rows: list[dict[str, str]]) -> None:
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, self.columns, restval="")
        table.writeheader()
        table.writerows(rows)
        write(self.file, text.getvalue().encode())

    def state_dict(self) -> dict[str, Any]:
        return {"columns": list(self.columns), "rows": self.rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.columns, self.rows, self._resumed = list(state["columns"]), state["rows"], True


def read_rows(file: Path) -> list[dict[str, str]]:
    """The rows of a table as text by column."""
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
