"""`minift embed`: a sentence vector for every row of a file, as one .npy."""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np

from minift.cli.arguments import MistakeError, add_device, chosen_device, folder


def add(commands: Any) -> None:
    """The command and its options."""
    command = commands.add_parser(
        "embed",
        help="turn every text of a file into a vector",
        description=(
            "Write a .npy of float32, one row a text in the file's order: the average over the\n"
            "text's tokens, of length 1, so that a dot product is the cosine. A row whose text is\n"
            "empty becomes NaN. A .txt holds a text a line, a table has columns."
        ),
    )
    option = command.add_argument
    option("--model", required=True, metavar="DIR|NAME", help="a folder, a run's, minilm or tiny")
    option("--data", required=True, metavar="FILE|NAME", help=".txt, CSV, TSV or JSON lines")
    option("--text-column", metavar="C", help="the column with the texts (text, or the only one)")
    option("--output", type=folder, metavar="FILE.npy", help="by default the data's name, here")
    option("--overwrite", action="store_true", help="replace FILE.npy")
    add_device(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Embed one file."""
    from minift import hub
    from minift.fetch import data_file
    from minift.models import load

    device = chosen_device(options, "embed")
    try:
        file = data_file(options.data)
        output = free_place(options, file)
        texts = read_texts(file, options.text_column)
        model = load(options.model)
    except (ValueError, OSError) as error:
        raise MistakeError(f"embed: {error}") from None
    if not hasattr(model, "embed"):
        raise MistakeError(f"embed: {options.model} holds a {model.architecture}, no text encoder")
    vectors = embed(model.to(device), texts)
    content = io.BytesIO()
    np.save(content, vectors)
    hub.write(output, content.getvalue())
    print(f"{output}: {vectors.shape[0]:,} vectors of {vectors.shape[1]}, float32")
    return 0


def free_place(options: argparse.Namespace, file: Path) -> Path:
    """Where the vectors go. Raises ValueError if something is there."""
    output: Path = options.output or Path(f"{file.stem}.npy")
    if output.suffix != ".npy":
        raise ValueError(f"--output must name a file that ends in .npy, got {output}")
    if output.is_dir() or (output.exists() and not options.overwrite):
        raise ValueError(f"{output} is there already; pass --overwrite or another --output")
    return output


def read_texts(file: Path, column: str | None) -> list[str]:
    """The lines of a .txt, or a column of a table. Raises ValueError if there is nothing in it."""
    from minift.data.tables import read_csv, text_lines

    if file.suffix == ".txt":
        if column is not None:
            raise ValueError(f"{file} is a .txt, a text a line; it has no column {column!r}")
        with file.open("rb") as stream:
            texts = [line.rstrip("\r\n") for line in text_lines(stream, str(file))]
    else:
        table = read_csv(file)
        only = table.names[0] if len(table.names) == 1 else "text"
        texts = table[only if column is None else column]
    if not texts:
        raise ValueError(f"{file} holds no text")
    return texts


def embed(model: Any, texts: list[str]) -> np.ndarray:
    """The vectors, with a bar on a terminal; says what could not be read as it stands."""
    from tqdm import tqdm

    from minift.models.embedding import sentence_dataset, sentence_vectors

    dataset, cut = sentence_dataset(model, texts)
    limit = model.config.max_position_embeddings
    with tqdm(total=len(texts), unit=" texts", disable=not sys.stderr.isatty()) as bar:
        vectors = sentence_vectors(model, dataset, bar.update)
    if cut:
        print(f"{cut:,} of {len(texts):,} texts were cut to the model's {limit} tokens")
    empty = int(np.isnan(vectors[:, 0]).sum())
    if empty:
        print(f"{empty:,} of {len(texts):,} texts are empty: their rows are NaN")
    return vectors
