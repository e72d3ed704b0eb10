"""Fifty steps of every image objective beside PyTorch: same weights, same batches, same curve."""

import math

import numpy as np
import pytest
from oracle import oracle

from minift import nn
from minift.backend.random import generator, manual_seed
from minift.data import Augmentation, load_digits
from minift.models import GAN, VAE, Autoencoder, AutoencoderConfig, GANConfig, SimCLR, SimCLRConfig
from minift.models.vae import VAEConfig
from minift.objectives import (
    Contrastive,
    Denoising,
    EvidenceLowerBound,
    NonSaturating,
    Reconstruction,
    TwoPlayerStep,
    Wasserstein,
)
from minift.optim import Adam

torch = oracle("torch")
F = torch.nn.functional

STEPS, SIZE = 50, 32
DIGITS = load_digits().train[0]
BATCHES = [DIGITS[np.random.default_rng(step).permutation(1297)[:SIZE]] for step in range(STEPS)]


class Network:
    """A model of ours as PyTorch computes it: its weights under our names, layer by layer."""

    def __init__(self, model):
        self.model = model
        self.weights = {
            name: torch.tensor(p.numpy().copy(), requires_grad=True)
            for name, p in model.named_parameters()
        }

    def of(self, part):
        return [w for name, w in self.weights.items() if name.startswith(part)]

    def linear(self, x, name):
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def layers(self, x, name, modules):
        for i, layer in enumerate(modules):
            weights = [self.weights.get(f"{name}.{i}.{part}") for part in ("weight", "bias")]
            if isinstance(layer, nn.ReLU):
                x = torch.relu(x)
            elif isinstance(layer, nn.Linear):
                x = F.linear(x, *weights)
            else:
                up = isinstance(layer, nn.ConvTranspose2d)
                convolve = F.conv_transpose2d if up else F.conv2d
                x = convolve(x, *weights, stride=layer.stride, padding=layer.padding)
        return x

    def features(self, x, name):
        part = getattr(self.model, name)
        x = x if part.convolutional else x.flatten(1)
        return torch.relu(self.layers(x, f"{name}.layers", part.layers)).flatten(1)

    def encoded(self, x, name="encoder"):
        return self.linear(self.features(x, name), f"{name}.output")

    def decoded(self, codes, name="decoder"):
        part = getattr(self.model, name)
        x = torch.relu(self.linear(codes, f"{name}.input"))
        x = x.reshape(len(codes), *part.maps) if part.convolutional else x
        return self.layers(x, f"{name}.layers", part.layers).reshape(len(codes), *part.shape)


def our_curve(model, objective):
    """Losses of plain training, and the generators' state that PyTorch's run starts from."""
    optimizer, losses = Adam(model.parameters(), lr=1e-3), []
    for x in BATCHES:
        loss, _ = objective(model, {"pixel_values": x})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def their_curve(network, loss_of):
    optimizer, losses = torch.optim.Adam(network.weights.values(), lr=1e-3), []
    for x in BATCHES:
        loss = loss_of(network, torch.tensor(x))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def assert_same_curve(model, objective, loss_of, falls=0.95):
    network = Network(model)
    manual_seed(7)
    ours = our_curve(model, objective)
    manual_seed(7)
    theirs = their_curve(network, loss_of)
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)
    assert np.mean(theirs[-5:]) < falls * np.mean(theirs[:5])


def draws(name, shape):
    return torch.tensor(generator(name).standard_normal(shape).astype(np.float32))


