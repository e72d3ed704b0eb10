"""Batches: complete, repeatable, nearly without padding, resumable inside an epoch."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minift.data.datasets import ArrayDataset, TokenDataset, stack_items
from minift.data.loader import BucketSampler, DataLoader, UniformSampler, padding_share


class Positions:
    """A data set whose items are their own indices."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return i


def listed(loader):
    return [batch.tolist() for batch in loader]


# --- data sets ----------------------------------------------------------------------------------


def test_token_dataset_pads_to_the_longest_of_the_batch():
    data = TokenDataset.from_lists([[5, 6, 7], [], [8], [9, 10]], pad_id=99, labels=np.arange(4))
    batch = data.__getitems__(np.array([3, 1, 2]))
    assert batch["input_ids"].tolist() == [[9, 10], [99, 99], [8, 99]]
    assert batch["attention_mask"].tolist() == [[1, 1], [0, 0], [1, 0]]
    assert batch["labels"].tolist() == [3, 1, 2]
    assert data[0]["input_ids"].tolist() == [5, 6, 7]
    assert data[2]["labels"] == 2


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(1, 9), max_size=6), min_size=1, max_size=9), st.data())
def test_token_dataset_gives_back_its_texts(texts, data):
    rows = data.draw(st.lists(st.integers(0, len(texts) - 1), min_size=1))
    batch = TokenDataset.from_lists(texts, pad_id=0).__getitems__(np.array(rows))
    for i, ids, mask in zip(rows, batch["input_ids"], batch["attention_mask"]):
        assert ids[mask == 1].tolist() == texts[i]
        assert (ids[mask == 0] == 0).all()
        assert mask.tolist() == sorted(mask, reverse=True)


def test_array_dataset_gives_rows_by_name():
    data = ArrayDataset(x=np.arange(10.0), y=np.arange(10))
    assert data[3] == {"x": 3.0, "y": 3}
    assert data.__getitems__(np.array([4, 2]))["x"].tolist() == [4.0, 2.0]
    assert len(data) == 10


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ArrayDataset(x=[1, 2], y=[1]), r"arrays of one length, got \{'x': 2, 'y': 1\}"),
        (lambda: ArrayDataset(), r"arrays of one length, got \{\}"),
        (lambda: TokenDataset([1, 2], [0, 2], 0, labels=[1, 2]), "2 labels for 1 texts"),
        (lambda: stack_items([np.zeros(2), np.zeros(3)]), r"different shapes \[\(2,\), \(3,\)\]"),
        (lambda: UniformSampler(4, 0), "batch_size must be 1 or more, got 0"),
        (lambda: BucketSampler([3, 9], 8), "batch_tokens=8 is below the longest text's 9 tokens"),
        (lambda: BucketSampler([3], 8, window=0), "window must be 1 or more rows, got 0"),
        (lambda: DataLoader([1]), "give batch_size .* or a sampler, not both"),
        (lambda: DataLoader([1], 1, sampler=UniformSampler(1, 1)), "not both"),
        (lambda: DataLoader([1], shuffle=True, sampler=UniformSampler(1, 1)), "not both"),
    ],
)
def test_wrong_settings_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- the order ----------------------------------------------------------------------------------


def test_without_shuffle_rows_come_in_order():
    loader = DataLoader(Positions(7), batch_size=3)
    assert listed(loader) == [[0, 1, 2], [3, 4, 5], [6]]
    assert len(loader) == 3


