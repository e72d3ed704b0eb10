"""SimCSE: two dropout passes beside a loop, its limits, large batches, mistakes."""

import math

import numpy as np
import pytest
from test_objectives_contrastive import nt_xent_by_loop

from minift.backend.random import manual_seed
from minift.models import BertConfig, BertForMaskedLM, BertModel
from minift.models.embedding import mean_vectors
from minift.objectives import SimCSE
from minift.objectives.contrastive import alignment, uniformity, unit_rows
from minift.optim import Adam

RNG = np.random.default_rng(0)
LENGTHS = np.array([6, 4, 5, 2, 6])
IDS = np.where(np.arange(6) < LENGTHS[:, None], RNG.integers(1, 30, (5, 6)), 0)
BATCH = {"input_ids": IDS, "attention_mask": (IDS != 0).astype(np.int64)}
TWICE = {name: np.concatenate([rows, rows]) for name, rows in BATCH.items()}


def bert(kind=BertModel, dtype=np.float64, dropout=0.3):
    manual_seed(0)
    model = kind(
        BertConfig(
            vocab_size=30, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=16, max_position_embeddings=8, initializer_range=0.3,
            hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout,
        )
    )  # fmt: skip
    for p in model.parameters():
        p.data = p.data.astype(dtype)
    return model.train()


def seeded(objective, model, batch=BATCH):
    manual_seed(1)
    return objective(model, batch)


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_the_loss_is_the_plain_loop_over_two_dropout_passes(temperature, device):
    model = bert().to(device)
    manual_seed(1)
    first, second = np.split(mean_vectors(model, TWICE).numpy(), 2)
    assert np.abs(first - second).max() > 0.01  # the masks differ
    loss, log = seeded(SimCSE(temperature), model)
    expected = nt_xent_by_loop(first, second, temperature)
    assert loss.item() == pytest.approx(expected, rel=1e-9)
    units = unit_rows(first), unit_rows(second)
    assert log["alignment"] == pytest.approx(alignment(*units))
    assert log["uniformity"] == pytest.approx(uniformity(np.concatenate(units)))
    assert log["count"] == 5
    assert 0 <= log["accuracy"] <= 1


def test_a_vector_is_the_mean_over_real_tokens():
    model = bert().eval()
    hidden = model(**BATCH).numpy()
    expected = [hidden[i, :n].mean(0) for i, n in enumerate(LENGTHS)]
    np.testing.assert_allclose(mean_vectors(model, BATCH).numpy(), expected, rtol=1e-10)


def test_the_gradient_agrees_with_finite_differences():
    model = bert()
    seeded(SimCSE(0.3), model)[0].backward()
    parameters = [p for p in model.parameters() if p.grad is not None]
    directions = [RNG.standard_normal(p.shape) for p in parameters]
    slope = sum((p.grad.numpy() * d).sum() for p, d in zip(parameters, directions))
    losses = []
    for step in (1e-5, -2e-5):
        for p, d in zip(parameters, directions):
            p.data = p.data + step * d
        losses.append(seeded(SimCSE(0.3), model)[0].item())
    assert slope == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-5)


def test_without_dropout_twins_are_equal_and_others_alone_count():
    """In evaluation mode: −log of 1 / (1 + Σ exp((s − 1)/τ)) over both copies of the others."""
    model = bert().eval()
    z = unit_rows(mean_vectors(model, BATCH).numpy())
    loss, log = SimCSE(0.2)(model, BATCH)
    cosines = z @ z.T
    others = [sum(2 * math.exp((cosines[i, k] - 1) / 0.2) for k in range(5) if k != i)
              for i in range(5)]  # fmt: skip
    assert loss.item() == pytest.approx(np.mean(np.log1p(others)), rel=1e-9)
    assert log["alignment"] == pytest.approx(0, abs=1e-12)
    assert log["accuracy"] == 1


