"""Corpora on disk: written once, found again, resumed inside an epoch, larger than memory."""

import json
import tracemalloc

import numpy as np
import pytest

from minift.data import (
    Blocks,
    BPETokenizer,
    DataLoader,
    MaskingCollator,
    PairingCollator,
    Segments,
    TokenDataset,
    TokenWindowSampler,
    WindowSampler,
    WordPieceTokenizer,
    open_corpus,
    pack,
)
from minift.data.sentence_pairs import cut, segment_size

LINES = ["the whale and the sea", "the sea, the sea", "a whale", "and the sea and the whale"]
GPT = BPETokenizer.train(LINES * 3, 280)
BERT = WordPieceTokenizer.train(LINES * 3, 60)
ROWS = [[[5, 6, 7], [8]], [], [[9, 10]]]  # of three documents, the second without any


def opened(folder, documents=ROWS, key="a", vocab_size=60):
    return open_corpus(folder, key, documents, vocab_size)


def framed(lines=LINES):
    return ([row] for row in BERT.encode_all(lines))


def dataset(corpus):
    return TokenDataset(corpus.ids, corpus.offsets, BERT.pad_id)


def never():
    raise AssertionError("asked for documents that lie there already")
    yield


def test_rows_and_documents_lie_end_to_end(tmp_path):
    corpus = opened(tmp_path)
    assert corpus.ids.tolist() == [5, 6, 7, 8, 9, 10]
    assert corpus.offsets.tolist() == [0, 3, 4, 6]
    assert corpus.documents.tolist() == [0, 2, 3]  # a document without rows is none
    assert [row.tolist() for row in corpus] == [[5, 6, 7], [8], [9, 10]]
    assert len(corpus) == 3
    assert all(isinstance(array, np.memmap) for array in vars(corpus).values())


@pytest.mark.parametrize(("size", "dtype"), [(1 << 16, np.uint16), ((1 << 16) + 1, np.uint32)])
def test_a_large_vocabulary_takes_four_bytes(size, dtype, tmp_path):
    corpus = opened(tmp_path, [[[size - 1]]], vocab_size=size)
    assert (corpus.ids.dtype, corpus.ids.tolist()) == (dtype, [size - 1])


def test_a_corpus_is_written_once_and_again_under_another_key(tmp_path):
    opened(tmp_path)
    assert opened(tmp_path, never()).ids.tolist() == [5, 6, 7, 8, 9, 10]
    assert opened(tmp_path, [[[1]]], "b").ids.tolist() == [1]
    assert opened(tmp_path).ids.tolist() == [5, 6, 7, 8, 9, 10]
    assert {path.name for path in tmp_path.iterdir()} == {
        "ids", "offsets", "documents", "index.json"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["ids", "offsets", "documents", "index.json"])
def test_a_corpus_that_is_cut_short_or_lacks_a_file_is_made_again(name, tmp_path):
    opened(tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).unlink()
    assert opened(tmp_path).ids.tolist() == [5, 6, 7, 8, 9, 10]
    if name != "index.json":
        (tmp_path / name).write_bytes(content[:-1])
        assert opened(tmp_path).documents.tolist() == [0, 2, 3]


