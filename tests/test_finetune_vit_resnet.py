"""`minift finetune` of a ViT and of a ResNet: what a run leaves, and what is learnt."""

import json

import numpy as np
import pytest
from compare import opened, torch
from finetune_cases import run
from vit_resnet_cases import (
    NORMAL,
    finetuned,
    ours,
    processor_file,
    published,
    resnet,
    theirs,
    vit,
    weights,
)

import minift as mf
from minift.cli import main
from minift.data import load_digits
from minift.finetune import LoRA
from minift.jobs import image_finetuning
from minift.jobs.image_classifiers import open_classifier
from minift.jobs.images import read_images
from minift.models import ResNetForImageClassification, ViTForImageClassification, ViTModel
from minift.train.records import read_records

STRATEGIES = ("full", "head", "gradual", "discriminative", "lora")
RUNS = [
    (model, s)
    for model in ("vit", "resnet")
    for s in STRATEGIES
    if (model, s) != ("resnet", "lora")
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return published(tmp_path_factory.mktemp("published"))


# --------------------------------------------------------------------------- what a run leaves


@pytest.mark.parametrize(("model", "strategy"), RUNS)
def test_each_strategy_leaves_a_model_that_transformers_opens_with_the_same_scores(
    capsys, tmp_path, folder, model, strategy
):
    data, output = folder / "grey.npz", tmp_path / "out"
    out, metrics = finetuned(capsys, folder / model, data, output, "--strategy", strategy)
    assert "  pixels: one channel given 3 times, (v - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.25]\n" in out
    assert "the classification head is new" in out
    assert (metrics["frozen"]["values"] > 0) == (strategy in ("head", "lora"))
    names = {path.name for path in output.iterdir()}
    assert names >= {"learning_curves.png", "confusion.png", "train.jsonl", "run.json"}
    assert ("adapter" in names) == (strategy == "lora")
    images = read_images(str(data))
    scores = ours(output, images)
    np.testing.assert_allclose(
        scores, theirs(output / "model", images.images), atol=1e-5, rtol=1e-5
    )
    config = json.loads((output / "model" / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"][0].endswith("ForImageClassification")
    assert config["id2label"] == {"0": "left", "1": "right"}
    code, out, err = run(capsys, "predict", "--model", output, "--data", data)
    said = [json.loads(line)["label"] for line in out.splitlines()]
    assert (code, err, said) == (0, "", [["left", "right"][i] for i in scores.argmax(axis=1)])


@pytest.mark.parametrize("name", ["vit", "resnet"])
def test_scores_in_float64_are_those_of_transformers_to_ten_digits(tmp_path, folder, name):
    """The pixels are float32 in both: what is compared is all that comes after."""
    make, model = {
        "vit": (vit, ViTForImageClassification), "resnet": (resnet, ResNetForImageClassification)
    }[name]  # fmt: skip
    place = processor_file(make(tmp_path, model, num_labels=5), **NORMAL)
    images = read_images(str(folder / "grey.npz"))
    classifier = open_classifier(place, images)
    for tensor in classifier.model.named_tensors().values():
        if tensor.dtype.kind == "f":
            tensor.data = tensor.data.astype(np.float64)
    values = torch.tensor(classifier.processor(images.images)).double()
    with torch.no_grad():
        expected = opened("AutoModelForImageClassification", place).double()(values).logits
    np.testing.assert_allclose(classifier.scores(images.images), expected, rtol=1e-10, atol=1e-10)


def test_lora_leaves_its_adapter_which_makes_the_base_the_merged_model(capsys, tmp_path, folder):
    finetuned(capsys, folder / "vit", folder / "grey.npz", tmp_path / "out", "--strategy", "lora")
    base = ViTForImageClassification.from_pretrained(folder / "vit")
    LoRA.load(base, tmp_path / "out" / "adapter")
    images = read_images(str(folder / "grey.npz"))
    classifier = open_classifier(tmp_path / "out", images)
    values = classifier.processor(images.images)
    with base.evaluating():
        np.testing.assert_allclose(
            base(values).numpy(), classifier.scores(images.images), atol=1e-5
        )
    before, after = weights(folder / "vit"), weights(tmp_path / "out")
    moved = {name for name in before if not np.array_equal(before[name], after.get(f"vit.{name}"))}
    asked = {f"layers.{i}.attention.{part}_proj.weight" for i in (0, 1) for part in "qv"}
    assert {name for name in moved if "pooler" not in name} == asked | {
        "layernorm.weight",
        "layernorm.bias",
    }  # the last norm belongs to the head


def test_the_result_is_judged_again_with_the_same_numbers_and_tuned_again_with_its_head(
    capsys, tmp_path, folder
):
    for model in ("vit", "resnet"):
        output = tmp_path / model
        nothing_aside = ("--val-split", "0.2", "--test-split", "0")
        _, metrics = finetuned(capsys, folder / model, folder / "grey.npz", output, *nothing_aside)
        still = ("--lr", "1e-12", "--epochs", "1", "--strategy", "head")
        out, again = finetuned(
            capsys, output, folder / "grey.npz", tmp_path / f"{model}_again", *nothing_aside, *still
        )
        assert "its head is kept" in out
        assert "(v - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.25]" in out
        assert again["validation"]["confusion"] == metrics["validation"]["confusion"]
        first, second = (
            [r for r in read_records(place / "train.jsonl") if "validation_loss" in r]
            for place in (output, tmp_path / f"{model}_again")
        )
        best = min(record["validation_loss"] for record in first)
        assert second[0]["validation_loss"] == pytest.approx(best, rel=1e-4)


# ----------------------------------------------------------------------------- what is learnt


def digits_npz(file, classes, n):
    """The first n digits of those classes, as bytes."""
    images, labels = load_digits().train
    rows = np.flatnonzero(np.isin(labels, classes))[:n]
    np.savez(file, images=(images[rows] * 255).astype(np.uint8), labels=labels[rows])
    return file


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A ViT as it was made, the same one when it knew the digits below five; 200 of the rest."""
    folder = tmp_path_factory.mktemp("digits")
    mf.manual_seed(0)
    sizes = {"image_size": 8, "num_channels": 1, "hidden_size": 24, "intermediate_size": 48}
    vit(folder / "blank", **sizes, num_attention_heads=3, initializer_range=0.1)
    processor_file(folder / "blank", image_mean=0.3, image_std=0.35)
    data = digits_npz(folder / "old.npz", range(5), 600)
    assert main([
        "finetune", "--model", str(folder / "blank"), "--data", str(data), "--output",
        str(folder / "learnt"), "--lr", "5e-3", "--head-lr", "5e-2", "--epochs", "8",
        "--device", "cpu",
    ]) == 0  # fmt: skip
    digits_npz(folder / "new.npz", range(5, 10), 200)
    return folder


@pytest.mark.parametrize(
    ("strategy", "lr", "head"), [("full", "3e-3", "3e-2"), ("lora", "1e-2", "1e-2")]
)
def test_a_vit_that_knows_some_digits_learns_the_others_from_28_images_a_class(
    capsys, tmp_path, digits, strategy, lr, head
):
    """Far above the majority, and above the same ViT that knows none."""
    accuracy = {}
    for start in ("blank", "learnt"):
        words = ("--strategy", strategy, "--lr", lr, "--head-lr", head, "--epochs", "10",
                 "--test-split", "0.3")  # fmt: skip
        output = tmp_path / start
        _, metrics = finetuned(capsys, digits / start, digits / "new.npz", output, *words)
        accuracy[start] = metrics["test"]["accuracy"]
    assert metrics["baselines"]["majority"]["accuracy"] < 0.3
    assert accuracy["learnt"] > 0.7
    assert accuracy["learnt"] > accuracy["blank"] + 0.2


@pytest.mark.parametrize(
    ("strategy", "still"),
    [("head", ("embedder", "encoder.stages.0", "encoder.stages.1")),
     ("gradual", ("embedder", "encoder.stages.0")), ("full", ())],
)  # fmt: skip
def test_the_moments_of_frozen_batch_norms_stay(capsys, tmp_path, folder, strategy, still):
    """In two epochs gradual unfreezing gets down to the last stage."""
    words = ("--strategy", strategy, "--epochs", "2", "--val-split", "0", "--test-split", "0")
    finetuned(capsys, folder / "resnet", folder / "grey.npz", tmp_path / "out", *words)
    before, after = weights(folder / "resnet"), weights(tmp_path / "out")
    moments = [name for name in before if "running_" in name]
    assert len(moments) == 12
    for name in moments:
        same = np.array_equal(before[name], after[f"resnet.{name}"])
        assert same == name.startswith(still), name


@pytest.mark.parametrize("strategy", ["full", "head"])
def test_pixels_are_scaled_in_training_as_in_judging(capsys, tmp_path, folder, strategy):
    """The loss that chose the best epoch is that of transformers on the same images."""
    aside = ("--val-split", "0.25", "--test-split", "0", "--epochs", "1", "--strategy", strategy)
    for model in ("vit", "resnet"):
        finetuned(capsys, folder / model, folder / "grey.npz", tmp_path / model, *aside)
        options = image_finetuning.Options(
            model=folder / model, data=str(folder / "grey.npz"), output=tmp_path / "none",
            val_split=0.25, test_split=0.0,
        )  # fmt: skip
        plan = image_finetuning.prepare(options)
        rows = plan.parts.validation
        scores = theirs(tmp_path / model / "model", plan.images.images[rows])
        expected = torch.nn.functional.cross_entropy(
            torch.tensor(scores), torch.tensor(plan.targets[rows])
        )
        *_, record = read_records(tmp_path / model / "train.jsonl")
        assert record["validation_loss"] == pytest.approx(expected.item(), rel=1e-4)


def test_of_a_bare_encoder_no_head_is_kept_even_if_its_config_names_the_classes(tmp_path, folder):
    names = {"num_labels": 2, "id2label": {0: "left", 1: "right"}}
    for model, kept in ((ViTModel, False), (ViTForImageClassification, True)):
        place, data = vit(tmp_path / "vit", model, **names), str(folder / "grey.npz")
        options = image_finetuning.Options(model=place, data=data, output=tmp_path / "none")
        assert image_finetuning.prepare(options).kept_head == kept


def test_peak_rates_are_by_the_width(tmp_path, folder):
    def rate(model, strategy):
        data = str(folder / "grey.npz")
        return image_finetuning.prepare(
            image_finetuning.Options(
                model=folder / model, data=data, output=tmp_path / "none", strategy=strategy
            )
        ).recipe.lr

    assert rate("vit", "full") == pytest.approx(3e-5 * 768 / 16)
    assert rate("vit", "lora") == pytest.approx(5e-4 * 768 / 16)
    assert rate("resnet", "full") == pytest.approx(1e-4 * 768 / 8)
    assert rate("resnet", "head") == pytest.approx(3e-3 * 768 / 8)


def test_the_remedies_and_the_pull_reach_a_head_and_a_body_of_other_names(capsys, tmp_path, folder):
    """A ResNet's head is called classifier.1."""
    scores = []
    for name, more in (("plain", ()), ("moved", ("--move-threshold",))):
        _, metrics = finetuned(
            capsys, folder / "resnet", folder / "grey.npz", tmp_path / name, "--l2-sp", "0.1",
            "--loss", "focal", *more,
        )  # fmt: skip
        scores.append(ours(tmp_path / name, read_images(str(folder / "grey.npz"))))
    offsets = [metrics["moved_thresholds"][name] for name in ("left", "right")]
    np.testing.assert_allclose(scores[1] - scores[0], np.tile(offsets, (80, 1)), atol=2e-4)
    assert "l2_sp" in next(iter(read_records(tmp_path / "plain" / "train.jsonl")))


def test_a_run_on_a_device_answers_as_on_the_cpu(capsys, tmp_path, folder, device):
    for model, strategy in (("vit", "lora"), ("resnet", "full")):
        output = tmp_path / model
        words = ("--strategy", strategy, "--epochs", "1", "--device", device)
        finetuned(capsys, folder / model, folder / "grey.npz", output, *words)
        said = {}
        for where in ("cpu", device):
            words = ("predict", "--model", output, "--data", folder / "grey.npz")
            lines = run(capsys, *words, "--device", where)[1].splitlines()
            said[where] = [json.loads(line)["probabilities"] for line in lines]
        assert len(said["cpu"]) == 80
        for here, there in zip(said["cpu"], said[device]):
            assert there == pytest.approx(here, abs=3e-4)
