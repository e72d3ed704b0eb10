"""BERT against transformers: logits, losses and the gradient of every weight, names and files."""

import dataclasses
import json

import numpy as np
import pytest
from compare import (
    PRECISIONS,
    assert_close,
    assert_same_gradients,
    opened,
    to_torch,
    torch,
    transformers,
    twin_of,
)

from minift import ops
from minift.backend import random, to_device
from minift.models import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
)
from minift.models.bert import mean_over_tokens
from minift.tensor import Tensor

SIZES = {
    "vocab_size": 50,
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "max_position_embeddings": 16,
}
QUIET = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
CASES = {
    "small": SIZES,
    "one layer, one head": {**SIZES, "num_hidden_layers": 1, "num_attention_heads": 1},
    "other sizes": {**SIZES, "hidden_size": 16, "num_attention_heads": 4, "layer_norm_eps": 1e-5},
}


def config_of(case="small", **more):
    return BertConfig(**{**CASES[case], **QUIET, **more})


def text_batch(padded=True):
    """Ids (3, 7) without [PAD] (0) among the real tokens, a mask, two segments."""
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 50, (3, 7))
    mask = (np.arange(7) < np.array([[4], [7], [2]])).astype(np.int64)
    mask = mask if padded else np.ones_like(mask)
    types = (np.arange(7) >= np.array([[2], [3], [1]])).astype(np.int64)
    return {"input_ids": ids * mask, "attention_mask": mask, "token_type_ids": types * mask}


def their_config(config):
    return transformers.BertConfig(**{**config.to_dict(), "attn_implementation": "eager"})


