"""Files: whole or not at all, read back bit for bit, one sentence for what is missing or broken."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from minift import hub, nn
from minift.models import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    load,
)

SMALL = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 12,
}


# ------------------------------------------------------------------------------------------ files


def test_weights_round_trip_bit_for_bit(tmp_path):
    first, second = nn.Sequential(nn.Linear(3, 4)), nn.Sequential(nn.Linear(3, 4))
    hub.save_weights(first, tmp_path / "deep" / "w.safetensors")
    report = hub.load_weights(second, tmp_path / "deep" / "w.safetensors")
    assert sorted(report.loaded) == ["0.bias", "0.weight"]
    for name, value in first.state_dict().items():
        np.testing.assert_array_equal(second.state_dict()[name], value)


def test_arrays_keep_dtype_shape_and_order_whatever_their_strides(tmp_path):
    arrays = {
        "transposed": np.arange(6.0).reshape(2, 3).T,
        "scalar": np.float32(3).reshape(()),
        "integers": np.array([1, -2]),
    }
    hub.write_arrays(tmp_path / "a.safetensors", arrays)
    back = hub.read_arrays(tmp_path / "a.safetensors")
    for name, value in arrays.items():
        np.testing.assert_array_equal(back[name], value)
        assert (back[name].dtype, back[name].shape) == (value.dtype, value.shape)


def test_a_weight_file_says_that_it_is_pytorchs_layout(tmp_path):
    """transformers 4 refuses a file without this word."""
    hub.write_arrays(tmp_path / "a.safetensors", {"w": np.ones(1)})
    size = int.from_bytes((tmp_path / "a.safetensors").read_bytes()[:8], "little")
    header = json.loads((tmp_path / "a.safetensors").read_bytes()[8 : 8 + size])
    assert header["__metadata__"] == {"format": "pt"}


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    file = tmp_path / "config.json"
    hub.write(file, b"old")

    def no_space(_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="no space left"):
        hub.write(file, b"new")
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["config.json"]


def test_a_write_is_flushed_before_it_is_renamed(tmp_path, monkeypatch):
    seen = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda n: (seen.append("flushed"), fsync(n))[1])
    monkeypatch.setattr(Path, "replace", lambda a, b: (seen.append("renamed"), replace(a, b))[1])
    hub.write(tmp_path / "file", b"content")
    assert seen == ["flushed", "renamed"]


def raw_file(file, kind, shape, content):
    """A safetensors file with one tensor w, written by hand: header length, header, bytes."""
    entry = {"dtype": kind, "shape": shape, "data_offsets": [0, len(content)]}
    header = json.dumps({"w": entry}).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + content)


def test_sixteen_bit_floats_are_widened(tmp_path):
    values = np.array([1.0, -2.5, 0.0, 3.0e-6, 65504.0], np.float32)
    raw_file(tmp_path / "a", "F16", [5], values.astype(np.float16).tobytes())
    upper_half = (values.view(np.uint32) >> 16).astype("<u2")
    raw_file(tmp_path / "b", "BF16", [5], upper_half.tobytes())
    half, brain = (hub.read_arrays(tmp_path / name)["w"] for name in "ab")
    assert half.dtype == brain.dtype == np.float32
    np.testing.assert_array_equal(half, values.astype(np.float16).astype(np.float32))
    np.testing.assert_array_equal(brain.view(np.uint32) & 0xFFFF, 0)
    np.testing.assert_allclose(brain, values, rtol=2**-7)


# -------------------------------------------------------------------------------- broken folders


@pytest.fixture
def folder(tmp_path):
    BertForMaskedLM(BertConfig(vocab_size=20, **SMALL)).save_pretrained(tmp_path)
    return tmp_path


def loading(folder):
    return AutoModelForSequenceClassification.from_pretrained(folder)


def test_a_missing_folder_or_file_is_named(folder):
    with pytest.raises(FileNotFoundError, match=f"there is no folder {folder}/nowhere"):
        loading(folder / "nowhere")
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=f"{folder} holds no model.safetensors; is it"):
        loading(folder)
    (folder / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=f"{folder} holds no config.json; is it a model"):
        loading(folder)


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_truncated_weight_file_is_named(folder, kept):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ValueError, match=f"{file} is not a whole safetensors file .*; copy or"):
        loading(folder)


def test_numbers_that_numpy_lacks_are_named(folder):
    raw_file(folder / "model.safetensors", "F8_E5M2", [2], b"\0\0")
    with pytest.raises(
        ValueError, match=r"w holds numbers of a kind that NumPy does not have \(F8_E5M2\); conv"
    ):
        loading(folder)


def test_a_broken_config_is_named(folder):
    (folder / "config.json").write_text('{"vocab_size": ', encoding="utf-8")
    with pytest.raises(ValueError, match=r"config\.json is not valid JSON: Expecting value"):
        loading(folder)
    (folder / "config.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(ValueError, match=r"config\.json must hold one JSON object, got list"):
        loading(folder)


def test_a_config_that_does_not_fit_the_weights_is_named(folder):
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    hub.write_config(folder, {**config, "hidden_size": 4})
    with pytest.raises(ValueError, match=f"the weights in {folder} do not fit BertForSequence"):
        loading(folder)


# --------------------------------------------------------------------------------------- predict


@pytest.fixture
def classifier(tmp_path):
    from minift.data import WordPieceTokenizer

    words = ["a", "cat", "dog", "tree", "##s"]
    tokenizer = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])
    names = {0: "plant", 1: "animal", 2: "thing"}
    config = BertConfig(vocab_size=10, num_labels=3, id2label=names, initializer_range=1.0, **SMALL)
    BertForSequenceClassification(config).save_pretrained(tmp_path, tokenizer)
    return load(tmp_path)


def test_a_loaded_classifier_predicts_names_and_probabilities(classifier):
    labels, probabilities = classifier.predict(["a cat", "trees trees a dog"])
    assert probabilities.shape == (2, 3)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    names = classifier.config.id2label
    assert labels == [names[i] for i in probabilities.argmax(1)]
    scores = classifier(classifier.tokenizer(["a cat"])["input_ids"]).numpy()[0]
    np.testing.assert_allclose(
        probabilities[0], np.exp(scores) / np.exp(scores).sum(), rtol=1e-4, atol=1e-6
    )


def test_several_labels_are_those_above_one_half(classifier):
    classifier.config.problem_type = "multi_label_classification"
    labels, probabilities = classifier.predict(["a cat", "tree", ""])
    scores = classifier(classifier.tokenizer(["a cat"])["input_ids"]).numpy()[0]
    np.testing.assert_allclose(probabilities[0], 1 / (1 + np.exp(-scores)), rtol=1e-5)
    names = classifier.config.id2label
    for label, row in zip(labels[:2], probabilities):
        assert label == [names[i] for i in range(3) if row[i] > 0.5]
    assert labels[2] is None


def test_a_regression_answers_with_its_scores(classifier):
    classifier.config.problem_type = "regression"
    labels, numbers = classifier.predict(["a cat", ""])
    scores = classifier(classifier.tokenizer(["a cat"])["input_ids"]).numpy()[0]
    np.testing.assert_allclose(numbers[0], scores, rtol=1e-5)
    np.testing.assert_allclose(labels[0], scores, rtol=1e-5)
    assert labels[1] is None


def test_the_batch_size_and_a_long_text_change_nothing(classifier):
    texts = ["a cat", "dog", "tree " * 50, "a dogs tree"]
    _, together = classifier.predict(texts)
    _, one_by_one = classifier.predict(texts, batch_size=1)
    np.testing.assert_allclose(together, one_by_one, atol=1e-5)
    assert classifier.predict(texts[0])[0] == classifier.predict(texts[:1])[0]


def test_empty_and_unknown_texts_get_no_label_and_a_reason(classifier):
    labels, probabilities = classifier.predict(["", "cat", "漢字 ¿"])
    assert [label is None for label in labels] == [True, False, True]
    assert np.isnan(probabilities[[0, 2]]).all()
    assert classifier.problem("cat") is None
    assert classifier.problem(" \n") == "the text is empty"
    assert classifier.problem("漢") == "no part of the text '漢' is in the model's vocabulary"
    assert classifier.predict([])[1].shape == (0, 3)


def test_predict_rests_dropout_and_leaves_the_mode_as_it_was(classifier):
    classifier.train()
    first, second = (classifier.predict(["a cat"])[1] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert classifier.bert.embeddings.dropout.training
    classifier.eval().predict(["a cat"])
    assert not classifier.training


def test_a_classifier_without_tokenizer_says_so(folder):
    with pytest.raises(
        ValueError, match=r"this BertForSequenceClassification has no tokenizer; lo"
    ):
        loading(folder).predict(["a cat"])


def test_load_names_an_architecture_that_is_not_built_here(folder):
    hub.write_config(folder, {"architectures": ["T5Model"]})
    with pytest.raises(ValueError, match="holds the architecture T5Model; minift can load BertMo"):
        load(folder)
    hub.write_config(folder, {})
    with pytest.raises(ValueError, match="holds the architecture none; minift can load"):
        load(folder)


def test_load_needs_the_vocabulary(folder):
    with pytest.raises(FileNotFoundError, match=r"vocab\.txt"):
        load(folder)
