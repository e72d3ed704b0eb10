"""`minift finetune`, `evaluate` and `predict` on images with folders of a ViT or a ResNet."""

import json

import numpy as np
import pytest
from compare import opened, torch, transformers
from finetune_cases import mistake, pretrained, run
from pretrain_cases import squares

import minift as mf
from minift.cli import main
from minift.data import load_digits
from minift.data.image_processor import FILE
from minift.finetune import LoRA
from minift.jobs import image_finetuning
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


# ------------------------------------------------------------------------- sizes and channels


def test_images_of_another_size_are_scaled_if_the_folder_says_so(capsys, tmp_path, folder):
    place = vit(tmp_path / "vit", image_size=12)
    processor_file(place, **{**NORMAL, "do_resize": True, "size": 12})
    out, _ = finetuned(capsys, place, folder / "grey.npz", tmp_path / "out", "--epochs", "1")
    assert "80 images of 6 × 6 pixels" in out
    assert "  pixels: scaled to 12 × 12, one channel given 3 times, (v - [" in out
    images = read_images(str(folder / "grey.npz"))
    larger = torch.nn.functional.interpolate(
        torch.tensor(images.images), size=(12, 12), mode="bilinear", antialias=True
    )
    values = larger.expand(-1, 3, -1, -1) - torch.tensor(NORMAL["image_mean"])[:, None, None]
    values /= torch.tensor(NORMAL["image_std"])[:, None, None]
    with torch.no_grad():
        expected = opened("AutoModelForImageClassification", tmp_path / "out" / "model")(values)
    np.testing.assert_allclose(ours(tmp_path / "out", images), expected.logits, atol=1e-5)
    saved = json.loads((tmp_path / "out" / "model" / FILE).read_text(encoding="utf-8"))
    assert (saved["do_resize"], saved["size"]) == (True, {"height": 12, "width": 12})


def test_a_resnet_takes_images_as_large_as_they_are_whatever_its_file_says(
    capsys, tmp_path, folder
):
    place = resnet(tmp_path / "resnet")
    processor_file(place, **{**NORMAL, "do_resize": True, "size": {"shortest_edge": 224}})
    data = grey(tmp_path / "large.npz", 40, size=16)
    finetuned(capsys, place, data, tmp_path / "out", "--epochs", "1")
    images = read_images(str(data))
    expected = theirs(tmp_path / "out" / "model", images.images)
    np.testing.assert_allclose(ours(tmp_path / "out", images), expected, atol=1e-5)


def test_many_large_images_are_judged_a_few_at_a_time(tmp_path, monkeypatch):
    """500 of 224 × 224 would fill a memory."""
    place, seen = (
        vit(tmp_path / "vit", ViTForImageClassification, image_size=224, patch_size=56),
        [],
    )
    np.savez(tmp_path / "i.npz", images=np.zeros((40, 3, 224, 224), np.uint8))
    forward = ViTForImageClassification.forward

    def counted(model, pixel_values):
        seen.append(len(pixel_values))
        return forward(model, pixel_values)

    monkeypatch.setattr(ViTForImageClassification, "forward", counted)
    assert ours(place, read_images(str(tmp_path / "i.npz"))).shape == (40, 2)
    assert sum(seen) == 40
    assert max(seen) * 3 * 224 * 224 <= 2**22


# ---------------------------------------------------------------------------- evaluate, predict


def test_evaluate_says_how_pixels_are_read_and_judges_by_names(capsys, tmp_path, folder):
    """Of a model that was published with its classes, which stand in another order here."""
    labels = {"num_labels": 3, "id2label": {0: "right", 1: "up", 2: "left"}}
    place = processor_file(vit(tmp_path / "vit", ViTForImageClassification, **labels), **NORMAL)
    words = ("evaluate", "--model", place, "--data", folder / "grey.npz", "--output")
    code, out, err = run(capsys, *words, tmp_path / "ev")
    assert (code, err) == (0, "")
    assert "80 images\npixels: one channel given 3 times, (v - [0.5, 0.4, 0.3]) / [" in out
    metrics = json.loads((tmp_path / "ev" / "metrics.json").read_text(encoding="utf-8"))
    images = read_images(str(folder / "grey.npz"))
    scores = theirs(place, images.images)
    names = np.array(list(labels["id2label"].values()))
    right = names[scores.argmax(axis=1)] == np.array(images.classes)[images.labels]
    assert metrics["accuracy"] == pytest.approx(right.mean())
    assert [metrics["per_class"][name]["support"] for name in names] == [40, 0, 40]


