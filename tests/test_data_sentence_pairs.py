"""Pairs of segments: half of them real, the others drawn evenly from where they should come."""

import numpy as np
import pytest

from minift.data import DataLoader, MaskingCollator, PairingCollator, Segments, WordPieceTokenizer
from minift.data.sentence_pairs import cut, sentences
from minift.data.wordpiece import SPECIAL_TOKENS

WORDS = [f"{letter}{n}" for letter in "abcd" for n in range(9)]
TOKENIZER = WordPieceTokenizer([*SPECIAL_TOKENS, *WORDS, *"abcd.", *(f"##{n}" for n in range(10))])
# Four documents of 9, 6, 4 and 5 sentences of two tokens: "a0." is segment 0 of the first.
SIZES = {"a": 9, "b": 6, "c": 4, "d": 5}
DOCUMENTS = ["\n".join(f"{letter}{n}." for n in range(size)) for letter, size in SIZES.items()]
CHI_SQUARE_999 = {1: 10.83, 5: 20.52, 6: 22.46, 11: 31.26}


def chi_square(observed, expected):
    return float((((observed - expected) ** 2) / expected).sum())


def segments(**settings):
    return Segments(DOCUMENTS, TOKENIZER, 7, **settings)


def drawn(rows, negatives="other-documents", repeats=400, **settings):
    """(first, second, label) of many draws, as pieces."""
    data = segments(least=4)
    collator = PairingCollator(data, negatives, **settings)
    pairs = []
    for _ in range(repeats):
        batch = collator(data.__getitems__(rows))
        first, second = batch["input_ids"][:, 1], batch["input_ids"][:, 4]
        labels = batch["next_sentence_label"]
        pairs += zip(*([TOKENIZER.pieces[i] for i in ids] for ids in (first, second)), labels)
    return pairs


def follows(first, second):
    return first[0] == second[0] and int(second[1:]) == int(first[1:]) + 1


def test_a_row_is_two_segments_in_berts_frame():
    data = segments()
    batch = data.pairs(np.array([0, 10]), np.array([1, 23]))
    texts = [[TOKENIZER.pieces[i] for i in row] for row in batch["input_ids"]]
    assert texts[0] == ["[CLS]", "a0", ".", "[SEP]", "a1", ".", "[SEP]"]
    assert texts[1] == ["[CLS]", "b1", ".", "[SEP]", "d4", ".", "[SEP]"]
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 1]] * 2
    assert batch["attention_mask"].all()


def test_every_segment_that_has_a_next_is_an_item():
    data = segments()
    assert len(data) == 8 + 5 + 3 + 4
    firsts = {TOKENIZER.pieces[data.ids[data[i]["segment"]][0]] for i in range(len(data))}
    assert firsts == {f"{letter}{n}" for letter, size in SIZES.items() for n in range(size - 1)}


def test_label_0_follows_and_label_1_does_not():
    """E94: half of each; transformers' numbers."""
    for negatives in ("other-documents", "same-document"):
        pairs = drawn(np.arange(20), negatives)
        for first, second, label in pairs:
            assert follows(first, second) == (label == 0)
            assert (first[0] == second[0]) == (label == 0 or negatives == "same-document")
        labels = np.array([label for *_, label in pairs])
        observed = np.bincount(labels, minlength=2)
        assert chi_square(observed, np.full(2, len(labels) / 2)) < CHI_SQUARE_999[1]


def test_random_segments_of_other_documents_are_drawn_evenly():
    """From those of b, c and d that have a previous one: 5 + 3 + 4."""
    pairs = [p for p in drawn(np.array([2, 2, 2, 2]), repeats=3000) if p[2] == 1]
    names, counts = np.unique([second for _, second, _ in pairs], return_counts=True)
    assert sorted(names) == sorted(
        f"{letter}{n}" for letter in "bcd" for n in range(1, SIZES[letter])
    )
    assert chi_square(counts, np.full(12, len(pairs) / 12)) < CHI_SQUARE_999[11]


@pytest.mark.parametrize(
    ("row", "window", "candidates"),
    [
        (1, 10, {"b1", "b2"}),  # the window: a0 to a7, b0 and b1, and what follows each
        (12, 10, {"c1", "c2", "c3", "d1", "d2", "d3", "d4"}),
        (2, 5, {f"{letter}{n}" for letter in "bcd" for n in range(1, SIZES[letter])}),  # a's alone
    ],
)
def test_while_a_window_is_read_strangers_come_from_there(row, window, candidates):
    """Documents of other windows would only be seen as strangers: their words would tell."""
    pairs = [p for p in drawn(np.full(4, row), window=window, repeats=1500) if p[2] == 1]
    names, counts = np.unique([second for _, second, _ in pairs], return_counts=True)
    assert set(names) == candidates
    expected = np.full(len(counts), len(pairs) / len(counts))
    assert chi_square(counts, expected) < CHI_SQUARE_999[len(counts) - 1]


