"""Learning a WordPiece vocabulary from text.

The pieces start as single characters ("##" marks one that continues a word), and the pair of
neighbouring pieces that occurs most often is joined, again and again, until the vocabulary is
full. Google never published the trainer of BERT's vocabularies; Schuster & Nakajima (2012)
choose the pair that raises a language model's likelihood most, but what the field trains with is
Hugging Face's BertWordPieceTrainer, and that joins by frequency, as byte-pair encoding does
(Sennrich et al. 2016, arXiv:1508.07909, algorithm 1). So does this file. Only the training is
shared with BPE: encoding is longest-match-first and knows no order of merges.

Ties go to the pair that sorts first, so that one text makes one vocabulary on every machine.
Read next: `wordpiece.py`, which encodes with the result.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise

Pair = tuple[str, str]


def learn_pieces(
    word_counts: Mapping[str, int], size: int, min_frequency: int, alphabet_limit: int
) -> list[str]:
    """At most `size` pieces: the characters in sorted order, then the joins in order of birth.

    Only the `alphabet_limit` most frequent characters are kept, words with others are skipped; a
    pair seen fewer than `min_frequency` times is not joined. Raises ValueError if the characters
    alone do not fit.
    """
    alphabet = _most_frequent_characters(word_counts, alphabet_limit)
    words = {word: n for word, n in word_counts.items() if alphabet.issuperset(word)}
    inner = {character for word in words for character in word[1:]}
    pieces = dict.fromkeys(sorted(alphabet) + ["##" + character for character in sorted(inner)])
    if len(pieces) > size:
        raise ValueError(
            f"vocab_size leaves room for {size} pieces, but the text's single characters alone "
            f"need {len(pieces)}; raise vocab_size or lower alphabet_limit"
        )
    merges = PairMerges(words)
    while len(pieces) < size:
        pair = merges.most_frequent(min_frequency)
        if pair is None:
            break
        pieces[merges.join(pair)] = None
    return list(pieces)


class PairMerges:
    """Words as lists of pieces, with the count of each neighbouring pair kept up to date.

    A join touches only the words that hold the pair. The heap may hold stale counts; an entry
    counts only if it agrees with `pair_counts` when it comes up.
    """

    def __init__(self, word_counts: Mapping[str, int]) -> None:
        self.words = [[word[0], *("##" + c for c in word[1:])] for word in word_counts]
        self.counts = list(word_counts.values())
        self.pair_counts: Counter[Pair] = Counter()
        self.words_with: defaultdict[Pair, set[int]] = defaultdict(set)
        for w in range(len(self.words)):
            self._count_pairs(w)
        self.heap = [(-count, pair) for pair, count in self.pair_counts.items()]
        heapq.heapify(self.heap)

    def most_frequent(self, min_frequency: int) -> Pair | None:
        """The pair to join next; None if all that are left are too rare."""
        while self.heap:
            count, pair = self.heap[0]
            if -count == self.pair_counts[pair]:
                return pair if -count >= min_frequency else None
            heapq.heappop(self.heap)
        return None

    def join(self, pair: Pair) -> str:
        """Replace the pair by one piece in every word, and return the piece."""
        joined = pair[0] + pair[1].removeprefix("##")
        touched: set[Pair] = set()
        for w in self.words_with.pop(pair):
            self._uncount_pairs(w, touched)
            self.words[w] = _replace_pair(self.words[w], pair, joined)
            self._count_pairs(w)
            touched.update(_pairs(self.words[w]))
        for changed in touched:
            if self.pair_counts[changed]:
                heapq.heappush(self.heap, (-self.pair_counts[changed], changed))
        return joined

    def _count_pairs(self, w: int) -> None:
        for pair in _pairs(self.words[w]):
            self.pair_counts[pair] += self.counts[w]
            self.words_with[pair].add(w)

    def _uncount_pairs(self, w: int, touched: set[Pair]) -> None:
        for pair in _pairs(self.words[w]):
            self.pair_counts[pair] -= self.counts[w]
            self.words_with[pair].discard(w)
            touched.add(pair)


def _pairs(pieces: list[str]) -> Iterable[Pair]:
    return pairwise(pieces)


def _replace_pair(pieces: list[str], pair: Pair, joined: str) -> list[str]:
    """Left to right, so that "a a a" with the pair (a, a) becomes "aa a"."""
    result: list[str] = []
    for piece in pieces:
        if result and (result[-1], piece) == pair:
            result[-1] = joined
        else:
            result.append(piece)
    return result


def _most_frequent_characters(word_counts: Mapping[str, int], limit: int) -> set[str]:
    counts: Counter[str] = Counter()
    for word, n in word_counts.items():
        for character in word:
            counts[character] += n
    ranked = sorted(counts, key=lambda character: (-counts[character], character))
    return set(ranked[:limit])
