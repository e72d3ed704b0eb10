"""`minift finetune`: from a table to a folder that answers, and that says how it came to be."""

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from finetune_cases import (
    finetune,
    mistake,
    pretrained,
    reviews,
    run,
    sentences,
    write_table,
)
from oracle import oracle

import minift as mf
from minift.jobs.classifiers import open_classifier
from minift.train.records import read_records

FILES = {
    "model", "run.json", "train.jsonl", "metrics.json", "confusion.png", "learning_curves.png",
    "precision_recall.png", "worst_mistakes.csv", "checkpoints", "reliability.png",
}  # fmt: skip


def loaded(file):
    return json.loads(Path(file).read_text(encoding="utf-8"))


def content(folder):
    """Every file below a folder, with its bytes."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return pretrained(tmp_path_factory.mktemp("pretrained"))


@pytest.fixture
def table(tmp_path):
    return reviews(tmp_path / "reviews.csv")


# --------------------------------------------------------------------------- what a run leaves


def test_a_run_leaves_its_files_and_the_model_has_learnt(capsys, tmp_path, model):
    table = reviews(tmp_path / "reviews.csv", n=240)
    out = finetune(capsys, model, table, tmp_path / "out", "--epochs", "10")
    assert "the classification head is new (bert.pooler.dense.weight, " in out
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    metrics = loaded(tmp_path / "out" / "metrics.json")
    assert metrics["rows"] == {"train": 192, "validation": 24, "test": 24, "empty": 0,
                               "duplicates": 0, "truncated": 0}  # fmt: skip
    assert metrics["test"]["accuracy"] >= 0.9
    assert metrics["test"]["accuracy"] > metrics["baselines"]["majority"]["accuracy"]
    assert set(metrics["baselines"]) == {"majority", "naive_bayes"}
    assert set(metrics["test"]["per_class"]) == {"bad", "good"}
    assert sum(map(sum, metrics["test"]["confusion"])) == 24
    assert "On 24 test rows, with the weights of epoch" in out
    for name in ("confusion.png", "learning_curves.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")


def test_run_json_tells_command_data_and_machine(capsys, tmp_path, model, table):
    finetune(capsys, model, table, tmp_path / "out", "--seed", "3")
    record = loaded(tmp_path / "out" / "run.json")
    assert record["minift"] == mf.__version__
    assert record["command"][:4] == ["minift", "finetune", "--model", str(model)]
    assert record["options"]["seed"] == 3
    assert record["labels"] == ["bad", "good"]
    assert record["recipe"]["epochs"] == 2
    digest = hashlib.sha256(table.read_bytes()).hexdigest()
    assert record["data"]["sha256"] == digest
    assert record["machine"]["device"] == "cpu"
    records = read_records(tmp_path / "out" / "train.jsonl")
    assert sum("loss" in r for r in records) == max(r["step"] for r in records)
    assert sum("validation_loss" in r for r in records) == 2


def test_the_model_folder_names_its_labels_and_transformers_gives_the_same_scores(
    capsys, tmp_path, model, table
):
    transformers, torch = oracle("transformers"), oracle("torch")
    finetune(capsys, model, table, tmp_path / "out")
    folder = tmp_path / "out" / "model"
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    assert theirs.config.id2label == {0: "bad", 1: "good"}
    assert theirs.config.problem_type == "single_label_classification"
    texts = ["a good film", "the awful plot was dull"]
    ours = open_classifier(folder)
    batch = ours.tokenizer(texts)
    with torch.no_grad():
        scores = theirs(**{name: torch.tensor(rows) for name, rows in batch.items()}).logits
    np.testing.assert_allclose(ours.outputs(texts), scores.numpy(), atol=1e-5)


def test_one_seed_gives_one_result_and_another_another(capsys, tmp_path, model, table):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        finetune(capsys, model, table, tmp_path / name, "--seed", seed)
    a, b, c = ((tmp_path / n / "model" / "model.safetensors").read_bytes() for n in "abc")
    assert a == b
    assert a != c


def test_worst_mistakes_name_their_lines(capsys, tmp_path, model, table):
    finetune(capsys, model, table, tmp_path / "out", "--lr", "1e-9", "--test-split", "0.4")
    with (tmp_path / "out" / "worst_mistakes.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    lines = table.read_text(encoding="utf-8").splitlines()
    assert len(rows) > 5
    assert [float(row["loss"]) for row in rows] == sorted((float(r["loss"]) for r in rows),
                                                         reverse=True)  # fmt: skip
    for row in rows:
        assert lines[int(row["line"]) - 1] == f"{row['text']},{row['label']}"
        assert row["predicted"] != row["label"]


# -------------------------------------------------------------------------- what it says of data


def test_empty_long_and_repeated_texts_are_counted(capsys, tmp_path, model):
    rows = [(text, "yes" if y else "no") for text, y in sentences(60)]
    rows += [("", "yes"), ("  ", "no"), ("good film " * 40, "yes"), (rows[0][0].upper(), "no")]
    data = write_table(tmp_path / "t.csv", *rows)
    out = finetune(capsys, model, data, tmp_path / "out")
    assert "64 rows" in out
    assert "2 rows with an empty text left out" in out
    assert "1 row repeats an earlier text; all copies of a text stay in one part" in out
    assert "1 text cut at 24 tokens (--max-length)" in out
    counted = loaded(tmp_path / "out" / "metrics.json")["rows"]
    assert (counted["empty"], counted["duplicates"], counted["truncated"]) == (2, 1, 1)
    assert counted["train"] + counted["validation"] + counted["test"] == 62


def test_uneven_classes_are_reported_and_may_be_weighed(capsys, tmp_path, model):
    rows = [(text, "rare" if i % 5 == 0 else "often") for i, (text, _) in enumerate(sentences(60))]
    data = write_table(tmp_path / "t.csv", *rows)
    out = finetune(capsys, model, data, tmp_path / "a", "--epochs", "1")
    assert "the classes are uneven: 'often' is 4 times as frequent as 'rare'" in out
    finetune(capsys, model, data, tmp_path / "b", "--epochs", "1", "--class-weight", "balanced")
    losses = [read_records(tmp_path / name / "train.jsonl")[0]["loss"] for name in "ab"]
    assert losses[0] != losses[1]


def test_numbers_are_classes_in_their_order_and_1_0_is_1(capsys, tmp_path, model):
    labels = ["10", "9.0", " 2 "]
    rows = [(text, labels[i % 3]) for i, (text, _) in enumerate(sentences(60))]
    finetune(capsys, model, write_table(tmp_path / "t.csv", *rows), tmp_path / "out")
    assert loaded(tmp_path / "out" / "run.json")["labels"] == ["2", "9", "10"]


def test_a_class_of_one_text_is_all_for_training(capsys, tmp_path, model):
    rows = [(text, "yes" if y else "no") for text, y in sentences(60)]
    rows[7] = (rows[7][0], "once")
    finetune(capsys, model, write_table(tmp_path / "t.csv", *rows), tmp_path / "out")
    per_class = loaded(tmp_path / "out" / "metrics.json")["test"]["per_class"]
    assert per_class["once"]["support"] == 0


def test_the_table_may_come_from_standard_input_as_json_lines(tmp_path, model):
    lines = [json.dumps({"text": t, "label": int(y)}) for t, y in sentences(60)]
    command = [sys.executable, "-m", "minift", "finetune", "--model", model, "--data", "-",
               "--text", "text", "--label", "label", "--output", tmp_path / "out",
               "--epochs", "1", "--device", "cpu"]  # fmt: skip
    done = subprocess.run(command, input="\n".join(lines), text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\r" not in done.stdout  # plain lines in a pipe
    assert loaded(tmp_path / "out" / "run.json")["labels"] == ["0", "1"]


# --------------------------------------------------------------------------------- the strategies


@pytest.mark.parametrize("strategy", ["full", "head", "gradual", "discriminative", "lora"])
def test_every_strategy_trains_and_moves_what_it_should(capsys, tmp_path, model, table, strategy):
    finetune(capsys, model, table, tmp_path / "out", "--strategy", strategy, "--epochs", "4")
    before = mf.models.AutoModelForSequenceClassification.from_pretrained(model).state_dict()
    after = open_classifier(tmp_path / "out").model.state_dict()
    moved = {name for name in after if not np.array_equal(after[name], before[name])}
    body = {name for name in moved if "encoder" in name or "embeddings" in name}
    assert {"classifier.weight", "bert.pooler.dense.weight"} <= moved
    assert bool(body) == (strategy != "head")


def test_head_reads_every_text_with_the_body_once(capsys, tmp_path, model, table, monkeypatch):
    from minift.models import BertModel

    seen, forward = [], BertModel.forward

    def counting(self, input_ids, *rest, **named):
        seen.append(len(input_ids))
        return forward(self, input_ids, *rest, **named)

    monkeypatch.setattr(BertModel, "forward", counting)
    finetune(capsys, model, table, tmp_path / "out", "--strategy", "head", "--epochs", "20")
    # train and validation once; at last both judged parts, for this head and for other ones; and
    # definitions before and after, to see what was forgotten
    assert sum(seen) == 96 + 12 + 2 * (12 + 12) + 2 * 300


def test_head_equals_training_with_a_frozen_body(model):
    data = [text for text, _ in sentences(40)]
    labels = np.array([int(y) for _, y in sentences(40)])

    def trained(cached):
        mf.manual_seed(5)
        classifier = mf.models.AutoModelForSequenceClassification.from_pretrained(
            model, num_labels=2, hidden_dropout_prob=0.0
        )
        tokenizer = mf.data.WordPieceTokenizer.from_pretrained(model)
        texts = tokenizer.dataset(data, labels=labels)
        strategy = mf.finetune.head_only(classifier, lr=1e-2)
        learner, given = classifier, texts
        if cached:
            features = mf.finetune.extract_features(classifier, texts)
            learner = mf.finetune.Head(classifier)
            given = mf.data.ArrayDataset(features=features, labels=labels)
        config = mf.TrainConfig(epochs=3, batch_size=8, seed=1, device="cpu")
        mf.Trainer(
            learner, given, objective=mf.objectives.Classification(), config=config,
            optimizer=mf.train.adamw(strategy.param_groups, 1e-2, 0.01),
        ).fit()  # fmt: skip
        return classifier.state_dict()

    fast, slow = trained(True), trained(False)
    for name in fast:
        np.testing.assert_allclose(fast[name], slow[name], atol=2e-5, err_msg=name)


def test_fine_tuning_goes_on_from_a_run_and_keeps_its_head(capsys, tmp_path, model, table):
    finetune(capsys, model, table, tmp_path / "first", "--epochs", "6")
    out = finetune(capsys, tmp_path / "first", table, tmp_path / "second", "--lr", "1e-9")
    assert "its head is kept" in out
    first, second = (loaded(tmp_path / n / "metrics.json")["test"] for n in ("first", "second"))
    assert first["confusion"] == second["confusion"]


def test_a_head_for_other_labels_is_drawn_anew(capsys, tmp_path, model, table):
    finetune(capsys, model, table, tmp_path / "first")
    rows = [(text, "warm" if y else "cold") for text, y in sentences(60)]
    other = write_table(tmp_path / "other.csv", *rows)
    out = finetune(capsys, tmp_path / "first", other, tmp_path / "second", "--lr", "1e-9")
    assert "its head was for other labels, so it starts anew" in out
    first, second = (open_classifier(tmp_path / n).model for n in ("first", "second"))
    assert not np.allclose(first.classifier.weight.data, second.classifier.weight.data)


@pytest.mark.parametrize("strategy", ["full", "head"])
def test_without_other_parts_all_rows_train_and_the_last_weights_stay(
    capsys, tmp_path, model, table, strategy
):
    out = finetune(capsys, model, table, tmp_path / "out", "--val-split", "0", "--test-split", "0",
                   "--strategy", strategy)  # fmt: skip
    assert "120 to train, 0 to choose the best epoch, 0 to test" in out
    metrics = loaded(tmp_path / "out" / "metrics.json")
    assert (metrics["best_epoch"], metrics["epochs"]) == (None, 2)
    assert "test" not in metrics
    assert (tmp_path / "out" / "learning_curves.png").exists()


def test_without_a_test_part_the_validation_is_shown_with_a_warning(capsys, tmp_path, model, table):
    out = finetune(capsys, model, table, tmp_path / "out", "--test-split", "0")
    assert "which also chose the best epoch" in out


def test_no_better_epoch_for_long_ends_training(capsys, tmp_path, model, table):
    finetune(capsys, model, table, tmp_path / "out", "--epochs", "50", "--lr", "1e-12")
    metrics = loaded(tmp_path / "out" / "metrics.json")
    assert metrics["epochs"] < 50
    assert metrics["best_epoch"] == metrics["epochs"] - 3  # the patience


# ------------------------------------------------------------------- pairs, several labels, numbers


def test_pairs_are_learnt_and_the_run_knows_it(capsys, tmp_path, model):
    rows = []
    for (a, good), (b, other) in zip(sentences(160, 1), sentences(160, 2)):
        rows.append((a, b, "same" if good == other else "differs"))
    data = write_table(tmp_path / "p.csv", *rows, header=("text", "second", "label"))
    finetune(capsys, model, data, tmp_path / "out", "--text-pair", "second")
    assert loaded(tmp_path / "out" / "model" / "minift.json") == {
        "max_length": 24, "text": "text", "text_pair": "second",
    }  # fmt: skip
    code, out, _ = run(capsys, "predict", "--model", tmp_path / "out", "--data", data)
    assert (code, out.count("\n")) == (0, 160)
    code, alone, _ = run(capsys, "predict", "--model", tmp_path / "out", "--text", rows[3][0],
                         "--text-pair", rows[3][1])  # fmt: skip
    assert alone.splitlines()[0] == out.splitlines()[3]


def test_several_labels_a_text(capsys, tmp_path, model):
    rows = []
    for text, good in sentences(240):
        labels = (["good"] if good else []) + (["music"] if "music" in text else [])
        rows.append((text, ";".join(labels)))
    data = write_table(tmp_path / "m.csv", *rows)
    out = finetune(capsys, model, data, tmp_path / "out", "--task", "multilabel", "--epochs", "15")
    assert "2 labels (separated by ; or |): good" in out
    metrics = loaded(tmp_path / "out" / "metrics.json")
    assert metrics["test"]["micro_f1"] > 0.8
    assert set(metrics["test"]["per_class"]) == {"good", "music"}
    assert loaded(tmp_path / "out" / "model" / "config.json")["problem_type"] == (
        "multi_label_classification"
    )
    _, said, _ = run(capsys, "predict", "--model", tmp_path / "out", "--text", "a good film")
    answer = json.loads(said)
    assert answer["label"] == ["good"]
    assert set(answer["probabilities"]) == {"good", "music"}


def test_numbers_are_learnt_in_their_own_unit(capsys, tmp_path, model):
    rows = [(text, 5000 + 800 * y + i % 7) for i, (text, y) in enumerate(sentences(160))]
    data = write_table(tmp_path / "r.csv", *rows)
    out = finetune(capsys, model, data, tmp_path / "out", "--task", "regression", "--epochs", "12")
    assert "numbers from 5000 to 5806" in out
    metrics = loaded(tmp_path / "out" / "metrics.json")
    assert metrics["test"]["r2"] > 0.8
    assert metrics["test"]["mean_absolute_error"] < 200
    assert metrics["baselines"]["mean"]["r2"] < 0.1
    assert (tmp_path / "out" / "predictions.png").exists()
    _, said, _ = run(capsys, "predict", "--model", tmp_path / "out", "--text", "a good film")
    assert json.loads(said)["label"] == pytest.approx(5800, abs=250)
    again = finetune(capsys, tmp_path / "out", data, tmp_path / "more", "--task", "regression",
                     "--lr", "1e-9")  # fmt: skip
    assert "its head is kept" in again
    assert loaded(tmp_path / "more" / "metrics.json")["test"]["r2"] == pytest.approx(
        metrics["test"]["r2"], abs=1e-3
    )


# ------------------------------------------------------------------------------ the output folder


def test_a_folder_that_holds_a_run_is_refused_and_replaced_on_demand(
    capsys, tmp_path, model, table
):
    output = tmp_path / "out"
    finetune(capsys, model, table, output)
    (output / "notes.txt").write_text("mine", encoding="utf-8")
    (output / "confusion.png").write_bytes(b"old")
    before = content(output)
    words = ["finetune", "--model", model, "--data", table, "--text", "text", "--label", "label",
             "--output", output, "--epochs", "1", "--device", "cpu"]  # fmt: skip
    assert mistake(capsys, *words).startswith(f"finetune: {output} already holds a run (model, ")
    assert content(output) == before
    assert run(capsys, *words, "--overwrite")[0] == 0
    assert (output / "confusion.png").read_bytes() != b"old"
    assert (output / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_overwrite_does_not_touch_what_no_run_of_ours_wrote(capsys, tmp_path, model, table):
    (tmp_path / "out" / "model").mkdir(parents=True)
    (tmp_path / "out" / "model" / "precious").write_text("mine", encoding="utf-8")
    said = mistake(capsys, "finetune", "--model", model, "--data", table, "--text", "text",
                   "--label", "label", "--output", tmp_path / "out", "--overwrite")  # fmt: skip
    assert "holds model, but no run.json of minift: it is somebody else's" in said
    assert (tmp_path / "out" / "model" / "precious").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one child")
def test_ctrl_c_exits_130_and_leaves_whole_files(tmp_path, model, table):
    command = [sys.executable, "-m", "minift", "finetune", "--model", model, "--data", table,
               "--text", "text", "--label", "label", "--output", tmp_path / "out",
               "--epochs", "3000", "--device", "cpu"]  # fmt: skip
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    log = tmp_path / "out" / "train.jsonl"
    deadline = time.monotonic() + 60
    while not (log.exists() and log.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    err = child.communicate(timeout=60)[1]
    assert child.returncode == 130, err
    out = tmp_path / "out"
    assert (
        f"interrupted; {out} holds: run.json, train.jsonl; go on with: minift finetune --re" in err
    )
    assert "Traceback" not in err
    assert loaded(tmp_path / "out" / "run.json")["minift"]
    assert read_records(log)
