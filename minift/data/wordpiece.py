"""WordPiece: text to integers and back, as BERT does it.

A text is cut into words (`basic_words.py`), a word into the longest pieces that the vocabulary
holds, from left to right: "embeddings" -> em ##bed ##ding ##s. A word that cannot be cut that way
becomes [UNK] as a whole. Agrees with Hugging Face's BertTokenizer id for id, place for place.

    tokenizer = WordPieceTokenizer.train(texts, vocab_size=4000)
    batch = tokenizer(["a small cat", ""], max_length=32, truncation=True)
    batch["input_ids"]  # (2, 5): [CLS] a small cat [SEP] and [CLS] [SEP] [PAD] [PAD] [PAD]
    print(tokenizer.explain("a small cat"))  # each stage on a line

Not here: learning the pieces (`wordpiece_training.py`), files (`wordpiece_files.py`), batches
(`tokenizer.py`), byte-level BPE (`bpe.py`). Read next: `bpe.py`.
Devlin et al. 2018, arXiv:1810.04805; Wu et al. 2016, arXiv:1609.08144, section 4.1.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path

from minift import hub
from minift.data import wordpiece_files
from minift.data.added_tokens import AddedToken
from minift.data.basic_words import BasicWords, cut
from minift.data.tokenizer import Frame, PlacedId, Tokenizer, WordCache
from minift.data.unicode_classes import check_text
from minift.data.wordpiece_training import learn_pieces

SPECIAL_TOKENS = wordpiece_files.SPECIAL_TOKENS  # ids 0-4 when trained here
MAX_WORD_CHARACTERS = 100  # longer words are [UNK], as in BERT
# Controls that BERT drops, but at which Python's str.split() would cut: "\v", "\f", ...
_NO_SPACES = dict.fromkeys([0x0B, 0x0C, 0x1C, 0x1D, 0x1E, 0x1F, 0x85])


class WordPieceTokenizer(Tokenizer):
    """A vocabulary and the two ways through it. `pieces[i]` is the piece with id i.

    `lowercase=False` is for cased vocabularies; `strip_accents=None` means as `lowercase`.
    `added_tokens` are found in a text as they stand; [PAD], [UNK], [CLS], [SEP] and [MASK] always
    are. Raises ValueError if one of these is no piece, or a piece is empty or stands twice.
    """

    def __init__(
        self,
        pieces: Sequence[str],
        lowercase: bool = True,
        strip_accents: bool | None = None,
        added_tokens: Iterable[AddedToken] = (),
    ) -> None:
        missing = [token for token in SPECIAL_TOKENS if token not in set(pieces)]
        if missing:
            raise ValueError(f"the vocabulary lacks the special tokens {', '.join(missing)}")
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self._words = BasicWords(lowercase, lowercase if strip_accents is None else strip_accents)
        tokens = {token: AddedToken(token) for token in SPECIAL_TOKENS}
        tokens |= {token.content: token for token in added_tokens}
        super().__init__(pieces, tokens.values(), lambda text: self._words.normalize(text)[0])
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = self.special_ids
        self.frame = Frame((self.cls_id,), (self.sep_id,), (self.sep_id,))
        self._ids_of_word = WordCache(lambda word: [token.id for token in self._cut(word)])
        self._ids_between_spaces = WordCache(self._ids_of_plain)

    @property
    def special_ids(self) -> list[int]:
        """Ids of [PAD], [UNK], [CLS], [SEP], [MASK], in this order."""
        return [self.id_of[token] for token in SPECIAL_TOKENS]

    @cached_property
    def continuation_ids(self) -> list[int]:
        """Ids of the pieces that go on with a word: ##s, ##ing, …"""
        return [i for piece, i in self._vocabulary.items() if piece.startswith("##")]

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
        counts = Counter(word for text in texts for word in words(check_text(text, "a text")))
        if not counts:
            raise ValueError("WordPieceTokenizer.train: the texts hold no word to learn from")
        room = vocab_size - len(SPECIAL_TOKENS)
        pieces = learn_pieces(counts, room, min_frequency, alphabet_limit)
        return cls([*SPECIAL_TOKENS, *pieces], lowercase)

    @classmethod
    def from_pretrained(cls, folder_or_name: str | Path) -> "WordPieceTokenizer":
        """Read tokenizer.json or else vocab.txt with tokenizer_config.json, where there is one.

        A known name (`tiny`, `minilm`) stands for its folder.

        Raises FileNotFoundError if neither is there, and ValueError for a file that is damaged, or
        whose tokenizer is not BERT's.
        """
        path, settings = wordpiece_files.read(hub.resolve(folder_or_name))
        try:
            return cls(*settings)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def save_pretrained(self, folder: str | Path) -> None:
        """Write tokenizer.json, vocab.txt and tokenizer_config.json, which transformers opens."""
        settings = wordpiece_files.Settings(
            list(self._vocabulary), self.lowercase, self.strip_accents, self.added_tokens.values()
        )
        wordpiece_files.write(Path(folder), settings)

    # --- text to ids ----------------------------------------------------------------------------

    def _ids_of(self, text: str) -> list[int]:
        if self._added.any_normalized:  # found only where each character's origin is known
            return [token.id for token in self._placed_ids_of(text)]
        ids: list[int] = []
        for start, end, token in self._added.split(text):
            if token:
                ids.append(self.id_of[token.content])
            else:
                ids += self._ids_of_words(text[start:end])
        return ids

    def _ids_of_words(self, text: str) -> list[int]:
        """What stands between two spaces is independent of the rest, and is looked up whole."""
        if not text.isprintable():
            text = text.translate(_NO_SPACES)
        return list(chain.from_iterable(map(self._ids_between_spaces.__getitem__, text.split())))

    def _ids_of_plain(self, text: str) -> list[int]:
        return list(chain.from_iterable(map(self._ids_of_word.__getitem__, self._words(text))))

    def _placed_ids_of(self, text: str) -> list[PlacedId]:
        result = []
        for token, word, places in self._placed_words(text):
            spans = [PlacedId(token, 0, len(word))] if token is not None else self._cut(word)
            result += [PlacedId(i, places[a], places[b - 1] + 1) for i, a, b in spans]
        return result

    def _placed_words(self, text: str) -> Iterator[tuple[int | None, str, list[int]]]:
        """Words with the place of each character; of added tokens also the id."""
        for start, end, token in self._added.split(text):
            if token:
                yield self.id_of[token.content], text[start:end], list(range(start, end))
                continue
            normal, places = self._words.normalize(text[start:end])
            places = [start + place for place in places]
            for a, b, token in self._added.split_normalized(normal):
                if token:
                    yield self.id_of[token.content], normal[a:b], places[a:b]
                else:
                    for word, own in cut((normal[a:b], places[a:b])):
                        yield None, word, own

    def _cut(self, word: str) -> list[PlacedId]:
        """Longest match first, from the left; [UNK] for the whole word if any part has none."""
        unknown = [PlacedId(self.unk_id, 0, len(word))]
        if len(word) > MAX_WORD_CHARACTERS:
            return unknown
        tokens: list[PlacedId] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((e for e in ends if prefix + word[start:e] in self._vocabulary), None)
            if end is None:
                return unknown
            tokens.append(PlacedId(self._vocabulary[prefix + word[start:end]], start, end))
            start = end
        return tokens

    def explain(self, text: str) -> str:
        """Each stage from the text to its ids, a line each:

        text        Crème brûlée!
        normalized  creme brulee!
        words       creme | brulee | !
        pieces      cr ##eme | br ##ul ##ee | !
        ids         2 | 81 633 | 92 310 95 | 8 | 3
        """
        check_text(text, "the text")
        words = list(self._placed_words(text))
        normal = [
            text[start:end] if token else self._words.normalize(text[start:end])[0]
            for start, end, token in self._added.split(text)
        ]
        cuts = [[i] if i is not None else [t.id for t in self._cut(w)] for i, w, _ in words]
        stages = {
            "text": text,
            "normalized": "".join(normal),
            "words": " | ".join(word for _, word, _ in words),
            "pieces": " | ".join(" ".join(self.pieces[i] for i in ids) for ids in cuts),
            "ids": " | ".join(
                " ".join(map(str, ids)) for ids in [[self.cls_id], *cuts, [self.sep_id]]
            ),
        }
        return "\n".join(f"{name:<12}{shown}" for name, shown in stages.items())

    # --- ids to text ----------------------------------------------------------------------------

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True) -> str:
        """Words with one space between them; capitals, accents and spacing do not come back.

        Raises ValueError for an id outside the vocabulary.
        """
        return " ".join(self._kept_pieces(ids, skip_special_tokens)).replace(" ##", "")
