"""ImageProcessor: pixels as transformers brings them to a model, and its file in and out."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from compare import torch, transformers

from minift.data import ImageProcessor
from minift.data.image_processor import FILE, resized

MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.3, 0.25]
NORMAL = {"image_mean": MEAN, "image_std": STD, "do_resize": False}
FILES = {
    "normalised": NORMAL,
    "one number for all": {**NORMAL, "image_mean": 0.5, "image_std": 0.25},
    "from -1 to 1 by the factor": {
        "do_normalize": False, "rescale_factor": 1 / 127.5, "do_resize": False
    },
    "as bytes": {"do_rescale": False, "do_normalize": False, "do_resize": False},
    "bytes, normalised": {**NORMAL, "do_rescale": False, "image_mean": [120, 130, 140.5]},
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def write(folder, **content):
    (folder / FILE).write_text(json.dumps(content), encoding="utf-8")
    return folder


def bytes_of(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def images(*shape):
    return np.random.default_rng(0).random(shape).astype(np.float32)


def theirs(folder, array):
    """What transformers makes of bytes (n, c, H, W) by a folder's file."""
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    return processor(list(array), input_data_format="channels_first", return_tensors="np")[
        "pixel_values"
    ]


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_pixels_are_those_of_transformers_by_their_file_and_by_ours(folder, content):
    write(folder, image_processor_type="ViTImageProcessor", **content)
    raw = bytes_of(4, 3, 6, 6)
    ours = ImageProcessor.from_pretrained(folder, 3, 6)
    values = ours((raw / 255).astype(np.float32))
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, theirs(folder, raw), rtol=1e-5, atol=1e-5)
    ours.save_pretrained(folder / "again")
    np.testing.assert_allclose(values, theirs(folder / "again", raw), rtol=1e-5, atol=1e-5)
    again = ImageProcessor.from_pretrained(folder / "again", 3, 6)
    assert replace(again, scale=ours.scale) == ours
    assert again.scale == pytest.approx(ours.scale, rel=1e-15)


def test_without_a_file_pixels_stay_as_they_are(folder):
    ours = ImageProcessor.from_pretrained(folder, 3, 6)
    x = images(2, 3, 6, 6)
    np.testing.assert_array_equal(ours(x), x)
    ours.save_pretrained(folder)
    raw = bytes_of(2, 3, 6, 6)
    np.testing.assert_allclose(theirs(folder, raw), raw / 255, rtol=1e-6)


def test_a_single_channel_is_given_to_all_as_transformers_gives_it(folder):
    image = pytest.importorskip("PIL.Image")
    raw = bytes_of(6, 6)
    ours = ImageProcessor.from_pretrained(write(folder, **NORMAL), 3, 6)
    ours.save_pretrained(folder)
    read = transformers.AutoImageProcessor.from_pretrained(folder)
    expected = read(image.fromarray(raw), return_tensors="np")["pixel_values"]
    values = ours((raw[None, None] / 255).astype(np.float32))
    assert values.shape == (1, 3, 6, 6)
    np.testing.assert_allclose(values, expected, atol=1e-5)


@pytest.mark.parametrize("resample", [2, 3])
@pytest.mark.parametrize(("length", "size"), [(8, 32), (28, 224), (50, 32), (100, 37), (64, 8)])
def test_another_size_is_made_as_torch_and_pillow_make_it(resample, length, size):
    image = pytest.importorskip("PIL.Image")
    x = images(2, 3, length, length)
    ours = resized(x, size, resample)
    assert ours.dtype == np.float32
    mode = {2: "bilinear", 3: "bicubic"}[resample]
    expected = torch.nn.functional.interpolate(
        torch.tensor(x), size=(size, size), mode=mode, antialias=True
    )
    np.testing.assert_allclose(ours, expected.clamp(0, 1), atol=2e-6)
    alone = image.fromarray(x[1, 2], mode="F").resize((size, size), resample)
    np.testing.assert_allclose(ours[1, 2], np.clip(np.asarray(alone), 0, 1), atol=1e-6)


