"""Corpora on disk: tokenised once, found again, resumed inside an epoch, larger than memory."""

import json
import tracemalloc

import numpy as np
import pytest

from minift.data import (
    Blocks,
    BPETokenizer,
    DataLoader,
    MaskingCollator,
    Passages,
    WindowSampler,
    WordPieceTokenizer,
    open_corpus,
    pack,
)
from minift.data.wordpiece import SPECIAL_TOKENS

LINES = ["the whale and the sea", "the sea, the sea", "a whale", "and the sea and the whale"]
GPT = BPETokenizer.train(LINES * 3, 280)
BERT = WordPieceTokenizer.train(LINES * 3, 60)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(["", *LINES[:2], " ", *LINES[2:], ""]), encoding="utf-8")
    return path


def texts_of(corpus, tokenizer):
    rows = [corpus.ids[a:b] for a, b in zip(corpus.offsets, corpus.offsets[1:])]
    return [tokenizer.decode(row) for row in rows]


def test_a_line_is_a_document_and_blank_ones_are_none(file, tmp_path):
    corpus = open_corpus(file, GPT, tmp_path / "cache")
    assert len(corpus) == 4
    assert texts_of(corpus, GPT) == LINES
    np.testing.assert_array_equal(corpus.ids, pack(LINES, GPT))
    assert isinstance(corpus.ids, np.memmap)
    assert corpus.ids.dtype == np.uint16


def test_a_block_is_a_document_of_lines_up_to_a_blank_one(file, tmp_path):
    corpus = open_corpus(file, GPT, tmp_path / "cache", "block")
    assert texts_of(corpus, GPT) == ["\n".join(LINES[:2]), "\n".join(LINES[2:])]


def test_files_follow_one_another_and_their_ends_end_documents(tmp_path):
    files = [tmp_path / name for name in ("b.txt", "a.txt")]
    for path, line in zip(files, LINES):
        path.write_bytes(line.encode())
    assert texts_of(open_corpus(files, GPT, tmp_path, "block"), GPT) == LINES[:2]


def test_bert_has_no_end_of_text_and_the_places_tell(file, tmp_path):
    corpus = open_corpus(file, BERT, tmp_path / "cache")
    assert texts_of(corpus, BERT) == [line.replace(",", " ,") for line in LINES]
    assert corpus.offsets.tolist()[:2] == [0, len(BERT.plain_ids(LINES[0]))]


def test_a_large_vocabulary_takes_four_bytes(file, tmp_path):
    many = [*SPECIAL_TOKENS, *(f"x{i}" for i in range(70_000)), "whale"]
    corpus = open_corpus(file, WordPieceTokenizer(many), tmp_path / "cache")
    assert corpus.ids.dtype == np.uint32
    assert corpus.ids.max() == 70_005


class Counting(BPETokenizer):
    """Counts the texts that it cuts."""

    cut = 0

    def plain_ids(self, text):
        Counting.cut += 1
        return super().plain_ids(text)


def test_a_corpus_is_tokenised_once_and_again_if_anything_changes(file, tmp_path):
    def cut(document="line", tokenizer=GPT):
        Counting.cut = 0
        own = Counting(tokenizer.pieces, tokenizer.merges)
        open_corpus(file, own, tmp_path / "cache", document)
        return Counting.cut

    assert (cut(), cut()) == (4, 0)
    assert (cut("block"), cut("block"), cut()) == (2, 0, 0)
    assert (cut(tokenizer=BPETokenizer.train(LINES, 270)), cut()) == (4, 0)
    file.write_text("one line", encoding="utf-8")
    assert (cut(), cut()) == (1, 0)


@pytest.mark.parametrize("suffix", [".ids", ".offsets", ".json"])
def test_a_corpus_that_is_cut_short_or_lacks_a_file_is_made_again(suffix, file, tmp_path):
    expected = np.array(open_corpus(file, GPT, tmp_path / "cache").ids)
    (damaged,) = (tmp_path / "cache").glob(f"*{suffix}")
    content = damaged.read_bytes()
    damaged.unlink()
    np.testing.assert_array_equal(open_corpus(file, GPT, tmp_path / "cache").ids, expected)
    if suffix != ".json":
        damaged.write_bytes(content[:-1])
        np.testing.assert_array_equal(open_corpus(file, GPT, tmp_path / "cache").ids, expected)