def test_of_two_classes_of_one_name_the_second_has_its_number_behind_it(capsys, tmp_path, folder):
    """ImageNet has two cranes: without the number one answer would hide the other."""
    labels = {"num_labels": 3, "id2label": {0: "crane", 1: "left", 2: "crane"}}
    place = processor_file(vit(tmp_path / "vit", ViTForImageClassification, **labels), **NORMAL)
    out = run(capsys, "predict", "--model", place, "--data", folder / "grey.npz")[1]
    for line in out.splitlines():
        chances = json.loads(line)["probabilities"]
        assert set(chances) == {"crane", "left", "crane (2)"}
        assert sum(chances.values()) == pytest.approx(1, abs=2e-4)


def test_a_report_says_why_there_is_no_source_loss(capsys, tmp_path, folder):
    named = vit(tmp_path / "vit", ViTForImageClassification)
    for model, why in (
        (folder / "vit", "the folder holds no head for its pre-training objective"),
        (named, "its old task was to name other images, which are not at hand"),
    ):
        output = tmp_path / f"{model.parent.name}_out"
        out, metrics = finetuned(capsys, model, folder / "grey.npz", output, "--epochs", "1")
        assert metrics["forgetting"] == {"unknown": why}
        assert f"Forgetting: not measured, {why}" in out


# ------------------------------------------------------------------------------------- refused


def test_folders_and_images_that_do_not_fit_are_refused(capsys, tmp_path, folder):
    data, (_, *more) = folder / "grey.npz", ("", "--strategy", "lora")
    assert refused(capsys, tmp_path, folder / "resnet", data, *more) == (
        f"{folder / 'resnet'} holds no transformer, beside whose matrices LoRA would learn: no "
        f"--strategy lora"
    )
    large = grey(tmp_path / "large.npz", 40, size=8)
    assert refused(capsys, tmp_path, folder / "vit", large) == (
        f"the images of {large} are 1 × 8 × 8 (channels × height × width), but {folder / 'vit'} is "
        f"for 3 × 6 × 6; scale them first, or let its preprocessor_config.json say do_resize"
    )
    one = vit(tmp_path / "one", num_channels=1)
    np.savez(tmp_path / "c.npz", images=np.zeros((9, 3, 6, 6), np.uint8), labels=np.arange(9) % 2)
    assert refused(capsys, tmp_path, one, tmp_path / "c.npz") == (
        f"the images of {tmp_path / 'c.npz'} are 3 × 6 × 6 (channels × height × width), but {one} "
        f"is for 1 × 6 × 6"
    )
    texts = pretrained(tmp_path / "texts")
    assert refused(capsys, tmp_path, texts, data) == (
        f"{texts} holds a model of the type 'bert', no encoder of images: a ViT, a ResNet or what "
        f"minift pretrain makes"
    )


def test_a_damaged_preprocessor_file_is_refused(capsys, tmp_path, folder):
    place, data = vit(tmp_path / "vit", ViTForImageClassification), folder / "grey.npz"
    processor_file(place, **{**NORMAL, "image_std": 0})
    for command in ("finetune", "evaluate", "predict"):
        more = () if command == "predict" else ("--output", tmp_path / "out")
        assert mistake(capsys, command, "--model", place, "--data", data, *more) == (
            f"{command}: {place / FILE}: image_std must be 3 numbers, one for each channel of the "
            f"model, above 0, got 0"
        )
    (place / FILE).write_text("{", encoding="utf-8")
    assert refused(capsys, tmp_path, place, data).startswith(f"{place / FILE} is not valid JSON")


def test_an_encoder_without_classes_answers_nothing(capsys, tmp_path, folder):
    for command in ("evaluate", "predict"):
        more = ("--output", tmp_path / "out") if command == "evaluate" else ()
        words = (command, "--model", folder / "vit", "--data", folder / "grey.npz", *more)
        assert mistake(capsys, *words) == (
            f"{command}: {folder / 'vit'} holds the architecture ViTModel, which has no classes; "
            f"minift finetune gives it a head"
        )


def test_an_image_alone_in_its_batch_is_refused_where_batch_norm_needs_two(
    capsys, tmp_path, folder
):
    """Of 6 × 6 pixels one number a channel is left; 65 images are two batches and one image."""
    data = grey(tmp_path / "i.npz", 65)
    nothing_aside = ("--val-split", "0", "--test-split", "0")
    for size in (32, 1):
        more = (*nothing_aside, "--batch-size", str(size))
        assert refused(capsys, tmp_path, folder / "resnet", data, *more) == (
            f"65 images in batches of {size} leave one alone, and of a single image of 6 × 6 "
            f"pixels the batch norms of {folder / 'resnet'} can take no variance; give another "
            f"--batch-size"
        )
    finetuned(capsys, folder / "resnet", data, tmp_path / "a", *nothing_aside, "--batch-size", "33")
    frozen = (*nothing_aside, "--strategy", "head")
    finetuned(capsys, folder / "resnet", data, tmp_path / "b", *frozen)
    large = grey(tmp_path / "large.npz", 65, size=9)
    finetuned(capsys, folder / "resnet", large, tmp_path / "c", *nothing_aside)
