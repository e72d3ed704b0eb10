"""BERT's tokenizer in files: tokenizer.json, or vocab.txt with tokenizer_config.json beside it.

Not here: what the settings mean (`wordpiece.py`). Read next: `tokenizer_files.py`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from minift import hub
from minift.data import tokenizer_files as files
from minift.data.added_tokens import AddedToken

VOCABULARY_FILE = "vocab.txt"
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ROLES = dict(
    zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL_TOKENS)
)


class Settings(NamedTuple):
    """What makes a WordPieceTokenizer."""

    pieces: list[str]
    lowercase: bool
    strip_accents: bool | None
    added_tokens: Iterable[AddedToken]


def read(folder: Path) -> tuple[Path, Settings]:
    """The settings, and the file of the vocabulary: tokenizer.json or else vocab.txt.

    What tokenizer_config.json says of letters counts before tokenizer.json, as in transformers.
    """
    config = files.read_object(folder / files.CONFIG_FILE)
    if config.get("tokenize_chinese_chars") is False:
        raise ValueError(
            f"{folder / files.CONFIG_FILE}: tokenize_chinese_chars=false is not supported"
        )
    _check_special_names(folder)
    path = folder / files.JSON_FILE
    if path.is_file():
        settings = _read_json(path)
    else:
        path = folder / VOCABULARY_FILE
        settings = _read_vocabulary(path)
    return path, settings._replace(
        lowercase=config.get("do_lower_case", settings.lowercase),
        strip_accents=config.get("strip_accents", settings.strip_accents),
    )


def _read_vocabulary(path: Path) -> Settings:
    if not path.is_file():
        raise FileNotFoundError(f"no {path.name} in {path.parent}, and no {files.JSON_FILE}")
    # Only "\n" ends a piece: Python's other line ends are characters of real vocabularies.
    lines = files.read_text(path).removesuffix("\n").split("\n")
    pieces = [line.removesuffix("\r") for line in lines]
    if pieces == [""]:
        raise ValueError(f"{path} is empty; it should hold one piece a line")
    added = files.added_tokens_of(path, pieces, files.configured_tokens(path.parent))
    return Settings(pieces, True, None, added)


def _read_json(path: Path) -> Settings:
    content = files.read_tokenizer(path, "WordPiece", "WordPieceTokenizer")
    files.expect(
        path,
        content,
        "model",
        unk_token=["[UNK]"],
        continuing_subword_prefix=["##"],
        max_input_chars_per_word=[100],
    )
    files.expect(
        path,
        content,
        "normalizer",
        type=["BertNormalizer"],
        clean_text=[True],
        handle_chinese_chars=[True],
        lowercase=[True, False],
        strip_accents=[None, True, False],
    )
    files.expect(path, content, "pre_tokenizer", type=["BertPreTokenizer"])
    _check_frame(path, content.get("post_processor") or {})
    pieces = files.pieces_of(path, content["model"].get("vocab"))
    added = files.added_tokens_of(path, pieces, files.listed_tokens(path, content))
    normalizer = content["normalizer"]
    return Settings(
        pieces, normalizer.get("lowercase", True), normalizer.get("strip_accents"), added
    )


def _check_frame(path: Path, processor: dict[str, Any]) -> None:
    """The post-processor must write [CLS] a [SEP] and [CLS] a [SEP] b [SEP]."""
    if processor.get("type") == "BertProcessing":
        frame = [processor.get("cls", [None])[0], processor.get("sep", [None])[0]]
        right = frame == ["[CLS]", "[SEP]"]
    else:
        right = all(processor.get(key) == template for key, template in _TEMPLATES.items())
    if not right:
        raise ValueError(
            f"{path}: post_processor should put [CLS] a [SEP] b [SEP] around texts, as BERT's "
            f"does; it is {processor.get('type', 'missing')} with other tokens"
        )


def _check_special_names(folder: Path) -> None:
    for name in (files.CONFIG_FILE, files.SPECIALS_FILE):
        config = files.read_object(folder / name)
        for role, expected in _ROLES.items():
            value = config.get(role) or expected
            token = value.get("content") if isinstance(value, dict) else value
            if token != expected:
                raise ValueError(
                    f"{folder / name}: {role} is {token!r}; WordPieceTokenizer knows BERT's "
                    f"{expected} alone"
                )


def write(folder: Path, settings: Settings) -> None:
    """tokenizer.json, vocab.txt and tokenizer_config.json."""
    config = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": settings.lowercase,
        "strip_accents": settings.strip_accents,
        "tokenize_chinese_chars": True,
    }
    lines = "".join(piece + "\n" for piece in settings.pieces)
    hub.write(folder / VOCABULARY_FILE, lines.encode("utf-8"))
    files.write_object(folder / files.CONFIG_FILE, config)
    files.write_object(folder / files.JSON_FILE, _to_json(settings))


def _to_json(settings: Settings) -> dict[str, Any]:
    added = list(settings.added_tokens)
    vocabulary = {piece: i for i, piece in enumerate(settings.pieces)}
    id_of = dict(vocabulary)
    for token in added:
        id_of.setdefault(token.content, len(id_of))
    tokens = {name: {"id": name, "ids": [id_of[name]], "tokens": [name]} for name in _FRAME}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": files.entries_of(added, id_of),
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": settings.strip_accents,
            "lowercase": settings.lowercase,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", **_TEMPLATES, "special_tokens": tokens},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    }


def _special(name: str, kind: int) -> dict[str, Any]:
    return {"SpecialToken": {"id": name, "type_id": kind}}


def _text(name: str, kind: int) -> dict[str, Any]:
    return {"Sequence": {"id": name, "type_id": kind}}


_FRAME = ("[CLS]", "[SEP]")
_SINGLE = [_special("[CLS]", 0), _text("A", 0), _special("[SEP]", 0)]
_TEMPLATES = {"single": _SINGLE, "pair": [*_SINGLE, _text("B", 1), _special("[SEP]", 1)]}
