"""Documents in rows: nothing lost, nothing twice, nothing padded but the end."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minift.data import Blocks, BPETokenizer, DataLoader, WordPieceTokenizer, pack
from minift.data.wordpiece import SPECIAL_TOKENS

TEXTS = ["the whale and the sea", "the sea, the sea", "a whale"]
TOKENIZER = BPETokenizer.train(TEXTS * 3, 280)
END = TOKENIZER.pad_id


def test_end_of_text_stands_after_every_document():
    ids = pack(TEXTS, TOKENIZER)
    assert ids.dtype == np.int32
    lengths = [len(TOKENIZER.encode(text)) + 1 for text in TEXTS]
    assert np.flatnonzero(ids == END).tolist() == [n - 1 for n in np.cumsum(lengths)]
    assert TOKENIZER.decode(ids) == "".join(TEXTS)


def test_blank_documents_leave_no_trace():
    with_blanks = ["", *TEXTS[:1], "  \n", *TEXTS[1:], "\t"]
    np.testing.assert_array_equal(pack(with_blanks, TOKENIZER), pack(TEXTS, TOKENIZER))


@given(st.integers(2, 60), st.integers(1, 20))
def test_every_token_but_the_first_is_guessed_once_from_the_one_before(n, context):
    ids = np.arange(n) + 7
    blocks = Blocks(ids, context)
    batch = blocks.__getitems__(np.arange(len(blocks)))
    assert batch["input_ids"].shape == (len(blocks), context + 1)
    guessed = batch["input_ids"][:, 1:][batch["attention_mask"][:, 1:] == 1]
    read = batch["input_ids"][:, :-1][batch["attention_mask"][:, 1:] == 1]
    np.testing.assert_array_equal(guessed, ids[1:])
    np.testing.assert_array_equal(read, ids[:-1])
    padding = batch["attention_mask"] == 0
    assert not padding[:-1].any()
    assert (batch["input_ids"][padding] == 0).all()
    assert batch["attention_mask"][:, 0].all()


def test_a_loader_takes_blocks_in_any_order():
    blocks = Blocks(np.arange(31), 5)
    rows = [row for batch in DataLoader(blocks, 2, True, 3) for row in batch["input_ids"][:, 0]]
    assert sorted(rows) == [0, 5, 10, 15, 20, 25]
    assert rows != sorted(rows)
    np.testing.assert_array_equal(blocks[1]["input_ids"], np.arange(5, 11))


def test_a_corpus_of_one_line_makes_one_row():
    ids = pack(TEXTS[2:], TOKENIZER)
    assert len(Blocks(ids, 512)) == 1
    assert Blocks(ids, 512)[0]["attention_mask"].sum() == len(ids)


@pytest.mark.parametrize("texts", [[], ["", " \n "]])
def test_an_empty_corpus_is_refused(texts):
    with pytest.raises(ValueError, match="pack: the corpus is empty; it needs at least one"):
        pack(texts, TOKENIZER)


def test_what_leaves_nothing_to_guess_is_refused():
    with pytest.raises(ValueError, match="Blocks: 1 tokens; the corpus must hold two or more"):
        Blocks(np.array([3]), 8)
    with pytest.raises(ValueError, match="Blocks: context must be 1 or more tokens, got 0"):
        Blocks(np.arange(9), 0)


def test_a_tokenizer_without_end_of_text_is_refused():
    words = WordPieceTokenizer([*SPECIAL_TOKENS, "a"])
    with pytest.raises(ValueError, match=r"the tokenizer has no <\|endoftext\|>, which has to"):
        pack(TEXTS, words)
