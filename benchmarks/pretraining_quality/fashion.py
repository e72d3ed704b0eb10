"""Fashion-MNIST: 60,000 images of clothes to learn from, 10,000 to test on; fetched.

Settings were tried on the last 10,000 of the images to learn from (raw pixels .675, SimCLR .718).
What did not help SimCLR there: convolutions, a second layer, one of 2,048, stronger crops, shifts,
turns, mirroring (.704), erasing, other contrasts, less noise; nor did the projection (.61).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pretraining_quality.features import Split, features_of, probed
from benchmarks.pretraining_quality.rows import Measurement, Values
from minift.backend.random import manual_seed
from minift.data import ArrayDataset
from minift.fetch import data_file
from minift.jobs.pretraining.image_work import views
from minift.models import VAE, SimCLR, SimCLRConfig, VAEConfig
from minift.objectives import Contrastive, EvidenceLowerBound
from minift.optim import Adam
from minift.plot import image_grid
from minift.train import TrainConfig, Trainer

DRAWS = range(5)  # of labelled images
VAE_STEPS, VAE_BATCH, VAE_RATE = 2000, 64, 1e-3


@cache
def fashion() -> tuple[Split, Split]:
    """(images, labels) to learn from and to test on; float32 (n, 1, 28, 28) in [0, 1]."""
    train = data_file("fashion-mnist")
    return read(train), read(train.with_name("test.npz"))


def read(file: Path) -> Split:
    with np.load(file) as arrays:
        images = arrays["images"].astype(np.float32) / 255
        return images.reshape(-1, 1, 28, 28), arrays["labels"].astype(np.int64)


# ---- variational autoencoder --------------------------------------------------------------------


def vae(seed: int, pictures: Path | None) -> Values:
    """The bound of our model and of PyTorch's, from the same weights, with the same batches."""
    (images, _), (test, _) = fashion()
    manual_seed(seed)
    model = VAE(VAEConfig(image_size=28, hidden_sizes=(256,), code_size=16))
    theirs = TorchVAE(model)
    ours = Adam(model.parameters(), lr=VAE_RATE)
    rng = np.random.default_rng(seed)
    objective = EvidenceLowerBound()
    for _ in range(VAE_STEPS):
        batch = images[rng.integers(0, len(images), VAE_BATCH)]
        ours.zero_grad()
        objective(model, {"pixel_values": batch})[0].backward()
        ours.step()
        theirs.step(batch)
    if pictures:
        image_grid(model.generate(64).reshape(4, 16, 1, 28, 28), pictures / "fashion_vae.png")
    reached = bound(model, test), theirs.bound(test)
    return {
        "−ELBO, nats a pixel": reached[0],
        "−ELBO, nats a pixel, PyTorch": reached[1],
        "relative difference": abs(reached[0] / reached[1] - 1),
    }


def bound(model: VAE, images: np.ndarray) -> float:
    """−ELBO of the images, nats a pixel, one draw of z each."""
    config = TrainConfig(device="cpu", batch_size=1000)
    data = ArrayDataset(pixel_values=images)
    trainer = Trainer(model, data, objective=EvidenceLowerBound(), config=config)
    return -trainer.evaluate(data)["elbo"]


class TorchVAE:
    """The dense VAE of one hidden layer in PyTorch, from the weights of ours, with its own draws.

    Written out again, so that nothing of ours but the weights can be wrong in both.
    """

    def __init__(self, model: VAE):
        import torch

        self.torch = torch
        torch.manual_seed(0)
        named = [(name, p.numpy().copy()) for name, p in model.named_parameters()]
        self.w = {name: torch.tensor(array, requires_grad=True) for name, array in named}
        self.optimizer = torch.optim.Adam(self.w.values(), lr=VAE_RATE)

    def linear(self, x: Any, name: str) -> Any:
        return self.torch.nn.functional.linear(x, self.w[f"{name}.weight"], self.w[f"{name}.bias"])

    def loss(self, batch: np.ndarray) -> Any:
        """−ELBO, nats a pixel."""
        torch, F = self.torch, self.torch.nn.functional
        x = torch.from_numpy(batch).flatten(1)
        hidden = torch.relu(self.linear(x, "encoder.layers.0"))
        mean, log_variance = self.linear(hidden, "encoder.output").chunk(2, dim=1)
        z = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        hidden = torch.relu(self.linear(z, "decoder.input"))
        drawn = self.linear(hidden, "decoder.layers.0")
        nats = F.binary_cross_entropy_with_logits(drawn, x, reduction="sum")
        kl = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum()
        return (nats + kl) / x.numel()

    def step(self, batch: np.ndarray) -> None:
        self.optimizer.zero_grad()
        self.loss(batch).backward()
        self.optimizer.step()

    def bound(self, images: np.ndarray) -> float:
        with self.torch.no_grad():
            return float(self.loss(images))


def mean_image() -> Values:
    (images, _), (test, _) = fashion()
    ink = np.clip(images.mean(0), 1e-4, 1 - 1e-4)
    nats = -(test * np.log(ink) + (1 - test) * np.log(1 - ink)).mean()
    return {"mean image, nats a pixel": float(nats)}


# ---- contrastive --------------------------------------------------------------------------------


CONTRASTIVE = {"steps": 2000, "batch_size": 128, "lr": 2e-3}


def simclr(seed: int, pictures: Path | None) -> Values:
    """A linear probe with 10 labels a class on the features, 5 draws of the labels.

    Model, views and settings are those of `minift pretrain`. The control is the same layer before
    training: 1,024 random features are not nothing.
    """
    train, test = fashion()
    manual_seed(seed)
    model = SimCLR(SimCLRConfig(image_size=28, hidden_sizes=(1024,), code_size=256))

    def probe() -> float:
        seen = [(features_of(model.encode, images), labels) for images, labels in (train, test)]
        return probed(seen[0], seen[1], 10, DRAWS)

    untrained = probe()
    config = TrainConfig(seed=seed, device="cpu", **CONTRASTIVE)
    objective = Contrastive(views(28), temperature=0.2)
    Trainer(model, ArrayDataset(pixel_values=train[0]), objective=objective, config=config).fit()
    return {
        "probe with 10 labels a class, features": probe(),
        "the same before training": untrained,
    }


def pixels() -> Values:
    train, test = fashion()
    train_roots, test_roots = ((np.sqrt(images), labels) for images, labels in (train, test))
    return {
        "784 raw pixels": probed(train, test, 10, DRAWS),
        "their square roots": probed(train_roots, test_roots, 10, DRAWS),
    }


FASHION = {
    "fashion-vae": Measurement("within 2 % of PyTorch's", vae, mean_image),
    "fashion-simclr": Measurement("3 points above raw pixels", simclr, pixels),
}
