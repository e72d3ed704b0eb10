"""Pre-training on images: the model, the loss and the baselines of each objective.

    objective      model         what stands beside its loss
    autoencoder    Autoencoder   mean image; principal components, as many as the code has numbers
    denoising      Autoencoder   the same, of the noisy image
    vae            VAE           mean image, each pixel by itself
    gan            GAN           log 2: a discriminator that cannot tell
    simclr         SimCLR        log(2N − 1): any other view is as likely the twin

Numbers that were chosen stand in `recipes.py`, pictures in `pictures.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minift import hub
from minift.data import ArrayDataset, Augmentation, DataLoader
from minift.data.tables import count
from minift.jobs.classifiers import quiet
from minift.jobs.images import Images
from minift.jobs.pretraining import pictures
from minift.jobs.pretraining.probing import Numbers, about_labels, draw_sample
from minift.jobs.pretraining.recipes import CONVOLUTIONAL, SIZES, Recipe
from minift.jobs.pretraining.work import Ready, Work, image_batches
from minift.models import (
    GAN,
    VAE,
    Autoencoder,
    AutoencoderConfig,
    GANConfig,
    SimCLR,
    SimCLRConfig,
    VAEConfig,
    load,
)
from minift.objectives import Contrastive, Denoising, EvidenceLowerBound, NonSaturating
from minift.objectives import Reconstruction as Reconstruct
from minift.optim import Adam
from minift.probes import PrincipalComponents
from minift.tape import no_grad
from minift.train import Callback, TrainConfig, Trainer
from minift.train.game import GameTrainer
from minift.train.trainer import Objective

CHUNK = 500  # images that are encoded at once
FITTED = 5000  # images from which baselines are computed
SMALL_IMAGE = 16  # pixels a side


@dataclass(frozen=True)
class Kind:
    """The model of an objective: its class, configuration, and sizes.

    Of these the first is for images up to `SMALL_IMAGE`, the second for larger ones.
    """

    model: type[Any]
    config: type[AutoencoderConfig]
    hidden_sizes: tuple[tuple[int, ...], tuple[int, ...]]
    code_size: tuple[int, int]


KINDS = {
    "autoencoder": Kind(Autoencoder, AutoencoderConfig, ((512,), (512,)), (8, 32)),
    "denoising": Kind(Autoencoder, AutoencoderConfig, ((512,), (512,)), (16, 64)),
    "vae": Kind(VAE, VAEConfig, ((256,), (256,)), (8, 16)),
    "gan": Kind(GAN, GANConfig, ((256, 256), (256, 256)), (16, 32)),
    "simclr": Kind(SimCLR, SimCLRConfig, ((512, 512, 128), (1024,)), (128, 256)),
}


class ImageWork(Work):
    """One of the five on images. `model` is "small", "base", a config.json or a model's folder."""

    raw_name = "raw pixels"

    def __init__(
        self, name: str, recipe: Recipe, parts: tuple[Images, Images], model: str, seed: int
    ):
        self.name, self.recipe, self.model = name, recipe, model
        self.train, self.held = parts
        self.source, self.kind = self.train.source, KINDS[name]
        self.starts_fresh = model in SIZES or Path(model).suffix == ".json"
        self.sample = draw_sample(self.train.labels, self.held.labels, seed)

    def describe(self) -> list[str]:
        _, c, H, W = self.train.images.shape
        colours = "" if c == 1 else f" in {c} colours"
        return [
            f"{self.source}: {count(len(self.train) + len(self.held), 'image')} of {H} × {W} "
            f"pixels{colours}; {len(self.train):,} to learn from, {len(self.held):,} held out"
        ]

    def digest(self) -> str:
        return self.train.digest() + self.held.digest()

    def remarks(self) -> list[str]:
        return about_labels(self.train.classes, self.sample)

    def check(self) -> None:
        """Also that a contrastive loss has images to compare."""
        super().check()
        least = min(len(self.train), len(self.held))
        if self.name == "simclr" and least < 2:
            raise ValueError(
                f"simclr compares images: {self.source} must hold two or more in each part, got "
                f"{least}"
            )

    # ------------------------------------------------------------------------------- the model

    def new_model(self) -> Any:
        if self.starts_fresh:
            return self.kind.model(self.config())
        with quiet():
            model: Any = load(self.model)
        if not isinstance(model, self.kind.model):
            raise ValueError(
                f"{self.model} holds a {model.architecture}; {self.name} needs a "
                f"{self.kind.model.__name__}"
            )
        self.check_shape(model.config)
        return model

    def config(self) -> AutoencoderConfig:
        """The configuration that was asked for, for images of this size."""
        _, c, size, _ = self.train.images.shape
        own: dict[str, Any] = {"num_channels": c, "image_size": size}
        if self.model not in SIZES:
            saved = hub.read_json(hub.existing(self.model))
            config = self.kind.config.from_dict({**own, **saved})
            self.check_shape(config)
            return config
        kind, larger = self.kind, size > SMALL_IMAGE
        sizes: dict[str, Any] = {"hidden_sizes": kind.hidden_sizes[larger]}
        if self.model == "base":
            halvings = (size & -size).bit_length() - 1  # how often the size is even
            sizes = {"hidden_sizes": CONVOLUTIONAL[: 1 + halvings], "convolutional": True}
        return kind.config(**own, **sizes, code_size=kind.code_size[larger])

    def check_shape(self, config: AutoencoderConfig) -> None:
        """Raise ValueError unless the model takes these images."""
        shapes = self.train.images.shape[1:], config.image_shape
        if shapes[0] != shapes[1]:
            data, model = (" × ".join(map(str, shape)) for shape in shapes)
            raise ValueError(
                f"the images of {self.source} are {data} (channels × height × width), but "
                f"{self.model} is for {model}"
            )

    # ---------------------------------------------------------------------------- the training

    def store(self, output: Path) -> None:
        """Nothing: images are in memory."""

    def loader(self, seed: int) -> DataLoader:
        return image_batches(self.train.images, self.recipe.batch_size, seed)

    def held_out(self) -> DataLoader:
        if self.name == "simclr":
            return Ready(image_batches(self.held.images, self.recipe.batch_size, 0))
        return DataLoader(ArrayDataset(pixel_values=self.held.images), self.recipe.batch_size)

    def objective(self) -> Objective:
        settings: dict[str, Any] = dict(self.recipe.settings)
        if self.name == "simclr":
            return Contrastive(views(self.train.images.shape[2]), **settings)
        makers: dict[str, Any] = {
            "autoencoder": Reconstruct, "denoising": Denoising, "vae": EvidenceLowerBound
        }  # fmt: skip
        return makers[self.name](**settings)

    def trainer(
        self, model: Any, config: TrainConfig, callbacks: Sequence[Callback] = ()
    ) -> Trainer:
        if self.name != "gan":
            return super().trainer(model, config, callbacks)
        players = (
            Adam(player.parameters(), lr=config.lr, betas=self.recipe.betas)
            for player in (model.discriminator, model.generator)
        )
        discriminator, generator = players
        return GameTrainer(
            model,
            self.loader(config.seed),
            self.held_out(),
            game=NonSaturating(),
            discriminator=discriminator,
            generator=generator,
            config=config,
            callbacks=callbacks,
        )

    # --------------------------------------------------------------------------- how good it is

    def baselines(self, model: Any) -> Numbers:
        fitted, held = self.train.images[:FITTED], self.held.images
        if self.name == "gan":
            return {"chance": math.log(2)}
        if self.name == "simclr":
            return {"chance": math.log(2 * min(self.recipe.batch_size, len(held)) - 1)}
        if self.name == "vae":
            return {"mean image": bernoulli(fitted.mean(0), held)}
        noise = self.recipe.settings.get("noise", 0.0)
        seen = held + noise * np.random.default_rng(0).standard_normal(held.shape)
        k = min(model.config.code_size, len(fitted), math.prod(held.shape[1:]))
        principal = PrincipalComponents(k).fit(fitted).reconstruct(seen)
        return {
            "mean image": float(((fitted.mean(0) - held) ** 2).mean()),
            "principal components": float(((principal - held) ** 2).mean()),
        }

    @no_grad()
    def features(self, model: Any, part: str, rows: np.ndarray) -> np.ndarray:
        """The codes; of a VAE their means, of a GAN what the discriminator's last layer reads."""
        images = self.part(part).images[rows]
        with model.evaluating():
            blocks = [images[i : i + CHUNK] for i in range(0, len(images), CHUNK)]
            return np.concatenate([codes(model, block) for block in blocks])

    def raw_scores(self) -> Numbers:
        if self.sample is None:
            return {}
        pixels = self.train.images[self.sample.rows], self.held.images[self.sample.judged]
        return self.sample.score(*pixels)

    def accuracy_baseline(self) -> tuple[str, float] | None:
        if self.name != "simclr":
            return None
        return "chance", 1 / (2 * min(self.recipe.batch_size, len(self.held)) - 1)

    def part(self, name: str) -> Images:
        """ "train" or "held"."""
        return self.train if name == "train" else self.held

    def draw(self, model: Any, folder: Path, step: int) -> None:
        pictures.draw_images(self, model, folder, step)


def codes(model: Any, images: np.ndarray) -> np.ndarray:
    """What a model encodes images to, (n, K)."""
    encoded = model.encode(images)
    return (encoded[0] if isinstance(encoded, tuple) else encoded).numpy()


def views(size: int) -> Augmentation:
    """What may change about an image without changing what it shows; a mirrored 2 is none."""
    if size <= SMALL_IMAGE:
        return Augmentation(shift=2, rotate=10, noise=0.05)
    return Augmentation(crop=0.8, noise=0.3)


def bernoulli(ink: np.ndarray, images: np.ndarray) -> float:
    """−log p a pixel of images whose pixels are black with the probabilities `ink`."""
    p = np.clip(ink, 1e-4, 1 - 1e-4)
    return float(-(images * np.log(p) + (1 - images) * np.log(1 - p)).mean())