def test_a_sentence_that_stands_twice_is_no_negative_of_itself():
    rows = np.array([0, 1, 0, 3, 4])
    batch = {name: values[rows] for name, values in BATCH.items()}
    model = bert()
    manual_seed(1)
    first, second = np.split(
        mean_vectors(model, {name: np.tile(v, (2, 1)) for name, v in batch.items()}).numpy(), 2
    )
    expected = nt_xent_by_loop(first, second, 0.1, rows)
    assert seeded(SimCSE(0.1), model, batch)[0].item() == pytest.approx(expected, rel=1e-9)
    assert nt_xent_by_loop(first, second, 0.1) > expected
    same = {name: np.repeat(values[:1], 4, axis=0) for name, values in BATCH.items()}
    assert seeded(SimCSE(0.1), model, same)[0].item() == pytest.approx(0, abs=1e-9)


def test_what_stands_under_padding_makes_no_difference_between_sentences():
    batch = {name: values[[0, 3, 3]] for name, values in BATCH.items()}
    batch["input_ids"][2, LENGTHS[3] :] = 7  # padding of another kind
    model = bert().eval()
    two = {name: values[:2] for name, values in batch.items()}
    z = unit_rows(mean_vectors(model, two).numpy())
    near = 2 * math.exp((z[0] @ z[1] - 1) / 0.1)
    expected = np.mean([np.log1p(2 * near), np.log1p(near), np.log1p(near)])
    assert SimCSE(0.1)(model, batch)[0].item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_cached_gradients_are_those_of_the_whole_batch(chunk, device):
    results = []
    for setting in (None, chunk):
        model = bert(dropout=0.0).to(device)
        loss, log = SimCSE(0.2, setting)(model, BATCH)
        (loss * 2).backward()
        results.append((log, {name: p.grad for name, p in model.named_parameters()}))
    (whole, expected), (cached, found) = results
    assert cached == pytest.approx(whole, rel=1e-9)
    for name, gradient in expected.items():
        if gradient is None:  # of the pooler, which takes no part
            assert not found[name].numpy().any()
        else:
            np.testing.assert_allclose(found[name].numpy(), gradient.numpy(), atol=1e-9)


def test_a_model_with_a_head_is_trained_below_it():
    with_head = bert(BertForMaskedLM, dropout=0.0)
    bare = bert(dropout=0.0)
    state = with_head.bert.state_dict()
    bare.load_state_dict(state, strict=False)
    losses = [SimCSE(0.1)(model, BATCH)[0] for model in (with_head, bare)]
    assert losses[0].item() == losses[1].item()
    losses[0].backward()
    assert with_head.cls.predictions.transform.dense.weight.grad is None


def test_training_spreads_sentences_and_keeps_twins_together():
    """E95: minimising similarity alone is half of it; alignment must not be paid for uniformity."""
    model = bert(dtype=np.float32, dropout=0.1)
    optimizer = Adam(model.parameters(), lr=3e-3)
    logs = []
    for _ in range(60):
        loss, log = SimCSE(0.1)(model, BATCH)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        logs.append(log)
    first, last = ({k: np.mean([log[k] for log in part]) for k in logs[0]}
                   for part in (logs[:5], logs[-5:]))  # fmt: skip
    assert last["loss"] < 0.3 * first["loss"]
    assert last["uniformity"] < first["uniformity"]
    assert last["accuracy"] == 1


def test_labels_in_the_batch_are_not_looked_at():
    model = bert()
    plain, labelled = (seeded(SimCSE(), model, b)[0].item()
                       for b in (BATCH, BATCH | {"labels": np.arange(5)}))  # fmt: skip
    assert plain == labelled


def test_what_cannot_be_compared_is_refused():
    one = {name: values[:1] for name, values in BATCH.items()}
    with pytest.raises(ValueError, match="1 pair of views has no negatives; a batch needs two"):
        SimCSE()(bert(), one)
    with pytest.raises(ValueError, match="SimCSE: the temperature must be above 0, got 0"):
        SimCSE(temperature=0)
    with pytest.raises(ValueError, match="SimCSE: chunk must be 1 or more views, got 0"):
        SimCSE(chunk=0)
    with pytest.raises(ValueError, match="the batch has no input_ids, only pixel_values"):
        SimCSE()(bert(), {"pixel_values": IDS})