def test_images_of_another_size_are_scaled_if_the_file_says_so(folder):
    """transformers rounds to bytes on the way, twice: 1/255 of a pixel, over the deviation."""
    content = {**NORMAL, "do_resize": True, "size": {"height": 8, "width": 8}, "resample": 2}
    write(folder, image_processor_type="ViTImageProcessor", **content)
    raw = bytes_of(4, 3, 6, 6)
    ours = ImageProcessor.from_pretrained(folder, 3, 8)((raw / 255).astype(np.float32))
    assert ours.shape == (4, 3, 8, 8)
    np.testing.assert_allclose(ours, theirs(folder, raw), atol=1.01 / 255 / min(STD))


def test_a_model_of_any_size_takes_images_as_they_are(folder):
    content = {**NORMAL, "do_resize": True, "size": 224, "resample": 0}
    ours = ImageProcessor.from_pretrained(write(folder, **content), 3, None)
    assert ours(images(2, 3, 9, 9)).shape == (2, 3, 9, 9)
    assert ours.to_dict()["do_resize"] is False


# --------------------------------------------------------------------------------------- in words


@pytest.mark.parametrize(
    ("content", "shape", "words"),
    [
        (None, (3, 6, 6), "pixels: from 0 to 1, as no preprocessor_config.json says otherwise"),
        (NORMAL, (3, 6, 6), "pixels: (v - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.25]"),
        (
            {"image_mean": 1, "image_std": 0.5, "rescale_factor": 2 / 255},
            (1, 4, 4),
            "pixels: scaled to 6 × 6, one channel given 3 times, (2 v - 1) / 0.5",
        ),
    ],
)
def test_what_is_done_is_said(folder, content, shape, words):
    if content is not None:
        write(folder, **content)
    assert ImageProcessor.from_pretrained(folder, 3, 6).describe(shape) == words


# ---------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"image_mean": None}, "image_mean must be 3 numbers, one for each channel of the model, "
                               "got None"),
        ({"image_mean": [0.5]}, "image_mean must be 3 numbers, one for each channel of the model, "
                                "got [0.5]"),
        ({"image_std": [0.2, 0, 0.2]}, "image_std must be 3 numbers, one for each channel of the "
                                       "model, above 0, got [0.2, 0, 0.2]"),
        ({"image_std": "0.5"}, "image_std must be 3 numbers, one for each channel of the model, "
                               "above 0, got '0.5'"),
        ({"rescale_factor": 0}, "rescale_factor must be a number, above 0, got 0"),
        ({"do_normalize": "yes"}, "do_normalize must be true or false, got 'yes'"),
        ({"do_resize": True, "resample": 1},
         "resample must be 2 (bilinear) or 3 (bicubic), got 1"),
    ],
)  # fmt: skip
def test_a_file_that_says_nothing_of_use_is_refused(folder, change, sentence):
    write(folder, **{**NORMAL, **change})
    with pytest.raises(ValueError, match=f"{re.escape(f'{folder / FILE}: {sentence}')}$"):
        ImageProcessor.from_pretrained(folder, 3, 6)


def test_a_file_that_is_no_json_is_refused(folder):
    (folder / FILE).write_text('{"image_mean": [0.5', encoding="utf-8")
    with pytest.raises(ValueError, match=r"preprocessor_config\.json is not valid JSON"):
        ImageProcessor.from_pretrained(folder, 3, 6)


def test_images_that_cannot_be_brought_to_the_model_are_refused(folder):
    ours = ImageProcessor.from_pretrained(folder, 3, 6)
    sentence = (
        "the images of a.npz are 3 × 8 × 8 (channels × height × width), but vit is for 3 × 6 × 6; "
        "scale them first, or let its preprocessor_config.json say do_resize"
    )
    with pytest.raises(ValueError, match=re.escape(sentence)):
        ours.check((3, 8, 8), "a.npz", "vit")
    with pytest.raises(ValueError, match=r"are 3 × 9 × 9 .* is for 1 × 9 × 9$"):
        ImageProcessor.from_pretrained(folder, 1, None).check((3, 9, 9), "a.npz", "resnet")
    ours.check((1, 6, 6), "a.npz", "vit")
