"""`minift pretrain`: from data without labels to a folder that `minift finetune` takes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from finetune_cases import mistake, pretrained, reviews, run
from oracle import oracle
from pretrain_cases import (
    IMAGES,
    book,
    model_for,
    npz,
    pngs,
    pretrain,
    squares,
)

import minift as mf
from minift.probes import PrincipalComponents
from minift.train.records import read_records


def loaded(file):
    return json.loads(Path(file).read_text(encoding="utf-8"))


def weights(output):
    return (output / "model" / "model.safetensors").read_bytes()


# ----------------------------------------------------------------------------- what a run leaves


def test_a_run_leaves_its_files_and_says_what_it_is_beside(capsys, tmp_path):
    data, output = npz(tmp_path / "squares.npz"), tmp_path / "out"
    more = ("--lr", "0.02", "--batch-size", "5")  # 12 held-out images are no multiple
    out = pretrain(capsys, "autoencoder", data, output, *more, steps=100)
    assert {path.name for path in output.iterdir()} == {
        "model", "run.json", "train.jsonl", "metrics.json", "checkpoints", "pictures",
        "learning_curves.png",
    }  # fmt: skip
    assert f"{data}: 120 images of 6 × 6 pixels; 108 to learn from, 12 held out" in out
    assert "its labels are not learnt from, they only judge the features" in out
    metrics = loaded(output / "metrics.json")
    assert (metrics["objective"], metrics["steps"]) == ("autoencoder", 100)
    assert metrics["held_out"]["loss"] < 0.5 * metrics["baselines"]["mean image"]
    assert metrics["held_out"]["count"] == 12
    assert set(metrics["features"]) == {"probe", "neighbours"}
    assert metrics["without_model"]["what"] == "raw pixels"
    assert f"loss            {metrics['held_out']['loss']:.4f}   mean image 0." in out
    records = read_records(output / "train.jsonl")
    assert [r["step"] for r in records if "loss" in r] == list(range(1, 101))
    judged = [r for r in records if "validation_loss" in r]
    assert [r["step"] for r in judged] == list(range(10, 101, 10))
    assert all(0 <= r["probe"] <= 1 and 0 <= r["neighbours"] <= 1 for r in judged)
    assert f"minift finetune --model {output} --data {data} --output DIR" in out


def test_the_baselines_are_the_mean_image_and_principal_components(capsys, tmp_path):
    data = npz(tmp_path / "squares.npz")
    pretrain(capsys, "autoencoder", data, tmp_path / "out")
    baselines = loaded(tmp_path / "out" / "metrics.json")["baselines"]
    from minift.jobs.images import read_images, split

    train, held = split(read_images(data), data, seed=0)
    mean = ((held.images - train.images.mean(0)) ** 2).mean()
    drawn = PrincipalComponents(4).fit(train.images).reconstruct(held.images)
    assert baselines["mean image"] == pytest.approx(mean, rel=1e-5)
    assert baselines["principal components"] == pytest.approx(((drawn - held.images) ** 2).mean())


def test_run_json_tells_command_data_and_machine(capsys, tmp_path):
    data = npz(tmp_path / "squares.npz")
    pretrain(capsys, "vae", data, tmp_path / "out", "--seed", "3")
    record = loaded(tmp_path / "out" / "run.json")
    assert (record["minift"], record["job"]) == (mf.__version__, "pretrain")
    assert record["command"][:4] == ["minift", "pretrain", "--objective", "vae"]
    assert (record["options"]["seed"], record["steps"]) == (3, 2)
    assert len(record["data"]["sha256"]) >= 64
    assert record["machine"]["device"] == "cpu"


@pytest.mark.parametrize(
    ("objective", "files"),
    [
        ("autoencoder", ["codes", "reconstructions"]),
        ("denoising", ["codes", "reconstructions"]),
        ("vae", ["codes", "reconstructions", "samples", "walks"]),
        ("gan", ["codes", "samples"]),
        ("simclr", ["codes", "similarities"]),
        ("simcse", ["similarities"]),
    ],
)
def test_each_evaluation_leaves_its_pictures(capsys, tmp_path, objective, files):
    data = npz(tmp_path / "s.npz") if objective in IMAGES else book(tmp_path / "b.txt")
    pretrain(capsys, objective, data, tmp_path / "out")
    pictures = tmp_path / "out" / "pictures"
    expected = {f"{what}-{step:05}.png" for what in files for step in (1, 2)}
    assert {path.name for path in pictures.iterdir()} == expected
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures.iterdir())


@pytest.mark.parametrize(
    ("objective", "what", "words"),
    [
        ("mlm", "fill_ins", ["[MASK]", "guesses: "]),
        ("nsp", "pairs", ["  → ", "says 0."]),
        ("bert", "pairs", ["  → ", "says 0."]),
        ("causal", "samples", ["temperature 0.5:", "temperature 0.8:", "temperature 1.1:"]),
    ],
)
def test_models_of_text_write_what_they_can_do(capsys, tmp_path, objective, what, words):
    pretrain(capsys, objective, book(tmp_path / "b.txt"), tmp_path / "out", steps=2)
    said = (tmp_path / "out" / "pictures" / f"{what}-00002.txt").read_text(encoding="utf-8")
    assert all(word in said for word in words)


def test_one_seed_gives_one_result_and_another_another(capsys, tmp_path):
    data = npz(tmp_path / "squares.npz")
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        pretrain(capsys, "simclr", data, tmp_path / name, "--seed", seed)
    a, b, c = (weights(tmp_path / name) for name in "abc")
    assert a == b
    assert a != c


# --------------------------------------------------------------------- from pretrain to finetune


@pytest.mark.parametrize("objective", IMAGES)
def test_finetune_takes_what_was_learnt_from_images(capsys, tmp_path, objective):
    data, output = npz(tmp_path / "squares.npz"), tmp_path / "tuned"
    pretrain(capsys, objective, data, tmp_path / "out")
    code, out, err = run(
        capsys, "finetune", "--model", tmp_path / "out", "--data", data, "--output", output,
        "--epochs", "12", "--lr", "5e-3", "--device", "cpu",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "the classification head is new (classifier.weight, classifier.bias)" in out
    metrics = loaded(output / "metrics.json")
    assert metrics["test"]["accuracy"] == 1.0  # left or right: one layer is enough
    assert set(metrics["baselines"]) == {"majority", "pixel_neighbours", "pixel_probe"}
    assert mf.load(output).config.id2label == {0: "0", 1: "1"}


@pytest.mark.parametrize("objective", ["mlm", "nsp", "bert", "causal", "simcse"])
def test_finetune_takes_what_was_learnt_from_text(capsys, tmp_path, objective):
    pretrain(capsys, objective, book(tmp_path / "b.txt"), tmp_path / "out")
    code, _, err = run(
        capsys, "finetune", "--model", tmp_path / "out", "--data",
        reviews(tmp_path / "r.csv", n=240), "--text", "text", "--label", "label",
        "--output", tmp_path / "tuned", "--epochs", "10", "--lr", "1e-2",
        "--strategy", "discriminative", "--device", "cpu",
    )  # fmt: skip
    assert (code, err) == (0, "")
    metrics = loaded(tmp_path / "tuned" / "metrics.json")
    assert metrics["test"]["accuracy"] > metrics["baselines"]["majority"]["accuracy"]


@pytest.mark.parametrize(
    ("objective", "architecture"),
    [
        ("mlm", "BertForMaskedLM"),
        ("nsp", "BertForPreTraining"),
        ("bert", "BertForPreTraining"),
        ("causal", "GPT2LMHeadModel"),
        ("simcse", "BertModel"),
    ],
)
def test_transformers_opens_it_with_every_weight(capsys, tmp_path, objective, architecture):
    transformers = oracle("transformers")
    pretrain(capsys, objective, book(tmp_path / "b.txt"), tmp_path / "out")
    theirs, report = getattr(transformers, architecture).from_pretrained(
        tmp_path / "out" / "model", output_loading_info=True
    )
    assert not any(report.values()), report
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out" / "model")
    ours = mf.load(tmp_path / "out").tokenizer
    assert tokenizer("the film was good")["input_ids"] == ours.encode("the film was good")
    assert theirs.config.vocab_size == ours.vocab_size


# ------------------------------------------------------------------------------- forms of data


def test_images_come_from_a_folder_with_a_sub_folder_a_class(capsys, tmp_path):
    out = pretrain(capsys, "autoencoder", pngs(tmp_path / "pictures"), tmp_path / "out")
    assert "60 images of 6 × 6 pixels in 3 colours; 54 to learn from, 6 held out" in out
    assert loaded(tmp_path / "out" / "model" / "config.json")["num_channels"] == 3


def test_unlabelled_images_are_not_judged(capsys, tmp_path):
    data = npz(tmp_path / "squares.npz", labelled=False)
    out = pretrain(capsys, "autoencoder", data, tmp_path / "out")
    assert "probe" not in out
    assert "labels" not in out
    assert "features" not in loaded(tmp_path / "out" / "metrics.json")


def test_labels_that_cannot_judge_are_ignored_with_a_sentence(capsys, tmp_path):
    images, _ = squares(40)
    np.savez(tmp_path / "s.npz", images=images, labels=np.arange(40))
    out = pretrain(capsys, "autoencoder", tmp_path / "s.npz", tmp_path / "out")
    assert (
        "its labels are ignored: to judge by them takes two classes with 10 examples each, and "
        "held-out ones" in out
    )


def test_texts_come_from_tables_and_a_column_of_labels_judges(capsys, tmp_path):
    data = reviews(tmp_path / "r.csv", n=300)
    out = pretrain(capsys, "mlm", data, tmp_path / "out")
    assert "300 texts; 285 to learn from, 15 held out" in out
    assert "its labels are not learnt from, they only judge the features" in out
    metrics = loaded(tmp_path / "out" / "metrics.json")
    assert metrics["without_model"]["what"] == "TF-IDF"
    assert metrics["without_model"]["probe"] > 0.5
    assert set(metrics["accuracy_baseline"]) == {"most frequent word"}


def test_several_files_make_one_corpus(capsys, tmp_path):
    first, second = book(tmp_path / "a.txt"), reviews(tmp_path / "b.csv", n=60)
    code, out, _ = run(
        capsys, "pretrain", "--objective", "mlm", "--data", first, second, "--output",
        tmp_path / "out", "--model", model_for(tmp_path, "mlm"), "--steps", "2",
    )  # fmt: skip
    assert code == 0
    assert f"{first}, {second}: 204 texts" in out


# -------------------------------------------------------------------- sizes, lengths, going on


@pytest.mark.parametrize("objective", ["autoencoder", "simclr"])
def test_base_convolves_as_often_as_the_image_can_be_halved(capsys, tmp_path, objective):
    data = npz(tmp_path / "squares.npz", n=24, size=6)
    pretrain(capsys, objective, data, tmp_path / "out", model="base", steps=1)
    saved = loaded(tmp_path / "out" / "model" / "config.json")
    assert (saved["convolutional"], saved["hidden_sizes"]) == (True, [32, 64])


def test_epochs_are_counted_in_steps(capsys, tmp_path):
    data = npz(tmp_path / "squares.npz")  # 108 to learn from: 6 full batches of 16
    code, _, _ = run(
        capsys, "pretrain", "--objective", "gan", "--data", data, "--output", tmp_path / "out",
        "--model", model_for(tmp_path, "gan"), "--epochs", "2", "--batch-size", "16",
    )  # fmt: skip
    assert code == 0
    assert loaded(tmp_path / "out" / "metrics.json")["steps"] == 12


def test_minutes_are_about_kept(capsys, tmp_path):
    data = npz(tmp_path / "squares.npz")
    started = time.monotonic()
    code, out, _ = run(
        capsys, "pretrain", "--objective", "autoencoder", "--data", data, "--output",
        tmp_path / "out", "--model", model_for(tmp_path, "autoencoder"), "--minutes", "0.1",
        "--device", "cpu",
    )  # fmt: skip
    assert code == 0
    assert "fit into 0.1 minutes, at " in out
    assert time.monotonic() - started < 60
    steps = loaded(tmp_path / "out" / "metrics.json")["steps"]
    assert 1 <= steps <= loaded(tmp_path / "out" / "run.json")["steps"]


def test_training_goes_on_from_a_models_folder(capsys, tmp_path):
    data = npz(tmp_path / "squares.npz")
    pretrain(capsys, "autoencoder", data, tmp_path / "a", "--lr", "0.02", steps=50)
    out = pretrain(
        capsys, "autoencoder", data, tmp_path / "b", "--lr", "1e-6", model=tmp_path / "a"
    )
    assert f"going on from {tmp_path / 'a'}" in out
    a, b = (loaded(tmp_path / name / "metrics.json")["held_out"]["loss"] for name in "ab")
    assert b == pytest.approx(a, rel=0.01)


def test_simcse_says_that_it_wants_a_model_that_can_read(capsys, tmp_path):
    data, sentence = book(tmp_path / "b.txt"), "from scratch it learns next to nothing"
    assert sentence in pretrain(capsys, "simcse", data, tmp_path / "a")
    again = pretrain(capsys, "simcse", data, tmp_path / "b", model=tmp_path / "a")
    assert sentence not in again


def test_a_bert_from_elsewhere_gets_a_head_that_knows_the_frequencies(capsys, caplog, tmp_path):
    model = mf.models.BertForSequenceClassification.from_pretrained(pretrained(tmp_path / "m"))
    tokenizer = mf.data.WordPieceTokenizer.from_pretrained(tmp_path / "m")
    model.save_pretrained(tmp_path / "other", tokenizer)
    data = reviews(tmp_path / "r.csv", n=200)
    caplog.clear()
    out = pretrain(capsys, "mlm", data, tmp_path / "out", "--lr", "1e-9", model=tmp_path / "other")
    assert (out.count("head is new (cls.predictions.bias, "), caplog.text) == (1, "")
    metrics = loaded(tmp_path / "out" / "metrics.json")
    assert metrics["held_out"]["loss"] < metrics["baselines"]["unigram"] + 0.7
    kept = mf.data.WordPieceTokenizer.from_pretrained(tmp_path / "out" / "model")
    assert kept.pieces == tokenizer.pieces


# --------------------------------------------------------------------------- kills and refusals


def start(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "minift", *map(str, words)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        cwd=Path(__file__).parent.parent,
    )  # fmt: skip


def wait_for(folder, least):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        steps = [int(path.name[5:]) for path in folder.glob("checkpoints/step-*")]
        if max(steps, default=0) >= least:
            return
        time.sleep(0.02)
    raise AssertionError(f"no checkpoint {least} in {folder}")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("objective", ["mlm", "gan"])
def test_a_killed_run_goes_on_bit_for_bit(capsys, tmp_path, objective):
    data = npz(tmp_path / "s.npz") if objective == "gan" else book(tmp_path / "b.txt")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    pretrain(capsys, objective, data, whole, steps=60)
    child = start(
        "pretrain", "--objective", objective, "--data", data, "--output", killed, "--steps", 60,
        "--model", model_for(tmp_path, objective), "--device", "cpu", "--checkpoint-minutes", 0,
    )  # fmt: skip
    wait_for(killed, least=8)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    assert not (killed / "metrics.json").exists()
    code, out, err = run(capsys, "pretrain", "--resume", killed)
    assert (code, err) == (0, "")
    assert "goes on after step " in out
    assert weights(killed) == weights(whole)
    assert (killed / "train.jsonl").read_bytes() == (whole / "train.jsonl").read_bytes()
    assert loaded(killed / "metrics.json") == loaded(whole / "metrics.json")
    code, out, _ = run(capsys, "pretrain", "--resume", killed)
    assert (code, out) == (0, f"{killed} holds a finished run: its numbers are in metrics.json\n")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one child")
def test_ctrl_c_says_how_to_go_on(tmp_path):
    output = tmp_path / "out"
    child = start(
        "pretrain", "--objective", "vae", "--data", npz(tmp_path / "s.npz"), "--output", output,
        "--model", model_for(tmp_path, "vae"), "--steps", 100_000, "--checkpoint-minutes", 0,
    )  # fmt: skip
    wait_for(output, least=3)
    child.send_signal(signal.SIGINT)
    err = child.communicate(timeout=60)[1]
    assert child.returncode == 130, err
    assert err.startswith(f"\nminift: interrupted; {output} holds: ")
    assert err.endswith(f"; go on with: minift pretrain --resume {output}\n")


def test_a_run_that_wrote_nothing_offers_no_going_on(capsys, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("minift.jobs.pretraining.run", full)
    code, _, err = run(
        capsys, "pretrain", "--objective", "vae", "--data", npz(tmp_path / "s.npz"),
        "--output", tmp_path / "out", "--model", model_for(tmp_path, "vae"),
    )  # fmt: skip
    assert (code, err) == (1, "\nminift: pretrain: [Errno 28] No space left on device\n")


def test_changed_data_and_more_options_are_refused_when_going_on(capsys, tmp_path):
    data, output = npz(tmp_path / "s.npz"), tmp_path / "out"
    pretrain(capsys, "vae", data, output)
    (output / "metrics.json").unlink()
    npz(data, n=100)
    assert mistake(capsys, "pretrain", "--resume", output) == (
        f"pretrain: {data} has changed since the run began (its SHA-256 is another), so the run "
        f"cannot go on as it was; bring the old one back, or start anew"
    )
    assert mistake(capsys, "pretrain", "--resume", output, "--steps", "9") == (
        "pretrain: --resume goes on with the run as it was begun, so leave out --steps"
    )


def test_a_folder_that_holds_a_run_is_refused_and_replaced_on_demand(capsys, tmp_path):
    data, output = npz(tmp_path / "s.npz"), tmp_path / "out"
    pretrain(capsys, "vae", data, output)
    words = ["pretrain", "--objective", "vae", "--data", data, "--output", output]
    said = mistake(capsys, *words)
    assert said.startswith(f"pretrain: {output} already holds a run (model, run.json, ")
    pretrain(capsys, "gan", data, output, "--overwrite", steps=2)
    names = {path.name for path in (output / "pictures").iterdir()}
    assert "reconstructions-00002.png" not in names
    assert loaded(output / "metrics.json")["objective"] == "gan"
