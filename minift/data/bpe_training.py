"""Learning the merges of byte-pair encoding from text.

Every word begins as its bytes. The pair of neighbouring pieces that occurs most often is joined
everywhere, again and again, until the vocabulary is full (Sennrich et al. 2016, arXiv:1508.07909,
algorithm 1). Of pairs that are equally frequent, the one whose pieces are older wins: the lower id
of the left, then of the right piece. That rule, and what happens to a piece that two different
pairs make, are Hugging Face's BpeTrainer's, whose vocabulary comes out.

`wordpiece_training.py` does the same with other rules, and with pieces that are text: here they
are numbers. Read next: `bpe.py`, which encodes with the result.
"""

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from minift.data.bpe_words import BYTE_CHARACTERS, show_bytes

Pair = tuple[int, int]


def learn_merges(
    word_counts: Mapping[str, int], special_tokens: Sequence[str], size: int, min_frequency: int
) -> tuple[list[str], list[tuple[str, str]]]:
    """At most `size` pieces and the merges that make them, in order of birth.

    First the special tokens, then the 256 bytes, then what is joined; a pair seen fewer than
    `min_frequency` times is not. Raises ValueError if special tokens and bytes alone do not fit.
    """
    pieces = list(dict.fromkeys([*special_tokens, *sorted(BYTE_CHARACTERS)]))
    if len(pieces) > size:
        raise ValueError(
            f"vocab_size={size} is too small for 256 bytes and {len(pieces) - 256} special tokens; "
            f"it must be {len(pieces)} or more"
        )
    learner = MergeLearner(word_counts, pieces)
    while len(pieces) < size:
        pair = learner.most_frequent(max(min_frequency, 1))
        if pair is None:
            break
        learner.join(*pair)
    return pieces, [(pieces[a], pieces[b]) for a, b in learner.merges]


class MergeLearner:
    """Words as lists of ids, and how often each pair of neighbours occurs.

    A heap entry is (-count, pair, words): the words in which the pair appeared when the entry was
    made. Its count may have fallen since; then it goes back with the right one.
    """

    def __init__(self, word_counts: Mapping[str, int], pieces: list[str]) -> None:
        self.pieces = pieces
        self.merges: list[Pair] = []
        self._id_of = {piece: i for i, piece in enumerate(pieces)}
        self._words = [[self._id_of[c] for c in show_bytes(word)] for word in word_counts]
        self._word_counts = list(word_counts.values())
        self._pair_counts: defaultdict[Pair, int] = defaultdict(int)
        found: defaultdict[Pair, set[int]] = defaultdict(set)
        for w, word in enumerate(self._words):
            for pair in pairwise(word):
                self._pair_counts[pair] += self._word_counts[w]
                found[pair].add(w)
        self._heap = [(-self._pair_counts[pair], pair, words) for pair, words in found.items()]
        heapq.heapify(self._heap)

    def most_frequent(self, min_frequency: int) -> tuple[Pair, set[int]] | None:
        """The pair to join next, with its words; None if all that are left are too rare."""
        while self._heap:
            negative, pair, words = heapq.heappop(self._heap)
            count = self._pair_counts[pair]
            if count == -negative:
                return (pair, words) if count >= min_frequency else None
            heapq.heappush(self._heap, (-count, pair, words))
        return None

    def join(self, pair: Pair, words: set[int]) -> None:
        """Replace the pair by one piece in `words`; new only if no other pair made it before."""
        piece = self.pieces[pair[0]] + self.pieces[pair[1]]
        joined = self._id_of.setdefault(piece, len(self.pieces))
        if joined == len(self.pieces):
            self.pieces.append(piece)
        self.merges.append(pair)
        appeared: defaultdict[Pair, set[int]] = defaultdict(set)
        for w in words:
            for changed, change in _join_in(self._words[w], pair, joined):
                self._pair_counts[changed] += change * self._word_counts[w]
                if change > 0:
                    appeared[changed].add(w)
        for changed, where in appeared.items():
            if self._pair_counts[changed] > 0:
                heapq.heappush(self._heap, (-self._pair_counts[changed], changed, where))


def _join_in(word: list[int], pair: Pair, joined: int) -> list[tuple[Pair, int]]:
    """Join the pair in one word, from the left; the pairs beside it that went (-1) or came (+1).

    The count of the joined pair itself stays: its entry is gone from the heap.
    """
    changes = []
    i = 0
    while i < len(word) - 1:
        if (word[i], word[i + 1]) == pair:
            if i > 0:
                changes += [((word[i - 1], pair[0]), -1), ((word[i - 1], joined), 1)]
            word[i : i + 2] = [joined]
            if i + 1 < len(word):
                changes += [((pair[1], word[i + 1]), -1), ((joined, word[i + 1]), 1)]
        i += 1
    return changes
