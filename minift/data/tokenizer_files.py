"""The files that tokenizers are kept in, and what is wrong with a damaged one.

Hugging Face's `tokenizer.json` holds everything: model (the vocabulary), normalizer,
pre_tokenizer, post_processor and added_tokens. It can describe many more tokenizers than the two
that are built here, so each setting is held against what is supported. Every error is a
ValueError of one sentence that begins with the path.

Not here: which settings those are. Read next: `wordpiece_files.py`, `bpe_files.py`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from minift import hub
from minift.data.added_tokens import AddedToken

JSON_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"
SPECIALS_FILE = "special_tokens_map.json"
ADDED_FILE = "added_tokens.json"


def read_text(path: Path) -> str:
    """A UTF-8 file."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise FileNotFoundError(f"no {path.name} in {path.parent}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text (byte {error.start})") from None


def read_object(path: Path) -> dict[str, Any]:
    """A file of one JSON object; {} if there is no such file."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no JSON object")
    return content


def write_object(path: Path, content: Mapping[str, Any]) -> None:
    """Write one JSON object."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    hub.write(path, text.encode("utf-8"))


def read_tokenizer(path: Path, kind: str, reader: str) -> dict[str, Any]:
    """A tokenizer.json whose model is of the kind "WordPiece" or "BPE"."""
    content = read_object(path)
    model = content.get("model")
    found = model.get("type", "BPE" if "merges" in model else "WordPiece") if model else None
    if not isinstance(model, Mapping) or found != kind:
        what = f"a {found} model" if found else "no model"
        raise ValueError(
            f"{path} holds {what}, and {reader} reads {kind}; minift knows WordPiece "
            f"(WordPieceTokenizer) and byte-level BPE (BPETokenizer)"
        )
    return content


def expect(path: Path, content: Mapping[str, Any], name: str, **allowed: Sequence[Any]) -> None:
    """Hold the settings of one section against those supported; the first is the default."""
    section = content.get(name) or {"type": None}
    if not isinstance(section, Mapping):
        raise ValueError(f"{path}: {name} should be an object, got {section!r}")
    for key, values in allowed.items():
        if section.get(key, values[0]) not in values:
            known = " or ".join(map(json.dumps, values))
            raise ValueError(
                f"{path}: {name}.{key} is {json.dumps(section[key])}; minift supports {known}"
            )


def pieces_of(path: Path, vocabulary: Any) -> list[str]:
    """Pieces by id, from an object of piece: id, whose ids must be 0, 1, 2, ..."""
    if not isinstance(vocabulary, Mapping) or not vocabulary:
        raise ValueError(f"{path} holds no vocabulary; it should be an object of piece: id")
    if any(type(i) is not int for i in vocabulary.values()):
        piece = next(piece for piece, i in vocabulary.items() if type(i) is not int)
        raise ValueError(f"{path}: the id of {piece!r} is {vocabulary[piece]!r}, not an integer")
    pieces = sorted(vocabulary, key=vocabulary.__getitem__)
    for expected, piece in enumerate(pieces):
        if vocabulary[piece] != expected:
            raise ValueError(
                f"{path}: the ids should be 0 to {len(pieces) - 1}, each once, but {piece!r} has "
                f"{vocabulary[piece]} in place of {expected}"
            )
    return pieces


def added_tokens_of(
    path: Path, pieces: Sequence[str], entries: Iterable[tuple[int, Any]]
) -> list[AddedToken]:
    """Added tokens by id: each has the id of its piece, or the next after the last."""
    known = {piece: i for i, piece in enumerate(pieces)}
    tokens = []
    for number, entry in sorted(entries, key=lambda item: item[0]):
        try:
            token = AddedToken.from_json(entry)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        expected = known.setdefault(token.content, len(known))
        if number != expected:
            raise ValueError(
                f"{path}: the added token {token.content!r} has the id {number} instead of "
                f"{expected}; the file does not fit its vocabulary"
            )
        tokens.append(token)
    return tokens


def listed_tokens(path: Path, content: Mapping[str, Any]) -> list[tuple[int, Any]]:
    """`added_tokens` of a tokenizer.json as (id, entry)."""
    entries = content.get("added_tokens") or []
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ValueError(f"{path}: added_tokens should be a list of objects")
    if any(type(entry.get("id")) is not int for entry in entries):
        raise ValueError(f"{path}: an added token lacks its id")
    return [(entry["id"], entry) for entry in entries]


def configured_tokens(folder: Path) -> list[tuple[int, Any]]:
    """Added tokens of a folder without tokenizer.json, as (id, entry)."""
    decoder = read_object(folder / CONFIG_FILE).get("added_tokens_decoder")
    if isinstance(decoder, Mapping) and all(key.isdecimal() for key in decoder):
        return [(int(key), entry) for key, entry in decoder.items()]
    # As older files list them: not special, hence looked for in normalised text.
    plain = {"special": False, "normalized": True}
    ids = read_object(folder / ADDED_FILE)
    return [(i, {"content": content, **plain}) for content, i in ids.items()]


def entries_of(tokens: Iterable[AddedToken], id_of: Mapping[str, int]) -> list[dict[str, Any]]:
    """`added_tokens` for a tokenizer.json."""
    rows = [{"id": id_of[token.content], **token.to_json()} for token in tokens]
    return sorted(rows, key=lambda row: row["id"])