# ------------------------------------------------------------------------- against transformers


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_masked_lm_has_the_logits_loss_and_gradients_of_transformers(
    case, dtype, tolerance, padded, device
):
    config, batch = config_of(case), text_batch(padded)
    theirs = transformers.BertForMaskedLM(their_config(config))
    ours = twin_of(theirs, BertForMaskedLM(config), dtype, device)
    real = batch["attention_mask"] == 1
    chosen = real & (np.random.default_rng(1).random((3, 7)) < 0.5)
    labels = np.where(chosen, np.random.default_rng(2).integers(1, 50, (3, 7)), -100)
    expected = theirs(**to_torch(batch), labels=torch.tensor(labels))
    expected.loss.backward()

    logits = ours(**batch)
    assert logits.dtype == dtype
    assert_close(logits.numpy()[real], expected.logits.detach().numpy()[real], tolerance)

    positions = np.flatnonzero(chosen)
    few = ours(**batch, positions=positions)
    assert few.shape == (len(positions), 50)
    assert_close(few.numpy(), expected.logits.detach().reshape(-1, 50)[positions], tolerance)
    loss = ops.cross_entropy(few, labels[chosen].tolist())
    loss.backward()
    assert_close(loss.numpy(), expected.loss.detach(), tolerance)
    assert_same_gradients(ours, theirs, tolerance)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_classification_has_the_logits_loss_and_gradients_of_transformers(
    case, dtype, tolerance, device
):
    config, batch, labels = config_of(case, num_labels=4), text_batch(), np.array([3, 0, 2])
    theirs = transformers.BertForSequenceClassification(their_config(config))
    ours = twin_of(theirs, BertForSequenceClassification(config), dtype, device)
    expected = theirs(**to_torch(batch), labels=torch.tensor(labels))
    expected.loss.backward()
    logits = ours(**batch)
    assert_close(logits.numpy(), expected.logits.detach(), tolerance)
    loss = ops.cross_entropy(logits, labels.tolist())
    loss.backward()
    assert_close(loss.numpy(), expected.loss.detach(), tolerance)
    assert_same_gradients(ours, theirs, tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("problem", ["multi_label_classification", "regression"])
def test_several_labels_and_numbers_have_the_loss_and_gradients_of_transformers(
    problem, dtype, tolerance, device
):
    config, batch = config_of(num_labels=4, problem_type=problem), text_batch()
    theirs = transformers.BertForSequenceClassification(their_config(config))
    ours = twin_of(theirs, BertForSequenceClassification(config), dtype, device)
    target = np.random.default_rng(3).integers(0, 2, (3, 4)).astype(dtype)
    loss_of = {
        "multi_label_classification": ops.binary_cross_entropy_with_logits,
        "regression": ops.mse_loss,
    }[problem]
    expected = theirs(**to_torch(batch), labels=torch.tensor(target))
    expected.loss.backward()
    loss = loss_of(ours(**batch), Tensor(target, device=device))
    loss.backward()
    assert_close(loss.numpy(), expected.loss.detach(), tolerance)
    assert_same_gradients(ours, theirs, tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_pre_training_has_the_logits_loss_and_gradients_of_transformers(dtype, tolerance, device):
    config, batch = config_of(), text_batch()
    theirs = transformers.BertForPreTraining(their_config(config))
    ours = twin_of(theirs, BertForPreTraining(config), dtype, device)
    labels = np.where(batch["attention_mask"] == 1, batch["input_ids"][:, ::-1], -100)
    follows = np.array([0, 1, 1])
    expected = theirs(
        **to_torch(batch), labels=torch.tensor(labels), next_sentence_label=torch.tensor(follows)
    )
    expected.loss.backward()
    words, answers = ours(**batch)
    assert_close(answers.numpy(), expected.seq_relationship_logits.detach(), tolerance)
    places = np.flatnonzero(labels != -100)
    few, _ = ours(**batch, positions=places)
    assert_close(few.numpy(), words.numpy().reshape(-1, 50)[places], tolerance)
    loss = ops.cross_entropy(words, labels.tolist()) + ops.cross_entropy(answers, follows.tolist())
    loss.backward()
    assert_close(loss.numpy(), expected.loss.detach(), tolerance)
    assert_same_gradients(ours, theirs, tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_token_labels_have_the_logits_loss_and_gradients_of_transformers(dtype, tolerance, device):
    config, batch = config_of(num_labels=5), text_batch()
    theirs = transformers.BertForTokenClassification(their_config(config))
    ours = twin_of(theirs, BertForTokenClassification(config), dtype, device)
    labels = np.where(batch["attention_mask"] == 1, batch["input_ids"] % 5, -100)
    expected = theirs(**to_torch(batch), labels=torch.tensor(labels))
    expected.loss.backward()
    logits = ours(**batch)
    real = labels != -100
    assert_close(logits.numpy()[real], expected.logits.detach().numpy()[real], tolerance)
    loss = ops.cross_entropy(logits, labels.tolist())
    loss.backward()
    assert_close(loss.numpy(), expected.loss.detach(), tolerance)
    assert_same_gradients(ours, theirs, tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_answers_have_the_logits_loss_and_gradients_of_transformers(dtype, tolerance, device):
    config, batch = config_of(), text_batch(padded=False)
    theirs = transformers.BertForQuestionAnswering(their_config(config))
    ours = twin_of(theirs, BertForQuestionAnswering(config), dtype, device)
    first, last = np.array([1, 0, 3]), np.array([2, 6, 3])
    expected = theirs(
        **to_torch(batch), start_positions=torch.tensor(first), end_positions=torch.tensor(last)
    )
    expected.loss.backward()
    starts, ends = ours(**batch)
    assert_close(starts.numpy(), expected.start_logits.detach(), tolerance)
    assert_close(ends.numpy(), expected.end_logits.detach(), tolerance)
    loss = (ops.cross_entropy(starts, first.tolist()) + ops.cross_entropy(ends, last.tolist())) / 2
    loss.backward()
    assert_close(loss.numpy(), expected.loss.detach(), tolerance)
    unseen = ("qa_outputs.bias", "layer.1.output.LayerNorm.bias")
    assert_same_gradients(ours, theirs, tolerance, zero=unseen)


def test_what_passes_inside_is_shown_to_those_who_ask(device):
    config, batch = config_of(num_labels=4), text_batch()
    theirs = transformers.BertForSequenceClassification(their_config(config))
    ours = twin_of(theirs, BertForSequenceClassification(config), np.float64, device)
    look = {"output_attentions": True, "output_hidden_states": True}
    expected, shown = theirs(**to_torch(batch), **look), ours(**batch, **look)
    real = batch["attention_mask"] == 1
    assert_close(shown.logits.numpy(), expected.logits.detach(), 1e-10)
    assert shown.last_hidden_state is None
    assert len(shown.hidden_states) == len(expected.hidden_states) == 3
    for a, b in zip(shown.hidden_states, expected.hidden_states):
        assert_close(a.numpy()[real], b.detach().numpy()[real], 1e-10)
    assert len(shown.attentions) == len(expected.attentions) == 2
    for a, b in zip(shown.attentions, expected.attentions):
        assert_close(a.numpy(), b.detach(), 1e-10)
    bare = ours.bert(**batch, output_attentions=True)
    assert bare.hidden_states is None
    assert bare.logits is None
    assert_close(bare.last_hidden_state.numpy(), ours.bert(**batch).numpy(), 1e-12)


def test_the_bare_encoder_has_the_hidden_states_of_transformers(device):
    config, batch = config_of(), text_batch()
    theirs = transformers.BertModel(their_config(config))
    ours = twin_of(theirs, BertModel(config), np.float64, device)
    hidden, real = theirs(**to_torch(batch)).last_hidden_state, batch["attention_mask"] == 1
    assert_close(ours(**batch).numpy()[real], hidden.detach().numpy()[real], 1e-10)
    ids = text_batch(padded=False)["input_ids"]
    alone = theirs(torch.tensor(ids)).last_hidden_state
    assert_close(ours(ids).numpy(), alone.detach(), 1e-10)


def test_no_mask_and_no_segments_mean_all_real_and_one_segment(device):
    model, batch = BertModel(config_of()).eval().to(device), text_batch(padded=False)
    batch["token_type_ids"][:] = 0
    np.testing.assert_array_equal(model(**batch).numpy(), model(batch["input_ids"]).numpy())
    as_lists = {name: value.tolist() for name, value in batch.items()}
    as_tensors = {name: Tensor(value) for name, value in batch.items()}
    np.testing.assert_array_equal(model(**as_lists).numpy(), model(**as_tensors).numpy())


def test_padding_changes_nothing_for_the_real_tokens(device):
    model, batch = BertModel(config_of()).eval().to(device), text_batch()
    alone = model(batch["input_ids"][:1, :4], None, batch["token_type_ids"][:1, :4])
    assert_close(model(**batch).numpy()[:1, :4], alone.numpy(), 1e-6)


def test_mean_pooling_averages_the_real_tokens_and_has_no_pooler(device):
    config, batch = config_of(classifier_pooling="mean"), text_batch()
    model = BertForSequenceClassification(config).eval().to(device)
    assert model.bert.pooler is None
    hidden = model.bert(**batch).numpy()
    expected = np.stack([row[:n].mean(0) for row, n in zip(hidden, (4, 7, 2))])
    pooled = mean_over_tokens(Tensor(hidden, device=device), batch["attention_mask"]).numpy()
    np.testing.assert_allclose(pooled, expected, atol=1e-6)
    logits = expected @ model.classifier.weight.numpy().T + model.classifier.bias.numpy()
    np.testing.assert_allclose(model(**batch).numpy(), logits, atol=1e-6)
    whole = mean_over_tokens(Tensor(hidden, device=device), None).numpy()
    np.testing.assert_allclose(whole, hidden.mean(1), atol=1e-6)


def test_the_mean_of_no_token_is_0_without_a_warning(device):
    """Dividing by the 0 tokens of a text gave NaN, and "invalid value encountered in divide"."""
    hidden = Tensor(np.ones((2, 3, 4), np.float32), device=device)
    pooled = mean_over_tokens(hidden, np.array([[1, 1, 0], [0, 0, 0]])).numpy()
    np.testing.assert_array_equal(pooled, [[1] * 4, [0] * 4])


# ------------------------------------------------------------------------- weights, modes, freezing


def test_weights_start_as_devlin_et_al_drew_them():
    random.manual_seed(0)
    model = BertForMaskedLM(config_of(hidden_size=48, vocab_size=400, initializer_range=0.05))
    for name, value in model.state_dict().items():
        if name.endswith("LayerNorm.weight"):
            assert (value == 1).all()
        elif name.endswith("bias"):
            assert (value == 0).all()
        else:
            assert abs(value.std() - 0.05) < 0.01, name


def test_dropout_is_on_in_training_everywhere_and_off_in_a_frozen_layer(device):
    rates = {"hidden_dropout_prob": 0.3, "attention_probs_dropout_prob": 0.3}
    model = BertForSequenceClassification(BertConfig(**{**SIZES, **rates})).to(device)
    batch = text_batch()

    def varies(module, *inputs):
        return not np.array_equal(module(*inputs).numpy(), module(*inputs).numpy())

    x = np.random.default_rng(0).standard_normal((2, 5, 12)).astype(np.float32)
    x = Tensor(x, device=device)
    layers = model.bert.encoder.layer
    model.train()
    assert varies(model.bert.embeddings, to_device(batch["input_ids"], device))
    assert varies(layers[0].attention.self, x)
    assert varies(layers[0], x)
    model.freeze("bert.encoder.layer.0")
    assert not varies(layers[0], x)
    assert varies(layers[1], x)
    model.freeze("bert")
    assert not varies(model.bert, batch["input_ids"])
    model.eval()
    assert not varies(model, batch["input_ids"])


def test_a_frozen_body_gets_no_gradients(device):
    model, batch = BertForSequenceClassification(config_of()).to(device), text_batch()
    model.freeze("bert")
    ops.cross_entropy(model(**batch), [0, 1, 0]).backward()
    with_gradient = [name for name, p in model.named_parameters() if p.grad is not None]
    assert with_gradient == ["classifier.weight", "classifier.bias"]


# ---------------------------------------------------------------------------------------- folders


@pytest.mark.parametrize(
    ("ours", "auto"),
    [
        (BertModel, "AutoModel"),
        (BertForMaskedLM, "AutoModelForMaskedLM"),
        (BertForPreTraining, "AutoModelForPreTraining"),
        (BertForSequenceClassification, "AutoModelForSequenceClassification"),
        (BertForTokenClassification, "AutoModelForTokenClassification"),
        (BertForQuestionAnswering, "AutoModelForQuestionAnswering"),
    ],
)
def test_a_saved_folder_opens_in_transformers_with_equal_logits_and_back(ours, auto, tmp_path):
    batch = text_batch(padded=False)
    names = {0: "bad", 1: "good"}
    model = ours(config_of(id2label=names, initializer_range=0.4)).eval()
    model.save_pretrained(tmp_path / "ours")
    theirs = opened(auto, tmp_path / "ours")
    assert theirs.config.id2label == names
    for a, b in zip(results(model(**batch)), theirs(**to_torch(batch)).to_tuple()):
        assert_close(a.numpy(), b.detach(), 1e-5)

    theirs.save_pretrained(tmp_path / "theirs")
    back = ours.from_pretrained(tmp_path / "theirs")
    assert not back.training
    assert back.config.id2label == names
    for a, b in zip(results(back(**batch)), results(model(**batch))):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert back.load_report.problems() == []
    assert back.load_report.notes == []


def results(output):
    return output if isinstance(output, tuple) else (output,)


@pytest.mark.parametrize("model", [BertForMaskedLM, BertForPreTraining])
def test_a_tied_weight_is_saved_once(model, tmp_path):
    from minift import hub

    model(config_of()).save_pretrained(tmp_path)
    names = hub.read_model(tmp_path).keys()
    assert "bert.embeddings.word_embeddings.weight" in names
    assert "cls.predictions.bias" in names
    assert not [name for name in names if "decoder" in name]


def test_a_mean_pooling_folder_is_refused_by_transformers_and_opens_here(tmp_path):
    batch = text_batch()
    model = BertForSequenceClassification(config_of(classifier_pooling="mean")).eval()
    model.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert saved["architectures"] == ["MiniftMeanPoolingBertForSequenceClassification"]
    with pytest.raises(ValueError, match="minift-mean-pooling-bert"):
        transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path)
    back = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    np.testing.assert_array_equal(back(**batch).numpy(), model(**batch).numpy())


def test_a_classifier_takes_the_body_of_a_masked_lm_and_a_new_head(tmp_path):
    source = BertForMaskedLM(config_of())
    source.save_pretrained(tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path, num_labels=5)
    body = {n: v for n, v in source.state_dict().items() if n.startswith("bert.")}
    for name, value in body.items():
        np.testing.assert_array_equal(model.state_dict()[name], value)
    report = model.load_report
    assert sorted(report.loaded) == sorted(body)
    assert report.missing == [
        *("bert.pooler.dense.weight", "bert.pooler.dense.bias"),
        *("classifier.weight", "classifier.bias"),
    ]
    assert all(name.startswith("cls.predictions.") for name in report.unexpected)
    assert model.classifier.weight.shape == (5, 12)


@pytest.mark.parametrize("change", [{"num_labels": 3}, {"classifier_pooling": "mean"}])
def test_a_head_made_for_another_task_is_not_loaded(change, tmp_path):
    source = BertForSequenceClassification(config_of(id2label={0: "no", 1: "yes"}))
    source.save_pretrained(tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path, **change)
    assert "classifier.weight" in model.load_report.missing
    assert "classifier.weight" in model.load_report.unexpected
    same = AutoModelForSequenceClassification.from_pretrained(tmp_path, num_labels=2)
    assert same.load_report.missing == []
    assert same.config.id2label == {0: "no", 1: "yes"}


def test_bodies_move_between_bare_encoders_and_models_with_heads(tmp_path):
    bare = BertModel(config_of())
    bare.save_pretrained(tmp_path / "bare")
    full = BertForSequenceClassification.from_pretrained(tmp_path / "bare")
    assert full.load_report.notes == [
        "the classification head is new (classifier.weight, classifier.bias): this is expected, "
        "it is still to be trained"
    ]
    np.testing.assert_array_equal(
        full.bert.pooler.dense.weight.numpy(), bare.pooler.dense.weight.numpy()
    )
    assert ("pooler.dense.bias", "bert.pooler.dense.bias") in full.load_report.renamed
    full.save_pretrained(tmp_path / "full")
    back = BertModel.from_pretrained(tmp_path / "full")
    for name, value in bare.state_dict().items():
        np.testing.assert_array_equal(back.state_dict()[name], value)


def test_the_names_of_the_first_checkpoints_are_understood(tmp_path):
    from minift import hub

    model = BertForMaskedLM(config_of())
    model.save_pretrained(tmp_path)
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): value
        for name, value in model.state_dict().items()
    }
    old["cls.predictions.decoder.weight"] = old["bert.embeddings.word_embeddings.weight"]
    old["bert.embeddings.position_ids"] = np.arange(16)[None]
    hub.write_arrays(tmp_path / "model.safetensors", old)
    back = BertForMaskedLM.from_pretrained(tmp_path)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(back.state_dict()[name], value)
    norm = "bert.embeddings.LayerNorm"
    assert (f"{norm}.gamma", f"{norm}.weight") in back.load_report.renamed


def test_a_body_that_does_not_fit_is_refused_with_every_name(tmp_path):
    BertForMaskedLM(config_of()).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="do not fit BertForSequenceClassification") as caught:
        AutoModelForSequenceClassification.from_pretrained(tmp_path, num_hidden_layers=3)
    assert "missing: bert.encoder.layer.2.output.dense.weight" in str(caught.value)
    assert "classifier" not in str(caught.value)
    with pytest.raises(ValueError, match=r"word_embeddings\.weight: expected shape \(60, 12\)"):
        BertForMaskedLM.from_pretrained(tmp_path, vocab_size=60)