def test_a_killed_run_leaves_nothing_that_could_be_taken_for_a_corpus(file, tmp_path, monkeypatch):
    class Killed(BPETokenizer):
        def plain_ids(self, text):
            if text == LINES[3]:
                raise KeyboardInterrupt
            return super().plain_ids(text)

    with pytest.raises(KeyboardInterrupt):
        open_corpus(file, Killed(GPT.pieces, GPT.merges), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
    assert texts_of(open_corpus(file, GPT, tmp_path / "cache"), GPT) == LINES


def test_the_index_says_what_the_file_holds(file, tmp_path):
    corpus = open_corpus(file, GPT, tmp_path / "cache")
    (index,) = (tmp_path / "cache").glob("*.json")
    assert json.loads(index.read_text(encoding="utf-8")) == {
        "dtype": "<u2", "tokens": len(corpus.ids), "documents": 4, "files": [str(file)],
    }  # fmt: skip


# --- reading it ----------------------------------------------------------------------------------


def test_passages_are_the_documents_cut_and_framed(file, tmp_path):
    corpus = open_corpus(file, BERT, tmp_path / "cache")
    passages = Passages(corpus, BERT, 5)
    batch = passages.__getitems__(np.arange(len(passages)))
    found = [[BERT.pieces[i] for i in row[row != BERT.pad_id]] for row in batch["input_ids"]]
    assert all(row[0] == "[CLS]" and row[-1] == "[SEP]" for row in found)
    inner = [piece for row in found for piece in row[1:-1]]
    assert inner == [BERT.pieces[i] for i in corpus.ids]
    pieces = np.diff(corpus.offsets)
    assert len(passages) == sum(-(-n // 3) for n in pieces)
    assert batch["input_ids"].shape[1] == 5
    assert passages[0]["input_ids"].tolist() == batch["input_ids"][0].tolist()
    with pytest.raises(ValueError, match="Passages: max_length must be 3 or more, got 2"):
        Passages(corpus, BERT, 2)


@pytest.mark.parametrize(
    ("n", "size", "window"), [(100, 7, 20), (100, 10, 100), (5, 8, 64), (1, 1, 1)]
)
def test_windows_hold_every_row_once_an_epoch_in_changing_order(n, size, window):
    sampler = WindowSampler(n, size, window, seed=1)
    epochs = [list(sampler.batches(epoch)) for epoch in (0, 1)]
    for batches in epochs:
        assert len(batches) == len(sampler.batches(0))
        assert sorted(np.concatenate(batches)) == list(range(n))
        assert max(map(len, batches)) <= size
        assert all(len({row // window for row in batch}) == 1 for batch in batches)
    again = list(sampler.batches(0))
    assert all(np.array_equal(a, b) for a, b in zip(again, epochs[0]))
    if n == 100:
        assert not np.array_equal(np.concatenate(epochs[0]), np.concatenate(epochs[1]))
    if n > window:
        orders = [[batch[0] // window for batch in batches] for batches in epochs]
        assert orders[0] != orders[1]
    with pytest.raises(IndexError):
        sampler.batches(0)[len(again)]


def test_a_run_goes_on_where_it_stood(file, tmp_path):
    def make():
        passages = Passages(open_corpus(file, BERT, tmp_path / "cache"), BERT, 4)
        sampler = WindowSampler(len(passages), 2, 4, seed=3)
        return DataLoader(passages, sampler=sampler, collate_fn=MaskingCollator(BERT, seed=4))

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


def test_fifty_megabytes_pass_through_four(tmp_path):
    """Neither making nor reading a corpus holds more than a document, a window and a batch."""
    words = [letter * 60 for letter in "abcdefgh"]  # long, so that there are few to cut
    tokenizer = WordPieceTokenizer([*SPECIAL_TOKENS, *words])
    line = " ".join(words[i] for i in np.random.default_rng(0).integers(0, 8, 400)) + "\n"
    file = tmp_path / "large.txt"
    with file.open("w", encoding="utf-8") as stream:
        for _ in range(2050):
            stream.write(line)
    assert file.stat().st_size > 50e6
    tracemalloc.start()
    try:
        corpus = open_corpus(file, tokenizer, tmp_path)
        passages = Passages(corpus, tokenizer, 32)
        loader = DataLoader(passages, sampler=WindowSampler(len(passages), 64, 4096))
        tokens = sum(int(batch["attention_mask"].sum()) for _, batch in zip(range(50), loader))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(corpus.ids) == 2050 * 400
    assert tokens > 50 * 60 * 30
    assert peak < 4e6


# --- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"\n \n\t\n"])
def test_an_empty_corpus_is_refused(content, tmp_path):
    file = tmp_path / "empty.txt"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"empty\.txt: the corpus is empty"):
        open_corpus(file, GPT, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
    with pytest.raises(ValueError, match="no file: the corpus is empty"):
        open_corpus([], GPT, tmp_path / "cache")


def test_a_corpus_of_one_line_is_one(tmp_path):
    (tmp_path / "one.txt").write_text("the whale", encoding="utf-8")
    corpus = open_corpus(tmp_path / "one.txt", GPT, tmp_path)
    assert len(corpus) == 1
    assert len(Blocks(corpus.ids, 64)) == 1


def test_other_mistakes_are_one_sentence(file, tmp_path):
    with pytest.raises(ValueError, match="document must be one of line, block, got 'page'"):
        open_corpus(file, GPT, tmp_path, "page")
    with pytest.raises(FileNotFoundError):
        open_corpus(tmp_path / "nowhere.txt", GPT, tmp_path)
    file.write_bytes(b"good\nb\xe9d\n")
    with pytest.raises(ValueError, match=r"line 2: byte 2 of the line \(0xE9\) is not UTF-8"):
        open_corpus(file, GPT, tmp_path)
    with pytest.raises(ValueError, match="window must hold a batch of 8 rows or more, got 4"):
        WindowSampler(10, 8, 4)
    with pytest.raises(ValueError, match="batch_size must be 1 or more, got 0"):
        WindowSampler(10, 0)
