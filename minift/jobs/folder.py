"""A run's folder: what lies in it, when it may be written, and what is written beside the model.

model/                the Hugging Face folder
adapter/              of LoRA: what was trained, without what it was trained beside
run.json              the command, its options, data, machine
train.jsonl           a line for each step and each evaluation
checkpoints/          where a killed run goes on (`resuming.py`)
metrics.json          what came of it, written last
confusion.png, precision_recall.png, predictions.png, reliability.png, learning_curves.png,
worst_mistakes.csv
pictures/             what a model could do at each evaluation of its pre-training
corpus/               the ids of a text corpus that is learnt from (`minift/data/corpus.py`)
trials.jsonl, search.png, best/   what a search tried, and the run of the best settings
outer_folds/          the trials of the searches within a search that is judged, and what they chose
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from minift import hub

RUN, METRICS, PICTURES, CORPUS = "run.json", "metrics.json", "pictures", "corpus"
OWN_FILES = (
    "model", "adapter", RUN, "train.jsonl", "checkpoints", METRICS, "confusion.png",
    "precision_recall.png", "predictions.png", "learning_curves.png", "reliability.png",
    "worst_mistakes.csv", "worst_mistakes.png", PICTURES, CORPUS,
    "trials.jsonl", "search.png", "best", "outer_folds",
)  # fmt: skip


def check_folder(folder: Path, overwrite: bool) -> None:
    """Raise ValueError or OSError unless results may be written here; leaves no trace.

    What an earlier run left is refused without `overwrite`, and never touched unless its run.json
    proves that it was ours. All other files of the folder stay as they are.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir():
        raise ValueError(f"{there} is a file, so it cannot hold the results")
    try:
        with tempfile.TemporaryDirectory(dir=there):
            pass
    except OSError as error:
        raise OSError(f"the folder {there} cannot be written: {error.strerror}") from None
    own = [name for name in OWN_FILES if (folder / name).exists()]
    if own and not overwrite:
        raise ValueError(
            f"{folder} already holds a run ({', '.join(own)}); name another folder with --output, "
            f"or replace it with --overwrite"
        )
    if own and not is_run(folder):
        raise ValueError(
            f"{folder} holds {own[0]}, but no run.json of minift: it is somebody else's, name "
            f"another folder with --output"
        )


def is_run(folder: Path) -> bool:
    """Whether a job of ours wrote this folder."""
    try:
        return "minift" in json.loads((folder / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def clear(folder: Path, keep: Sequence[str] = ()) -> None:
    """Make the folder, and remove what an earlier run left in it, but for the names in `keep`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (name for name in OWN_FILES if name not in keep):
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)


def write_json(file: Path, content: dict[str, Any]) -> None:
    """A file of JSON that a person can read."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    hub.write(file, (text + "\n").encode("utf-8"))


def write_table(file: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A CSV file."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    hub.write(file, text.getvalue().encode("utf-8"))


def fingerprint(source: str | Path) -> dict[str, Any]:
    """The file's name, size and SHA-256: which data a run has seen."""
    file = Path(source)
    if not file.is_file():
        return {"file": str(source)}
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"file": str(file), "bytes": file.stat().st_size, "sha256": digest}


def fingerprint_of_folder(folder: Path) -> dict[str, Any]:
    """The same of a model's folder: its files in the order of their names, as one."""
    digests = [fingerprint(file) for file in sorted(folder.iterdir()) if file.is_file()]
    joint = hashlib.sha256("".join(found["sha256"] for found in digests).encode())
    return {"folder": str(folder), "sha256": joint.hexdigest()}