CONFIGS = {
    "dense": {"hidden_sizes": (32, 16)},
    "convolutional": {"hidden_sizes": (4, 8, 16), "convolutional": True},
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_reconstruction(kind):
    def loss_of(network, x):
        return F.mse_loss(torch.sigmoid(network.decoded(network.encoded(x))), x)

    assert_same_curve(Autoencoder(AutoencoderConfig(**CONFIGS[kind])), Reconstruction(), loss_of)


def test_denoising():
    def loss_of(network, x):
        spoilt = x + 0.3 * draws("noise", tuple(x.shape))
        return F.mse_loss(torch.sigmoid(network.decoded(network.encoded(spoilt))), x)

    model = Autoencoder(AutoencoderConfig(hidden_sizes=(32,), code_size=64))
    assert_same_curve(model, Denoising(0.3), loss_of)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_vae(likelihood):
    def loss_of(network, x):
        mean, log_variance = network.encoded(x).chunk(2, dim=1)
        posterior = torch.distributions.Normal(mean, torch.exp(0.5 * log_variance))
        prior = torch.distributions.Normal(0.0, 1.0)
        kl = torch.distributions.kl_divergence(posterior, prior).sum(1).mean()
        f = network.decoded(mean + posterior.stddev * draws("code", tuple(mean.shape)))
        if likelihood == "bernoulli":
            nats = F.binary_cross_entropy_with_logits(f, x, reduction="sum")
        else:
            nats = -torch.distributions.Normal(f, 0.3).log_prob(x).sum()
        return (nats / len(x) + 2 * kl) / 64

    config = VAEConfig(hidden_sizes=(32,), likelihood=likelihood, decoder_std=0.3)
    assert_same_curve(VAE(config), EvidenceLowerBound(beta=2), loss_of)


@pytest.mark.parametrize("chunk", [None, 10])
def test_contrastive(chunk):
    change = Augmentation(shift=1, noise=0.1)

    def loss_of(network, x):
        rng = generator("views")
        views = np.concatenate([change(x.numpy(), rng), change(x.numpy(), rng)])
        h = network.features(torch.tensor(views), "encoder")
        z = network.layers(h, "projection", network.model.projection)
        z = F.normalize(z, dim=1)
        scores = (z @ z.T / 0.2).masked_fill(torch.eye(len(z), dtype=torch.bool), -math.inf)
        return F.cross_entropy(scores, (torch.arange(len(z)) + SIZE) % len(z))

    model = SimCLR(SimCLRConfig(hidden_sizes=(32, 16), code_size=16, projection_size=8))
    assert_same_curve(model, Contrastive(change, 0.2, chunk), loss_of)


def scores(network, images):
    return network.encoded(images, "discriminator").squeeze(1)


def made(network, count):
    noise = draws("code", (count, network.model.config.code_size))
    return torch.sigmoid(network.decoded(noise, "generator"))


def their_non_saturating(network, x):
    real, fake = scores(network, x), scores(network, made(network, len(x)).detach())
    one, zero = torch.ones(len(x)), torch.zeros(len(x))
    return (
        F.binary_cross_entropy_with_logits(real, one)
        + F.binary_cross_entropy_with_logits(fake, zero)
    ) / 2


def their_wasserstein(network, x):
    fake = made(network, len(x)).detach()
    distance = scores(network, x).mean() - scores(network, fake).mean()
    share = torch.tensor(generator("penalty").random((len(x), 1, 1, 1)).astype(np.float32))
    mixed = (share * x + (1 - share) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(scores(network, mixed).sum(), mixed, create_graph=True)
    return 10 * ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean() - distance


GAMES = {
    "non-saturating": (NonSaturating(), their_non_saturating, lambda d: F.softplus(-d).mean()),
    "wasserstein": (Wasserstein(), their_wasserstein, lambda d: -d.mean()),
}


@pytest.mark.parametrize("name", GAMES)
def test_both_players_of_a_gan(name):
    game, discriminator_loss, generator_loss = GAMES[name]
    model = GAN(GANConfig(hidden_sizes=(32,), code_size=8))
    network = Network(model)
    parts = "discriminator", "generator"
    step = TwoPlayerStep(game, *(Adam(getattr(model, p).parameters(), lr=1e-3) for p in parts))
    manual_seed(7)
    ours = [step(model, {"pixel_values": x}) for x in BATCHES]
    manual_seed(7)
    theirs = []
    optimizers = [torch.optim.Adam(network.of(part), lr=1e-3) for part in parts]
    for x in BATCHES:
        losses = []
        for play, optimizer in enumerate(optimizers):
            x_t = torch.tensor(x)
            loss = generator_loss(scores(network, made(network, SIZE))) if play else (
                discriminator_loss(network, x_t))  # fmt: skip
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        theirs.append(losses)
    found = [[log["discriminator_loss"], log["generator_loss"]] for log in ours]
    np.testing.assert_allclose(found, theirs, rtol=1e-3, atol=1e-3)
    assert np.ptp(theirs, axis=0).min() > 0.05  # the game moved