# --------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_size": 0}, "BertConfig: hidden_size must be a whole number of at least 1, got 0"),
        ({"num_hidden_layers": 1.5}, "num_hidden_layers must be a whole number"),
        ({"num_attention_heads": 5}, r"hidden_size \(12\) must be a multiple of num_att"),
        ({"hidden_dropout_prob": 1.0}, r"hidden_dropout_prob must lie in \[0, 1\), got 1.0"),
        ({"classifier_dropout": -0.1}, r"classifier_dropout must lie in \[0, 1\), got -0.1"),
        ({"hidden_act": "relu"}, "hidden_act must be gelu, got 'relu'"),
        ({"classifier_pooling": "max"}, "classifier_pooling must be cls or mean, got 'max'"),
        ({"num_labels": 2, "id2label": {0: "a"}}, r"id2label must name the labels 0 to 1 .*\[0\]"),
    ],
)
def test_a_configuration_that_makes_no_bert_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        BertConfig(**{**SIZES, **settings})


@pytest.mark.parametrize(
    ("saved", "changes", "message"),
    [
        ({"model_type": "gpt2"}, {}, "model_type must be bert or .*, got 'gpt2'"),
        ({"position_embedding_type": "relative_key"}, {}, "position_embedding_type must be abs"),
        ({}, {"hidden": 3}, "BertConfig has no field 'hidden'; it has .*hidden_size"),
    ],
)
def test_a_saved_configuration_of_another_kind_is_refused(saved, changes, message):
    with pytest.raises(ValueError, match=message):
        BertConfig.from_dict({**SIZES, **saved}, **changes)


