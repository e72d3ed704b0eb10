"""Layers of image networks against PyTorch's: values, gradients, statistics; and their mistakes."""

import math

import numpy as np
import pytest
from oracle import oracle

from minift import nn
from minift.backend import random
from minift.tensor import Tensor

torch = oracle("torch")


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def compare(theirs, ours, image, device, tolerance=1e-5):
    """Values, and gradients of the input and all weights under one random cotangent."""
    ours.load_state_dict({name: t.numpy() for name, t in theirs.state_dict().items()})
    ours.to(device)
    x, t = Tensor(image, requires_grad=True, device=device), torch.tensor(image, requires_grad=True)
    y, expected = ours(x), theirs(t)
    cotangent = draw(*y.shape, seed=1)
    y.backward(Tensor(cotangent, device=device))
    expected.backward(torch.tensor(cotangent))
    close = {"rtol": tolerance, "atol": tolerance * 10}
    np.testing.assert_allclose(y.numpy(), expected.detach(), **close)
    np.testing.assert_allclose(x.grad.numpy(), t.grad, **close)
    for name, parameter in theirs.named_parameters():
        found = dict(ours.named_parameters())[name].grad.numpy()
        np.testing.assert_allclose(found, parameter.grad, **close)


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 3},
        {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)},
        {"kernel_size": 3, "dilation": 2, "groups": 2, "bias": False},
    ],
)
def test_convolution_is_torchs(settings, device):
    theirs = torch.nn.Conv2d(4, 6, **settings)
    compare(theirs, nn.Conv2d(4, 6, **settings), draw(2, 4, 7, 8), device)


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 4, "stride": 2, "padding": 1},
        {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)},
    ],
)
def test_transposed_convolution_is_torchs(settings, device):
    theirs = torch.nn.ConvTranspose2d(4, 6, **settings)
    ours = nn.ConvTranspose2d(4, 6, **settings)
    assert np.abs(ours.weight.numpy()).max() <= 1 / math.sqrt(math.prod(ours.weight.shape[1:]))
    compare(theirs, ours, draw(2, 4, 5, 6), device)
    with pytest.raises(ValueError, match="ConvTranspose2d: in_channels must be a whole number"):
        nn.ConvTranspose2d(0, 6, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 3, "stride": 2, "padding": 1},
        {"kernel_size": 2, "dilation": 3, "groups": 2, "bias": False},
    ],
)
def test_convolution_along_time_is_torchs(settings, device):
    theirs = torch.nn.Conv1d(4, 6, **settings)
    compare(theirs, nn.Conv1d(4, 6, **settings), draw(2, 4, 9), device)


@pytest.mark.parametrize("layer", [nn.Conv1d, nn.Conv2d])
def test_groups_share_the_channels_evenly(layer):
    with pytest.raises(
        ValueError,
        match=rf"{layer.__name__}: in_channels \(4\) and out_channels \(5\) must be multiples",
    ):
        layer(4, 5, 3, groups=2)


def test_average_pooling_and_flattening_are_torchs(device):
    image = draw(2, 3, 7, 8)
    compare(torch.nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(3, 2, 1), image, device)
    compare(torch.nn.AvgPool2d(2), nn.AvgPool2d(2), image, device)
    compare(torch.nn.Flatten(), nn.Flatten(), image, device)


def test_max_pooling_is_torchs(device):
    image = draw(2, 3, 7, 8)
    compare(torch.nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(3, 2, 1), image, device)
    compare(torch.nn.MaxPool2d(2), nn.MaxPool2d(2), image, device)


@pytest.mark.parametrize("training", [True, False])
def test_batch_normalisation_and_its_statistics_are_torchs(training, device):
    theirs, ours = torch.nn.BatchNorm2d(3, eps=1e-3, momentum=0.3), nn.BatchNorm2d(3, 1e-3, 0.3)
    torch.nn.init.normal_(theirs.weight)
    theirs.running_mean += torch.tensor([0.5, -1.0, 2.0])
    theirs.running_var *= torch.tensor([0.5, 3.0, 2.0])
    theirs.train(training)
    (ours.train if training else ours.eval)()
    compare(theirs, ours, 2 * draw(4, 3, 5, 5) + 1, device)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        found, expected = getattr(ours, name).numpy(), getattr(theirs, name).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_statistics_are_saved_but_not_trained_and_rest_where_frozen():
    block = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).train()
    assert [name for name, _ in block.named_parameters()] == [
        "0.weight", "0.bias", "1.weight", "1.bias"
    ]  # fmt: skip
    assert {"1.running_mean", "1.running_var"} < block.state_dict().keys()
    before = block.state_dict()
    block(draw(2, 1, 3, 3))
    assert not np.array_equal(block[1].running_mean.numpy(), before["1.running_mean"])
    block.freeze("1")
    before = block.state_dict()
    block(draw(2, 1, 3, 3))
    np.testing.assert_array_equal(block[1].running_mean.numpy(), before["1.running_mean"])


def test_kernels_start_within_one_over_the_root_of_their_inputs():
    random.manual_seed(0)
    weight = nn.Conv2d(8, 200, 3, groups=2).weight.numpy()
    bound = 1 / math.sqrt(4 * 9)
    assert 0.99 * bound < np.abs(weight).max() <= bound


def test_inside_undrawn_nothing_is_drawn():
    random.manual_seed(0)
    with nn.init.undrawn():
        nn.Conv2d(3, 4, 3)
        nn.Embedding(5, 2)
        norm = nn.BatchNorm2d(4)
    assert (norm.weight.numpy() == 1).all()
    after = nn.Linear(3, 4).weight.numpy()
    random.manual_seed(0)
    np.testing.assert_array_equal(after, nn.Linear(3, 4).weight.numpy())


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="Conv2d: out_channels must be a whole number of at least"):
        nn.Conv2d(3, 0, 3)
    with pytest.raises(
        ValueError, match=r"in_channels \(3\) and out_channels \(4\) must be multip"
    ):
        nn.Conv2d(3, 4, 3, groups=2)
    with pytest.raises(ValueError, match=r"conv2d: 2 channels in 1 groups do not fit \(4, 3, 3, 3"):
        nn.Conv2d(3, 4, 3)(draw(1, 2, 5, 5))
    with pytest.raises(
        ValueError, match=r"BatchNorm2d: expected images \(B, 3, H, W\), got .* \(1"
    ):
        nn.BatchNorm2d(3)(Tensor(draw(1, 3, 5)))
