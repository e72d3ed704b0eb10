"""`minift evaluate` and `minift predict`: numbers of a table, answers line by line."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from finetune_cases import (
    GOOD,
    QUICK,
    finetune,
    mistake,
    pretrained,
    reviews,
    run,
    sentences,
    write_table,
)

from minift.cli import main
from minift.jobs import prediction
from minift.jobs.classifiers import open_classifier


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on sentences, made once."""
    folder = tmp_path_factory.mktemp("trained")
    model, data = pretrained(folder / "pretrained"), reviews(folder / "reviews.csv", 240)
    words = f"finetune --model {model} --data {data} --text text --label label --output"
    assert main([*words.split(), str(folder / "out"), *QUICK, "--epochs", "10"]) == 0
    return folder / "out"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluate(model, data, *more):
    return ("evaluate", "--model", model, "--data", data, "--text", "text", "--label", "label",
            *more)  # fmt: skip


def predictions(capsys, *arguments):
    code, out, err = run(capsys, "predict", *arguments)
    assert (code, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


# -------------------------------------------------------------------------------------- evaluate


def test_evaluate_prints_and_writes_the_numbers_of_a_table(capsys, here, trained):
    data = reviews(here / "new.csv", 80, seed=9)
    code, out, err = run(capsys, *evaluate(trained, data, "--output", here / "ev"))
    assert (code, err) == (0, "")
    metrics = json.loads((here / "ev" / "metrics.json").read_text(encoding="utf-8"))
    low, high = metrics["accuracy_interval"]
    assert low <= metrics["accuracy"] <= high
    assert metrics["accuracy"] > 0.8
    assert metrics["rows"] == {"judged": 80, "empty": 0, "truncated": 0}
    assert f"accuracy {metrics['accuracy']:>19.3f}   {low:.3f} to {high:.3f}\n" in out
    assert f"calibration error {metrics['calibration_error']:>10.3f}   " in out
    assert (here / "ev" / "reliability.png").read_bytes().startswith(b"\x89PNG")
    for name in ("bad", "good"):
        row = metrics["per_class"][name]
        assert f"{name:<5}  {row['precision']:9.3f}  {row['recall']:6.3f}  {row['f1']:5.3f}" in out
    assert {path.name for path in (here / "ev").iterdir()} == {
        "metrics.json", "run.json", "confusion.png", "precision_recall.png", "reliability.png",
        "worst_mistakes.csv",
    }  # fmt: skip


def test_evaluate_agrees_with_predict(capsys, here, trained):
    rows = [(text, "good" if y else "bad") for text, y in sentences(50, seed=4)]
    data = write_table(here / "new.csv", *rows)
    run(capsys, *evaluate(trained, data))
    metrics = json.loads(Path("runs/evaluate/metrics.json").read_text(encoding="utf-8"))
    answers = predictions(capsys, "--model", trained, "--data", data)
    right = [answer["label"] == label for answer, (_, label) in zip(answers, rows)]
    assert metrics["accuracy"] == pytest.approx(np.mean(right))


def test_its_own_folder_is_written_anew_and_another_run_refused(capsys, here, trained):
    data = reviews(here / "new.csv", 20)
    for _ in range(2):
        assert run(capsys, *evaluate(trained, data))[0] == 0
    assert (here / "runs" / "evaluate" / "metrics.json").exists()
    assert run(capsys, *evaluate(trained, data, "--output", "ev"))[0] == 0
    said = mistake(capsys, *evaluate(trained, data, "--output", "ev"))
    assert said.startswith("evaluate: ev already holds a run (run.json, metrics.json, ")
    assert run(capsys, *evaluate(trained, data, "--output", "ev", "--overwrite"))[0] == 0


def test_a_label_that_the_model_does_not_have_is_named_with_its_line(capsys, here, trained):
    data = write_table(here / "new.csv", ("good film", "good"), ("fine film", "fine"))
    said = mistake(capsys, *evaluate(trained, data))
    assert (
        said == "evaluate: " + f"{data}, line 3: the model has no label 'fine', only 'bad', 'good'"
    )
    assert not (here / "runs").exists()


def test_empty_texts_are_left_out_and_counted(capsys, here, trained):
    data = write_table(here / "new.csv", ("good film", "good"), (" ", "bad"), ("poor film", "bad"))
    assert "2 rows, 1 with an empty text left out" in run(capsys, *evaluate(trained, data))[1]


# --------------------------------------------------------------------------------------- predict


def test_a_line_of_json_for_each_row_and_null_for_an_empty_one(capsys, here, trained):
    rows = [("a great film",), ("",), ("  ",), ("a dull, awful\nplot",), ("日本",)]
    data = write_table(here / "t.csv", *rows, header=("text",))
    answers = predictions(capsys, "--model", trained, "--data", data, "--text-column", "text")
    assert [answer["label"] for answer in answers] == ["good", None, None, "bad", None]
    assert answers[1] == {"label": None, "problem": "the text is empty"}
    assert "no part of the text '日本' is in the model's vocabulary" in answers[4]["problem"]
    for answer in (answers[0], answers[3]):
        chances = answer["probabilities"]
        assert next(iter(chances)) == answer["label"]
        assert sum(chances.values()) == pytest.approx(1, abs=2e-4)


def test_the_run_and_its_model_folder_and_a_single_text_give_one_answer(capsys, here, trained):
    data = write_table(here / "t.csv", ("a great film",), header=("text",))
    from_run = predictions(capsys, "--model", trained, "--data", data)
    from_model = predictions(capsys, "--model", trained / "model", "--data", data)
    single = predictions(capsys, "--model", trained, "--text", "a great film")
    assert from_run == from_model == single


def test_rows_come_from_standard_input(capsys, here, trained, monkeypatch):
    lines = b'{"review": "a great film"}\n{"review": null}\n'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
    answers = predictions(capsys, "--model", trained, "--data", "-", "--text-column", "review")
    assert [answer["label"] for answer in answers] == ["good", None]


def test_answers_are_given_as_rows_come_and_in_their_order(trained):
    classifier, taken = open_classifier(trained), []

    def questions():
        for i in range(10_000):
            taken.append(i)
            yield f"{GOOD[i % 4]} " + "film " * (i % 7), None

    stream = prediction.answers(classifier, questions())
    first = [next(stream) for _ in range(300)]
    assert len(taken) == 2 * prediction.CHUNK
    alone = [next(prediction.answers(classifier, [q])) for q in list(questions())[:12]]
    for a, b in zip(first, alone):
        assert a["label"] == b["label"]
        assert a["probabilities"] == pytest.approx(b["probabilities"], abs=2e-4)


def test_a_long_text_is_cut_where_training_cut_it(capsys, here, trained):
    words = "good film " * 11  # 24 tokens with [CLS] and [SEP]
    a, b = (
        predictions(capsys, "--model", trained, "--text", text)[0]
        for text in (words, words + "awful " * 50)
    )
    assert a == b


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--text", "a", "--data", "t.csv"], "--data: not allowed with argument --text (see minift "
         "predict --help)"),
        (["--text", "a", "--text-column", "text"], "predict: --text-column goes with --data"),
        (["--data", "t.csv", "--text-pair", "b"], "predict: --text-pair goes with --text"),
        (["--data", "t.csv", "--text-column", "txt"], "predict: t.csv has no column 'txt'; did you "
         "mean 'text'?"),
        (["--data", "no.csv"], "predict: there is no file no.csv"),
        (["--text", " "], "predict: the text is empty"),
        (["--text", "good", "--text-pair", "b"], "predict: the model was trained on single texts; "
         "leave out --text-pair"),
    ],
)  # fmt: skip
def test_mistakes_of_predict_are_sentences(capsys, here, trained, arguments, sentence):
    write_table(here / "t.csv", ("a great film",), header=("text",))
    assert mistake(capsys, "predict", "--model", trained, *arguments) == sentence


