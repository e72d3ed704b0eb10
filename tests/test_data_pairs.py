"""Pairs of texts: the frame, the types, and which text is cut first."""

import numpy as np
import pytest

from minift.data import WordPieceTokenizer
from minift.data.pairs import kept, pair_dataset


@pytest.fixture(scope="module")
def tokenizer():
    return WordPieceTokenizer.train(["a b c d e f g h"] * 2, 30)


def test_a_pair_is_framed_and_its_second_text_has_type_1(tokenizer):
    batch = pair_dataset(tokenizer, ["a b", "c"], ["d", "e f g"], 20).padded(np.array([0, 1]))
    words = [[tokenizer.pieces[i] for i in row] for row in batch["input_ids"]]
    assert words[0] == ["[CLS]", "a", "b", "[SEP]", "d", "[SEP]", "[PAD]"]
    assert words[1] == ["[CLS]", "c", "[SEP]", "e", "f", "g", "[SEP]"]
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 0], [0, 0, 0, 1, 1, 1, 1]]
    assert batch["attention_mask"].sum(1).tolist() == [6, 7]


@pytest.mark.parametrize(
    ("first", "second", "room", "lengths"),
    [(3, 4, 7, (3, 4)), (9, 2, 7, (5, 2)), (2, 9, 7, (2, 5)), (9, 8, 7, (4, 3)), (8, 9, 7, (3, 4)),
     (9, 9, 7, (3, 4)), (9, 9, 0, (0, 0))],
)  # fmt: skip
def test_the_longer_text_is_cut_first(first, second, room, lengths):
    assert kept(first, second, room) == lengths


def test_no_room_for_the_frame_is_a_mistake(tokenizer):
    with pytest.raises(ValueError, match=r"max_length must be 3 or more, for .* got 2"):
        pair_dataset(tokenizer, ["a"], ["b"], 2)
