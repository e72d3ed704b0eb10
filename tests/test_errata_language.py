"""The articles' programs for language models: what they did as printed, and what is right.

Each test takes the article's line as it stands and shows where it fails, and that ours does not.
"""

import math

import numpy as np
import pytest

from minift import functional as F
from minift import grad, gradcheck, nn
from minift.backend.random import manual_seed
from minift.data import DataLoader
from minift.models import GPT2Config, GPT2LMHeadModel
from minift.objectives import CausalLM
from minift.optim import Adam
from minift.tensor import Tensor

RNG = np.random.default_rng(0)
V, C, T = 6, 3, 5  # the article's: vocab_size, hidden_size, length
W1, W2 = RNG.standard_normal((V, C)), RNG.standard_normal((C, V))
INPUTS, TARGETS = np.arange(1, 6)[:, None], np.arange(2, 7)[:, None]


def gpt(vocab_size=V + 1):
    manual_seed(0)
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=vocab_size, n_positions=8, n_embd=16, n_layer=1, n_head=2)
    )


@pytest.mark.parametrize(("classes", "floor"), [(2, 0.3133), (10, 1.4612)])
def test_softmax_twice_keeps_the_loss_from_0(classes, floor):
    """E04: a head that ends in a softmax, before a loss that has one, cannot be right enough."""
    sure = 50 * np.eye(classes)
    labels = np.arange(classes)
    twice = F.cross_entropy(F.softmax(Tensor(sure), axis=-1), labels).item()
    assert twice == pytest.approx(math.log(1 + (classes - 1) / math.e), abs=1e-6)
    assert twice == pytest.approx(floor, abs=1e-4)
    assert F.cross_entropy(Tensor(sure), labels).item() < 1e-9


def test_the_log_of_a_rounded_softmax_is_infinite():
    """E05: −Σ y log p from p; the loss from the scores themselves is 2e4."""
    scores = np.array([[1e4, -1e4]], np.float32)
    p = F.softmax(Tensor(scores), axis=-1).numpy()
    with np.errstate(divide="ignore"):
        assert -np.log(p)[0, 1] == math.inf
    assert F.cross_entropy(Tensor(scores), [1]).item() == 2e4


def test_a_matrix_of_the_vocabulary_does_not_fit_a_column_of_ids():
    """E51, E52: `W1 @ x` has no matching sizes, and its bias is a constant of an unknown name."""
    with pytest.raises(ValueError, match=r"shapes \(6,3\) and \(5,1\) not aligned"):
        np.dot(W1, INPUTS)
    layer = nn.Linear(V, C)
    x = np.eye(V)[INPUTS[:, 0]].astype(np.float32)  # (T, V)
    assert layer(Tensor(x)).shape == (T, C)
    assert "bias" in dict(layer.named_parameters())


def test_token_5_is_not_five_times_token_1():
    """E53: ids are places in a table, not numbers to multiply with."""
    row = RNG.standard_normal((1, C))
    np.testing.assert_allclose(np.array([[5]]) @ row, 5 * (np.array([[1]]) @ row))
    table = nn.Embedding(V, C)
    five, one = table([5]).numpy(), table([1]).numpy()
    np.testing.assert_array_equal(five[0], table.weight.numpy()[5])
    assert not np.allclose(five, 5 * one)


def test_a_loop_over_one_column_never_runs():
    """E56, E59: columns are (5, 1), so that range(1, 1) is empty; the loss stays 0 and unused."""
    assert list(range(1, INPUTS.shape[1])) == []
    ids = np.append(INPUTS, 6)[None]  # one row of six tokens: five to guess
    _, log = CausalLM()(gpt(), {"input_ids": ids})
    assert log["count"] == T
    assert log["loss"] > 1


def test_a_random_buffer_is_no_prediction():
    """E55: what is compared with the targets does not depend on the model at all."""
    buffer = np.random.default_rng(1).standard_normal(INPUTS.shape)
    assert np.array_equal(buffer, np.random.default_rng(1).standard_normal(INPUTS.shape))
    ids = np.append(INPUTS, 6)[None]
    model = gpt()
    before = CausalLM()(model, {"input_ids": ids})[0].item()
    for p in model.parameters():
        p.data = p.data + 0.1
    assert CausalLM()(model, {"input_ids": ids})[0].item() != before


