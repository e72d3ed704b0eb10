"""GAN: a generator draws images from noise, a discriminator tells them from real ones.

Goodfellow et al. 2014. The two are the halves of an autoencoder in the opposite order, each with a
loss of its own (`objectives/adversarial.py`). The discriminator's last features are a
representation of images; its output is one score, the logit that an image is real.

Shapes: B images, (c, H, W) pixels in [0, 1], K = code_size (noise numbers), F features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minift import ops
from minift.backend import random, to_device
from minift.models.autoencoder import (
    AutoencoderConfig,
    ImageDecoder,
    ImageEncoder,
    ImagePretrained,
)
from minift.tape import no_grad
from minift.tensor import Tensor


@dataclass
class GANConfig(AutoencoderConfig):
    """As an autoencoder's; `code_size` numbers of noise make an image."""

    code_size: int = 16

    model_types = ("minift-gan",)


class GAN(ImagePretrained):
    """Images (B, c, H, W) -> scores (B,): the discriminator's logits that they are real."""

    config_class = GANConfig
    prefix = "discriminator"
    head = "generator"
    config: GANConfig

    def __init__(self, config: GANConfig):
        super().__init__(config)
        self.discriminator = ImageEncoder(config, outputs=1)
        self.generator = ImageDecoder(config)
        self.draw_weights()

    def forward(self, pixel_values: Any) -> Tensor:
        return ops.squeeze(self.discriminator(pixel_values), 1)

    def encode(self, pixel_values: Any) -> Tensor:
        """What the discriminator's last layer reads, (B, F): features to fine-tune or to probe."""
        return self.discriminator.features(pixel_values)

    def generate(self, count: int) -> Tensor:
        """`count` images (count, c, H, W) with their graph, from the generator "code"."""
        like = self.generator.input.weight
        noise = random.generator("code").standard_normal((count, self.config.code_size))
        codes = Tensor(to_device(noise.astype(like.dtype), like.device))
        return ops.sigmoid(self.generator(codes))

    def samples(self, count: int) -> np.ndarray:
        """`count` images on the host, without a graph."""
        with no_grad():
            return self.generate(count).numpy()
