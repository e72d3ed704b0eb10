"""The checkpoint that ships: what lies in its folder, what it can, and how it was made."""

import json
import struct

import numpy as np
import pytest
from finetune_cases import reviews, run
from oracle import oracle

import minift as mf
from benchmarks import pretrain_tiny
from benchmarks.pretrain_tiny import RECIPE, STAGES, Stage, setup_of, stacked, write_half
from minift.data import Glosses, WordPieceTokenizer, load_glosses
from minift.fetch import SHIPPED
from minift.models import AutoModelForSequenceClassification, BertForMaskedLM, BertModel
from minift.objectives import MaskedLM
from minift.quickstart.pretraining import hidden_words, masked_loader, unlabelled_texts
from minift.quickstart.recipe import DEFAULT, Setup
from minift.train import TrainConfig, Trainer

FOLDER = SHIPPED["tiny"]


@pytest.fixture(scope="module")
def glosses():
    return load_glosses()


# ---- what ships ---------------------------------------------------------------------------------


def test_the_folder_is_whole_and_small():
    names = {path.name for path in FOLDER.iterdir()}
    assert {"config.json", "model.safetensors", "vocab.txt", "tokenizer.json"} <= names
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 6_000_000


def test_weights_are_stored_in_half_precision_and_read_as_float32():
    content = (FOLDER / "model.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    assert {entry["dtype"] for name, entry in header.items() if name != "__metadata__"} == {"F16"}
    model = BertForMaskedLM.from_pretrained("tiny")
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float32)}


def test_it_opens_by_name_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINIFT_CACHE", str(tmp_path / "no-cache"))
    assert BertModel.from_pretrained("tiny").config.hidden_size == 128
    model = AutoModelForSequenceClassification.from_pretrained("tiny", num_labels=3)
    assert model.config.classifier_pooling == "mean"
    vectors = mf.load("tiny").embed(["a small dog", "a young cat", "to go by ship"])
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_it_is_fine_tuned_by_name_on_a_table(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINIFT_CACHE", str(tmp_path / "no-cache"))
    words = ("--data", reviews("my.csv"), "--text", "text", "--label", "label")
    code, _, err = run(
        capsys, "finetune", "--model", "tiny", *words, "--output", "out", "--device", "cpu"
    )
    assert (code, err) == (0, "")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["test"]["accuracy"] > 0.9
    code, out, _ = run(capsys, "predict", "--model", "out", "--text", "the film was lovely")
    assert json.loads(out)["label"] == "good"


def test_it_guesses_a_third_of_the_hidden_words_of_definitions_it_never_read(glosses):
    setup = Setup(DEFAULT, glosses, WordPieceTokenizer.from_pretrained(FOLDER))
    held_out = setup.tokenizer.dataset(glosses.dev[0][:600], DEFAULT.max_length)
    model, loader = BertForMaskedLM.from_pretrained("tiny"), masked_loader(setup, held_out, 0)
    trainer = Trainer(model, loader, objective=MaskedLM(), config=TrainConfig(device="cpu"))
    reached = trainer.evaluate(loader)["accuracy"]
    hidden = hidden_words(masked_loader(setup, held_out, 0))
    assert reached > 1 / 3 > 5 * (hidden == np.bincount(hidden).argmax()).mean()


def test_it_reads_longer_texts_than_it_was_trained_on():
    model = mf.load("tiny")
    long = " ".join(["a ship on the sea"] * 50)
    assert np.isfinite(model.embed([long])).all()
    assert model.config.max_position_embeddings == pretrain_tiny.MAX_LENGTH


def test_transformers_opens_it_and_sees_the_same(glosses):
    transformers = oracle("transformers")
    theirs = transformers.BertForMaskedLM.from_pretrained(FOLDER).eval()
    assert theirs.dtype.is_floating_point
    assert str(theirs.dtype) == "torch.float32"
    ours = mf.load("tiny")
    batch = ours.tokenizer(glosses.train[0][:4], padding=True)
    torch = oracle("torch")
    with torch.no_grad(), mf.no_grad():
        there = theirs(**{k: torch.tensor(v) for k, v in batch.items()}).logits.numpy()
        here = ours(**batch).numpy()
    real = batch["attention_mask"] == 1
    np.testing.assert_allclose(here[real], there[real], atol=2e-4)


# ---- how it was made ----------------------------------------------------------------------------


def test_no_held_out_definition_was_read(glosses):
    read = set(unlabelled_texts(RECIPE, glosses))
    assert read >= {*glosses.examples, *glosses.unlabelled}
    assert not read & {*glosses.dev[0], *glosses.test[0]}


def small(layers):
    """A setup of one text, for models of that depth."""
    tokenizer = WordPieceTokenizer.train(["a cat sat on a mat"] * 2, 30)
    return setup_of(
        Stage(layers, 1, 1e-3),
        Setup(RECIPE, Glosses([], [], *[([], [])] * 3, ["a", "b"]), tokenizer),
    )


@pytest.mark.parametrize(("below", "above", "origins"), [(1, 2, (0, 0)), (2, 4, (0, 0, 1, 1))])
def test_a_deeper_model_starts_as_the_shallower_one_with_every_layer_doubled(below, above, origins):
    setups = small(below), small(above)
    first, second = (s.new_model(BertForMaskedLM, 0.0) for s in setups)
    weights = first.state_dict()
    grown = stacked(second, weights).state_dict()
    for i, origin in enumerate(origins):
        for part in ("attention.self.query.weight", "output.dense.bias", "output.LayerNorm.weight"):
            there = weights[f"bert.encoder.layer.{origin}.{part}"]
            np.testing.assert_array_equal(grown[f"bert.encoder.layer.{i}.{part}"], there)
    name = "bert.embeddings.word_embeddings.weight"
    np.testing.assert_array_equal(grown[name], weights[name])


def test_the_shipped_folder_repeats_the_trained_positions(tmp_path):
    setup = small(1)
    model = setup.new_model(BertForMaskedLM, 0.0)
    write_half(model, setup, tmp_path)
    shipped = BertForMaskedLM.from_pretrained(tmp_path).state_dict()
    trained = model.state_dict()[pretrain_tiny.POSITIONS].astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(shipped[pretrain_tiny.POSITIONS], np.tile(trained, (4, 1)))


def test_the_log_that_is_kept_tells_of_every_stage():
    file = pretrain_tiny.LOG
    records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for number, stage in enumerate(STAGES, start=1):
        own = [r for r in records if r["stage"] == number]
        assert {r["layers"] for r in own} == {stage.layers}
        assert stage.steps - 20 < max(r["step"] for r in own) <= stage.steps  # every 20th is there
    losses = [r["validation_loss"] for r in records if "validation_loss" in r]
    assert losses[-1] < losses[0]
