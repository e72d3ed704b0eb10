"""Masking: BERT's proportions, nothing special hidden, always something to learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minift.data.datasets import TokenDataset
from minift.data.loader import DataLoader
from minift.data.masking import MaskingCollator, mask_tokens
from minift.data.wordpiece import SPECIAL_TOKENS, WordPieceTokenizer

V = 1005  # 5 special tokens and 1,000 others
TOKENIZER = WordPieceTokenizer([*SPECIAL_TOKENS, *(f"w{i}" for i in range(V - 5))])
# The 0.999 quantile of chi-square, by degrees of freedom: a right draw fails once in a thousand
# seeds, and the seeds are fixed.
CHI_SQUARE_999 = {1: 10.83, 2: 13.82, 9: 27.88}


def chi_square(observed, expected):
    return float((((observed - expected) ** 2) / expected).sum())


@pytest.fixture(scope="module")
def masked():
    """2,000 rows of 100 ordinary tokens: (ids, hidden ids, labels, chosen)."""
    ids = np.random.default_rng(1).integers(5, V, (2000, 100))
    hidden, labels = mask_tokens(ids, TOKENIZER, rng=np.random.default_rng(2))
    return ids, hidden, labels, labels != -100


def test_15_percent_are_chosen(masked):
    *_, chosen = masked
    n = chosen.size
    observed = np.array([chosen.sum(), n - chosen.sum()])
    assert chi_square(observed, np.array([0.15 * n, 0.85 * n])) < CHI_SQUARE_999[1]


def test_of_the_chosen_80_are_masked_10_random_10_kept(masked):
    ids, hidden, _, chosen = masked
    is_mask = hidden == TOKENIZER.mask_id
    kept = chosen & (hidden == ids)
    n = chosen.sum()
    observed = np.array([is_mask.sum(), n - is_mask.sum() - kept.sum(), kept.sum()])
    # One random token in 1,000 happens to be the token itself.
    expected = n * np.array([0.8, 0.1 * 0.999, 0.1 + 0.1 * 0.001])
    assert chi_square(observed, expected) < CHI_SQUARE_999[2]


def test_random_tokens_are_even_over_the_ordinary_vocabulary(masked):
    ids, hidden, _, chosen = masked
    drawn = hidden[chosen & (hidden != ids) & (hidden != TOKENIZER.mask_id)]
    assert drawn.min() >= 5
    observed = np.histogram(drawn, bins=np.linspace(5, V, 11))[0]
    assert chi_square(observed, np.full(10, len(drawn) / 10)) < CHI_SQUARE_999[9]


def test_places_are_chosen_evenly_along_the_row(masked):
    *_, chosen = masked
    observed = chosen.reshape(2000, 10, 10).sum((0, 2))
    assert chi_square(observed, np.full(10, chosen.sum() / 10)) < CHI_SQUARE_999[9]


def test_labels_hold_the_original_where_chosen(masked):
    ids, hidden, labels, chosen = masked
    assert (labels[chosen] == ids[chosen]).all()
    assert (hidden[~chosen] == ids[~chosen]).all()
    assert hidden.dtype == labels.dtype == np.int64


rows_of_ids = st.lists(st.integers(0, 20), min_size=6, max_size=6)


@settings(deadline=None)
@given(st.lists(rows_of_ids, min_size=1, max_size=8), st.floats(0.01, 1), st.integers(0, 99))
def test_special_tokens_stay_and_every_row_asks_something(rows, rate, seed):
    ids = np.array(rows)
    before = ids.copy()
    hidden, labels = mask_tokens(ids, TOKENIZER, rate, rng=np.random.default_rng(seed))
    special = ids < 5
    assert (hidden[special] == ids[special]).all()
    assert (labels[special] == -100).all()
    assert ((labels != -100).any(1) == (~special).any(1)).all()
    assert (ids == before).all()


def test_the_one_token_of_a_short_row_is_drawn_evenly():
    ids = np.tile(np.array([2, 7, 8, 9, 3, 0]), (6000, 1))
    labels = mask_tokens(ids, TOKENIZER, 1e-9, rng=np.random.default_rng(3))[1]
    observed = (labels != -100).sum(0)
    assert observed[[0, 4, 5]].tolist() == [0, 0, 0]
    assert observed.sum() == 6000
    assert chi_square(observed[1:4], np.full(3, 2000)) < CHI_SQUARE_999[2]


def test_rate_1_hides_everything_ordinary():
    ids = np.array([[2, 10, 11, 3, 0]])
    labels = mask_tokens(ids, TOKENIZER, 1.0, rng=np.random.default_rng(0))[1]
    assert labels.tolist() == [[-100, 10, 11, -100, -100]]


@pytest.mark.parametrize("shape", [(0, 5), (3, 0)])
def test_empty_batch_stays_empty(shape):
    hidden, labels = mask_tokens(np.zeros(shape, int), TOKENIZER, rng=np.random.default_rng(0))
    assert hidden.shape == labels.shape == shape


def test_generator_decides_the_masks():
    ids = np.full((4, 50), 9)
    one, same, other = (
        mask_tokens(ids, TOKENIZER, rng=np.random.default_rng(seed))[0] for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("ids", "rate", "message"),
    [
        ([[5]], 0.0, r"rate must lie in \(0, 1\], got 0.0"),
        ([[5]], 1.5, "rate must lie in .* got 1.5"),
        ([5, 6], 0.15, r"integers \(B, T\), got int64 of shape \(2,\)"),
        ([[5.0]], 0.15, r"integers \(B, T\), got float64 of shape \(1, 1\)"),
    ],
)
def test_wrong_input_is_refused(ids, rate, message):
    with pytest.raises(ValueError, match=message):
        mask_tokens(np.array(ids), TOKENIZER, rate, rng=np.random.default_rng(0))


def test_collator_masks_anew_and_resumes_with_the_loader():
    data = TokenDataset.from_lists([[2, *range(5, 30), 3]] * 8, pad_id=0)
    make = lambda: DataLoader(data, 2, True, collate_fn=MaskingCollator(TOKENIZER, seed=4))
    first = make()
    epochs = [[batch["input_ids"] for batch in first] for _ in range(2)]
    assert not np.array_equal(epochs[0], epochs[1]), "masking is dynamic"
    second = make()
    list(second)
    third = make()
    third.load_state_dict(second.state_dict())
    resumed = list(third)
    assert np.array_equal([batch["input_ids"] for batch in resumed], epochs[1])
    assert resumed[0]["labels"].shape == resumed[0]["attention_mask"].shape == (2, 27)


# --- whole words ---------------------------------------------------------------------------------

FIRST_PIECES, OTHERS = [f"w{i}" for i in range(50)], [f"##{i}" for i in range(50)]
PIECES = WordPieceTokenizer([*SPECIAL_TOKENS, *FIRST_PIECES, *OTHERS])


@pytest.fixture(scope="module")
def words():
    """1,000 rows of 40 words of 1 to 3 pieces: (ids, labels, number of the word of each piece)."""
    rng, rows, numbers = np.random.default_rng(5), [], []
    for _ in range(1000):
        lengths = rng.integers(1, 4, 40)
        rows.append(
            [i for n in lengths for i in [rng.integers(5, 55), *rng.integers(55, 105, n - 1)]]
        )
        numbers.append(np.repeat(np.arange(40), lengths))
    T = min(map(len, rows))
    ids = np.array([[2, *row[:T], 3] for row in rows])
    labels = mask_tokens(ids, PIECES, 0.15, True, rng=np.random.default_rng(6))[1]
    return ids, labels, np.array([row[:T] for row in numbers])


def test_whole_words_are_chosen_with_all_their_pieces(words):
    ids, labels, numbers = words
    chosen = labels[:, 1:-1] != -100
    for row, number in zip(chosen, numbers):
        for word in range(number.max() + 1):
            assert len(set(row[number == word])) == 1
    assert (labels[:, [0, -1]] == -100).all()
    assert (labels[:, 1:-1][chosen] == ids[:, 1:-1][chosen]).all()


def test_15_percent_of_the_words_are_chosen_whatever_their_length(words):
    ids, labels, numbers = words
    first = np.isin(ids[:, 1:-1], range(5, 55))
    length = np.array([[(row == n).sum() for n in row] for row in numbers])
    for pieces in (1, 2, 3):
        of_length = (labels[:, 1:-1] != -100)[first & (length == pieces)]
        n = of_length.size
        observed = np.array([of_length.sum(), n - of_length.sum()])
        assert chi_square(observed, np.array([0.15 * n, 0.85 * n])) < CHI_SQUARE_999[1]


def test_a_row_in_which_no_word_was_chosen_gives_a_whole_one():
    ids = np.tile([2, 5, 60, 61, 6, 70, 3, 0], (3000, 1))
    labels = mask_tokens(ids, PIECES, 1e-9, True, rng=np.random.default_rng(7))[1]
    chosen = labels != -100
    assert {tuple(np.flatnonzero(row)) for row in chosen} == {(1, 2, 3), (4, 5)}
    observed = np.array([chosen[:, 1].sum(), chosen[:, 4].sum()])
    assert chi_square(observed, np.full(2, 1500)) < CHI_SQUARE_999[1]


def test_a_piece_after_a_special_token_is_a_word_of_its_own():
    """Texts are cut inside words; [UNK] is never asked for, nor does it choose what follows."""
    ids = np.tile([2, 60, 61, 3, 62, 1, 63, 5], (2000, 1))
    labels = mask_tokens(ids, PIECES, 0.5, True, rng=np.random.default_rng(8))[1]
    chosen = labels != -100
    assert (chosen[:, 1] == chosen[:, 2]).all()
    assert not chosen[:, [0, 3, 5]].any()
    for a, b in ((2, 4), (4, 6), (6, 7)):
        assert 0.4 < (chosen[:, a] == chosen[:, b]).mean() < 0.6


def test_the_collator_hides_whole_words():
    data = TokenDataset.from_lists([[2, *([5, 60] * 30), 3]] * 8, pad_id=0)
    loader = DataLoader(data, 8, collate_fn=MaskingCollator(PIECES, whole_words=True))
    chosen = next(iter(loader))["labels"][:, 1:-1] != -100
    assert (chosen[:, ::2] == chosen[:, 1::2]).all()
    assert 0 < chosen.mean() < 0.5
