"""Objectives against the loss written out, and their mistakes."""

import numpy as np
import pytest

from minift import nn
from minift.models import BertConfig, BertForMaskedLM, BertForSequenceClassification
from minift.objectives import Classification, MaskedLM, MultiLabel, Regression
from minift.tensor import Tensor

CONFIG = BertConfig(
    vocab_size=30,
    hidden_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=8,
    num_labels=3,
    initializer_range=0.5,
)
IDS = np.random.default_rng(0).integers(1, 30, (4, 6))
MASK = (np.arange(6) < np.array([[6], [4], [5], [2]])).astype(np.int64)


def log_softmax(scores):
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


def test_masked_lm_is_the_mean_of_minus_log_p_of_the_hidden_words(device):
    model = BertForMaskedLM(CONFIG).eval().to(device)
    labels = np.full((4, 6), -100)
    labels[0, 5], labels[2, 1], labels[3, 0] = 7, 29, 1
    loss, log = MaskedLM()(model, {"input_ids": IDS, "attention_mask": MASK, "labels": labels})
    log_p = log_softmax(model(IDS, MASK).numpy().astype(np.float64))
    expected = -np.mean([log_p[0, 5, 7], log_p[2, 1, 29], log_p[3, 0, 1]])
    guesses = model(IDS, MASK).numpy().argmax(-1)
    right = np.mean([guesses[0, 5] == 7, guesses[2, 1] == 29, guesses[3, 0] == 1])
    assert loss.shape == ()
    assert loss.dtype == np.float32
    lazy = {name for name, value in log.items() if isinstance(value, Tensor)}
    assert lazy == (set() if device == "cpu" else {"loss", "accuracy"})  # not waited for
    numbers = {name: float(value) for name, value in log.items()}
    assert numbers == {"loss": pytest.approx(expected, rel=1e-5), "accuracy": right, "count": 3}


def test_masked_lm_counts_right_guesses(device):
    model, labels = BertForMaskedLM(CONFIG).eval().to(device), np.full((4, 6), -100)
    guesses = model(IDS, MASK).numpy().argmax(-1)
    labels[0, :2] = guesses[0, :2]
    labels[1, 0] = (guesses[1, 0] + 1) % 30
    _, log = MaskedLM()(model, {"input_ids": IDS, "attention_mask": MASK, "labels": labels})
    assert float(log["accuracy"]) == pytest.approx(2 / 3)


def test_masked_lm_trains_the_embeddings_through_input_and_output(device):
    model, labels = BertForMaskedLM(CONFIG).eval().to(device), np.full((4, 6), -100)
    labels[0, 0] = 7
    loss, _ = MaskedLM()(model, {"input_ids": IDS, "labels": labels})
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())
    rows = np.abs(model.bert.embeddings.word_embeddings.weight.grad.numpy()).sum(1)
    assert (rows > 0).all()  # the output layer reaches every word


def test_a_batch_without_hidden_words_or_labels_is_refused():
    model, labels = BertForMaskedLM(CONFIG), np.full((4, 6), -100)
    with pytest.raises(ValueError, match="MaskedLM: all labels are -100, so no word of the batch"):
        MaskedLM()(model, {"input_ids": IDS, "labels": labels})
    with pytest.raises(ValueError, match="the batch has no labels, only input_ids"):
        MaskedLM()(model, {"input_ids": IDS})


def test_classification_weighs_and_smooths_as_written_out(device):
    model, labels = BertForSequenceClassification(CONFIG).eval().to(device), np.array([0, 2, 1, 2])
    batch = {"input_ids": IDS, "attention_mask": MASK, "labels": labels}
    scores = model(IDS, MASK).numpy().astype(np.float64)
    log_p, one_hot = log_softmax(scores), np.eye(3)[labels]
    plain = -(one_hot * log_p).sum(1)
    loss, log = Classification()(model, batch)
    assert loss.item() == pytest.approx(plain.mean(), rel=1e-5)
    assert float(log["accuracy"]) == (scores.argmax(1) == labels).mean()
    assert log["count"] == 4
    weight = np.array([1.0, 2.0, 5.0])
    loss, _ = Classification(weight=weight)(model, batch)
    expected = (plain * weight[labels]).sum() / weight[labels].sum()
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss, log = Classification(label_smoothing=0.3)(model, batch)
    expected = -((0.7 * one_hot + 0.3 / 3) * log_p).sum(1).mean()
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert float(log["loss"]) == loss.item()


