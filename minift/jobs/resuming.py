"""Going on with a run that was killed: what every training job shares.

A job writes run.json first (its options, the data's and the model's fingerprints) and metrics.json
last; in between it saves itself in checkpoints/. So a folder tells by itself what there is to do:
`begun` reads it, `is_finished` asks for metrics.json, `stand` puts a Trainer made from the same
options where the newest checkpoint was made. What comes of it equals the uninterrupted run bit for
bit (`minift/train/state.py`).

Not here: what a job's options are (`plan.py`), or how a checkpoint is written
(`minift/checkpoint.py`).
"""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import Any

from minift import hub
from minift.jobs import folder as run_folder
from minift.train import Checkpoint, Trainer

MINUTES = 2.0  # between two checkpoints, if the user does not say


def saving(folder: Path, minutes: float) -> Checkpoint:
    """The callback that saves a job's run; EarlyStopping's state holds the best weights already."""
    return Checkpoint(folder, minutes=minutes, keep=1, metric=None)


def beginning(job: str) -> dict[str, Any]:
    """What the record of a run says first: whose it is, when and where it began."""
    began = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    return {"job": job, "started": began, "directory": os.getcwd()}


# -------------------------------------------------------------------------------- what is there


def begun(folder: Path, job: str) -> dict[str, Any]:
    """The run.json of a run of `minift JOB`. Raises ValueError or FileNotFoundError."""
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}, so no run to go on with")
    if not run_folder.is_run(folder):
        raise ValueError(f"{folder} holds no run to go on with: it has no run.json of minift")
    record = hub.read_json(folder / run_folder.RUN)
    made_by = record.get("job", "another command")
    if made_by != job:
        raise ValueError(f"{folder} holds a run of minift {made_by}, not of minift {job}")
    return record


def is_finished(folder: Path) -> bool:
    """Whether a run has come to its end."""
    return (folder / run_folder.METRICS).is_file()


def said_then(place: str, directory: str) -> Path | str:
    """A path as it was given, seen from where the run was begun; a name stays."""
    path = Path(directory, place)
    return path if path.exists() else place


def check_same(what: str, saved: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise ValueError if a file is not what it was when the run began."""
    if saved.get("sha256") != now.get("sha256") or "sha256" not in saved:
        raise ValueError(
            f"{what} has changed since the run began (its SHA-256 is another), so the run cannot "
            f"go on as it was; bring the old one back, or start anew"
        )


# ----------------------------------------------------------------------------------- going on


def record_again(folder: Path, record: dict[str, Any]) -> dict[str, Any]:
    """The same record, in the folder as well, that tells of this resumption."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    again = {**record, "resumed": [*record.get("resumed", []), moment]}
    run_folder.write_json(folder / run_folder.RUN, again)
    return again


def stand(trainer: Trainer, folder: Path) -> str:
    """Put `trainer` where the newest whole checkpoint was made; says where, in words.

    Without one it stays at its start, which repeats the lost steps. Raises RuntimeError if the
    checkpoint is of another run.
    """
    with warnings.catch_warnings(record=True) as skipped:
        warnings.simplefilter("always")
        try:
            trainer.resume(folder)
            where = f"goes on after step {trainer.step:,} of {trainer.total_steps:,}"
        except FileNotFoundError:
            run_folder.clear(folder, keep=[run_folder.RUN, run_folder.CORPUS])
            lost = "whole checkpoint is there" if skipped else "checkpoint was saved yet"
            where = f"no {lost}: starts at its beginning"
        except ValueError as error:
            raise RuntimeError(str(error)) from None
    return "\n".join([*(str(warning.message) for warning in skipped), where])
