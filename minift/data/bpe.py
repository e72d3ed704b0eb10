"""Byte-level byte-pair encoding: text to integers and back, as GPT-2 does it.

A text is cut into words (`bpe_words.py`), a word into its UTF-8 bytes, and neighbouring pieces are
joined by a list of merges, the earliest of the list first: "lower" -> l o w e r -> lo w e r ->
low e r -> low er. Since every byte is a piece, no text is unknown, and decoding gives it back to
the character. Agrees with Hugging Face's GPT-2 tokenizer id for id, place for place.

    tokenizer = BPETokenizer.train(texts, vocab_size=4000)
    batch = tokenizer(["a small cat", ""])  # nothing stands around a text: the empty one is empty
    print(tokenizer.explain("a small cat"))  # each stage on a line

Not here: learning the merges (`bpe_training.py`), files (`bpe_files.py`), batches
(`tokenizer.py`). Read next: `bpe_training.py`.
Sennrich et al. 2016, arXiv:1508.07909; Radford et al. 2019 (GPT-2), section 2.2.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from minift import hub
from minift.data import bpe_files
from minift.data.added_tokens import AddedToken
from minift.data.bpe_files import END_OF_TEXT
from minift.data.bpe_training import learn_merges
from minift.data.bpe_words import bytes_shown, show_bytes, word_spans, words_of
from minift.data.tokenizer import Frame, PlacedId, Tokenizer, WordCache
from minift.data.unicode_classes import check_text


class BPETokenizer(Tokenizer):
    """Pieces by id, and the merges in order of rank; bytes are written as `bpe_words.py` says.

    `added_tokens` are found in a text as they stand; "<|endoftext|>" always is, where it is a
    piece. Batches are padded with it (or with id 0). `add_prefix_space` treats the first word as
    one in the middle. Raises ValueError if a piece is empty or stands twice, and for a merge of or
    to an unknown piece.
    """

    def __init__(
        self,
        pieces: Sequence[str],
        merges: Sequence[tuple[str, str]],
        added_tokens: Iterable[AddedToken] = (),
        add_prefix_space: bool = False,
    ) -> None:
        tokens = {END_OF_TEXT: AddedToken(END_OF_TEXT)} if END_OF_TEXT in pieces else {}
        tokens |= {token.content: token for token in added_tokens}
        super().__init__(pieces, tokens.values(), lambda text: text)
        self.merges = list(merges)
        self.add_prefix_space = add_prefix_space
        self.frame = Frame()
        self.pad_id = self.id_of.get(END_OF_TEXT, 0)
        self._rank = {pair: rank for rank, pair in enumerate(self.merges)}
        self._check_merges()
        self._ids_of_word = WordCache(lambda word: [self._vocabulary[p] for p in self._cut(word)])

    # --- making one -----------------------------------------------------------------------------

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        min_frequency: int = 2,
        special_tokens: Sequence[str] = (END_OF_TEXT,),
    ) -> "BPETokenizer":
        """Learn at most `vocab_size` pieces: special tokens, 256 bytes, and joins of these.

        Deterministic, and equal to Hugging Face's ByteLevelBPETokenizer trained on the same
        texts. Fewer pieces come out if every pair left is rarer than `min_frequency`. Raises
        ValueError if special tokens and bytes do not fit.
        """
        counts = Counter(word for text in texts for word in words_of(check_text(text, "a text")))
        pieces, merges = learn_merges(counts, special_tokens, vocab_size, min_frequency)
        return cls(pieces, merges, map(AddedToken, special_tokens))

    @classmethod
    def from_pretrained(cls, folder_or_name: str | Path) -> "BPETokenizer":
        """Read tokenizer.json, or else vocab.json with merges.txt.

        A known name (`tiny`, `minilm`) stands for its folder.

        Raises FileNotFoundError if neither is there, and ValueError for a file that is damaged, or
        whose tokenizer is not GPT-2's.
        """
        path, settings = bpe_files.read(hub.resolve(folder_or_name))
        try:
            return cls(*settings)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def save_pretrained(self, folder: str | Path) -> None:
        """Write tokenizer.json, vocab.json, merges.txt and tokenizer_config.json.

        transformers opens them.
        """
        settings = bpe_files.Settings(
            list(self._vocabulary), self.merges, self.added_tokens.values(), self.add_prefix_space
        )
        bpe_files.write(Path(folder), settings)

    def _check_merges(self) -> None:
        for rank, pair in enumerate(self.merges):
            for piece in (*pair, "".join(pair)):
                if piece not in self._vocabulary:
                    raise ValueError(
                        f"merge {rank} joins {pair[0]!r} and {pair[1]!r}, but {piece!r} is not in "
                        f"the vocabulary; vocabulary and merges are of two tokenizers"
                    )

    # --- text to ids ----------------------------------------------------------------------------

    def _ids_of(self, text: str) -> list[int]:
        ids: list[int] = []
        for start, end, token in self._parts(text):
            if token:
                ids.append(self.id_of[token.content])
            else:
                words = words_of(self._prefixed(text[start:end]))
                ids += chain.from_iterable(map(self._ids_of_word.__getitem__, words))
        return ids

    def _placed_ids_of(self, text: str) -> list[PlacedId]:
        result = []
        for start, end, token in self._parts(text):
            if token:
                result.append(PlacedId(self.id_of[token.content], start, end))
                continue
            plain = self._prefixed(text[start:end])
            places = list(range(start, end))
            if len(plain) > len(places):  # the added space stands where the first character does
                places.insert(0, start)
            for a, b in word_spans(plain):
                result += self._placed_pieces(plain[a:b], places[a:b])
        return result

    def _placed_pieces(self, word: str, places: list[int]) -> list[PlacedId]:
        """A piece stands for each character of which it has at least one byte."""
        place_of_byte = [p for c, p in zip(word, places) for _ in c.encode("utf-8")]
        tokens, start = [], 0
        for piece in self._cut(word):
            own = place_of_byte[start : start + len(piece)]
            tokens.append(PlacedId(self._vocabulary[piece], own[0], own[-1] + 1))
            start += len(piece)
        return tokens

    def _parts(self, text: str) -> list[tuple[int, int, AddedToken | None]]:
        """Added tokens and what lies between; nothing is normalised, so both sorts are alike."""
        parts = []
        for start, end, token in self._added.split(text):
            inner = [(0, end - start, token)]
            if token is None and self._added.any_normalized:
                inner = self._added.split_normalized(text[start:end])
            parts += [(start + a, start + b, found) for a, b, found in inner]
        return parts

    def _prefixed(self, text: str) -> str:
        return " " + text if self.add_prefix_space and not text.startswith(" ") else text

    def _cut(self, word: str) -> list[str]:
        """Join the pair of lowest rank, the leftmost of equals, until no pair is left to join.

        A piece lives at the place of its first byte; `after[i]` is where the next one lives. A
        heap finds the next join, so that a word of n bytes costs n log n.
        """
        parts: list[str | None] = list(show_bytes(word))
        end = len(parts)
        before, after = list(range(-1, end - 1)), list(range(1, end + 1))
        heap: list[tuple[int, int]] = []

        def rank(i: int) -> int | None:
            """Of the pair that begins at place i."""
            if i < 0 or parts[i] is None or after[i] >= end:
                return None
            return self._rank.get((parts[i], parts[after[i]]))  # type: ignore[arg-type]  # both are there

        def offer(i: int) -> None:
            if (own := rank(i)) is not None:
                heapq.heappush(heap, (own, i))

        for i in range(end):
            offer(i)
        while heap:
            best, i = heapq.heappop(heap)
            if rank(i) != best:  # one of the two has been joined with another
                continue
            j = after[i]
            parts[i], parts[j] = f"{parts[i]}{parts[j]}", None
            after[i] = after[j]
            if after[i] < end:
                before[after[i]] = i
            offer(before[i])
            offer(i)
        return self._known([part for part in parts if part is not None])

    def _known(self, pieces: list[str]) -> list[str]:
        for piece in pieces:
            if piece not in self._vocabulary:
                raise ValueError(
                    f"the vocabulary has no piece for the byte 0x{bytes_shown(piece)[0]:02X}; "
                    f"it was trained without all 256 bytes"
                )
        return pieces

    def explain(self, text: str) -> str:
        """Each stage from the text to its ids, a line each:

        text    Smaller café!
        words   Smaller | ␣café | !
        bytes   Smaller | ĠcafÃ© | !
        pieces  Sm all er | Ġc af Ã © | !
        ids     412 370 265 | 269 1878 127 102 | 0
        """
        check_text(text, "the text")
        words, cuts = [], []
        for start, end, token in self._parts(text):
            own = [token.content] if token else words_of(self._prefixed(text[start:end]))
            words += own
            cuts += [own] if token else [self._cut(word) for word in own]
        stages = {
            "text": text,
            "words": " | ".join(word.replace(" ", "␣") for word in words),
            "bytes": " | ".join("".join(pieces) for pieces in cuts),
            "pieces": " | ".join(" ".join(pieces) for pieces in cuts),
            "ids": " | ".join(" ".join(str(self.id_of[p]) for p in pieces) for pieces in cuts),
        }
        return "\n".join(f"{name:<8}{shown}" for name, shown in stages.items())

    # --- ids to text ----------------------------------------------------------------------------

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True) -> str:
        """The text, to the character; bytes that are no UTF-8 become "\\ufffd".

        Raises ValueError for an id outside the vocabulary.
        """
        pieces = self._kept_pieces(ids, skip_special_tokens)
        return b"".join(map(bytes_shown, pieces)).decode("utf-8", errors="replace")