def test_the_focal_loss_counts_hard_rows_more_and_gamma_0_is_cross_entropy(device):
    scores = np.array([[4.0, 0.0], [0.0, 0.5], [1.0, -1.0]], np.float32)
    labels, weight = np.array([0, 0, 1]), [0.5, 2.0]

    def model(scores):
        return Tensor(scores, device=device)

    batch = {"scores": scores, "labels": labels}
    plain, gamma_0 = (Classification(weight, focal_gamma=g)(model, batch)[0] for g in (0, 1e-12))
    assert plain.item() == pytest.approx(gamma_0.item(), rel=1e-6)
    p = np.exp(scores)[np.arange(3), labels] / np.exp(scores).sum(1)
    w = np.array(weight)[labels]
    expected = (w * (1 - p) ** 2 * -np.log(p)).sum() / w.sum()
    loss, log = Classification(weight, focal_gamma=2)(model, batch)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert log["divisor"] == pytest.approx(w.sum())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"focal_gamma": -1.0}, "focal_gamma must be a number of at least 0, got -1.0"),
        ({"focal_gamma": 2.0, "label_smoothing": 0.1}, "give label_smoothing or focal_gamma"),
    ],
)
def test_focal_settings_that_make_no_loss_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Classification(**settings)


def test_classification_gives_a_model_everything_but_the_labels_by_name():
    class Rows(nn.Module):
        def forward(self, features, scale):
            return Tensor(features * scale)

    batch = {"features": np.eye(2, dtype=np.float32), "scale": np.float32(9), "labels": [0, 1]}
    loss, log = Classification()(Rows(), batch)
    assert float(log["accuracy"]) == 1
    assert loss.item() == pytest.approx(np.log1p(np.exp(-9)), rel=1e-3)


def test_smoothing_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"label_smoothing must lie in \[0, 1\), got 1.0"):
        Classification(label_smoothing=1.0)


# ------------------------------------------------------------- several labels a text, and numbers


def test_multi_label_is_the_mean_binary_cross_entropy():
    model = BertForSequenceClassification(CONFIG).eval()
    labels = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]], np.float32)
    batch = {"input_ids": IDS, "attention_mask": MASK, "labels": labels}
    p = 1 / (1 + np.exp(-model(IDS, MASK).numpy().astype(np.float64)))
    for weight in (None, [3.0, 1.0, 0.5]):
        loss, log = MultiLabel(pos_weight=weight)(model, batch)
        w = np.ones(3) if weight is None else np.array(weight)
        expected = -(w * labels * np.log(p) + (1 - labels) * np.log(1 - p)).mean()
        right = ((p > 0.5) == labels).all(1).mean()
        assert log == {"loss": pytest.approx(expected, rel=1e-5), "accuracy": right, "count": 4}
        assert loss.dtype == np.float32


def test_regression_is_the_mean_squared_error_and_wants_one_score():
    config = BertConfig(**{**vars(CONFIG), "num_labels": 1, "id2label": None})
    model = BertForSequenceClassification(config).eval()
    labels = np.array([1.5, -2.0, 0.0, 30.0])
    batch = {"input_ids": IDS, "attention_mask": MASK, "labels": labels}
    errors = model(IDS, MASK).numpy()[:, 0].astype(np.float64) - labels
    loss, log = Regression()(model, batch)
    assert loss.dtype == np.float32
    assert log == {
        "loss": pytest.approx((errors**2).mean(), rel=1e-5),
        "absolute_error": pytest.approx(np.abs(errors).mean(), rel=1e-5),
        "count": 4,
    }
    with pytest.raises(ValueError, match=r"need one score for each of 4 texts, got \(4, 3\)"):
        Regression()(BertForSequenceClassification(CONFIG), batch)
