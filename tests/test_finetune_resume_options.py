"""Whatever `minift finetune` is told, a run that is broken off and resumed ends bit for bit alike.

Each run here is broken off three times: in its first epoch and in a later one, after an update of
which no checkpoint knows yet, and when its training is over but not its report. What kill -9 does
to a process is tested in `test_finetune_resume.py`.
"""

import json
from pathlib import Path

import pytest
from finetune_cases import pretrained, run, sentences, write_table
from pretrain_cases import npz

from minift.jobs import finetuning
from minift.jobs.image_finetuning import running
from minift.models import (
    Autoencoder,
    AutoencoderConfig,
    ResNetConfig,
    ResNetModel,
    ViTConfig,
    ViTModel,
)
from minift.train import Trainer

pytestmark = pytest.mark.usefixtures("power_stays_on")
OFTEN, SELDOM = ("--checkpoint-minutes", "0"), ("--checkpoint-minutes", "60")
TEXTS = {
    "lora, one cycle": "--strategy lora --schedule one_cycle",
    "lora, over-sampled, moved": "--strategy lora --oversample --move-threshold",
    "discriminative, one cycle": "--strategy discriminative --schedule one_cycle",
    "accumulated": "--accumulate 3 --class-weight balanced --epochs 8",
    "weighed, focal, moved": "--class-weight balanced --loss focal --move-threshold",
    "features, over-sampled": "--strategy head --oversample --feature-cache cache",
    "thawed at a stall": "--strategy gradual --unfreeze stall --schedule slanted_triangular",
    "l2-sp, cosine, mean": "--l2-sp 0.1 --schedule cosine --pooling mean",
    "averaged, frozen": "--ema 0.9 --freeze *.embeddings.* --recompute --norms --clip 0.5",
    "averaged adapters": "--ema 0.9 --strategy lora --patience 2 --min-delta 0.01",
    "several labels": "--task multilabel --class-weight balanced --move-threshold",
    "numbers, lora": "--task regression --strategy lora",
}
EARLY, LATE = 2, 9  # steps after which a run is broken off


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """With dropout, so that the generators have something to forget."""
    return pretrained(tmp_path_factory.mktemp("pretrained"), hidden_dropout_prob=0.1)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def uneven(task):
    """A table in which one row of four is good, or has two labels, or a higher number."""
    said = {"classification": ("bad", "good"), "multilabel": ("a", "a;b"), "regression": (3, 4)}
    rows = [(text, said[task][good]) for text, good in sentences(160, seed=2)]
    rare = [row for row in rows if row[1] == said[task][1]][:20]
    return write_table("t.csv", *[row for row in rows if row[1] == said[task][0]][:60], *rare)


def content(folder):
    """What a run leaves, bit for bit, but for its clock and its checkpoints; and its numbers."""
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    names = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    metrics = json.loads(names.pop("metrics.json"))
    del metrics["seconds"], names["run.json"]
    return metrics, {n: b for n, b in names.items() if not n.startswith("checkpoints/")}


def broken_off(monkeypatch, capsys, where, name, call, arguments):
    """Run with `call` in the place of `where.name`, until it raises what Ctrl-C does."""
    with monkeypatch.context() as patched:
        patched.setattr(where, name, call)
        code, _, err = run(capsys, *arguments)
    assert code == 130, err


def until(step, train_step=Trainer.train_step):
    """A `Trainer.train_step` that is the last one."""

    def call(trainer, *batches):
        train_step(trainer, *batches)
        if trainer.step == step:
            raise KeyboardInterrupt

    return call


def in_pieces(monkeypatch, capsys, job, begin):
    """Run, break off, resume: three times, then to the end."""

    def never(*_):
        raise KeyboardInterrupt

    resume = ["finetune", "--resume", "out"]
    broken_off(monkeypatch, capsys, Trainer, "train_step", until(EARLY), begin)
    broken_off(monkeypatch, capsys, Trainer, "train_step", until(LATE), resume)
    broken_off(monkeypatch, capsys, job, "judge", never, resume)
    code, out, err = run(capsys, *resume)
    assert (code, err) == (0, "")
    assert "goes on after step" in out


@pytest.mark.parametrize("options", TEXTS.values(), ids=TEXTS)
def test_a_run_in_pieces_leaves_what_the_whole_run_leaves(
    capsys, monkeypatch, here, model, options
):
    words = options.split()
    uneven(words[words.index("--task") + 1] if "--task" in words else "classification")
    common = ["finetune", "--model", model, "--data", "t.csv", "--text", "text", "--label", "label",
              "--lr", "1e-2", "--epochs", "4", "--batch-size", "16", "--device", "cpu",
              *words]  # fmt: skip
    assert run(capsys, *common, "--output", "whole", *SELDOM)[0] == 0
    in_pieces(monkeypatch, capsys, finetuning, [*common, "--output", "out", *OFTEN])
    assert content("out") == content("whole")
    moved = content("out")[0]["moved_thresholds"]
    assert (moved is not None) == ("--move-threshold" in words)


def autoencoder(folder):
    config = AutoencoderConfig(image_size=6, hidden_sizes=(12, 8), code_size=2)
    Autoencoder(config).save_pretrained(folder)


def vit(folder):
    """With dropout, for the generators."""
    config = ViTConfig(
        hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12,
        image_size=6, patch_size=3, num_channels=1, hidden_dropout_prob=0.1,
    )  # fmt: skip
    ViTModel(config).save_pretrained(folder)


def resnet(folder):
    sizes = {"embedding_size": 4, "hidden_sizes": [4, 6], "depths": [1, 1]}
    config = ResNetConfig(num_channels=3, layer_type="basic", **sizes)
    ResNetModel(config).save_pretrained(folder)


IMAGES = {
    "focal, over-sampled, moved": (autoencoder, "--loss focal --oversample --move-threshold"),
    "discriminative, l2-sp": (
        autoencoder, "--strategy discriminative --schedule one_cycle --l2-sp 0.1"
    ),
    "thawed at a stall": (autoencoder, "--strategy gradual --unfreeze stall"),
    "averaged, frozen": (
        autoencoder, "--ema 0.9 --freeze encoder.layers.0 --norms --clip 0.5"
    ),
    "head, accumulated": (
        autoencoder, "--strategy head --class-weight balanced --accumulate 2 --epochs 8"
    ),
    "lora of a ViT, moved": (vit, "--strategy lora --move-threshold"),
    "head of a ViT": (vit, "--strategy head"),
    "a ResNet, moved": (resnet, "--l2-sp 0.1 --move-threshold"),
    "a ResNet, averaged": (resnet, "--ema 0.9"),
    "a ResNet, thawing": (resnet, "--strategy gradual"),
    "head of a ResNet": (resnet, "--strategy head"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "options"), IMAGES.values(), ids=IMAGES)
def test_on_images_too(capsys, monkeypatch, here, make, options):
    make(here / "model")
    common = ["finetune", "--model", "model", "--data", npz(here / "i.npz", n=80), "--lr", "1e-2",
              "--epochs", "4", "--batch-size", "16", "--device", "cpu",
              *options.split()]  # fmt: skip
    assert run(capsys, *common, "--output", "whole", *SELDOM)[0] == 0
    in_pieces(monkeypatch, capsys, running, [*common, "--output", "out", *OFTEN])
    assert content("out") == content("whole")
