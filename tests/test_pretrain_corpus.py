"""`minift pretrain` on text: the ids lie in DIR/corpus, whatever the size, and are made once."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from finetune_cases import mistake, run
from pretrain_cases import book, config, model_for, npz, pretrain

from minift.data import pack
from minift.jobs.pretraining import Options, prepare, running, text_work

TEXT = ("mlm", "nsp", "bert", "causal", "simcse")
FILES = {"ids", "offsets", "documents", "index.json"}


def names(folder):
    return {path.name for path in folder.iterdir()}


def left_by(output):
    """Weights, history and numbers of a run, bit for bit."""
    files = ("model/model.safetensors", "train.jsonl", "metrics.json")
    return [(output / file).read_bytes() for file in files]


def words(objective, tmp_path, data, output, steps=4):
    return (
        "pretrain", "--objective", objective, "--data", data, "--output", output, "--steps", steps,
        "--model", model_for(tmp_path, objective), "--device", "cpu", "--checkpoint-minutes", "0",
    )  # fmt: skip


def never(*ignored):
    raise AssertionError("tokenised anew")


@pytest.mark.parametrize("objective", TEXT)
def test_an_interrupted_run_finds_its_corpus_and_goes_on_bit_for_bit(
    capsys, tmp_path, monkeypatch, objective
):
    data = book(tmp_path / "b.txt")
    assert run(capsys, *words(objective, tmp_path, data, tmp_path / "whole"))[0] == 0
    with monkeypatch.context() as patched:
        judge = running.Watch.on_evaluate

        def interrupt(self, trainer):
            if trainer.step == 3:
                raise KeyboardInterrupt
            judge(self, trainer)

        patched.setattr(running.Watch, "on_evaluate", interrupt)
        assert run(capsys, *words(objective, tmp_path, data, tmp_path / "out"))[0] == 130
    monkeypatch.setattr("minift.data.corpus._write", never)
    code, out, err = run(capsys, "pretrain", "--resume", tmp_path / "out")
    assert (code, err) == (0, "")
    assert "goes on after step 2 of 4" in out
    assert left_by(tmp_path / "out") == left_by(tmp_path / "whole")
    assert names(tmp_path / "out" / "corpus") == FILES


def test_a_run_that_ends_while_it_tokenises_starts_at_its_beginning(capsys, tmp_path, monkeypatch):
    data = book(tmp_path / "b.txt")
    assert run(capsys, *words("mlm", tmp_path, data, tmp_path / "whole"))[0] == 0
    with monkeypatch.context() as patched:
        rows = text_work.windows

        def interrupt(tokenizer, texts, max_length):
            if (tmp_path / "out" / "corpus").exists():
                raise KeyboardInterrupt
            return rows(tokenizer, texts, max_length)

        patched.setattr("minift.jobs.pretraining.masked_words.windows", interrupt)
        code, _, err = run(capsys, *words("mlm", tmp_path, data, tmp_path / "out"))
        assert (code, "minift pretrain --resume" in err) == (130, True)
    assert names(tmp_path / "out" / "corpus") == set()
    (tmp_path / "out" / "corpus" / ".ids.of-a-kill").write_bytes(b"half")
    assert run(capsys, "pretrain", "--resume", tmp_path / "out")[0] == 0
    assert left_by(tmp_path / "out") == left_by(tmp_path / "whole")
    assert names(tmp_path / "out" / "corpus") == FILES


def test_a_corpus_that_has_changed_since_is_refused(capsys, tmp_path):
    data, output = book(tmp_path / "b.txt"), tmp_path / "out"
    pretrain(capsys, "mlm", data, output)
    (output / "metrics.json").unlink()
    with data.open("a", encoding="utf-8") as stream:
        stream.write("\none more\n")
    assert mistake(capsys, "pretrain", "--resume", output) == (
        f"pretrain: {data} has changed since the run began (its SHA-256 is another), so the run "
        f"cannot go on as it was; bring the old one back, or start anew"
    )


def test_the_corpus_belongs_to_the_run_that_overwrite_replaces(capsys, tmp_path):
    output = tmp_path / "out"
    pretrain(capsys, "mlm", book(tmp_path / "b.txt"), output)
    said = mistake(capsys, *words("mlm", tmp_path, book(tmp_path / "b.txt"), output))
    assert "pictures, corpus)" in said
    before = (output / "corpus" / "ids").stat().st_size
    pretrain(capsys, "mlm", book(tmp_path / "c.txt", documents=30), output, "--overwrite")
    assert (output / "corpus" / "ids").stat().st_size > before
    assert names(output / "corpus") == FILES
    pretrain(capsys, "vae", npz(tmp_path / "s.npz"), output, "--overwrite")
    assert not (output / "corpus").exists()


def test_what_is_learnt_from_are_the_documents_of_the_files(tmp_path):
    """Read here in another way: all at once."""
    first, second = book(tmp_path / "a.txt", documents=40), book(tmp_path / "b.txt", documents=60)
    options = Options("causal", [str(first), str(second)], tmp_path / "out", device="cpu",
                      model=str(model_for(tmp_path, "causal")))  # fmt: skip
    work = prepare(options).work
    work.store(tmp_path / "out")
    held = {"\n".join(document) for document in work.corpus.held}
    texts = [
        block.strip()
        for file in (first, second)
        for block in file.read_text(encoding="utf-8").split("\n\n")
    ]
    assert held < set(texts)
    kept = [text for text in texts if text not in held]
    np.testing.assert_array_equal(work.stored.ids, pack(kept, work.tokenizer))


@pytest.mark.parametrize("objective", ["nsp", "bert"])
def test_no_document_is_only_a_stranger_while_a_window_is_read(tmp_path, monkeypatch, objective):
    """Its words alone would tell."""
    monkeypatch.setattr("minift.data.loader.WINDOW", 16)
    options = Options(objective, [str(book(tmp_path / "b.txt"))], tmp_path / "out", device="cpu",
                      model=str(model_for(tmp_path, objective)), batch_size=4)  # fmt: skip
    work = prepare(options).work
    work.store(tmp_path / "out")
    loader = work.loader(0)
    segments, collate = loader.dataset, loader.collate_fn
    firsts = segments.number(np.arange(16, 32))
    strangers = np.concatenate([collate._draw(firsts) for _ in range(200)])
    assert set(strangers) <= set(firsts + 1)


def test_a_pair_has_at_most_128_tokens_whatever_the_model_can_read(tmp_path):
    data = [str(book(tmp_path / "b.txt", lines=60))]
    longest = {
        objective: prepare(Options(objective, data, tmp_path / "out", "tiny")).work.max_length
        for objective in ("mlm", "nsp", "bert")
    }
    assert longest == {"mlm": 256, "nsp": 128, "bert": 128}


PEAK = """
import json, re, sys
from minift.cli import main
from minift.data import loader
from minift.jobs.pretraining import next_words, text_files
text_files.SAMPLE = next_words.COUNTED = 200_000  # all bounds are below the smaller corpus
loader.WINDOW = 10_000
code = main(sys.argv[1:])
status = open("/proc/self/status").read()  # ru_maxrss would begin at the parent's
print(json.dumps([code, 1024 * int(re.search(r"VmHWM:\\s*(\\d+) kB", status)[1])]))
"""


def peak(objective, data, output, model):
    """The most memory that a process needed for two steps, in bytes."""
    said = subprocess.run(
        [sys.executable, "-c", PEAK, "pretrain", "--objective", objective, "--data", str(data),
         "--output", str(output), "--model", str(model), "--steps", "2", "--batch-size", "4",
         "--device", "cpu"],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent,
    ).stdout  # fmt: skip
    code, size = json.loads(said.splitlines()[-1])
    assert code == 0
    return size


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Files of 2 and of 24 megabytes."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("large")
    long = [letter * 20 for letter in "abcdefghij"]  # long, so that there are few to cut
    lines = [". ".join(long[i] for i in rng.integers(0, 10, 100)) for _ in range(3000)]
    for size in (2, 24):
        with (folder / f"{size}.txt").open("w", encoding="utf-8") as stream:
            while stream.tell() < size * 1e6:
                block = [lines[i] for i in rng.integers(0, len(lines), 8)]
                stream.write("\n".join([*block, "", ""]))
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("objective", ["mlm", "bert", "causal"])
def test_memory_does_not_grow_with_the_corpus(tmp_path, large, objective):
    model = model_for(tmp_path, objective)
    small, big = (
        peak(objective, large / f"{size}.txt", tmp_path / f"{size}", model) for size in (2, 24)
    )
    assert big - small < 6e6  # the text is 22 MB more, and a list of its ids 17 MB


@pytest.mark.parametrize("objective", TEXT)
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "holds no text; pre-training needs two or more, one to learn from and one held out"),
        (b"one line\n", "holds 1 text; pre-training needs two or more"),
        (b"good\nb\xe9d\n", "line 2: byte 2 of the line (0xE9) is not UTF-8"),
        (b"the same\n" * 40, "holds 40 copies of one document; pre-training needs two or more"),
    ],
)
def test_files_that_are_no_corpus_are_refused_in_one_sentence(
    capsys, tmp_path, objective, content, sentence
):
    (tmp_path / "c.txt").write_bytes(content)
    said = mistake(capsys, *words(objective, tmp_path, tmp_path / "c.txt", tmp_path / "out"))
    assert sentence in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("objective", "size"), [("mlm", 20), ("bert", 20), ("causal", 200)])
def test_a_vocabulary_below_the_alphabet_is_refused(capsys, tmp_path, objective, size):
    saved = json.loads(model_for(tmp_path, objective).read_text(encoding="utf-8"))
    model = config(tmp_path / "c.json", **{**saved, "vocab_size": size})
    said = mistake(
        capsys, *words(objective, tmp_path, book(tmp_path / "b.txt"), tmp_path / "out"),
        "--model", model,
    )  # fmt: skip
    assert ("vocab_size=200 is too small for 256 bytes" if size == 200 else
            "vocab_size leaves room for 15 pieces") in said  # fmt: skip
    assert not (tmp_path / "out").exists()