def test_a_configuration_round_trips_and_ignores_what_transformers_adds():
    config = config_of(id2label={0: "a", 1: "b", 2: "c"}, num_labels=3)
    saved = json.loads(json.dumps({**config.to_dict(), "use_cache": True, "dtype": "float32"}))
    assert BertConfig.from_dict(saved) == config
    assert saved["label2id"] == {"a": 0, "b": 1, "c": 2}
    assert BertConfig.from_dict(saved, num_labels=2).id2label == {0: "LABEL_0", 1: "LABEL_1"}
    assert BertConfig.from_dict(saved, id2label={0: "x", 1: "y"}).num_labels == 2
    assert BertConfig.from_dict({**SIZES, "id2label": None}).num_labels == 2


def test_defaults_are_those_of_transformers():
    theirs = transformers.BertConfig()
    for field in dataclasses.fields(BertConfig):
        if field.name not in ("classifier_pooling", "num_labels", "id2label"):
            assert getattr(BertConfig(), field.name) == getattr(theirs, field.name), field.name


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([[1, 2, 3]] * 6, None),
        ([1, 2, 3], r"input_ids must be \(texts, tokens\) with 1 to 16 tokens .* shape \(3,\)"),
        ([[1] * 17], r"input_ids must be .* with 1 to 16 tokens .* got shape \(1, 17\)"),
        ([[]], "input_ids must be integers, got float64"),
        ([[1.5]], "input_ids must be integers, got float64"),
    ],
)
def test_ids_that_are_no_texts_are_refused(inputs, message):
    model = BertModel(config_of())
    if message is None:
        assert model(inputs).shape == (6, 3, 12)
        return
    with pytest.raises(ValueError, match=message):
        model(inputs)


def test_masks_and_positions_that_do_not_fit_are_refused():
    model, ids = BertForMaskedLM(config_of()), np.ones((2, 3), int)
    with pytest.raises(ValueError, match=r"attention_mask must have the shape of input_ids, \(2"):
        model(ids, attention_mask=np.ones((3, 2), int))
    with pytest.raises(ValueError, match="attention_mask must be integers, got float64"):
        model(ids, attention_mask=np.ones((2, 3)))
    with pytest.raises(ValueError, match="attention_mask: text 1 has no real token to attend to"):
        model(ids, attention_mask=[[1, 1, 0], [0, 0, 0]])
    with pytest.raises(ValueError, match="token_type_ids must have the shape of input_ids"):
        model(ids, token_type_ids=[[0, 1]])
    with pytest.raises(ValueError, match="positions must be a flat list of indices from 0 to 5"):
        model(ids, positions=[6])
    with pytest.raises(ValueError, match="positions must be a flat list of indices from 0 to 5"):
        model(ids, positions=[[0, 1]])
