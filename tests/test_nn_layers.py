"""Layers against PyTorch's: values, gradients, layouts, first values; and their mistakes."""

import math

import numpy as np
import pytest
from oracle import oracle

from minift import nn
from minift.backend import random, to_device
from minift.tensor import Tensor

torch = oracle("torch")


def copy_weights(theirs, ours):
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})


def compare(theirs, ours, *inputs, device, tolerance=1e-5, **settings):
    """Values, and gradients of all inputs and weights under one random cotangent."""
    copy_weights(theirs, ours)
    rng = np.random.default_rng(1)
    ours.to(device)
    x = [Tensor(array, requires_grad=True, device=device) for array in inputs]
    t = [torch.tensor(array, requires_grad=True) for array in inputs]
    y, expected = ours(*x, **settings), theirs(*t)
    cotangent = rng.standard_normal(y.shape).astype(np.float32)
    y.backward(Tensor(cotangent, device=device))
    expected.backward(torch.tensor(cotangent))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.numpy(), expected.detach(), rtol=tolerance, atol=tolerance)
    for a, b in zip(x, t):
        np.testing.assert_allclose(a.grad.numpy(), b.grad, rtol=tolerance, atol=tolerance)
    gradients = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        np.testing.assert_allclose(
            parameter.grad.numpy(), gradients[name].grad, rtol=tolerance, atol=tolerance
        )


def draw(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_linear_is_torchs(device):
    compare(torch.nn.Linear(5, 3), nn.Linear(5, 3), draw(2, 4, 5), device=device)
    compare(
        torch.nn.Linear(5, 3, bias=False), nn.Linear(5, 3, bias=False), draw(4, 5), device=device
    )


def test_layer_norm_is_torchs(device):
    theirs = torch.nn.LayerNorm(6, eps=1e-3)
    torch.nn.init.normal_(theirs.weight)
    compare(theirs, nn.LayerNorm(6, eps=1e-3), draw(2, 3, 6), device=device)


def test_embedding_is_torchs(device):
    theirs, ours = torch.nn.Embedding(7, 4), nn.Embedding(7, 4)
    copy_weights(theirs, ours)
    ids = np.array([[1, 6, 1], [0, 1, 3]])
    cotangent = draw(2, 3, 4)
    ours.to(device)
    y, expected = ours(to_device(ids, device)), theirs(torch.tensor(ids))
    y.backward(to_device(cotangent, device))
    expected.backward(torch.tensor(cotangent))
    np.testing.assert_array_equal(y.numpy(), expected.detach())
    np.testing.assert_allclose(ours.weight.grad.numpy(), theirs.weight.grad, rtol=1e-6)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (torch.nn.ReLU(), nn.ReLU()),
        (torch.nn.Tanh(), nn.Tanh()),
        (torch.nn.GELU(), nn.GELU()),
        (torch.nn.GELU(approximate="tanh"), nn.GELU(approximate="tanh")),
    ],
)
def test_activations_are_torchs(theirs, ours, device):
    compare(theirs, ours, draw(3, 50), device=device)


def test_sequential_has_torchs_names_and_values(device):
    layers = (torch.nn.Linear(4, 8), torch.nn.GELU(), torch.nn.Linear(8, 2))
    ours = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2))
    compare(torch.nn.Sequential(*layers), ours, draw(5, 4), device=device)


def test_a_module_list_is_a_list_with_plain_paths():
    layers = nn.ModuleList([nn.Linear(2, 2)])
    layers.append(nn.Linear(2, 1, bias=False))
    assert [name for name, _ in layers.named_parameters()] == ["0.weight", "0.bias", "1.weight"]
    assert len(layers) == 2
    assert layers[-1] is list(layers)[1]


def test_dropout_rests_in_eval_mode_and_keeps_the_mean_in_training(device):
    layer, x = nn.Dropout(0.25), Tensor(np.ones((200, 500), np.float32), device=device)
    assert layer.eval()(x).numpy().min() == 1
    y = layer.train()(x).numpy()
    assert y.dtype == np.float32
    assert abs((y == 0).mean() - 0.25) < 0.01
    np.testing.assert_allclose(y[y != 0], 4 / 3, rtol=1e-3)


# ------------------------------------------------------------------------------------ first values


def test_the_seed_decides_the_weights():
    def weights(seed):
        random.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 4), nn.Embedding(5, 6)).state_dict()

    first, again, other = weights(1), weights(1), weights(2)
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
        assert not np.array_equal(first[name], other[name])


def test_first_values_have_the_spread_of_torchs():
    linear = nn.Linear(64, 500).state_dict()
    for value in linear.values():
        assert value.dtype == np.float32
        assert 0.99 / 8 < np.abs(value).max() <= 1 / 8
        assert abs(value.mean()) < 0.01
    assert abs(nn.Embedding(200, 100).weight.numpy().std() - 1) < 0.02
    attention = nn.MultiHeadAttention(60, 4).in_proj_weight.numpy()
    bound = math.sqrt(6 / 240)
    assert 0.99 * bound < np.abs(attention).max() <= bound
    assert nn.LayerNorm(3).weight.numpy().tolist() == [1, 1, 1]


# ----------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Linear(0, 3), "Linear: in_features must be a whole number of at least 1"),
        (lambda: nn.Linear(3, 2.0), "Linear: out_features must be a whole number .* got 2.0"),
        (lambda: nn.Embedding(3, -1), "Embedding: dim must be a whole number .* got -1"),
        (lambda: nn.LayerNorm(0), "LayerNorm: size must be a whole number of at least 1, got 0"),
        (lambda: nn.Dropout(1.0), r"Dropout: p is the share of values to drop, in \[0, 1\); got 1"),
        (lambda: nn.MultiHeadAttention(5, 2), "a width of 5 cannot be cut into 2 equal heads"),
        (
            lambda: nn.TransformerEncoderLayer(4, 2, activation="tanh"),
            "activation must be 'relu' or 'gelu', got 'tanh'",
        ),
    ],
)
def test_sizes_that_make_no_layer_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.Linear(8, 2), r"Linear: expected a last axis of 8 \(its in_features\), .* \(2, 3, 5\)"),
        (nn.LayerNorm(8), r"LayerNorm: expected a last axis of 8 \(its size\), .* \(2, 3, 5\)"),
        (
            nn.MultiHeadAttention(8, 2),
            r"expected a last axis of 8 \(its embed_dim\), .* \(2, 3, 5\)",
        ),
    ],
)
def test_an_input_of_the_wrong_width_is_named(layer, message):
    with pytest.raises(ValueError, match=message):
        layer(Tensor(draw(2, 3, 5)))