def test_a_model_from_elsewhere_needs_the_name_of_the_column(capsys, here, trained):
    (here / "model").mkdir()
    for file in (trained / "model").iterdir():
        if file.name != "minift.json":
            (here / "model" / file.name).write_bytes(file.read_bytes())
    write_table(here / "t.csv", ("a great film",), header=("text",))
    said = mistake(capsys, "predict", "--model", here / "model", "--data", "t.csv")
    assert said == "predict: --data needs --text-column, which names the column of texts"


def test_a_model_of_pairs_wants_both_texts(capsys, here, trained):
    rows = [(text, other, "yes" if y else "no") for (text, y), (other, _) in
            zip(sentences(40, 1), sentences(40, 2))]  # fmt: skip
    data = write_table(here / "p.csv", *rows, header=("text", "other", "label"))
    finetune(capsys, trained, data, here / "pairs", "--text-pair", "other", "--epochs", "1")
    model = here / "pairs"
    assert mistake(capsys, "predict", "--model", model, "--text", "good") == (
        "predict: the model reads pairs of texts; give the second one with --text-pair"
    )
    assert mistake(capsys, *evaluate(model, data)) == (
        "evaluate: the model reads pairs of texts; give the second one with --text-pair"
    )
    assert run(capsys, *evaluate(model, data, "--text-pair", "other"))[0] == 0
    empty = write_table(here / "e.csv", ("good", ""), header=("text", "other"))
    assert predictions(capsys, "--model", model, "--data", empty)[0]["label"] is None
