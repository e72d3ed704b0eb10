"""Folders: what is loaded, what is not and how that is said; and that nothing damaged gets in."""

import json
import shutil

import numpy as np
import pytest

from minift import hub
from minift.backend import random
from minift.models import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    ResNet,
    ResNetConfig,
    ViT,
    ViTConfig,
    load,
)
from minift.models.renames import Rename, read_names, write_names
from minift.nn import init

SIZES = {
    "vocab_size": 20,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 12,
}
IDS = [[2, 7, 9, 3], [2, 8, 3, 0]]


@pytest.fixture
def folder(tmp_path):
    """A masked-word model of two layers, saved."""
    BertForMaskedLM(BertConfig(**SIZES)).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def rewritten(folder, change):
    """Replace the weights of a folder by what `change` makes of them."""
    hub.write_arrays(folder / hub.WEIGHTS, change(hub.read_model(folder)))


def configured(folder, **changes):
    hub.write_config(folder, {**hub.read_config(folder), **changes})


# ------------------------------------------------------------------------------- names and tables


TABLE = (
    Rename("*.gamma", "*.weight"),
    Rename("old.*.qkv.*", ("new.*.q.*", "new.*.k.*", "new.*.v.*")),
    Rename("out.*", "new.out.*", published=True),
    Rename("ids"),
)


def test_rows_rename_cut_and_drop_and_the_prefix_comes_and_goes():
    rng = np.random.default_rng(0)
    arrays = {
        "norm.gamma": rng.random(3),
        "old.0.qkv.weight": rng.random((6, 2)),
        "out.bias": rng.random(2),
        "ids": np.arange(3),
        "head.weight": rng.random(2),
    }
    known = ["body.norm.weight", *(f"body.new.0.{x}.weight" for x in "qkv"), "body.new.out.bias"]
    found, renamed = read_names(arrays, TABLE, "body", [*known, "head.weight"])
    assert sorted(found) == sorted([*known, "head.weight"])
    for i, x in enumerate("qkv"):
        part = arrays["old.0.qkv.weight"][2 * i : 2 * i + 2]
        np.testing.assert_array_equal(found[f"body.new.0.{x}.weight"], part)
    assert ("norm.gamma", "body.norm.weight") in renamed
    assert ("head.weight", "head.weight") not in renamed
    bare, _ = read_names({"body.norm.gamma": arrays["norm.gamma"]}, TABLE, "body", ["norm.weight"])
    assert list(bare) == ["norm.weight"]


def test_files_are_written_under_the_published_names():
    arrays = {"body.new.out.bias": np.ones(1), "body.norm.weight": np.ones(1), "head": np.ones(1)}
    written = write_names(arrays, TABLE, "body")
    assert list(written) == ["body.out.bias", "body.norm.weight", "head"]


def test_a_weight_that_comes_twice_or_cannot_be_cut_is_refused():
    twice = {"a.gamma": np.ones(1), "a.weight": np.ones(1)}
    with pytest.raises(ValueError, match=r"the file holds a.weight twice, once as a.weight; copy"):
        read_names(twice, TABLE, "body", ["a.weight"])
    with pytest.raises(ValueError, match=r"old.0.qkv.weight of shape \(4,\) cannot be cut into 3"):
        read_names({"old.0.qkv.weight": np.ones(4)}, TABLE, "body", [])


def test_a_name_on_the_hub_gets_the_command_that_downloads_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, folder in (
        ("bert-base-uncased", "bert-base-uncased"),
        ("org/some-bert", "some-bert"),
    ):
        with pytest.raises(FileNotFoundError) as caught:
            AutoModelForSequenceClassification.from_pretrained(name)
        assert str(caught.value) == (
            f"there is no folder {name}; if it is a model on the Hugging Face hub, download it "
            f"with `hf download {name} --local-dir {folder}` (pip install huggingface_hub) and "
            f"give that folder"
        )
    with pytest.raises(FileNotFoundError, match=r"^there is no folder /no/such/place$"):
        load("/no/such/place")


def test_the_folder_of_a_run_stands_for_the_model_in_it(folder):
    assert hub.resolve(folder.parent) == folder
    assert hub.resolve(folder) == folder
    BertForMaskedLM.from_pretrained(folder.parent)


# ------------------------------------------------------------------------------- several files


