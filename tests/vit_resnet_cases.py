"""Folders of a small ViT and a small ResNet, and pictures, for the tests of the image commands."""

import json

import numpy as np
from compare import opened, torch, transformers
from finetune_cases import mistake, run
from pretrain_cases import squares

import minift as mf
from minift.data.image_processor import FILE
from minift.jobs.image_classifiers import open_classifier
from minift.models import ResNetConfig, ResNetModel, ViTConfig, ViTModel

VIT = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "image_size": 6, "patch_size": 2, "initializer_range": 0.2,
}  # fmt: skip
RESNET = {"embedding_size": 6, "hidden_sizes": [6, 8], "depths": [1, 1], "layer_type": "basic"}
NORMAL = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.25], "do_resize": False}
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


def published(folder):
    """Bare encoders with files that say how pixels are scaled, and pictures of one channel."""
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
