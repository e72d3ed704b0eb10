"""Text files to pre-train on: their documents, which of them are held out, what stays in memory."""

import pytest
from pretrain_cases import book

from minift.jobs.pretraining import text_files
from minift.jobs.pretraining.text_files import (
    Lowest,
    TextFile,
    has_paragraphs,
    paragraphs,
    read_text_files,
    without_copies,
)
from minift.jobs.pretraining.texts import read_corpus


def written(file, *lines):
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def numbered(file, numbers, word="text"):
    return written(file, *(f"{word} {i}" for i in numbers))


def read(*files):
    return read_text_files(list(files), "here")


def flat(documents):
    return [text for document in documents for text in document]


# ---------------------------------------------------------------------------------- documents


def test_blank_lines_divide_documents_and_without_them_each_line_is_one():
    assert list(paragraphs(["a", "b", "", "", "c", ""], True)) == [["a", "b"], ["c"]]
    assert list(paragraphs(["", "a", "", "b"], False)) == [["a"], ["b"]]


def test_a_document_that_would_not_fit_into_memory_counts_as_several(monkeypatch):
    monkeypatch.setattr(text_files, "LONGEST", 3)
    found = list(paragraphs(["a", "", *"bcdefgh", "", "i"], True))
    assert found == [["a"], [*"bcd"], [*"efg"], ["h"], ["i"]]


@pytest.mark.parametrize(
    ("lines", "divided"),
    [(["a", "", "b"], True), (["a", "b", "", ""], False), (["", "a", "b"], False), ([], False)],
)
def test_a_blank_line_at_either_end_divides_nothing(lines, divided, tmp_path):
    assert has_paragraphs(written(tmp_path / "a.txt", *lines)) == divided


def test_each_file_has_its_own_form_and_its_end_ends_a_document(tmp_path):
    first = written(tmp_path / "a.txt", " a ", "b", "\t", "c")
    second = written(tmp_path / "b.txt", "d", "e")
    corpus = read_corpus([first, second], "text", None, seed=0)
    assert [*corpus.train, *corpus.held] == [["a", "b"], ["c"], ["d"], ["e"]]
    assert (corpus.size, corpus.sample) == (4, [["a", "b"], ["c"], ["d"]])


# ----------------------------------------------------------------------------- what is held out


def test_a_document_is_held_out_or_not_whatever_else_the_files_hold(tmp_path):
    some = read(numbered(tmp_path / "a.txt", range(2000)))
    more = read(
        numbered(tmp_path / "b.txt", range(5000, 9000), "other"),
        numbered(tmp_path / "c.txt", reversed(range(2000))),
    )
    assert 60 < len(some.held) < 140  # a twentieth
    assert {text for text in flat(more.held) if "text" in text} == set(flat(some.held))
    assert not set(flat(some.held)) & set(flat(some.train))
    assert sorted(flat([*some.train, *some.held])) == sorted(f"text {i}" for i in range(2000))
    assert some.size == len(flat(some.train))


def test_of_few_documents_the_end_is_held_out(tmp_path):
    file = written(tmp_path / "a.txt", *(f"first {i}" for i in range(30)), "", "last 0", "last 1")
    corpus = read(file)
    assert corpus.held == [["last 0", "last 1"]]
    file = written(tmp_path / "a.txt", "first", "", *(f"last {i}" for i in range(30)))
    corpus = read(file)
    assert corpus.held == [["last 28", "last 29"]]
    assert list(corpus.train) == [["first"], [f"last {i}" for i in range(28)]]
    assert corpus.size == 29


@pytest.mark.parametrize("seed", range(8))
def test_twenty_documents_give_two_to_judge_on_or_more_and_most_to_learn_from(seed, tmp_path):
    corpus = read(numbered(tmp_path / "a.txt", range(100 * seed, 100 * seed + 20)))
    assert 2 <= len(corpus.held) <= 5
    assert len(list(corpus.train)) == 20 - len(corpus.held)


def test_copies_of_a_document_are_on_one_side(tmp_path):
    corpus = read(numbered(tmp_path / "a.txt", [*range(400), *range(400)]))
    assert not set(flat(corpus.held)) & set(flat(corpus.train))
    two = read(written(tmp_path / "a.txt", *["the one"] * 30, *["the other"] * 30))
    assert {len(set(flat(part))) for part in (two.train, two.held)} == {1}


def test_a_held_out_copy_of_a_text_is_dropped(tmp_path):
    lines = [line for i in range(60) for line in (f"text {i}", "The same", "")]
    corpus = read(written(tmp_path / "a.txt", *lines))
    assert "The same" in flat(corpus.train)
    assert "The same" not in flat(corpus.held)
    assert without_copies([["a", "B"], ["b"]], [["c", "b"]]) == [["a"]]


def test_no_more_is_judged_on_than_fits_into_memory(tmp_path, monkeypatch):
    file = numbered(tmp_path / "a.txt", range(2000))
    whole = read(file)
    monkeypatch.setattr(text_files, "MOST_HELD_OUT", 10)
    few = read(file)
    assert len(few.held) == 10
    assert set(flat(few.held)) < set(flat(whole.held))
    assert few.size == whole.size  # the others are not learnt from either


# ----------------------------------------------------------------------------------- the sample


def test_small_files_are_their_own_sample(tmp_path):
    corpus = read(book(tmp_path / "b.txt"))
    assert corpus.sample == list(corpus.train)


def test_a_sample_comes_from_everywhere_and_never_from_what_is_held_out(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "SAMPLE", 10_000)
    files = [numbered(tmp_path / f"{word}.txt", range(5000), word) for word in ("one", "two")]
    sample = flat(read(*files).sample)
    assert 9_900 < sum(map(len, sample)) <= 10_000
    share = sum(text.startswith("one") for text in sample) / len(sample)
    assert 0.42 < share < 0.58
    assert not set(sample) & set(flat(read(*files).held))
    assert sample == flat(read(*files).sample)


def test_of_a_long_document_runs_are_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "SAMPLE", 3000)
    lines = [f"line {i}" for i in range(5000)]
    corpus = read(written(tmp_path / "a.txt", "first", "", *lines))
    assert {len(run) for run in corpus.sample} <= {64, 4750 % 64}  # and the last one's rest
    numbers = [int(run[0].split()[1]) for run in corpus.sample]
    assert max(numbers) - min(numbers) > 2000


def test_the_lowest_keys_stay_two_at_least():
    lowest = Lowest(room=5)
    for key, item in ((7, "a"), (3, "b"), (9, "c"), (1, "d")):
        lowest.add(key, 2, item)
    assert lowest.items() == ["b", "d"]
    for key, item in ((0, "e"), (2, "f")):
        lowest.add(key, 100, item)
    assert lowest.items() == ["d", "e"]


# ------------------------------------------------------------------------------------- mistakes


def test_a_corpus_of_copies_is_refused(tmp_path):
    with pytest.raises(ValueError, match="here holds 40 copies of one document; pre-training"):
        read(written(tmp_path / "a.txt", *["the one"] * 40))


def test_a_file_that_is_not_utf_8_is_refused_with_its_line(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"good\nb\xe9d\n")
    with pytest.raises(ValueError, match=r"line 2: byte 2 of the line \(0xE9\) is not UTF-8"):
        read(tmp_path / "a.txt")
    with pytest.raises(FileNotFoundError):
        list(TextFile(tmp_path / "nowhere.txt", True))
