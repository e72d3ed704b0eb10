"""ImageClassifier: a linear head on the encoder of an autoencoder, a VAE, a GAN or SimCLR.

All four hold the same half, `ImageFeatures` (`autoencoder.py`; of a GAN in the discriminator). What
read these features answered the old question (a code, a score, a projection) and stays behind with
all else of the model.

Shapes: B images, (c, H, W) pixels in [0, 1], F features, L labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from minift import nn
from minift.models.autoencoder import AutoencoderConfig, ImageFeatures, ImagePretrained
from minift.models.renames import Rename
from minift.nn import init
from minift.tensor import Tensor


@dataclass
class ImageClassifierConfig(AutoencoderConfig):
    """What the configurations of all four say of their encoder; the rest of a file is left."""

    model_types: ClassVar[tuple[str, ...]] = (
        "minift-image-classifier", "minift-autoencoder", "minift-vae", "minift-gan",
        "minift-simclr",
    )  # fmt: skip


RENAMES = (
    Rename("discriminator.*", "*"),
    Rename("output.*"),  # the encoder's last layer
)


class ImageClassifier(ImagePretrained):
    """Images (B, c, H, W) -> scores (B, L)."""

    config_class = ImageClassifierConfig
    renames = RENAMES
    head = "classification head"
    config: ImageClassifierConfig

    def __init__(self, config: ImageClassifierConfig):
        super().__init__(config)
        self.encoder = ImageFeatures(config)
        self.classifier = nn.Linear(config.features, config.num_labels)
        self.draw_weights()

    def initial(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """The head starts small: at first all classes are about as likely."""
        if name == "classifier.weight":
            return init.normal(shape, 0.01)
        return super().initial(name, shape)

    def forward(self, pixel_values: Any) -> Tensor:
        return self.classify(self.features(pixel_values))

    def features(self, pixel_values: Any) -> Tensor:
        """What the head reads, (B, F)."""
        return self.encoder(pixel_values)

    def classify(self, features: Tensor) -> Tensor:
        """The head: (B, F) -> scores (B, L)."""
        return self.classifier(features)
