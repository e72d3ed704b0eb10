"""Checkpoints: the state of a run on the disk, whole or not at all.

`step-40/` holds `state.json` (plain values), `arrays.safetensors` (every array of the state, by its
path) and `SHA256SUMS` (what both must be: `sha256sum -c` reads it). It is written under another
name, flushed, and renamed when it is complete: who is killed on the way leaves an older checkpoint
as the newest one. Nothing is ever unpickled.

Not here: what a run needs in order to go on (`minift/train/state.py`), or when it is saved
(`minift/train/checkpoints.py`).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minift.hub import read_arrays

STATE, ARRAYS, SUMS = "state.json", "arrays.safetensors", "SHA256SUMS"
ARRAY, NUMBER = "$array", "$number"  # the keys that stand for what JSON does not have
KINDS = {"f": "F", "i": "I", "u": "U"}  # NumPy's letters and those of safetensors

# ----------------------------------------------------------------------------------- one checkpoint


def save(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write `state` to folder/step-N, which is there afterwards as a whole, or not at all.

    A state is made of dicts, lists, plain values and NumPy arrays; read again, its keys are text
    and its tuples lists. Raises TypeError for anything else, and OSError if the disk is full; what
    was there before stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    part, target = folder / f".part-{uuid.uuid4().hex}", folder / f"step-{step}"
    try:
        write_parts(part, state)
        set_aside(target)
        part.rename(target)
        flush_folder(folder)
    except OSError as error:
        raise OSError(error.errno, could_not(step, error, folder)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def load(checkpoint: Path) -> dict[str, Any]:
    """The state that `save` wrote. Raises ValueError, with what is wrong, for a damaged one."""
    check_sums(checkpoint)
    arrays = read_arrays(checkpoint / ARRAYS)
    text = (checkpoint / STATE).read_text(encoding="utf-8")
    return put_back(json.loads(text), arrays)


def write_parts(part: Path, state: dict[str, Any]) -> None:
    """The three files of a checkpoint, flushed."""
    arrays: dict[str, np.ndarray] = {}
    text = json.dumps(take_out(state, "", arrays), allow_nan=False, ensure_ascii=False)
    part.mkdir()
    sums = {
        STATE: write_flushed(part / STATE, iter([text.encode()])),
        ARRAYS: write_flushed(part / ARRAYS, safetensors(arrays)),
    }
    lines = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
    write_flushed(part / SUMS, iter([lines.encode()]))
    flush_folder(part)


def could_not(step: int, error: OSError, folder: Path) -> str:
    """The sentence for a checkpoint that could not be written."""
    newest = max(checkpoints_in(folder), default=None)
    kept = f"step-{newest} is still there" if newest is not None else "there is no older one"
    return (
        f"the checkpoint of step {step} could not be written to {folder} "
        f"({error.strerror or error}); {kept}: make room and resume"
    )


# -------------------------------------------------------------------------------- many checkpoints


def checkpoints_in(folder: Path) -> dict[int, Path]:
    """The finished checkpoints of a folder by their step, oldest first; none if there is none."""
    named = {path.name.removeprefix("step-"): path for path in folder.glob("step-*")}
    return dict(sorted((int(step), path) for step, path in named.items() if step.isdecimal()))


def load_newest(folder: Path) -> dict[str, Any]:
    """The state of the newest checkpoint that is whole; damaged ones are skipped with a warning.

    Raises FileNotFoundError if there is none.
    """
    found = checkpoints_in(folder)
    for step in reversed(found):
        try:
            return load(found[step])
        except (ValueError, OSError) as error:
            warnings.warn(f"step-{step} is skipped, because {error}", stacklevel=2)
    damaged = f": all {len(found)} are damaged" if found else ""
    raise FileNotFoundError(f"{folder} holds no checkpoint to go on from{damaged}; start anew")


def prune(folder: Path, keep: set[int]) -> None:
    """Delete all checkpoints but those of these steps, and what killed runs left half-written."""
    for step, path in checkpoints_in(folder).items():
        if step not in keep:
            set_aside(path)
    for path in folder.glob(".part-*"):
        shutil.rmtree(path, ignore_errors=True)


def set_aside(checkpoint: Path) -> None:
    """Take a checkpoint away in one move: half of one is never found under its name."""
    if checkpoint.exists():
        old = checkpoint.with_name(f".part-{uuid.uuid4().hex}")
        checkpoint.rename(old)
        shutil.rmtree(old, ignore_errors=True)


# ---------------------------------------------------------------------------------------- the state


def take_out(value: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    """`value` as JSON, its arrays moved to `arrays` under their paths ("model/first.weight")."""
    if isinstance(value, np.ndarray):
        arrays[path] = value
        return {ARRAY: path}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, dict):
        return {str(k): take_out(v, f"{path}/{k}".lstrip("/"), arrays) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [take_out(item, f"{path}/{i}", arrays) for i, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return {NUMBER: str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(
        f"a checkpoint holds plain values and NumPy arrays, but {path} is of type "
        f"{type(value).__name__}; let state_dict() return its numbers"
    )


def put_back(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """The inverse of `take_out`."""
    if isinstance(value, list):
        return [put_back(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if ARRAY in value:
        return arrays[value[ARRAY]]
    if NUMBER in value:
        return float(value[NUMBER])
    return {key: put_back(item, arrays) for key, item in value.items()}


# ---------------------------------------------------------------------------------------- the files


def safetensors(arrays: dict[str, np.ndarray]) -> Iterator[bytes | memoryview]:
    """The bytes of a safetensors file piece by piece: all at once they would be held twice."""
    header, start = {}, 0
    for name, array in arrays.items():
        end = start + array.nbytes
        header[name] = {
            "dtype": kind(name, array),
            "shape": array.shape,
            "data_offsets": (start, end),
        }
        start = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the values start at a multiple of 8 bytes
    yield len(text).to_bytes(8, "little")
    yield text
    for array in arrays.values():
        yield np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def kind(name: str, array: np.ndarray) -> str:
    """A dtype as safetensors calls it: "F32". Raises TypeError for one that it does not have."""
    if array.dtype == bool:
        return "BOOL"
    if array.dtype.kind not in KINDS or array.dtype.byteorder == ">":
        raise TypeError(f"a checkpoint holds numbers, but {name} is of type {array.dtype}")
    return f"{KINDS[array.dtype.kind]}{8 * array.dtype.itemsize}"


def write_flushed(file: Path, pieces: Iterator[bytes | memoryview]) -> str:
    """Write a file, wait until the disk has it, and return the SHA-256 of what was written."""
    digest = hashlib.sha256()
    with file.open("wb") as stream:
        for piece in pieces:
            stream.write(piece)
            digest.update(piece)
        stream.flush()
        os.fsync(stream.fileno())
    return digest.hexdigest()


def flush_folder(folder: Path) -> None:
    """Wait until the disk has the folder's names; Windows does so by itself."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def check_sums(checkpoint: Path) -> None:
    """Raise ValueError if a file is missing or is not what was written."""
    for name in (SUMS, STATE, ARRAYS):
        if not (checkpoint / name).is_file():
            raise ValueError(f"{checkpoint} has no {name}")
    lines = (checkpoint / SUMS).read_text(encoding="utf-8").splitlines()
    expected = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    for name in (STATE, ARRAYS):
        with (checkpoint / name).open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != expected.get(name):
            raise ValueError(f"{checkpoint / name} is damaged: its SHA-256 is not that in {SUMS}")
