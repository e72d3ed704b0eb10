"""What `minift finetune` can be told of a training, besides its strategy: each word does it."""

import json
from pathlib import Path

import numpy as np
import pytest
from finetune_cases import finetune, mistake, pretrained, reviews, run
from pretrain_cases import npz
from safetensors.numpy import load_file

from minift import checkpoint
from minift.jobs import training
from minift.jobs.options import TrainingOptions, check_weights
from minift.models import Autoencoder, AutoencoderConfig, ResNetConfig, ResNetModel
from minift.nn import Module
from minift.train import Checkpoint, EarlyStopping, Trainer, find_learning_rate
from minift.train.records import read_records

COMMON = ("--epochs", "3", "--batch-size", "16")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return pretrained(tmp_path_factory.mktemp("pretrained"), hidden_dropout_prob=0.1)


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return reviews(tmp_path / "reviews.csv", 100)


def tuned(capsys, model, data, name, *more):
    """The weights that a run leaves, and what it said."""
    said = finetune(capsys, model, data, name, *COMMON, *more)
    return load_file(Path(name) / "model" / "model.safetensors"), said


def numbers(name):
    return json.loads((Path(name) / "metrics.json").read_text(encoding="utf-8"))


def test_recomputed_blocks_leave_the_same_weights(capsys, monkeypatch, model, data):
    asked = []
    recompute = Module.recompute
    monkeypatch.setattr(Module, "recompute", lambda m, *p: asked.append(p) or recompute(m, *p))
    plain, _ = tuned(capsys, model, data, "plain")
    assert asked == []
    again, said = tuned(capsys, model, data, "again", "--recompute")
    assert asked == [("bert.encoder.layer.0",), ("bert.encoder.layer.1",)]
    assert "\n  blocks recomputed on the way back\n" in said
    for name, weight in plain.items():
        np.testing.assert_array_equal(again[name], weight)


def test_averaged_weights_are_what_is_kept(capsys, monkeypatch, model, data):
    seen = []
    train_step = Trainer.train_step

    def watched(trainer, *batches):
        seen[:] = seen or [trainer.model.state_dict()]
        train_step(trainer, *batches)
        seen.append(trainer.model.state_dict())

    monkeypatch.setattr(Trainer, "train_step", watched)
    kept, said = tuned(capsys, model, data, "out", "--ema", "0.9", "--val-split", "0")
    assert "weights averaged (0.9 stays in a step)" in said
    mean = seen[0]
    for t, weights in enumerate(seen[1:], 1):
        decay = min(0.9, (1 + t) / (10 + t))
        mean = {n: decay * mean[n] + (1 - decay) * w for n, w in weights.items()}
    for name, weight in kept.items():
        np.testing.assert_allclose(weight, mean[name], rtol=1e-4, atol=1e-6)
    assert abs(seen[-1]["classifier.weight"] - kept["classifier.weight"]).max() > 1e-4


def test_the_best_epoch_is_kept_as_its_average(capsys, monkeypatch, model, data):
    judged, stepped = [], []
    on_evaluate = EarlyStopping.on_evaluate

    def watched(stopping, trainer):
        judged.append(trainer.model.state_dict())
        on_evaluate(stopping, trainer)

    def between(saving, trainer):
        stepped.append(trainer.model.state_dict())

    monkeypatch.setattr(EarlyStopping, "on_evaluate", watched)
    monkeypatch.setattr(Checkpoint, "on_between_steps", between)
    kept, _ = tuned(capsys, model, data, "out", "--ema", "0.99", "--head-lr", "0.03")
    best = numbers("out")["best_epoch"]
    assert (best, len(judged)) == (1, 3)  # so that the last average is another one
    for name, weight in kept.items():
        np.testing.assert_array_equal(weight, judged[best - 1][name])
    assert abs(stepped[5]["classifier.weight"] - kept["classifier.weight"]).max() > 1e-4


@pytest.mark.parametrize(("words", "longest"), [((), 1.0), (("--clip", "0.5"), 0.5)])
def test_gradients_are_cut(capsys, model, data, words, longest):
    tuned(capsys, model, data, "out", *words)
    assert checkpoint.load_newest(Path("out") / "checkpoints")["run"]["max_grad_norm"] == longest


def test_clip_zero_never_cuts(capsys, model, data):
    _, said = tuned(capsys, model, data, "out", "--clip", "0")
    assert "gradients not cut" in said
    assert not any("grad_norm" in record for record in read_records(Path("out") / "train.jsonl"))


def test_patience_counts_epochs_that_are_not_better_by_enough(capsys, model, data):
    tuned(capsys, model, data, "out", "--epochs", "9", "--patience", "2", "--min-delta", "1000")
    assert numbers("out")["epochs"] == 3  # the first, and two that were no better
    tuned(capsys, model, data, "usual", "--epochs", "9", "--min-delta", "1000")
    assert numbers("usual")["epochs"] == 4


def test_what_is_named_stays_as_it_is(capsys, model, data):
    start = load_file(Path(model) / "model.safetensors")
    words = ("--freeze", "*.word_embeddings.*", "--freeze", "*.layer.0")
    kept, said = tuned(capsys, model, data, "out", *words)
    fast = [name for name in start if "word_embeddings" in name or "layer.0." in name]
    assert len(fast) == 17
    for name in fast:
        np.testing.assert_array_equal(kept[name], start[name])
    moved = "bert.encoder.layer.1.attention.self.query.weight"
    assert abs(kept[moved] - start[moved]).max() > 1e-4
    assert "*.word_embeddings.* *.layer.0 held fast" in said
    assert numbers("out")["frozen"]["tensors"] == 17


