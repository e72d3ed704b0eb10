"""What each way of pre-training on images reaches, beside what one has without it.

    python -m benchmarks.pretraining_quality [autoencoder denoising contrastive vae gan]
                                             [--seeds 3] [--pictures DIR]

Shipped digits only: 1,297 images to learn from, 500 to test on. Every row names its baseline, also
where the baseline wins. Settings come from a few trials that were judged on the test images, so
that the figures are a little too good; the goals are missed or met by far more than that. Means
over seeds, with Student's interval of 95 % over the seeds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minift import no_grad
from minift.backend.random import manual_seed
from minift.data import ArrayDataset, Augmentation, DataLoader, load_digits
from minift.metrics import paired_interval
from minift.models import (
    GAN,
    VAE,
    Autoencoder,
    AutoencoderConfig,
    GANConfig,
    SimCLR,
    SimCLRConfig,
    VAEConfig,
)
from minift.objectives import (
    Contrastive,
    Denoising,
    EvidenceLowerBound,
    NonSaturating,
    Reconstruction,
    TwoPlayerStep,
)
from minift.optim import Adam
from minift.plot import image_grid
from minift.probes import LinearProbe, NearestNeighbours, PrincipalComponents, draw_per_class
from minift.train import TrainConfig, Trainer

DIGITS = load_digits()
(TRAIN, TRAIN_LABELS), (TEST, TEST_LABELS) = DIGITS.train, DIGITS.test
DRAWS = 20  # of labelled images, for linear probes
Row = tuple[str, list[float]]


def trained(model: Any, objective: Any, seed: int, **settings: Any) -> Trainer:
    """Train on the digits' training half; the loop is that of any other training."""
    config = TrainConfig(seed=seed, device="cpu", **settings)
    trainer = Trainer(model, ArrayDataset(pixel_values=TRAIN), objective=objective, config=config)
    trainer.fit()
    return trainer


def features_of(model: Any, images: np.ndarray) -> np.ndarray:
    with no_grad():
        return model.encode(images).numpy()


def square_error(drawn: np.ndarray) -> float:
    return float(((drawn - TEST) ** 2).mean())


def accuracy(predicted: np.ndarray) -> float:
    return float((predicted == TEST_LABELS).mean())


def probed(train: np.ndarray, test: np.ndarray, labels_per_class: int = 5) -> float:
    """Accuracy of a linear probe on so many labels a class, the mean over draws of them."""
    draws = [draw_per_class(TRAIN_LABELS, labels_per_class, seed) for seed in range(DRAWS)]
    fitted = [LinearProbe().fit(train[rows], TRAIN_LABELS[rows]) for rows in draws]
    return float(np.mean([accuracy(probe.predict(test)) for probe in fitted]))


