"""From the word that a user gave to a folder or a file: a path, or the name of something known.

A path that exists always wins, so that a folder called `minilm` is that folder. `tiny` ships inside
the package and is there at once; what else has a name is fetched first.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from minift.fetch.cache import cached
from minift.fetch.sources import SOURCES

CONFIG = "config.json"
SHIPPED = {"tiny": Path(__file__).parents[1] / "models" / "tiny"}
MODELS = [*SHIPPED, *(name for name, source in SOURCES.items() if source.main is None)]
DATA = [name for name, source in SOURCES.items() if source.main is not None]
# what the hub calls a model: "bert-base-uncased", "google/vit-base-patch16-224"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


def model_folder(folder_or_name: str | Path) -> Path:
    """The folder of a model: a path to it, a run's folder that holds it in `model/`, or a name.

    Raises FileNotFoundError that says what to run or where to look.
    """
    folder, name = Path(folder_or_name), str(folder_or_name)
    if folder.is_dir():
        inner = folder / "model"
        return inner if not (folder / CONFIG).exists() and (inner / CONFIG).exists() else folder
    if name in SHIPPED:
        return SHIPPED[name]
    if name in MODELS:
        return fetched(name)
    if name in DATA:
        raise FileNotFoundError(f"{name} is data, not a model; the models are {', '.join(MODELS)}")
    raise FileNotFoundError(f"there is no folder {name}{advice(name)}")


def advice(name: str) -> str:
    """What to do about a model that is no folder here: it may be one on the hub."""
    if not _HUB_NAME.fullmatch(name):
        return ""
    close = difflib.get_close_matches(name, MODELS, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    folder = name.rpartition("/")[2]
    return (
        f"; if it is a model on the Hugging Face hub, download it with `hf download {name} "
        f"--local-dir {folder}` (pip install huggingface_hub) and give that folder"
    )


def data_file(file_or_name: str | Path) -> Path:
    """The file of a data set: a path to it, or a name; "-" (standard input) stays.

    Raises FileNotFoundError.
    """
    file, name = Path(file_or_name), str(file_or_name)
    if file.exists() or name == "-":
        return file
    if name in DATA:
        main = SOURCES[name].main
        assert main is not None
        return fetched(name) / main
    if name in MODELS:
        raise FileNotFoundError(f"{name} is a model, not data; the data are {', '.join(DATA)}")
    close = difflib.get_close_matches(name, DATA, n=1)
    raise FileNotFoundError(
        f"there is no file {file}" + (f"; did you mean {close[0]}?" if close else "")
    )


def fetched(name: str) -> Path:
    """The folder of a name. Raises FileNotFoundError with the command that brings it."""
    folder = cached(name)
    if folder is None:
        raise FileNotFoundError(f"{name} is not here yet; bring it with: minift fetch {name}")
    return folder