def test_norms_are_logged(capsys, model, data):
    tuned(capsys, model, data, "out", "--norms")
    steps = [record for record in read_records(Path("out") / "train.jsonl") if "loss" in record]
    assert all(record["update_norm"] < record["weight_norm"] for record in steps)
    assert len(steps) == 18


def test_images_have_the_same_words(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = AutoencoderConfig(image_size=6, hidden_sizes=(12, 8), code_size=2)
    Autoencoder(config).save_pretrained("model")
    start = load_file(Path("model") / "model.safetensors")
    words = ("--freeze", "encoder.layers.0", "--ema", "0.9", "--norms", "--recompute")

    common = ("finetune", "--model", "model", "--data", npz(tmp_path / "i.npz", n=80),
              "--output", "out", "--device", "cpu", *COMMON)  # fmt: skip
    assert "out/learning_rates.png shows it" in run(capsys, *common, "--find-lr")[1]
    code, said, err = run(capsys, *common, *words)
    assert (code, err) == (0, "")
    assert "encoder.layers.0 held fast, weights averaged (0.9 stays in a step), blocks" in said
    kept = load_file(Path("out") / "model" / "model.safetensors")
    name = "encoder.layers.0.weight"
    np.testing.assert_array_equal(kept[name], start[name])


def test_rates_are_tried_and_nothing_is_trained(capsys, monkeypatch, model, data):
    trials = []

    def tried(trainer, lowest, highest):
        before = trainer.model.state_dict()
        curve = find_learning_rate(trainer, lowest, highest)
        after = trainer.model.state_dict()
        assert all((before[name] == after[name]).all() for name in before)
        trials.append((lowest, highest, curve))
        return curve

    monkeypatch.setattr(training, "find_learning_rate", tried)
    said = finetune(capsys, model, data, "out", "--find-lr", "--head-lr", "0.03")
    ((lowest, highest, curve),) = trials
    assert (lowest, highest) == pytest.approx((3e-4, 30))  # of the head
    best = curve.suggestion
    assert f"Try --lr {best / 10:.2g} --head-lr {best:.2g}, or a third of it\n" in said
    assert [file.name for file in Path("out").iterdir()] == ["learning_rates.png"]
    finetune(capsys, model, data, "out")  # the same folder
    assert (Path("out") / "learning_rates.png").is_file()


def test_a_run_of_another_version_is_refused_in_a_sentence(capsys, model, data):
    tuned(capsys, model, data, "out")
    file = Path("out") / "run.json"
    (Path("out") / "metrics.json").unlink()
    record = json.loads(file.read_text(encoding="utf-8"))
    del record["recipe"]["head_lr"]
    file.write_text(json.dumps(record), encoding="utf-8")
    assert mistake(capsys, "finetune", "--resume", "out") == (
        "finetune: out was begun by a minift whose recipes were others; begin it anew"
    )


def test_interrupted_rates_leave_nothing_to_resume(capsys, monkeypatch, model, data):
    def interrupt(*_):
        raise KeyboardInterrupt

    finetune(capsys, model, data, "out", "--find-lr")
    monkeypatch.setattr(training, "find_learning_rate", interrupt)
    common = ("--text", "text", "--label", "label", "--output", "out", "--find-lr")
    code, _, err = run(capsys, "finetune", "--model", model, "--data", data, *common)
    assert (code, err) == (130, "\nminift: interrupted\n")


# --------------------------------------------------------------------------------- contradictions


def refused(capsys, model, data, *words):
    return mistake(
        capsys, "finetune", "--model", model, "--data", data, "--text", "text", "--label", "label",
        "--output", "out", *words,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            "--freeze *.embedings.*",
            "finetune: no parameter of BertForSequenceClassification matches '*.embedings.*'; "
            "nearest names: bert.embeddings",
        ),
        ("--freeze *", "finetune: --freeze * leaves nothing to train"),
        (
            "--freeze *.layer.0 --strategy lora",
            "finetune: --freeze holds fast a part of what --strategy full or discriminative moves; "
            "--strategy lora says itself what moves: leave it out",
        ),
        (
            "--recompute --strategy head",
            "finetune: --recompute saves memory on the way back through the body, which --strategy "
            "head never goes; leave it out",
        ),
        (
            "--head-lr 1 --strategy head",
            "finetune: with --strategy head, --lr is the head's rate; leave --head-lr out",
        ),
        ("--ema 0", "finetune: --ema is a share of the average that stays, in (0, 1), got 0.0"),
        ("--ema 1", "--ema: must be a share in [0, 1), got '1' (see minift finetune --help)"),
        (
            "--patience 2 --val-split 0",
            "finetune: --patience and --min-delta watch the validation, which --val-split 0 "
            "leaves out",
        ),
        ("--clip -1", "--clip: must be a number of at least 0, got '-1'"),
    ],
)
def test_contradictions_are_said_in_a_sentence(capsys, model, data, words, sentence):
    assert refused(capsys, model, data, *words.split()).startswith(sentence)
    assert not Path("out").exists()


def test_blocks_with_batch_norms_are_not_recomputed(tmp_path):
    options = TrainingOptions(model="resnet", output=tmp_path, recompute=True)
    net = ResNetModel(ResNetConfig(embedding_size=4, hidden_sizes=(4, 8), depths=(1, 1)))
    with pytest.raises(ValueError, match="the batch norms of resnet would count each batch twice"):
        check_weights(options, net)