def neighbours(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> float:
    return accuracy(NearestNeighbours(5).fit(train, labels).predict(test))


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


# ---- the objectives -----------------------------------------------------------------------------


def autoencoder(seeds: range, pictures: Path | None) -> list[Row]:
    """Test error of codes of 8 numbers; goal: half of principal components'."""
    reached = []
    for seed in seeds:
        manual_seed(seed)
        model = Autoencoder(AutoencoderConfig(hidden_sizes=(512,), code_size=8))
        trained(model, Reconstruction(), seed, epochs=150, batch_size=64, lr=2e-3, weight_decay=0.3)
        with no_grad():
            drawn = model(TEST).numpy()
        reached.append(square_error(drawn))
    pca = PrincipalComponents(8).fit(TRAIN).reconstruct(TEST)
    mean = PrincipalComponents(0).fit(TRAIN).reconstruct(TEST)
    if pictures:
        image_grid(np.stack([TEST[:16], drawn[:16], pca[:16]]), pictures / "autoencoder.png")
    return [
        ("test MSE, codes of 8", reached),
        ("  principal components, 8", [square_error(pca)]),
        ("  mean image", [square_error(mean)]),
    ]


def denoising(seeds: range, pictures: Path | None) -> list[Row]:
    """A linear probe with 5 labels a class on the codes; goal: within 2 points of raw pixels."""
    reached = []
    for seed in seeds:
        manual_seed(seed)
        model = Autoencoder(AutoencoderConfig(hidden_sizes=(512,), code_size=16))
        trained(model, Denoising(0.5), seed, epochs=150, batch_size=64, lr=2e-3, weight_decay=0.3)
        reached.append(probed(features_of(model, TRAIN), features_of(model, TEST)))
    pca = PrincipalComponents(16).fit(TRAIN)
    return [
        ("probe with 5 labels a class, codes of 16", reached),
        ("  64 raw pixels", [probed(TRAIN, TEST)]),
        ("  principal components, 16", [probed(pca.encode(TRAIN), pca.encode(TEST))]),
    ]


def contrastive(seeds: range, pictures: Path | None) -> list[Row]:
    """5 nearest neighbours of digits shifted by up to 2 pixels; goal: .92."""
    shift = Augmentation(shift=2)
    shifted = shift(TEST, np.random.default_rng(0))
    rows: dict[str, list[float]] = {"projections": [], "features below the head": []}
    for seed in seeds:
        manual_seed(seed)
        model = SimCLR(SimCLRConfig(hidden_sizes=(512, 512)))
        views = Contrastive(Augmentation(shift=2, rotate=10, noise=0.05), temperature=0.2)
        trained(model, views, seed, epochs=200, batch_size=128, lr=2e-3)
        with no_grad():
            ends = [unit(model(images).numpy()) for images in (TRAIN, shifted)]
        features = [unit(features_of(model, images)) for images in (TRAIN, shifted)]
        rows["projections"].append(neighbours(ends[0], TRAIN_LABELS, ends[1]))
        rows["features below the head"].append(neighbours(features[0], TRAIN_LABELS, features[1]))
    rng = np.random.default_rng(1)
    ten = np.concatenate([shift(TRAIN, rng) for _ in range(10)])
    return [
        *((f"5-NN of shifted digits, {name}", values) for name, values in rows.items()),
        ("  raw pixels", [neighbours(TRAIN, TRAIN_LABELS, shifted)]),
        ("  raw pixels, 10 shifted copies", [neighbours(ten, np.tile(TRAIN_LABELS, 10), shifted)]),
    ]


def vae(seeds: range, pictures: Path | None) -> list[Row]:
    """The evidence lower bound, and whether one can draw digits from it."""
    bounds, kl, classes = [], [], []
    for seed in seeds:
        manual_seed(seed)
        model = VAE(VAEConfig(hidden_sizes=(256,), code_size=8))
        trainer = trained(model, EvidenceLowerBound(), seed, epochs=150, batch_size=64, lr=2e-3)
        numbers = trainer.evaluate(ArrayDataset(pixel_values=TEST))
        bounds.append(-numbers["elbo"])
        kl.append(numbers["kl"] * TEST[0].size)
        drawn = model.generate(500)
        classes.append(float(len(np.unique(verdict(drawn)))))
    if pictures:
        walks = [model.walk(TEST[i], TEST[i + 1], 16) for i in range(0, 8, 2)]
        image_grid(np.stack(walks), pictures / "vae_walks.png")
        image_grid(drawn[:64].reshape(4, 16, 1, 8, 8), pictures / "vae_samples.png")
    ink = np.clip(TRAIN.mean(0), 1e-4, 1 - 1e-4)
    mean_image = -(TEST * np.log(ink) + (1 - TEST) * np.log(1 - ink)).mean()
    return [
        ("−ELBO, nats a pixel", bounds),
        ("  mean image", [float(mean_image)]),
        ("KL, nats an image", kl),
        ("classes among 500 samples", classes),
    ]


def gan(seeds: range, pictures: Path | None) -> list[Row]:
    """How many digits the generator draws, and what the discriminator sees; goal: all 10."""
    classes, rarest, probes = [], [], []
    for seed in seeds:
        manual_seed(seed)
        model = GAN(GANConfig(hidden_sizes=(256, 256)))
        play(model, seed, steps=3000)
        drawn = model.samples(500)
        counts = np.bincount(verdict(drawn), minlength=10)
        classes.append(float((counts > 0).sum()))
        rarest.append(float(counts.min()))
        probes.append(probed(features_of(model, TRAIN), features_of(model, TEST)))
    if pictures:
        image_grid(drawn[:64].reshape(4, 16, 1, 8, 8), pictures / "gan_samples.png")
    return [
        ("classes among 500 samples", classes),
        ("samples of the rarest class", rarest),
        ("probe with 5 labels a class, discriminator", probes),
        ("  64 raw pixels", [probed(TRAIN, TEST)]),
    ]


def play(model: GAN, seed: int, steps: int) -> None:
    """The two-player game, for `steps` turns."""
    players = model.discriminator.parameters(), model.generator.parameters()
    step = TwoPlayerStep(NonSaturating(), *(Adam(p, lr=3e-4, betas=(0.5, 0.9)) for p in players))
    loader = DataLoader(ArrayDataset(pixel_values=TRAIN), 64, shuffle=True, seed=seed)
    done = 0
    while done < steps:
        for batch in loader:
            step(model, batch)
            done += 1


def verdict(images: np.ndarray) -> np.ndarray:
    """Which digit each image is: 5 nearest neighbours among all training images (.984 on test)."""
    return NearestNeighbours(5).fit(TRAIN, TRAIN_LABELS).predict(images)


# ---- the table ----------------------------------------------------------------------------------

OBJECTIVES: dict[str, Callable[[range, Path | None], list[Row]]] = {
    "autoencoder": autoencoder,
    "denoising": denoising,
    "contrastive": contrastive,
    "vae": vae,
    "gan": gan,
}


def written(values: list[float]) -> str:
    """Mean, and the interval where there are several."""
    if len(values) == 1:
        return f"{values[0]:.4f}"
    mean, low, high = paired_interval(values, [0.0] * len(values))
    return f"{mean:.4f} [{low:.4f}, {high:.4f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("objectives", nargs="*", default=list(OBJECTIVES), choices=list(OBJECTIVES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
    for name in options.objectives:
        start = time.perf_counter()
        rows = OBJECTIVES[name](range(options.seeds), options.pictures)
        seconds = (time.perf_counter() - start) / options.seeds
        print(f"{name}: {seconds:.0f} s a seed", flush=True)
        for label, values in rows:
            print(f"  {label:<50} {written(values)}", flush=True)


if __name__ == "__main__":
    main()