def shard(folder, files=3):
    """Spread the weights of a folder over several files, as transformers does above its limit."""
    arrays = hub.read_model(folder)
    places = {name: f"model-{i % files}.safetensors" for i, name in enumerate(sorted(arrays))}
    for file in set(places.values()):
        hub.write_arrays(folder / file, {n: a for n, a in arrays.items() if places[n] == file})
    (folder / hub.WEIGHTS).unlink()
    hub.write(folder / hub.INDEX, json.dumps({"weight_map": places}).encode())


def test_weights_in_several_files_are_those_in_one(folder):
    whole = BertForMaskedLM.from_pretrained(folder).state_dict()
    shard(folder)
    parts = BertForMaskedLM.from_pretrained(folder).state_dict()
    for name, value in whole.items():
        np.testing.assert_array_equal(parts[name], value)


@pytest.mark.parametrize("name", ["../secret", "/etc/x", "..", "a/b", "a\\b", "C:x", "", 7])
def test_an_index_that_leads_out_of_the_folder_is_refused(folder, name):
    hub.write_arrays(folder.parent / "secret", {"x": np.ones(1)})
    shard(folder)
    index = json.loads((folder / hub.INDEX).read_text(encoding="utf-8"))
    index["weight_map"]["x"] = name
    hub.write(folder / hub.INDEX, json.dumps(index).encode())
    with pytest.raises(ValueError, match=r"index.json names the file .* which is not a plain file"):
        BertForMaskedLM.from_pretrained(folder)


def test_an_index_that_promises_too_much_is_refused(folder):
    shard(folder)
    index = json.loads((folder / hub.INDEX).read_text(encoding="utf-8"))
    index["weight_map"]["bert.more"] = "model-0.safetensors"
    hub.write(folder / hub.INDEX, json.dumps(index).encode())
    with pytest.raises(ValueError, match=r"lists 1 weights that its files do not hold \(bert.more"):
        BertForMaskedLM.from_pretrained(folder)
    hub.write(folder / hub.INDEX, b"{}")
    with pytest.raises(ValueError, match=r"index.json must hold a weight_map from names to files"):
        BertForMaskedLM.from_pretrained(folder)
    (folder / hub.INDEX).unlink()
    shutil.rmtree(folder / "none", ignore_errors=True)
    with pytest.raises(FileNotFoundError, match=r"holds no model.safetensors; is it a model fol"):
        BertForMaskedLM.from_pretrained(folder)


# --------------------------------------------------------------------- what is new, and in words


def test_a_new_head_is_said_in_one_line(folder, caplog):
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3)
    note = (
        "the classification head is new (bert.pooler.dense.weight, bert.pooler.dense.bias, "
        "classifier.weight, classifier.bias): this is expected, it is still to be trained"
    )
    assert model.load_report.notes == [note]
    assert [record.getMessage() for record in caplog.records] == [f"{folder}: {note}"]
    assert str(model.load_report).splitlines()[:2] == ["loaded 37 tensors", note]
    caplog.clear()
    BertForMaskedLM.from_pretrained(folder)
    assert caplog.records == []


def test_a_new_head_is_drawn_and_the_loaded_body_is_not(folder):
    random.manual_seed(1)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    random.manual_seed(1)
    head = random.generator("init").standard_normal((8, 8), np.float32) * np.float32(0.02)
    np.testing.assert_array_equal(model.bert.pooler.dense.weight.numpy(), head)
    assert (model.bert.pooler.dense.bias.numpy() == 0).all()
    assert 0 < np.abs(model.classifier.weight.numpy()).max() < 0.1


def test_the_word_head_serves_both_models_that_have_one(folder, tmp_path):
    words = BertForMaskedLM.from_pretrained(folder)
    both = BertForPreTraining.from_pretrained(folder)
    assert both.load_report.notes == [
        "the pre-training head is new (bert.pooler.dense.weight, bert.pooler.dense.bias, "
        "cls.seq_relationship.weight, cls.seq_relationship.bias): this is expected, it is still to "
        "be trained"
    ]
    np.testing.assert_array_equal(both(IDS)[0].numpy(), words(IDS).numpy())
    both.save_pretrained(tmp_path / "both")
    back = BertForMaskedLM.from_pretrained(tmp_path / "both")
    np.testing.assert_array_equal(back(IDS).numpy(), words(IDS).numpy())
    assert "cls.seq_relationship.bias" in back.load_report.unexpected


def test_a_head_of_the_same_name_for_another_task_is_not_taken(tmp_path):
    BertForTokenClassification(BertConfig(**SIZES)).save_pretrained(tmp_path)
    model = BertForSequenceClassification.from_pretrained(tmp_path)
    assert "classifier.weight" in model.load_report.missing
    assert "classifier.weight" in model.load_report.unexpected