def test_shuffled_epochs_are_complete_and_different():
    loader = DataLoader(Positions(20), batch_size=6, shuffle=True, seed=1)
    first, second = ([i for batch in loader for i in batch.tolist()] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second


def test_seed_decides_the_order():
    orders = [listed(DataLoader(Positions(20), 6, True, seed)) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


def test_global_generator_is_left_alone():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    listed(DataLoader(Positions(20), 6, True))
    assert np.array_equal(np.random.get_state()[1], before)


def test_items_of_dicts_and_tuples_are_stacked_field_by_field():
    items = [{"a": np.ones(2) * i, "b": (i, -i)} for i in range(3)]
    (batch,) = DataLoader(items, batch_size=3)
    assert batch["a"].tolist() == [[0, 0], [1, 1], [2, 2]]
    assert [field.tolist() for field in batch["b"]] == [[0, 1, 2], [0, -1, -2]]


def test_collate_function_gets_items_or_the_finished_batch():
    assert list(DataLoader([1, 2, 3], 2, collate_fn=sum)) == [3, 3]
    data = ArrayDataset(x=np.arange(4))
    assert list(DataLoader(data, 2, collate_fn=lambda batch: batch["x"].sum())) == [1, 5]


# --- going on -----------------------------------------------------------------------------------


class CountingCollator:
    """Adds to every batch a number that depends on all the batches before it."""

    def __init__(self):
        self.rng = np.random.default_rng(3)

    def __call__(self, items):
        return [*items, self.rng.random()]

    def state_dict(self):
        return self.rng.bit_generator.state

    def load_state_dict(self, state):
        self.rng.bit_generator.state = state


def three_epochs(loader):
    return [(loader.epoch, batch) for _ in range(3) for batch in loader]


@pytest.mark.parametrize("stop", range(12))
def test_restored_loader_goes_on_with_the_very_next_batch(stop):
    """Four batches an epoch: the stops cover starts, middles and ends of epochs."""
    make = lambda: DataLoader(Positions(20), 6, True, seed=5, collate_fn=CountingCollator())
    whole = three_epochs(make())
    first, seen = make(), 0
    while seen < stop:
        for _ in first:
            seen += 1
            if seen == stop:
                break
    state = json.loads(json.dumps(first.state_dict()))
    second = make()
    second.load_state_dict(state)
    rest = three_epochs(second)
    assert rest[: 12 - stop] == whole[stop:]


def test_state_of_other_data_is_refused():
    loader = DataLoader(Positions(20), 6)
    with pytest.raises(ValueError, match="stands at batch 5 of epoch 0, which has 4"):
        loader.load_state_dict({"epoch": 0, "position": 5})


# --- batches of one length ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpus():
    lengths = np.random.default_rng(0).geometric(0.06, 20_000).clip(3, 64)
    return TokenDataset(np.ones(lengths.sum()), np.cumsum([0, *lengths]), pad_id=0)


def test_buckets_hold_every_row_once_within_the_budget(corpus):
    batches = BucketSampler(corpus.lengths, 4096).batches(0)
    assert sorted(np.concatenate(batches)) == list(range(len(corpus)))
    assert all(len(rows) * corpus.lengths[rows].max() <= 4096 for rows in batches)


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), st.integers(40, 200))
def test_buckets_are_complete_for_any_lengths(lengths, budget):
    lengths = np.array(lengths)
    batches = BucketSampler(lengths, budget, window=16).batches(2)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert all(len(rows) * lengths[rows].max() <= budget for rows in batches)


def test_buckets_hardly_pad(corpus):
    bucketed = BucketSampler(corpus.lengths, 4096).batches(0)
    uniform = UniformSampler(len(corpus), 256, shuffle=True).batches(0)
    assert padding_share(corpus, bucketed) < 0.04
    assert padding_share(corpus, uniform) > 0.6


def test_padding_share_counts_padding():
    data = TokenDataset.from_lists([[1], [1, 1, 1], [1, 1]], pad_id=0)
    assert padding_share(data, [np.array([0, 1]), np.array([2])]) == pytest.approx(2 / 8)


def test_bucket_epochs_differ_and_come_unsorted(corpus):
    sampler = BucketSampler(corpus.lengths, 4096, seed=1)
    first, again, second = (sampler.batches(epoch) for epoch in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert set(first[0].tolist()) != set(second[0].tolist())
    longest = [corpus.lengths[rows].max() for rows in first]
    assert abs(np.corrcoef(longest, np.arange(len(longest)))[0, 1]) < 0.3


def test_neighbours_of_a_row_change_between_epochs(corpus):
    """Else the same texts would share every batch for ever."""
    sampler = BucketSampler(corpus.lengths, 1024)
    together = [{*next(b for b in sampler.batches(e) if 7 in b).tolist()} for e in (0, 1)]
    assert len(together[0] & together[1]) < 0.7 * len(together[0])