@pytest.mark.parametrize(
    ("row", "candidates"),
    [(0, {2, 3, 4, 5, 6, 7, 8}), (3, {1, 2, 5, 6, 7, 8}), (7, {1, 2, 3, 4, 5, 6})],
)
def test_random_segments_of_the_same_document_are_drawn_evenly(row, candidates):
    pairs = [p for p in drawn(np.full(4, row), "same-document", 1500) if p[2] == 1]
    names, counts = np.unique([second for _, second, _ in pairs], return_counts=True)
    assert set(names) == {f"a{n}" for n in candidates}
    expected = np.full(len(counts), len(pairs) / len(counts))
    assert chi_square(counts, expected) < CHI_SQUARE_999[len(counts) - 1]


def test_a_random_second_segment_is_never_the_first_of_a_document():
    """Or its place alone would tell: a real one has something before it."""
    assert not [p for p in drawn(np.arange(20)) if p[1].endswith("0")]


def test_words_are_hidden_in_pairs_as_well():
    data = segments()
    collator = PairingCollator(data, masking=MaskingCollator(TOKENIZER, rate=0.5))
    batch = collator(data.__getitems__(np.arange(20)))
    hidden = batch["labels"] != -100
    assert hidden.any(axis=1).all()
    assert not hidden[:, [0, 3, 6]].any()  # never [CLS] and [SEP]
    assert set(batch) == {
        "input_ids", "attention_mask", "token_type_ids", "labels", "next_sentence_label",
    }  # fmt: skip


def test_pairs_are_drawn_anew_and_resume_with_the_loader():
    def make():
        data = segments(least=4)
        masking = MaskingCollator(TOKENIZER, seed=4)
        return DataLoader(data, 3, True, collate_fn=PairingCollator(data, masking=masking, seed=5))

    first = make()
    epochs = [[batch["input_ids"] for batch in first] for _ in range(2)]
    assert not np.array_equal(np.vstack(epochs[0]), np.vstack(epochs[1]))
    second = make()
    list(second)
    third = make()
    third.load_state_dict(second.state_dict())
    np.testing.assert_array_equal(
        np.vstack([batch["input_ids"] for batch in third]), np.vstack(epochs[1])
    )


def test_segments_hold_whole_sentences_and_long_ones_are_cut():
    text = 'a1 a2. "a3 a4!" a5? a6 a7\nb1 b2 b3 b4 b5 b6 b7. b8'
    assert sentences(text) == ["a1 a2.", '"a3 a4!"', "a5?", "a6 a7", "b1 b2 b3 b4 b5 b6 b7.", "b8"]
    pieces = [[TOKENIZER.pieces[i] for i in ids] for ids in cut(text, TOKENIZER, 8)]
    assert list(map(len, pieces)) == [8, 4, 8, 1]
    assert pieces[1] == ["a5", "[UNK]", "a6", "a7"]
    assert [len(ids) for ids in cut("b1 " * 20, TOKENIZER, 8)] == [8, 8, 4]
    assert cut(" \n\n", TOKENIZER, 8) == []


@pytest.mark.parametrize("documents", [[], [""], ["a1."], ["a1.", "b1."]])
def test_a_corpus_without_neighbours_is_refused(documents):
    message = f"Segments: of {len(documents)} documents none holds 2 segments of 2 tokens; give"
    with pytest.raises(ValueError, match=message):
        Segments(documents, TOKENIZER, 7)


def test_documents_that_cannot_give_such_negatives_are_refused():
    with pytest.raises(ValueError, match="two or more documents of two or more segments, got 1;"):
        PairingCollator(Segments(DOCUMENTS[:1], TOKENIZER, 7))
    short = Segments(["a1.\na2.\na3."], TOKENIZER, 7)
    with pytest.raises(ValueError, match="four or more segments in each, but the shortest has 3"):
        PairingCollator(short, "same-document")
    with pytest.raises(ValueError, match="negatives must be one of other-documents, same-doc"):
        PairingCollator(segments(), "none")
    with pytest.raises(ValueError, match=r"max_length must be 5 or more, .*; got 4"):
        Segments(DOCUMENTS, TOKENIZER, 4)


def shared_words_tell(negatives):
    """How often "they share no word: random" is right, where every document has its own words."""
    rng = np.random.default_rng(0)
    topics = [rng.choice(36, 6, replace=False) for _ in range(30)]
    texts = [
        "\n".join(" ".join(WORDS[i] for i in rng.choice(t, 4)) for _ in range(8)) for t in topics
    ]
    data = Segments(texts, TOKENIZER, 11)
    batch = PairingCollator(data, negatives)(data.__getitems__(np.arange(len(data))))
    first, second = batch["input_ids"][:, 1:5], batch["input_ids"][:, 6:10]
    shares_none = np.array([not set(a) & set(b) for a, b in zip(first, second)])
    return (shares_none == batch["next_sentence_label"]).mean()


def test_other_documents_make_it_a_task_of_topics():
    """E94: counting shared words nearly solves it; with the same document it does not help."""
    assert shared_words_tell("other-documents") > 0.75
    assert shared_words_tell("same-document") < 0.55
