"""GPT-2's tokenizer in files: tokenizer.json, or vocab.json with merges.txt.

Not here: what the settings mean (`bpe.py`). Read next: `tokenizer_files.py`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from minift import hub
from minift.data import tokenizer_files as files
from minift.data.added_tokens import AddedToken

VOCABULARY_FILE = "vocab.json"
MERGES_FILE = "merges.txt"
END_OF_TEXT = "<|endoftext|>"
_VERSION_LINE = "#version: 0.2"


class Settings(NamedTuple):
    """What makes a BPETokenizer."""

    pieces: list[str]
    merges: Sequence[tuple[str, str]]
    added_tokens: Iterable[AddedToken]
    add_prefix_space: bool


def read(folder: Path) -> tuple[Path, Settings]:
    """The settings, and the file of the vocabulary: tokenizer.json or else vocab.json.

    What tokenizer_config.json says of the prefix space counts before tokenizer.json.
    """
    config = files.read_object(folder / files.CONFIG_FILE)
    path = folder / files.JSON_FILE
    if path.is_file():
        settings = _read_json(path)
    else:
        path = folder / VOCABULARY_FILE
        settings = _read_pair(path)
    prefix = config.get("add_prefix_space", settings.add_prefix_space)
    return path, settings._replace(add_prefix_space=prefix)


def _read_pair(path: Path) -> Settings:
    if not path.is_file():
        raise FileNotFoundError(f"no {path.name} in {path.parent}, and no {files.JSON_FILE}")
    pieces = files.pieces_of(path, files.read_object(path))
    merges_path = path.parent / MERGES_FILE
    lines = files.read_text(merges_path).replace("\r\n", "\n").removesuffix("\n").split("\n")
    if lines[0].startswith("#version"):  # later lines may begin so: "#" is a piece, too
        lines = lines[1:]
    merges = _merges_of(merges_path, lines)
    added = files.added_tokens_of(path, pieces, files.configured_tokens(path.parent))
    return Settings(pieces, merges, added, False)


def _read_json(path: Path) -> Settings:
    content = files.read_tokenizer(path, "BPE", "BPETokenizer")
    files.expect(
        path,
        content,
        "model",
        dropout=[None],
        continuing_subword_prefix=[None, ""],
        end_of_word_suffix=[None, ""],
        byte_fallback=[False],
        ignore_merges=[False],
    )
    files.expect(path, content, "normalizer", type=[None])
    files.expect(path, content, "pre_tokenizer", type=["ByteLevel"], use_regex=[True])
    processor = content.get("post_processor") or {}
    if processor.get("type") == "TemplateProcessing":  # as transformers writes it
        _check_template(path, processor)
    else:
        allowed = ["ByteLevel", None]
        files.expect(path, content, "post_processor", type=allowed, trim_offsets=[False])
    pieces = files.pieces_of(path, content["model"].get("vocab"))
    merges = _merges_of(path, content["model"].get("merges"))
    added = files.added_tokens_of(path, pieces, files.listed_tokens(path, content))
    # The reference's own default is True; every file it writes says which.
    prefix = content["pre_tokenizer"].get("add_prefix_space", True)
    return Settings(pieces, merges, added, prefix)


def _check_template(path: Path, processor: Mapping[str, Any]) -> None:
    entries = [entry for key in ("single", "pair") for entry in processor.get(key) or []]
    if any("SpecialToken" in entry for entry in entries):
        raise ValueError(
            f"{path}: post_processor puts special tokens around a text; GPT-2's puts none"
        )


def _merges_of(path: Path, entries: Any) -> list[tuple[str, str]]:
    """Pairs from "a b" or ["a", "b"]; empty lines are left out."""
    if not isinstance(entries, list):
        raise ValueError(f"{path} holds no list of merges")
    merges = []
    for rank, entry in enumerate(entries):
        pair = entry.split(" ") if isinstance(entry, str) else entry
        if pair == [""]:
            continue
        if not isinstance(pair, list) or len(pair) != 2 or not all(pair):
            raise ValueError(f"{path}: merge {rank} should be two pieces, got {entry!r}")
        merges.append((pair[0], pair[1]))
    return merges


def write(folder: Path, settings: Settings) -> None:
    """tokenizer.json, vocab.json, merges.txt and tokenizer_config.json."""
    vocabulary = {piece: i for i, piece in enumerate(settings.pieces)}
    text = json.dumps(vocabulary, ensure_ascii=False) + "\n"
    lines = [_VERSION_LINE, *(" ".join(pair) for pair in settings.merges)]
    hub.write(folder / VOCABULARY_FILE, text.encode("utf-8"))
    hub.write(folder / MERGES_FILE, "".join(line + "\n" for line in lines).encode("utf-8"))
    config = {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": settings.add_prefix_space}
    files.write_object(folder / files.CONFIG_FILE, config)
    files.write_object(folder / files.JSON_FILE, _to_json(settings, vocabulary))


def _to_json(settings: Settings, vocabulary: Mapping[str, int]) -> dict[str, Any]:
    added = list(settings.added_tokens)
    id_of = dict(vocabulary)
    for token in added:
        id_of.setdefault(token.content, len(id_of))
    steps = {"type": "ByteLevel", "trim_offsets": False, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": files.entries_of(added, id_of),
        "normalizer": None,
        "pre_tokenizer": steps | {"add_prefix_space": settings.add_prefix_space},
        "post_processor": steps | {"add_prefix_space": True},
        "decoder": steps | {"add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": [" ".join(pair) for pair in settings.merges],
        },
    }
