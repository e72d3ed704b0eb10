"""Files that the world can read: safetensors and the folder layout of Hugging Face.

A model folder holds `config.json`, the weights (`model.safetensors`, or several files and an index)
and, for text, the tokenizer's files. Here names become folders and bytes become arrays and back.
Nothing is ever unpickled, and every write goes to a temporary file that is flushed and then
renamed, so that a reader sees the old file or the new one. Which model a folder holds is decided
in `minift/models/`.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from minift.nn import LoadReport, Module

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"  # where the weights lie if they fill several files
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "model.pth")

# The types of a safetensors file that NumPy has. bfloat16 is the upper half of a float32.
NUMPY_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "?",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "<u1",
}  # fmt: skip


# ----------------------------------------------------------------------------- names and folders


def resolve(folder_or_name: str | Path) -> Path:
    """The model folder that is meant: a folder, a run's folder (its `model/`), or a known name.

    Raises FileNotFoundError for anything else, for a name that was not fetched with the command
    that does it, and for a name on the Hugging Face hub with the command that downloads it.
    """
    from minift.fetch import model_folder  # on use: it reads archives, which few programs need

    return model_folder(folder_or_name)


def inside(folder: str | Path, name: Any, said_by: str) -> Path:
    """The file `name` of `folder`. Raises ValueError for a path that leads anywhere else."""
    if not isinstance(name, str) or not name or set(name) & set("/\\:") or name in (".", ".."):
        raise ValueError(
            f"{Path(folder) / said_by} names the file {name!r}, which is not a plain file name of "
            f"its own folder; do not trust this folder"
        )
    return Path(folder) / name


# --------------------------------------------------------------------------------------- weights


def save_weights(module: Module, file: str | Path) -> None:
    """Write all parameters and buffers of `module` to one safetensors file."""
    write_arrays(file, module.state_dict())


def load_weights(module: Module, file: str | Path) -> LoadReport:
    """Load what `save_weights` wrote, strictly.

    Raises FileNotFoundError for a missing file and ValueError for a damaged one, or one that does
    not fit the module.
    """
    return module.load_state_dict(read_arrays(file))


def read_model(folder: str | Path) -> dict[str, np.ndarray]:
    """All weights of a model folder by name, from one file or from several with an index.

    Raises FileNotFoundError if there are none, ValueError for damaged or pickled ones.
    """
    folder = Path(folder)
    if (folder / INDEX).is_file() and not (folder / WEIGHTS).is_file():
        return read_shards(folder)
    pickles = [name for name in PICKLES if (folder / name).is_file()]
    if pickles and not (folder / WEIGHTS).is_file():
        raise ValueError(
            f"{folder / pickles[0]} is a pickle, which can run any program when it is opened, so "
            f"minift never does; load it in transformers where you trust it, and save_pretrained "
            f"writes {WEIGHTS}"
        )
    return read_arrays(folder / WEIGHTS)


def read_shards(folder: Path) -> dict[str, np.ndarray]:
    """The weights that the index of a folder lists, each from the file that it names."""
    places = read_json(folder / INDEX).get("weight_map")
    if not isinstance(places, dict):
        raise ValueError(f"{folder / INDEX} must hold a weight_map from names to files")
    arrays: dict[str, np.ndarray] = {}
    for file in [inside(folder, name, INDEX) for name in sorted(set(places.values()), key=str)]:
        arrays |= read_arrays(file)
    absent = places.keys() - arrays.keys()
    if absent:
        raise ValueError(
            f"{folder / INDEX} lists {len(absent)} weights that its files do not hold "
            f"({min(absent)}, say); copy or download the folder again"
        )
    return arrays


def read_arrays(file: str | Path) -> dict[str, np.ndarray]:
    """All tensors of a safetensors file, by name; 16-bit floats become float32."""
    from safetensors import SafetensorError, deserialize

    try:
        tensors = deserialize(existing(file).read_bytes())
    except SafetensorError as error:
        raise ValueError(
            f"{file} is not a whole safetensors file ({error}); copy or download it again"
        ) from None
    tensors.sort(key=lambda pair: pair[0])  # they come in any order
    return {name: array_of(tensor, name, file) for name, tensor in tensors}


def array_of(tensor: Mapping[str, Any], name: str, file: str | Path) -> np.ndarray:
    """The array that a tensor's type, shape and bytes describe."""
    kind = tensor["dtype"]
    if kind not in NUMPY_TYPES:
        raise ValueError(
            f"{file}: {name} holds numbers of a kind that NumPy does not have ({kind}); convert "
            f"it to float32"
        )
    array = np.frombuffer(tensor["data"], NUMPY_TYPES[kind]).reshape(tensor["shape"])
    if kind == "BF16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32) if kind == "F16" else array


def write_arrays(file: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name; "format": "pt" is what transformers 4 looks for."""
    from safetensors.numpy import save

    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    write(file, save(contiguous, metadata={"format": "pt"}))


# --------------------------------------------------------------------------------- other files


def read_config(folder: str | Path) -> dict[str, Any]:
    """The config.json of a model folder."""
    return read_json(existing(Path(folder) / CONFIG))


def read_json(file: Path) -> dict[str, Any]:
    """A file that holds one JSON object. Raises ValueError for anything else."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{file} must hold one JSON object, got {type(content).__name__}")
    return content


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
    with writing(file) as stream:
        stream.write(content)


@contextmanager
def writing(file: str | Path) -> Iterator[BinaryIO]:
    """A stream whose content replaces `file` in one move at the end; not at all after an error."""
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    try:
        with part.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
