"""Token dropout: the right share, evenly, nothing special, never everything, in order."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minift.data import DataLoader, DroppingCollator, TokenDataset, WordPieceTokenizer, drop_tokens
from minift.data.wordpiece import SPECIAL_TOKENS

TOKENIZER = WordPieceTokenizer([*SPECIAL_TOKENS, *(f"w{i}" for i in range(100))])
CHI_SQUARE_999 = {1: 10.83, 2: 13.82, 9: 27.88}


def chi_square(observed, expected):
    return float((((observed - expected) ** 2) / expected).sum())


def batch_of(rows, **more):
    data = TokenDataset.from_lists(rows, TOKENIZER.pad_id, **more)
    return data.__getitems__(np.arange(len(rows)))


def dropped(batch, rate, seed=0):
    return drop_tokens(batch, TOKENIZER, rate, rng=np.random.default_rng(seed))


def test_each_token_is_left_out_with_this_probability_wherever_it_stands():
    rows = np.hstack([np.full((3000, 1), 2), np.tile(np.arange(5, 105), (3000, 1))])
    after = dropped(batch_of(rows.tolist()), 0.1)
    left = after["input_ids"]
    assert (np.diff(left, axis=1)[after["attention_mask"][:, 1:] == 1] > 0).all()  # in order
    counts = np.bincount(left.ravel(), minlength=105)[5:]
    n = 3000 * 100
    assert chi_square(np.array([counts.sum(), n - counts.sum()]), n * np.array([0.9, 0.1])) < 10.83
    by_place = counts.reshape(10, 10).sum(1)
    gone = 30_000 - by_place
    assert chi_square(gone, np.full(10, gone.mean())) < CHI_SQUARE_999[9]
    assert (left == 2).sum() == 3000


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=9), min_size=1, max_size=6),
    st.floats(0, 0.99),
    st.integers(0, 99),
)
def test_the_rest_keeps_its_order_and_special_tokens_stay(rows, rate, seed):
    batch = batch_of(rows)
    before = {name: values.copy() for name, values in batch.items()}
    after = dropped(batch, rate, seed)
    for row, ids, mask in zip(rows, after["input_ids"], after["attention_mask"]):
        found = ids[mask == 1].tolist()
        remaining = iter(row)
        assert all(token in remaining for token in found)  # a subsequence
        assert [t for t in found if t < 5] == [t for t in row if t < 5]
        assert any(t >= 5 for t in found) == any(t >= 5 for t in row)
        assert (np.diff(mask) <= 0).all()  # padding on the right
        assert (ids[mask == 0] == TOKENIZER.pad_id).all()
    assert after["attention_mask"].sum(1).max() == after["input_ids"].shape[1]
    assert all((batch[name] == before[name]).all() for name in batch)


def test_the_one_token_that_always_stays_is_drawn_evenly():
    left = dropped(batch_of([[2, 7, 8, 9, 3]] * 6000), 0.999999)["input_ids"]
    assert left.shape == (6000, 3)
    observed = np.bincount(left[:, 1], minlength=10)[7:]
    assert chi_square(observed, np.full(3, 2000)) < CHI_SQUARE_999[2]


def test_rate_0_changes_nothing_and_other_entries_pass():
    batch = batch_of([[2, 7, 8, 3], [2, 9, 3]], second_starts=[2, 2], labels=np.array([1, 0]))
    after = dropped(batch, 0.0)
    assert all(np.array_equal(after[name], batch[name]) for name in batch)
    types = dropped(batch, 0.9, seed=3)
    assert types["token_type_ids"].shape == types["input_ids"].shape
    assert types["labels"].tolist() == [1, 0]


def test_the_seed_decides_and_the_collator_resumes_with_the_loader():
    data = TokenDataset.from_lists([[2, *range(5, 40), 3]] * 8, TOKENIZER.pad_id)
    make = lambda: DataLoader(data, 2, True, collate_fn=DroppingCollator(TOKENIZER, 0.3, seed=4))
    first = make()
    expected = [batch["input_ids"] for _ in range(2) for batch in first]
    second = make()
    list(second)
    third = make()
    third.load_state_dict(json.loads(json.dumps(second.state_dict())))
    for found, right in zip(third, expected[4:], strict=True):
        np.testing.assert_array_equal(found["input_ids"], right)


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_a_rate_out_of_range_is_refused(rate):
    with pytest.raises(ValueError, match=r"drop_tokens: rate must lie in \[0, 1\), got"):
        dropped(batch_of([[5]]), rate)
