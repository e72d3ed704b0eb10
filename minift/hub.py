"""Files that the world can read: safetensors and the folder layout of Hugging Face.

A model folder holds `config.json`, `model.safetensors` and, for text, the tokenizer's files. Here
bytes become arrays and back, nothing is ever unpickled, and every write goes to a temporary file
that is flushed and then renamed, so that a reader sees the old file or the new one. Which model a
folder holds is decided in `minift/models/`.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minift.nn import LoadReport, Module

CONFIG = "config.json"
WEIGHTS = "model.safetensors"


def save_weights(module: Module, file: str | Path) -> None:
    """Write all parameters and buffers of `module` to one safetensors file."""
    write_arrays(file, module.state_dict())


def load_weights(module: Module, file: str | Path) -> LoadReport:
    """Load what `save_weights` wrote, strictly.

    Raises FileNotFoundError for a missing file and ValueError for a damaged one, or one that does
    not fit the module.
    """
    return module.load_state_dict(read_arrays(file))


def read_arrays(file: str | Path) -> dict[str, np.ndarray]:
    """All tensors of a safetensors file, by name."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(existing(file))
    except SafetensorError as error:
        raise ValueError(
            f"{file} is not a whole safetensors file ({error}); copy or download it again"
        ) from None
    except TypeError as error:
        raise ValueError(
            f"{file} holds numbers of a kind that NumPy does not have ({error}); "
            f"convert it to float32"
        ) from None


def write_arrays(file: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name; "format": "pt" is what transformers 4 looks for."""
    from safetensors.numpy import save

    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    write(file, save(contiguous, metadata={"format": "pt"}))


def read_config(folder: str | Path) -> dict[str, Any]:
    """The config.json of a model folder."""
    file = Path(folder) / CONFIG
    try:
        config = json.loads(existing(file).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is not valid JSON: {error}") from None
    if not isinstance(config, dict):
        raise ValueError(f"{file} must hold one JSON object, got {type(config).__name__}")
    return config


def write_config(folder: str | Path, config: Mapping[str, Any]) -> None:
    """Write config.json, keys sorted as transformers does."""
    text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False)
    write(Path(folder) / CONFIG, (text + "\n").encode())


def existing(file: str | Path) -> Path:
    """The path of a file of a model folder, or FileNotFoundError that says what is missing."""
    file = Path(file)
    if not file.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {file.parent}")
    if not file.is_file():
        raise FileNotFoundError(f"{file.parent} holds no {file.name}; is it a model folder?")
    return file


def write(file: str | Path, content: bytes) -> None:
    """Replace `file` in one move: whoever reads it, or a power cut, finds all of it or none."""
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    try:
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
