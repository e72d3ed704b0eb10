"""`minift finetune`, `evaluate` and `predict` on images with folders of a ViT or a ResNet."""

import json

import numpy as np
import pytest
from compare import opened, torch, transformers
from finetune_cases import mistake, run
from pretrain_cases import squares

import minift as mf
from minift.data.image_processor import FILE
from minift.finetune import LoRA
from minift.jobs.image_classifiers import open_classifier
from minift.jobs.images import read_images
from minift.models import (
    ResNetConfig,
    ResNetForImageClassification,
    ResNetModel,
    ViTConfig,
    ViTForImageClassification,
    ViTModel,
)
from minift.train.records import read_records

VIT = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "image_size": 6, "patch_size": 2, "initializer_range": 0.2,
}  # fmt: skip
RESNET = {"embedding_size": 6, "hidden_sizes": [6, 8], "depths": [1, 1], "layer_type": "basic"}
NORMAL = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.25], "do_resize": False}
STRATEGIES = ("full", "head", "gradual", "discriminative", "lora")
RUNS = [
    (model, s)
    for model in ("vit", "resnet")
    for s in STRATEGIES
    if (model, s) != ("resnet", "lora")
]
QUICK = ("--epochs", "6", "--lr", "2e-2", "--device", "cpu")


def processor_file(folder, **content):
    (folder / FILE).write_text(json.dumps(content), encoding="utf-8")
    return folder


def vit(folder, model=ViTModel, **changes):
    model(ViTConfig(**{**VIT, **changes})).save_pretrained(folder)
    return folder


def resnet(folder, model=ResNetModel, **changes):
    """Its norms have seen something: their running moments are not those of the start."""
    made = model(ResNetConfig(**{**RESNET, **changes}))
    made.train()(np.random.default_rng(0).random((8, 3, 16, 16), np.float32))
    made.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Bare encoders with files that say how pixels are scaled, and pictures of one channel."""
    folder = tmp_path_factory.mktemp("published")
    mf.manual_seed(0)
    for name, make in (("vit", vit), ("resnet", resnet)):
        processor_file(make(folder / name), **NORMAL)
    grey(folder / "grey.npz", 80)
    return folder


def grey(file, n, **sizes):
    """Bytes, one channel, a bright square left or right."""
    images, labels = squares(n, **sizes)
    names = np.array(["left", "right"])[labels]
    np.savez(file, images=(images * 255).astype(np.uint8), labels=names)
    return file


def finetuned(capsys, model, data, output, *more):
    """(what was said, metrics.json) of a successful run."""
    words = ("finetune", "--model", model, "--data", data, "--output", output, *QUICK, *more)
    code, out, err = run(capsys, *words)
    assert (code, err) == (0, "")
    return out, json.loads((output / "metrics.json").read_text(encoding="utf-8"))


def refused(capsys, tmp_path, model, data, *more):
    """The sentence, and that nothing was written."""
    output = tmp_path / "refused"
    words = ("finetune", "--model", model, "--data", data, "--output", output, *QUICK, *more)
    said = mistake(capsys, *words)
    assert not output.exists()
    return said.removeprefix("finetune: ")


def theirs(place, images):
    """The scores of transformers for images (n, c, H, W) in [0, 1], from the folder's own files."""
    model = opened("AutoModelForImageClassification", place)
    processor = transformers.AutoImageProcessor.from_pretrained(place)
    images = np.repeat(images, 3 // images.shape[1], axis=1)  # transformers wants them in colour
    raw = list((images * 255).round().astype(np.uint8))
    values = processor(raw, input_data_format="channels_first", return_tensors="pt")
    with torch.no_grad():
        return model(**values).logits.numpy()


def ours(place, images):
    return open_classifier(place, images).scores(images.images)


def weights(place):
    return mf.load(place).state_dict()


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
