"""Every mistake of `minift finetune` is one sentence and exit code 2, and leaves no trace."""

import json
import os
import shutil
import tempfile

import numpy as np
import pytest
from finetune_cases import QUICK, mistake, pretrained, reviews, run, sentences, write_table
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from minift.jobs.parts import split


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return pretrained(tmp_path_factory.mktemp("pretrained"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with a table, whose sentences are short."""
    monkeypatch.chdir(tmp_path)
    reviews(tmp_path / "t.csv", 40)
    return tmp_path


def words(model, *more, data="t.csv", text="text", label="label", output="out"):
    return ("finetune", "--model", model, "--data", data, "--text", text, "--label", label,
            "--output", output, *QUICK, *more)  # fmt: skip


def told(capsys, here, *arguments):
    """The sentence of a mistake, after which every file is as it was."""
    before = {path: path.is_file() and path.read_bytes() for path in here.rglob("*")}
    sentence = mistake(capsys, *arguments)
    after = {path: path.is_file() and path.read_bytes() for path in here.rglob("*")}
    assert after == before
    return sentence.removeprefix("finetune: ")


# ------------------------------------------------------------------------------------ the table


def labelled(*labels):
    """A table of as many different texts."""
    return [(f"a {'good ' * i}film", label) for i, label in enumerate(labels)]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "x.csv has 0 rows and no text in the column 'text'"),
        ([("", "a"), (" ", "b")], "x.csv has 2 rows and no text in the column 'text'"),
        (labelled("a", "a", "a"), "x.csv: the column 'label' holds one class only, 'a'; need two"),
        (labelled("a", "1.0", "", "1"), "x.csv, line 4: no label in the column 'label'; fill it "
         "or remove the row"),
        (labelled("a", "b", "a"), "3 rows are too few for a test part of 10% with every label in "
         "training; label more texts (30 or so), or give --val-split 0 --test-split 0"),
        (labelled(*"abcdefghij"), "10 rows are too few for a test part of 10% with every label in "
         "training; label more texts (30 or so), or give --val-split 0 --test-split 0"),
        (labelled(*(f"{i / 7:.3f}" for i in range(40))), "x.csv: the column 'label' holds 40 "
         "different labels in 40 rows; is it the label? For numbers give --task regression"),
        ([("a good film", c) for c in "ab" * 20], "40 rows are too few for a test part of 10% with "
         "every label in training; label more texts (30 or so), or give --val-split 0 "
         "--test-split 0"),
    ],
)  # fmt: skip
def test_labels_that_teach_nothing(capsys, here, model, rows, sentence):
    write_table("x.csv", *rows)
    assert told(capsys, here, *words(model, data="x.csv")) == sentence


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (["1", "2", "three"], "x.csv, line 4: 'three' in the column 'label' is no number"),
        (["1", "nan", "3"], "x.csv, line 3: 'nan' in the column 'label' is no number"),
        (["1", "2", "-inf"], "x.csv, line 4: '-inf' in the column 'label' is no number"),
        (["1", "", "3"], "x.csv, line 3: '' in the column 'label' is no number"),
        (["1", "1,5", "3"], "x.csv, line 3: '1,5' in the column 'label' is no number"),
        (["2", "2.0"], "x.csv: the column 'label' holds one number only, 2; there is nothing to "
         "learn"),
    ],
)  # fmt: skip
def test_a_regression_wants_numbers(capsys, here, model, labels, sentence):
    write_table("x.csv", *labelled(*labels))
    arguments = words(model, "--task", "regression", data="x.csv")
    assert told(capsys, here, *arguments) == sentence


def test_a_regression_has_no_classes_to_balance(capsys, here, model):
    write_table("x.csv", *labelled(*map(str, range(40))))
    more = "--task", "regression", "--class-weight", "balanced"
    assert told(capsys, here, *words(model, *more, data="x.csv")) == (
        "--class-weight balanced needs classes; this is a regression"
    )


def test_several_labels_want_some(capsys, here, model):
    write_table("x.csv", *labelled("", " ; ", "|"))
    said = told(capsys, here, *words(model, "--task", "multilabel", data="x.csv"))
    assert said == "x.csv: the column 'label' holds no label"


def test_files_that_are_no_table(capsys, here, model):
    (here / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    (here / "latin.csv").write_bytes("text,label\ncafé,a\n".encode("latin-1"))
    for data, sentence in (
        ("no.csv", "there is no file no.csv"),
        (".", ". is a folder; name a CSV, TSV or JSON-lines file"),
        ("picture.png", "picture.png, line 1: byte 1 of the line (0x89) is not UTF-8; save the "
         "file again as UTF-8"),
        ("latin.csv", "latin.csv, line 2: byte 4 of the line (0xE9) is not UTF-8; save the file "
         "again as UTF-8"),
    ):  # fmt: skip
        assert told(capsys, here, *words(model, data=data)) == sentence


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"text": "txt"}, "t.csv has no column 'txt'; did you mean 'text'?"),
        ({"label": "LABELS"}, "t.csv has no column 'LABELS'; did you mean 'label'?"),
        ({"label": "stars"}, "t.csv has no column 'stars'; it has 'text', 'label'"),
        ({"label": "text"}, "the column 'text' cannot be two of text, second text and label"),
    ],
)
def test_columns_that_are_not_there(capsys, here, model, columns, sentence):
    assert told(capsys, here, *words(model, **columns)) == sentence


# ---------------------------------------------------------------------------------- the options


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--epochs", "0", "--epochs: must be 1 or more, got 0"),
        ("--batch-size", "x", "--batch-size: must be a whole number, got 'x'"),
        ("--lr", "0", "--lr: must be a number above 0, got '0'"),
        ("--lr", "nan", "--lr: must be a number above 0, got 'nan'"),
        ("--lr", "fast", "--lr: must be a number, got 'fast'"),
        ("--val-split", "1", "--val-split: must be a share in [0, 1), got '1'"),
        ("--test-split", "-0.1", "--test-split: must be a share in [0, 1), got '-0.1'"),
    ],
)
def test_numbers_out_of_range(capsys, here, model, option, value, sentence):
    arguments = words(model, f"{option}={value}")
    assert told(capsys, here, *arguments) == f"{sentence} (see minift finetune --help)"


def test_words_that_are_no_choice(capsys, here, model):
    for option in ("--task", "--strategy", "--class-weight", "--device"):
        said = told(capsys, here, *words(model, option, "best"))
        assert said.startswith(f"{option}: invalid choice: 'best' (choose from ")


def test_parts_that_leave_nothing_to_train_on(capsys, here, model):
    more = "--val-split", "0.5", "--test-split", "0.6"
    assert told(capsys, here, *words(model, *more)) == (
        "the validation and the test part must leave something to train on, got --val-split 0.5 "
        "and --test-split 0.6"
    )


def test_a_length_that_the_model_cannot_read(capsys, here, model):
    for length in (2, 25):
        assert told(capsys, here, *words(model, "--max-length", length)) == (
            f"--max-length must lie between 3 and the 24 tokens that {model} can read, got {length}"
        )


# ------------------------------------------------------------------------------------ the model


def damaged(model, here, file, content):
    """A copy of the model with one file replaced, or removed."""
    shutil.copytree(model, here / "m")
    (here / "m" / file).unlink()
    (here / "m" / "tokenizer.json").unlink()  # which would be read instead of vocab.txt
    if content is not None:
        (here / "m" / file).write_bytes(content)
    return "m"


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("config.json", None, "m holds no config.json; is it a model folder?"),
        ("config.json", b"{", "m/config.json is not valid JSON"),
        ("config.json", b"[]", "m/config.json must hold one JSON object, got list"),
        ("model.safetensors", None, "m holds no model.safetensors"),
        ("model.safetensors", b"\x08\0\0\0\0\0\0\0{}", "m/model.safetensors is not a whole "
         "safetensors file"),
        ("vocab.txt", None, "no vocab.txt in m"),
        ("vocab.txt", b"[PAD]\n[UNK]\n", "m/vocab.txt: the vocabulary lacks the special tokens "),
        ("vocab.txt", "".join(f"w{i}\n" for i in range(500)).encode() + b"[PAD]\n[UNK]\n[CLS]\n"
         b"[SEP]\n[MASK]\n", "the vocabulary in m holds 505 pieces, the model only "),
    ],
)  # fmt: skip
def test_a_damaged_model_folder(capsys, here, model, file, content, sentence):
    folder = damaged(model, here, file, content)
    said = told(capsys, here, *words(folder)).replace(os.sep, "/")
    assert said.startswith(sentence)


def test_a_model_that_is_not_there(capsys, here):
    assert "there is no folder nowhere" in told(capsys, here, *words("nowhere"))
    assert "there is no folder t.csv" in told(capsys, here, *words("t.csv"))


def test_pairs_for_a_model_of_one_segment(capsys, here):
    pretrained(here / "m", type_vocab_size=1)
    rows = [(text, text[::-1], "a" if y else "b") for text, y in sentences(40)]
    write_table("p.csv", *rows, header=("text", "other", "label"))
    said = told(capsys, here, *words("m", "--text-pair", "other", data="p.csv"))
    assert said == "m knows one segment only (type_vocab_size 1), so it reads no pairs"


# ----------------------------------------------------------------------------------- the output


def test_an_output_that_cannot_be_a_folder(capsys, here, model):
    assert told(capsys, here, *words(model, output="t.csv")).endswith(
        "t.csv is a file, so it cannot hold the results"
    )
    assert told(capsys, here, *words(model, output="t.csv/deep/out")).endswith(
        "t.csv is a file, so it cannot hold the results"
    )
    assert told(capsys, here, *words(model, output=" ")) == (
        "--output: must name a folder, got ' ' (see minift finetune --help)"
    )


def test_an_output_that_may_not_be_written(capsys, here, model, monkeypatch):
    def refuse(*arguments, **named):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", refuse)  # root may write anywhere
    said = told(capsys, here, *words(model, output="deep/out"))
    assert said == f"the folder {here} cannot be written: Permission denied"


def test_an_output_that_holds_the_model(capsys, here, model):
    shutil.copytree(model, here / "run" / "model")
    for output in ("run", "run/model"):
        said = told(capsys, here, *words("run/model", "--overwrite", output=output))
        assert said == (
            f"--output {output} holds the model that training starts from; name another folder"
        )


# ------------------------------------------------------------------------------ training itself


def test_a_rate_that_blows_the_weights_up_ends_in_one_sentence(capsys, here, model):
    code, _, err = run(capsys, *words(model, "--lr", "1e30"))
    assert code == 1
    assert "Traceback" not in err
    assert "training broke off at step" in err
    assert "try a smaller --lr" in err
    assert not (here / "out" / "model").exists()


# ------------------------------------------------------------------------------ whatever comes


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_no_bytes_end_in_a_stack_trace(capsys, here, model, content):
    (here / "x.csv").write_bytes(content)
    assert told(capsys, here, *words(model, data="x.csv"))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.text(max_size=5), inner, max_size=3)))  # fmt: skip
def test_no_json_ends_in_a_stack_trace(capsys, here, model, value):
    (here / "x.csv").write_text('{"text": "a", "label": ' + json.dumps(value) + "}\n")
    assert told(capsys, here, *words(model, data="x.csv"))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), min_size=1, max_size=60),
    st.sampled_from([0.0, 0.1, 0.3, 0.45]),
    st.sampled_from([0.0, 0.1, 0.3, 0.45]),
    st.integers(0, 5),
)
def test_parts_share_no_text_and_training_has_every_label(rows, validation, test, seed):
    strata, groups = map(np.array, zip(*rows))
    try:
        parts = split(strata, groups, validation, test, seed)
    except ValueError as error:
        assume("too few" not in str(error))
        raise
    three = [parts.train, parts.validation, parts.test]
    assert sorted(np.concatenate(three).tolist()) == list(range(len(rows)))
    assert set(strata[parts.train]) == set(strata)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert not set(groups[three[a]]) & set(groups[three[b]])
    assert (len(parts.validation) > 0, len(parts.test) > 0) == (validation > 0, test > 0)
