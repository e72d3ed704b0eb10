"""Small data and small models for the tests of `minift pretrain`."""

import json

import numpy as np
from finetune_cases import run, sentences
from matplotlib.image import imsave

IMAGES = ("autoencoder", "denoising", "vae", "gan", "simclr")
DENSE = {"hidden_sizes": [24], "code_size": 4}
BERT = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
    "max_position_embeddings": 24, "initializer_range": 0.2, "vocab_size": 150,
    "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
}  # fmt: skip
GPT2 = {
    "n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 24, "vocab_size": 300,
    "initializer_range": 0.2,
}  # fmt: skip


def squares(n, size=6, seed=0):
    """Images of one bright square each, and in which half it stands."""
    rng = np.random.default_rng(seed)
    images = rng.random((n, size, size)).astype(np.float32) * 0.1
    labels = np.arange(n) % 2
    for image, label, row in zip(images, labels, rng.integers(0, size - 2, n)):
        left = label * (size - 2)
        image[row : row + 2, left : left + 2] = 1
    return images, labels


def npz(file, n=120, labelled=True, **sizes):
    images, labels = squares(n, **sizes)
    np.savez(file, images=images, **({"labels": labels} if labelled else {}))
    return file


def pngs(folder, n=60):
    """One sub-folder a class."""
    for i, (image, label) in enumerate(zip(*squares(n))):
        inner = folder / ("right" if label else "left")
        inner.mkdir(parents=True, exist_ok=True)
        imsave(inner / f"{i:03}.png", image, cmap="gray", vmin=0, vmax=1)
    return folder


def config(file, **fields):
    file.write_text(json.dumps(fields), encoding="utf-8")
    return file


def book(file, documents=24, lines=6):
    """Documents of sentences with a blank line between them."""
    texts = [text for text, _ in sentences(documents * lines, seed=4)]
    parts = ["\n".join(texts[i : i + lines]) for i in range(0, len(texts), lines)]
    file.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return file


def model_for(folder, objective):
    """A config.json of a tiny model for the objective."""
    fields = DENSE if objective in IMAGES else GPT2 if objective == "causal" else BERT
    if objective == "simcse":  # whose views differ by dropout alone
        fields = {**BERT, "hidden_dropout_prob": 0.1}
    return config(folder / f"{objective}.json", **fields)


def pretrain(capsys, objective, data, output, *more, steps=2, model=None):
    """A successful `minift pretrain` of a tiny model; what it said."""
    output.parent.mkdir(parents=True, exist_ok=True)
    model = model or model_for(output.parent, objective)
    code, out, err = run(
        capsys, "pretrain", "--objective", objective, "--data", data, "--output", output,
        "--model", model, "--steps", steps, "--device", "cpu", *more,
    )  # fmt: skip
    assert (code, err) == (0, "")
    return out