def test_the_articles_gradient_is_of_the_wrong_thing():
    """E58: 2 (y − t) is d loss / d output, of another shape than W1 and W2; b is never moved."""
    x = np.eye(V)[INPUTS[:, 0]]  # (T, V), one-hot
    t = np.eye(V)[TARGETS[:, 0] % V]
    weights = [Tensor(w, requires_grad=True) for w in (W1, W2, np.zeros(V))]

    def loss(w1, w2, b):
        return F.mse_loss(F.tanh(x @ w1) @ w2 + b, t)

    assert gradcheck(loss, weights)
    h = np.tanh(x @ W1)
    delta = 2 * (h @ W2 - t) / t.size  # (T, V): what the article subtracts from W1 and from W2
    assert delta.shape not in (W1.shape, W2.shape)
    by_hand = [x.T @ (delta @ W2.T * (1 - h**2)), h.T @ delta, delta.sum(0)]
    for found, expected in zip(grad(loss(*weights), weights), by_hand):
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_two_arrays_are_not_a_batch_of_pairs():
    """E60: each "batch" is one column of five rows."""
    for batch in (INPUTS, TARGETS):
        with pytest.raises(ValueError, match="too many values to unpack"):
            _inputs, _targets = batch
    (batch,) = DataLoader([(np.array([1, 2]), np.array([2, 3]))], 1)
    assert [part.tolist() for part in batch] == [[[1, 2]], [[2, 3]]]


def test_an_id_as_large_as_the_vocabulary_is_refused():
    """E61: ids 1 … 6 with vocab_size 6."""
    with pytest.raises(ValueError, match="target 6 is none of the 6 classes"):
        CausalLM()(gpt(V), {"input_ids": TARGETS.T})
    assert np.isfinite(CausalLM()(gpt(V + 1), {"input_ids": TARGETS.T})[0].item())


def test_unscaled_weights_saturate_tanh():
    """E62: N(0, 1) weights over 256 inputs leave hardly a unit whose slope is not near 0."""
    x = RNG.standard_normal((100, 256)).astype(np.float32)
    manual_seed(0)
    ours = np.tanh(nn.Linear(256, 64)(Tensor(x)).numpy())
    theirs = np.tanh(x @ np.random.default_rng(1).standard_normal((256, 64)))
    assert (1 - theirs**2 < 0.01).mean() > 0.8
    assert (1 - ours**2 < 0.01).mean() < 0.01


def test_a_model_without_weights_cannot_be_trained():
    """E63: no `embed`, no parameter; the optimizer says so before anything else fails."""

    class ContrastiveModel(nn.Module):
        def __init__(self):
            self.temperature = 0.1

    with pytest.raises(ValueError, match="Adam: got no parameters to train"):
        Adam(ContrastiveModel().parameters(), lr=0.01)


def test_single_values_cannot_be_concatenated_but_stacked():
    """E65: the article's two "logits" are numbers without an axis."""
    a, b = Tensor(1.0), Tensor(2.0)
    with pytest.raises(ValueError, match="concatenate: axis 0 does not exist"):
        F.concatenate([a, b])
    assert F.stack([a, b]).numpy().tolist() == [1, 2]


def test_adam_made_anew_for_every_batch_is_sign_descent():
    """E68: without its past, each step is lr in the direction of the sign."""
    gradients = [1.0, 0.01, -0.5, 0.003]

    def path(renew):
        w = nn.Parameter(np.zeros(1))
        optimizer, places = Adam([w], lr=0.1), [0.0]
        for g in gradients:
            if renew:
                optimizer = Adam([w], lr=0.1)
            w.grad = Tensor(np.array([g]))
            optimizer.step()
            places.append(w.numpy()[0])
        return np.diff(places)

    np.testing.assert_allclose(path(True), -0.1 * np.sign(gradients), rtol=1e-4)
    assert np.abs(path(False) - path(True)).max() > 0.1