def test_less_than_the_body_is_an_error_unless_asked_for(folder):
    lost = "bert.encoder.layer.1.output.dense.weight"
    rewritten(folder, lambda arrays: {n: a for n, a in arrays.items() if n != lost})
    with pytest.raises(ValueError, match=rf"do not fit BertForMaskedLM:\n  missing: {lost}$"):
        BertForMaskedLM.from_pretrained(folder)
    model = BertForMaskedLM.from_pretrained(folder, partial=True)
    assert model.load_report.missing == [lost]
    assert model.load_report.notes == [
        f"1 weights of the body are new, as partial=True allows: {lost}"
    ]
    assert 0 < np.abs(model.state_dict()[lost]).max() < 0.2


def test_more_than_the_body_is_an_error_too(folder):
    configured(folder, num_hidden_layers=1)
    with pytest.raises(ValueError, match=r"unexpected: bert.encoder.layer.1.output.dense.weight"):
        BertForMaskedLM.from_pretrained(folder)
    bare = BertForMaskedLM.from_pretrained(folder, num_hidden_layers=2).bert
    bare.save_pretrained(folder)
    with pytest.raises(ValueError, match=r"unexpected: encoder.layer.1.output.dense.weight"):
        BertModel.from_pretrained(folder, num_hidden_layers=1)
    with pytest.raises(ValueError, match=r"unexpected: encoder.layer.1.output.dense.weight"):
        BertForMaskedLM.from_pretrained(folder, num_hidden_layers=1)


def test_a_head_of_this_very_task_must_be_whole(folder):
    lost = "cls.predictions.transform.dense.weight"
    rewritten(folder, lambda arrays: {n: a for n, a in arrays.items() if n != lost})
    with pytest.raises(ValueError, match=f"missing: {lost}"):
        BertForMaskedLM.from_pretrained(folder)


# -------------------------------------------------------------------------------- damaged folders


def lying(folder, **entry):
    """Change what the header says of one tensor."""
    file = folder / hub.WEIGHTS
    content = file.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["bert.embeddings.LayerNorm.bias"].update(entry)
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])


@pytest.mark.parametrize(
    "entry",
    [
        {"shape": [9]},
        {"shape": [-8]},
        {"shape": [2**62, 2**62]},
        {"dtype": "F64"},
        {"dtype": "float"},
        {"data_offsets": [0, 10**12]},
        {"data_offsets": [32, 0]},
    ],
)
def test_a_header_that_lies_is_refused(folder, entry):
    lying(folder, **entry)
    with pytest.raises(ValueError, match=r"model.safetensors is not a whole safetensors file \("):
        BertForMaskedLM.from_pretrained(folder)


