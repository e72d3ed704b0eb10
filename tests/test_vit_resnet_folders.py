"""Folders of a ViT and of a ResNet: sizes, channels, `evaluate` and `predict`, what is refused."""

import json

import numpy as np
import pytest
from compare import opened, torch
from finetune_cases import mistake, pretrained, run
from vit_resnet_cases import (
    NORMAL,
    finetuned,
    grey,
    ours,
    processor_file,
    published,
    refused,
    resnet,
    theirs,
    vit,
)

from minift.data.image_processor import FILE
from minift.jobs.images import read_images
from minift.models import ViTForImageClassification


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return published(tmp_path_factory.mktemp("published"))


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
