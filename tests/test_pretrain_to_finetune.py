"""`minift finetune` takes each result of `minift pretrain`, every strategy each kind of body."""

import json
from itertools import product

import numpy as np
import pytest
from finetune_cases import mistake, reviews, run
from pretrain_cases import BERT, DENSE, GPT2, IMAGES, book, config, npz, pretrain

import minift as mf

TEXT = ("mlm", "nsp", "bert", "causal", "simcse")
CONVOLUTIONAL = {"hidden_sizes": [4, 6], "code_size": 4, "convolutional": True}
RESULTS = [
    *product(IMAGES, ("small", "base", "dense", "convolutional")),
    *product(TEXT, ("small", "base", "config")),
    *product(("vae", "mlm"), ("folder",)),
]


def fields(objective, form):
    """What the config.json of a form says."""
    if objective in IMAGES:
        return CONVOLUTIONAL if form == "convolutional" else DENSE
    if objective == "causal":
        return GPT2
    return {**BERT, "hidden_dropout_prob": 0.1}  # without it, simcse's views are the same


def learnt(capsys, folder, objective, form):
    """A pre-training of one step; its folder and its data."""
    folder.mkdir(exist_ok=True)
    data = npz(folder / "s.npz", n=60) if objective in IMAGES else book(folder / "b.txt", lines=40)
    model = form if form in ("small", "base") else None
    if model is None:
        model = config(folder / "c.json", **fields(objective, form))
    for output in ("first", "out") if form == "folder" else ("out",):
        pretrain(capsys, objective, data, folder / output, "--batch-size", "8", steps=1,
                 model=model)  # fmt: skip
        model = folder / output
    return folder / "out", data


def tuned(capsys, model, data, output, *more):
    """A fine-tuning of one epoch on images, or, where the data are texts, on reviews."""
    if data.suffix == ".txt":
        table = reviews(data.parent / "r.csv")
        more = ("--text", "text", "--label", "label", *more)
        data = table
    code, out, err = run(
        capsys, "finetune", "--model", model, "--data", data, "--output", output, "--epochs", "1",
        "--device", "cpu", *more,
    )  # fmt: skip
    assert (code, err) == (0, "")
    return out


@pytest.mark.parametrize(("objective", "form"), RESULTS)
def test_finetune_takes_each_result_of_pretrain(capsys, tmp_path, objective, form):
    model, data = learnt(capsys, tmp_path, objective, form)
    out = tuned(capsys, model, data, tmp_path / "tuned", "--strategy", "head")
    assert "the classification head is new" in out
    before, after = (mf.load(folder).state_dict() for folder in (model, tmp_path / "tuned"))
    above = ("classifier.", "score.", "bert.pooler.", "transformer.ln_f.")  # the stack of layers
    for name, weight in after.items():
        if not name.startswith(above):
            ending = name.partition(".")[2]  # each architecture calls its body by another name
            same = [array for other, array in before.items() if other.endswith(ending)]
            assert any(np.array_equal(weight, array) for array in same), name
    metrics = json.loads((tmp_path / "tuned" / "metrics.json").read_text(encoding="utf-8"))
    assert 0 <= metrics["test"]["accuracy"] <= 1


BODIES = {"dense": "vae", "convolutional": "gan", "config": "causal"}


@pytest.mark.parametrize("strategy", ["full", "head", "gradual", "discriminative"])
@pytest.mark.parametrize("form", BODIES)
def test_each_strategy_moves_each_kind_of_body(capsys, tmp_path, form, strategy):
    """But BERT's, for which see test_finetune_command.py."""
    model, data = learnt(capsys, tmp_path, BODIES[form], form)
    out = tuned(capsys, model, data, tmp_path / "tuned", "--strategy", strategy)
    assert f"strategy {strategy}, at most 1 epoch" in out


def test_what_pretrain_or_finetune_cannot_take_is_said_in_one_sentence(capsys, tmp_path):
    """A model of another family, and a strategy that needs an attention to stand beside."""
    data, output = npz(tmp_path / "s.npz", n=60), ("--output", tmp_path / "out")
    vit = mf.models.ViT(mf.models.ViTConfig(
        hidden_size=4, num_hidden_layers=1, num_attention_heads=1, image_size=6, patch_size=3,
        num_channels=1,
    ))  # fmt: skip
    vit.save_pretrained(tmp_path / "vit")
    words = ("pretrain", "--objective", "simclr", "--data", data, *output)
    assert mistake(capsys, *words, "--model", tmp_path / "vit" / "config.json") == (
        "pretrain: SimCLRConfig: model_type must be minift-simclr, got 'vit'"
    )
    assert mistake(capsys, *words, "--model", tmp_path / "vit") == (
        f"pretrain: {tmp_path / 'vit'} holds a ViTForImageClassification; simclr needs a SimCLR"
    )
    model, _ = learnt(capsys, tmp_path / "learnt", "vae", "dense")
    words = ("finetune", "--data", data, *output, "--model", model, "--strategy", "lora")
    assert mistake(capsys, *words) == (
        f"finetune: {model} holds no transformer, beside whose matrices LoRA would learn: no "
        f"--strategy lora"
    )