def test_a_header_of_impossible_length_is_refused(folder):
    (folder / hub.WEIGHTS).write_bytes((2**63).to_bytes(8, "little") + b"{}")
    with pytest.raises(ValueError, match=r"is not a whole safetensors file .*; copy or download"):
        BertForMaskedLM.from_pretrained(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused(folder, value):
    def spoil(arrays):
        arrays["bert.embeddings.word_embeddings.weight"][3, 4] = value
        return arrays

    rewritten(folder, spoil)
    with pytest.raises(ValueError, match=r"word_embeddings.weight in .* holds NaN or infinite val"):
        AutoModelForSequenceClassification.from_pretrained(folder)


def test_a_weight_of_another_shape_is_named(folder):
    name = "bert.encoder.layer.0.intermediate.dense.weight"
    rewritten(folder, lambda arrays: {**arrays, name: arrays[name].T})
    with pytest.raises(ValueError, match=rf"mismatched: {name}: expected shape \(16, 8\), got \(8"):
        BertForMaskedLM.from_pretrained(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pth", "pytorch_model.bin.index.json"])
def test_pickled_weights_are_refused_with_the_reason(folder, name):
    (folder / hub.WEIGHTS).rename(folder / name)
    with pytest.raises(ValueError, match=rf"{name} is a pickle, which can run any program when it"):
        BertForMaskedLM.from_pretrained(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": -8}, "hidden_size must be a whole number of at least 1, got -8"),
        ({"hidden_size": "8"}, "hidden_size must be a whole number of at least 1, got '8'"),
        ({"num_attention_heads": 3}, r"hidden_size \(8\) must be a multiple of num_attention_hea"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers must be at most 1000, got 1000000000"),
        ({"hidden_dropout_prob": 1.5}, r"hidden_dropout_prob must lie in \[0, 1\), got 1.5"),
        ({"hidden_dropout_prob": "0.1"}, r"hidden_dropout_prob must lie in \[0, 1\), got '0.1'"),
        ({"layer_norm_eps": 0}, "layer_norm_eps must be a number above 0, got 0"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps must be a number above 0, got nan"),
        ({"hidden_act": "swish"}, "hidden_act must be gelu, got 'swish'"),
        ({"hidden_act": ["gelu"]}, r"hidden_act must be gelu, got \['gelu'\]"),
        ({"is_decoder": True}, "is_decoder must be False, got True"),
        ({"model_type": "t5"}, "model_type must be bert or minift-mean-pooling-bert, got 't5'"),
        ({"problem_type": "ranking"}, "problem_type must be None or single_label_classification"),
        ({"id2label": [1]}, r"id2label must be a mapping from numbers to names, got \[1\]"),
        ({"id2label": {"a": "b"}}, "id2label must be a mapping from numbers to names, got"),
        ({"vocab_size": 21}, r"word_embeddings.weight: expected shape \(21, 8\), got \(20, 8"),
        ({"vocab_size": 10**15}, "describes a model that does not fit into memory"),
    ],
)
def test_a_config_out_of_range_is_refused(folder, changes, message):
    configured(folder, **changes)
    with pytest.raises(ValueError, match=message):
        BertForMaskedLM.from_pretrained(folder)


@pytest.mark.parametrize(
    "model",
    [
        BertForMaskedLM(BertConfig(**SIZES)),
        GPT2LMHeadModel(GPT2Config(vocab_size=9, n_positions=8, n_embd=4, n_layer=1, n_head=1)),
        ViT(ViTConfig(hidden_size=4, num_hidden_layers=1, num_attention_heads=1, image_size=16)),
        ResNet(ResNetConfig(embedding_size=4, hidden_sizes=[4], depths=[1], layer_type="basic")),
    ],
)
def test_nothing_is_computed_with_weights_that_are_still_to_come(model, monkeypatch):
    """Undrawn memory may hold anything, a NaN that raises a warning when touched, too."""
    signal = np.array([0x7FA00000], np.uint32).view(np.float32)

    def poisoned(shape, dtype):
        return np.broadcast_to(signal, shape).copy()

    monkeypatch.setattr(init.np, "empty", poisoned)
    with init.undrawn():
        again = type(model)(model.config)
    monkeypatch.undo()
    assert any(np.isnan(p.numpy()).any() for p in again.parameters())


@pytest.mark.parametrize(
    "model",
    [
        ViT(ViTConfig(hidden_size=4, num_hidden_layers=1, num_attention_heads=1, image_size=16)),
        ResNet(ResNetConfig(embedding_size=4, hidden_sizes=[4], depths=[1], layer_type="basic")),
    ],
)
def test_load_finds_the_class_of_an_image_model_which_has_no_tokenizer(model, tmp_path):
    model.save_pretrained(tmp_path)
    back = load(tmp_path)
    assert type(back) is type(model)
    assert back.tokenizer is None
    assert not back.training
    with pytest.raises(ValueError, match=f"model_type must be bert or .*'{model.model_type}'"):
        AutoModelForSequenceClassification.from_pretrained(tmp_path)


def test_load_gives_gpt2_its_own_kind_of_tokenizer(tmp_path):
    from minift.data import BPETokenizer

    tokenizer = BPETokenizer.train(["the cat sat on the mat", "the dog sat"] * 9, vocab_size=280)
    sizes = {"n_positions": 8, "n_embd": 4, "n_layer": 1, "n_head": 1}
    config = GPT2Config(vocab_size=tokenizer.vocab_size, **sizes)
    GPT2LMHeadModel(config).save_pretrained(tmp_path, tokenizer)
    model = load(tmp_path)
    assert type(model) is GPT2LMHeadModel
    assert model.tokenizer.encode("the cat") == tokenizer.encode("the cat")
    configured(tmp_path, vocab_size=tokenizer.vocab_size + 1)
    with pytest.raises(ValueError, match=r"transformer.wte.weight: expected shape"):
        load(tmp_path)


def test_a_vocabulary_that_does_not_fit_the_embedding_is_refused(folder):
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmno", "p"]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"the vocabulary in .* holds 21 pieces, the model needs 20"
    ):
        load(folder)


def test_nothing_is_written_by_a_load_that_fails(folder):
    lying(folder, shape=[9])
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(ValueError, match="is not a whole safetensors file"):
        BertForMaskedLM.from_pretrained(folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