def test_a_broken_off_writing_leaves_nothing_that_could_be_taken_for_a_corpus(tmp_path):
    def broken_off():
        yield [[1, 2]]
        raise KeyboardInterrupt

    opened(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        opened(tmp_path, broken_off(), "b")
    assert list(tmp_path.iterdir()) == []


def test_what_a_kill_has_left_is_removed_and_nothing_else(tmp_path):
    for name in (".ids.0123abcd", ".offsets.0123abcd", ".documents.0123abcd", "notes.txt"):
        (tmp_path / name).write_bytes(b"half a file")
    opened(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "ids", "offsets", "documents", "index.json", "notes.txt"
    }  # fmt: skip


def test_documents_without_a_token_are_refused(tmp_path):
    with pytest.raises(ValueError, match="open_corpus: the documents hold no token"):
        opened(tmp_path, [[], [[]]])
    assert list(tmp_path.iterdir()) == []


# --- reading it ----------------------------------------------------------------------------------


def test_a_token_dataset_reads_the_rows_that_it_would_hold_in_memory(tmp_path):
    held = BERT.dataset(LINES)
    mapped = dataset(open_corpus(tmp_path, "a", framed(), 60))
    assert isinstance(mapped.ids, np.memmap)
    for rows in (np.array([0]), np.array([3, 1, 2])):
        for name, expected in held.__getitems__(rows).items():
            found = mapped.__getitems__(rows)[name]
            np.testing.assert_array_equal(found, expected, err_msg=name)
            assert found.dtype == expected.dtype


def test_blocks_run_through_the_ids_of_all_documents(tmp_path):
    ids = pack(LINES, GPT)
    corpus = open_corpus(tmp_path, "a", ([pack([line], GPT)] for line in LINES), 280)
    np.testing.assert_array_equal(corpus.ids, ids)
    expected, found = (Blocks(of, 4).__getitems__(np.arange(3)) for of in (ids, corpus.ids))
    np.testing.assert_array_equal(found["input_ids"], expected["input_ids"])


def test_mapped_segments_give_the_pairs_that_they_would_in_memory(tmp_path):
    documents = [". ".join(LINES[i:] + LINES[: i + 1]) for i in range(4)]
    held = Segments(documents, BERT, 11)
    rows = (cut(text, BERT, segment_size(11)) for text in documents)
    mapped = Segments.mapped(open_corpus(tmp_path, "a", rows, 60), BERT)
    assert len(mapped) == len(held) > 8
    items = np.arange(len(held))
    np.testing.assert_array_equal(
        mapped.__getitems__(items)["segment"], held.__getitems__(items)["segment"]
    )
    batches = [PairingCollator(of, seed=1)(of.__getitems__(items)) for of in (held, mapped)]
    for name, expected in batches[0].items():
        np.testing.assert_array_equal(batches[1][name], expected, err_msg=name)


# --- in which order ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "size", "window"), [(100, 7, 20), (100, 10, 100), (5, 8, 64), (1, 1, 1)]
)
@pytest.mark.parametrize("by_length", [False, True])
def test_windows_hold_every_row_once_an_epoch_in_changing_order(n, size, window, by_length):
    lengths = np.random.default_rng(0).integers(1, 9, n)
    offsets = np.cumsum([0, *lengths])
    sampler = (
        TokenWindowSampler(offsets, size, window, seed=1)
        if by_length
        else WindowSampler(n, size, window, seed=1)
    )
    epochs = [list(sampler.batches(epoch)) for epoch in (0, 1)]
    for batches in epochs:
        assert len(batches) == len(sampler.batches(0))
        assert sorted(np.concatenate(batches)) == list(range(n))
        assert min(map(len, batches)) > 0
        assert all(len({row // window for row in batch}) == 1 for batch in batches)
        assert by_length or max(map(len, batches)) <= size
    again = list(sampler.batches(0))
    assert all(np.array_equal(a, b) for a, b in zip(again, epochs[0]))
    if n == 100:
        assert not np.array_equal(np.concatenate(epochs[0]), np.concatenate(epochs[1]))
    if n > window:
        orders = [[batch[0] // window for batch in batches] for batches in epochs]
        assert orders[0] != orders[1]
    with pytest.raises(IndexError):
        sampler.batches(0)[len(again)]


def test_batches_by_length_have_little_padding_and_about_as_many_tokens():
    lengths = np.random.default_rng(0).integers(3, 60, 5000)
    batches = list(TokenWindowSampler(np.cumsum([0, *lengths]), 50, seed=2).batches(0))
    assert len(batches) == 100
    tokens = np.array([lengths[rows].sum() for rows in batches])
    padded = np.array([len(rows) * lengths[rows].max() for rows in batches])
    assert tokens.sum() / padded.sum() > 0.98  # in any order it would be half
    assert abs(tokens / tokens.mean() - 1).max() < 0.05


def test_one_text_longer_than_all_others_leaves_no_batch_empty():
    sampler = TokenWindowSampler(np.cumsum([0, 1, 1, 1, 1000]), 1)
    assert [len(rows) for rows in sampler.batches(0)] == [1, 1, 1, 1]
    sampler = TokenWindowSampler(np.cumsum([0, 1000, 1000, 1, 1, 1, 1]), 2)
    assert sorted(np.concatenate(list(sampler.batches(0)))) == [0, 1, 2, 3, 4, 5]


def test_the_smaller_last_batch_of_a_window_is_left_out_on_demand():
    batches = list(WindowSampler(50, 8, 20, drop_last=True).batches(0))
    assert [len(rows) for rows in batches] == [8] * 5  # 2 of 20, 2 of 20, 1 of 10
    assert len({row for rows in batches for row in rows}) == 40
    assert len(WindowSampler(50, 60, 64, drop_last=True).batches(0)) == 0


def test_a_run_goes_on_where_it_stood(tmp_path):
    def make():
        rows = dataset(open_corpus(tmp_path, "a", framed(LINES * 3), 60))
        sampler = TokenWindowSampler(rows.offsets, 2, 4, seed=3)
        return DataLoader(rows, sampler=sampler, collate_fn=MaskingCollator(BERT, seed=4))

    whole = make()
    expected = [batch["input_ids"] for _ in range(2) for batch in whole]
    first = make()
    for _, _batch in zip(range(len(first) - 2), first):
        pass
    state = json.loads(json.dumps(first.state_dict()))
    second = make()
    second.load_state_dict(state)
    rest = [batch["input_ids"] for _ in range(2) for batch in second]
    assert len(rest) > 2
    for found, right in zip(rest, expected[len(first) - 2 :]):
        np.testing.assert_array_equal(found, right)


def test_fifty_megabytes_of_ids_pass_through_four(tmp_path):
    """Neither making nor reading a corpus holds more than a document, a window and a batch."""
    document = [np.arange(100, 150)] * 500
    tracemalloc.start()
    try:
        corpus = open_corpus(tmp_path, "a", (document for _ in range(1050)), 1000)
        assert corpus.ids.nbytes > 50e6
        rows = dataset(corpus)
        loader = DataLoader(rows, sampler=TokenWindowSampler(corpus.offsets, 64, 4096))
        for _, batch in zip(range(200), loader):
            assert batch["input_ids"].shape == (64, 50)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4e6


def test_mistakes_are_one_sentence():
    with pytest.raises(ValueError, match="window must hold a batch of 8 rows or more, got 4"):
        WindowSampler(10, 8, 4)
    with pytest.raises(ValueError, match="batch_size must be 1 or more, got 0"):
        WindowSampler(10, 0)
    assert WindowSampler(10, 2**21).window == 2**21
