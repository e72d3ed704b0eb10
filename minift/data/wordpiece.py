"""WordPiece: text to integers and back, as BERT does it.

A text is cut into words (`basic_words.py`), a word into the longest pieces that the vocabulary
holds, from left to right: "embeddings" -> em ##bed ##ding ##s. A word that cannot be cut that way
becomes [UNK] as a whole. Agrees id for id with Hugging Face's BertTokenizer on one vocabulary.

    tokenizer = WordPieceTokenizer.train(texts, vocab_size=4000)
    batch = tokenizer(["a small cat", ""], max_length=32, truncation=True)
    batch["input_ids"]  # (2, 5): [CLS] a small cat [SEP] and [CLS] [SEP] [PAD] [PAD] [PAD]

Not here: learning the pieces (`wordpiece_training.py`), byte-level BPE. Read next: `datasets.py`.
Devlin et al. 2018, arXiv:1810.04805; Wu et al. 2016, arXiv:1609.08144, section 4.1.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minift import hub
from minift.data.basic_words import BasicWords
from minift.data.datasets import TokenDataset
from minift.data.wordpiece_training import learn_pieces

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # ids 0-4 when trained here
MAX_WORD_CHARACTERS = 100  # longer words are [UNK], as in BERT
_CACHED_WORDS = 500_000  # then the cache starts anew, so that endless text costs bounded memory
_SPECIAL_IN_TEXT = re.compile("(" + "|".join(map(re.escape, SPECIAL_TOKENS)) + ")")


class WordPieceTokenizer:
    """A vocabulary and the two ways through it. `pieces[i]` is the piece with id i.

    `lowercase=False` is for cased vocabularies; `strip_accents=None` means as `lowercase`. Raises
    ValueError if a special token is missing, or a piece is empty or stands twice.
    """

    def __init__(
        self, pieces: Sequence[str], lowercase: bool = True, strip_accents: bool | None = None
    ) -> None:
        self.pieces = list(pieces)
        self.id_of = {piece: i for i, piece in enumerate(self.pieces)}
        _check_pieces(self.pieces, self.id_of)
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = self.special_ids
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self._words = BasicWords(lowercase, lowercase if strip_accents is None else strip_accents)
        self._cache: dict[str, list[int]] = {}

    @property
    def vocab_size(self) -> int:
        """How many pieces there are, the special tokens among them."""
        return len(self.pieces)

    @property
    def special_ids(self) -> list[int]:
        """Ids of [PAD], [UNK], [CLS], [SEP], [MASK], in this order."""
        return [self.id_of[token] for token in SPECIAL_TOKENS]

    # --- making one -----------------------------------------------------------------------------

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        lowercase: bool = True,
        min_frequency: int = 2,
        alphabet_limit: int = 1000,
    ) -> "WordPieceTokenizer":
        """Learn at most `vocab_size` pieces (special tokens included) from texts.

        Deterministic. Fewer pieces come out if every pair left is rarer than `min_frequency`.
        Raises ValueError if the texts hold no word or their characters alone do not fit.
        """
        words = BasicWords(lowercase, lowercase)
        counts = Counter(word for text in texts for word in words(text))
        if not counts:
            raise ValueError("WordPieceTokenizer.train: the texts hold no word to learn from")
        room = vocab_size - len(SPECIAL_TOKENS)
        pieces = learn_pieces(counts, room, min_frequency, alphabet_limit)
        return cls([*SPECIAL_TOKENS, *pieces], lowercase)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "WordPieceTokenizer":
        """Read vocab.txt and, where there is one, tokenizer_config.json.

        Raises FileNotFoundError without vocab.txt and ValueError for a file that is empty, not
        UTF-8, or not a WordPiece vocabulary.
        """
        path = Path(folder) / "vocab.txt"
        text = _read_text(path)
        # Only "\n" ends a piece: Python's other line ends are characters of real vocabularies.
        pieces = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
        if pieces == [""]:
            raise ValueError(f"{path} is empty; it should hold one piece a line")
        config = _read_config(Path(folder) / "tokenizer_config.json")
        try:
            return cls(pieces, config.get("do_lower_case", True), config.get("strip_accents"))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def save_pretrained(self, folder: str | Path) -> None:
        """Write vocab.txt and tokenizer_config.json; transformers' BertTokenizer opens them."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        config = {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": self.lowercase,
            "strip_accents": self.strip_accents,
            "tokenize_chinese_chars": True,
        }
        hub.write(folder / "vocab.txt", "".join(p + "\n" for p in self.pieces).encode("utf-8"))
        text = json.dumps(config, indent=2) + "\n"
        hub.write(folder / "tokenizer_config.json", text.encode("utf-8"))

    # --- text to ids ----------------------------------------------------------------------------

    def __call__(
        self,
        texts: str | Sequence[str],
        max_length: int | None = None,
        padding: bool | str = True,
        truncation: bool = False,
    ) -> dict[str, Any]:
        """Encode a text or several: input_ids, attention_mask, token_type_ids, int64 (B, T).

        `padding`: True or "longest" (to the longest text), "max_length", or False; unpadded texts
        differ in length, so that False gives lists of lists. `truncation` keeps the first
        `max_length` tokens, [CLS] and [SEP] among them. One text counts as a batch of one; the
        empty text is [CLS] [SEP]. Raises TypeError for anything but texts and ValueError if a text
        is longer than `max_length` without `truncation`.
        """
        if padding not in (True, False, "longest", "max_length"):
            raise ValueError(f'padding is True, False, "longest" or "max_length", got {padding!r}')
        if max_length is None and (truncation or padding == "max_length"):
            raise ValueError("truncation and padding to max_length need a max_length")
        rows = self.encode_all(texts, max_length, truncation)
        if not padding:
            return {
                "input_ids": rows,
                "attention_mask": [[1] * len(row) for row in rows],
                "token_type_ids": [[0] * len(row) for row in rows],
            }
        length = max_length if padding == "max_length" else None
        dataset = TokenDataset.from_lists(rows, self.pad_id)
        return dict(dataset.padded(np.arange(len(rows)), length))

    def dataset(
        self, texts: Sequence[str], max_length: int | None = None, **targets: np.ndarray
    ) -> TokenDataset:
        """Texts as a TokenDataset, truncated to `max_length`; `targets` as in TokenDataset."""
        rows = self.encode_all(texts, max_length, truncation=max_length is not None)
        return TokenDataset.from_lists(rows, self.pad_id, **targets)

    def encode_all(
        self, texts: str | Sequence[str], max_length: int | None = None, truncation: bool = False
    ) -> list[list[int]]:
        """Ids of each text between [CLS] and [SEP], as lists; arguments as in `__call__`."""
        texts = [texts] if isinstance(texts, str) else texts
        if max_length is not None and max_length < 2:
            raise ValueError(f"max_length must be 2 or more, for [CLS] and [SEP]; got {max_length}")
        room = max_length - 2 if truncation and max_length is not None else None
        rows = []
        for i, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(f"text {i} is {text!r}; the tokenizer takes a str or several")
            rows.append([self.cls_id, *self._ids_of(text)[:room], self.sep_id])
            if max_length is not None and len(rows[-1]) > max_length:
                raise ValueError(
                    f"text {i} has {len(rows[-1])} tokens, more than max_length={max_length}; "
                    f"pass truncation=True to cut it"
                )
        return rows

    def encode(self, text: str) -> list[int]:
        """Ids of one text between [CLS] and [SEP]."""
        return self.encode_all(text)[0]

    def tokenize(self, text: str) -> list[str]:
        """The pieces of one text, without [CLS] and [SEP]."""
        return [self.pieces[i] for i in self._ids_of(text)]

    def _ids_of(self, text: str) -> list[int]:
        """A special token written out in the text, "[MASK]" say, is that token, as in BERT."""
        if "[" not in text:
            return self._ids_of_plain(text)
        ids: list[int] = []
        for i, part in enumerate(_SPECIAL_IN_TEXT.split(text)):  # odd parts are special tokens
            ids += [self.id_of[part]] if i % 2 else self._ids_of_plain(part)
        return ids

    def _ids_of_plain(self, text: str) -> list[int]:
        ids: list[int] = []
        for word in self._words(text):
            pieces = self._cache.get(word)
            ids += self._remember(word) if pieces is None else pieces
        return ids

    def _remember(self, word: str) -> list[int]:
        if len(self._cache) >= _CACHED_WORDS:
            self._cache.clear()
        self._cache[word] = self._cut(word)
        return self._cache[word]

    def _cut(self, word: str) -> list[int]:
        """Longest match first, from the left; [UNK] for the whole word if any part has none."""
        if len(word) > MAX_WORD_CHARACTERS:
            return [self.unk_id]
        ids, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((e for e in ends if prefix + word[start:e] in self.id_of), None)
            if end is None:
                return [self.unk_id]
            ids.append(self.id_of[prefix + word[start:end]])
            start = end
        return ids

    # --- ids to text ----------------------------------------------------------------------------

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True) -> str:
        """Words with one space between them; capitals, accents and spacing do not come back.

        Raises ValueError for an id outside the vocabulary.
        """
        special = set(self.special_ids) if skip_special_tokens else set()
        words = [self._piece(int(i)) for i in ids if int(i) not in special]
        return " ".join(words).replace(" ##", "")

    def _piece(self, token: int) -> str:
        if not 0 <= token < self.vocab_size:
            raise ValueError(f"id {token} is outside the vocabulary of {self.vocab_size} pieces")
        return self.pieces[token]


def _check_pieces(pieces: list[str], id_of: dict[str, int]) -> None:
    missing = [token for token in SPECIAL_TOKENS if token not in id_of]
    if missing:
        raise ValueError(f"the vocabulary lacks the special tokens {', '.join(missing)}")
    if "" in id_of:
        raise ValueError(f"the vocabulary has an empty piece, number {id_of['']} from 0")
    if len(id_of) < len(pieces):
        twice = [piece for piece, n in Counter(pieces).items() if n > 1]
        raise ValueError(f"the vocabulary holds {len(twice)} pieces twice, the first {twice[0]!r}")


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise FileNotFoundError(f"no {path.name} in {path.parent}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text (byte {error.start})") from None


def _read_config(path: Path) -> dict[str, Any]:
    """The settings, {} without a file. Raises ValueError for those we would not follow."""
    if not path.is_file():
        return {}
    try:
        config = json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise ValueError(f"{path} holds no JSON object")
    if config.get("tokenize_chinese_chars") is False:
        raise ValueError(f"{path}: tokenize_chinese_chars=false is not supported")
    return config
