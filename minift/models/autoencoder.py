"""Autoencoder: squeeze an image into a code of a few numbers, and draw it again from the code.

Hinton & Salakhutdinov 2006. With a code smaller than the image it has to find what images have in
common; without (or without noise, see `objectives/reconstruction.py`) copying is a perfect answer
and nothing is learned. Reads from top to bottom: the configuration, the two halves, the model. The
halves also make the VAE (`vae.py`, read it next), the GAN (`gan.py`) and SimCLR (`simclr.py`).

Shapes: B images, (c, H, W) pixels in [0, 1], K = code_size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from minift import nn, ops
from minift.models.config import ModelConfig
from minift.models.images import pixels
from minift.models.mlp import dense_layers, he_normal, row_of_sizes
from minift.models.pretrained import PretrainedModel
from minift.tensor import Tensor


@dataclass
class AutoencoderConfig(ModelConfig):
    """The size of the images, of the code, and of what lies between them.

    `hidden_sizes`: the widths of linear layers, or with `convolutional` the channels of
    convolutions. The first of these keeps the size of the image, each further one halves it.
    """

    image_size: int = 8
    num_channels: int = 1
    hidden_sizes: tuple[int, ...] = (256,)
    convolutional: bool = False
    code_size: int = 8

    model_types: ClassVar[tuple[str, ...]] = ("minift-autoencoder",)

    def __post_init__(self) -> None:
        """Raises ValueError for settings that make no network."""
        self.check_sizes("image_size", "num_channels", "code_size")
        self.check_choice("convolutional", self.convolutional, (True, False))
        self.hidden_sizes = row_of_sizes(self, "hidden_sizes")
        halvings = len(self.hidden_sizes) - 1
        if self.convolutional and self.image_size % 2**halvings:
            raise ValueError(
                f"{type(self).__name__}: {halvings} halvings (hidden_sizes) need an image_size "
                f"that is a multiple of {2**halvings}, got {self.image_size}"
            )
        super().__post_init__()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(c, H, W)."""
        return self.num_channels, self.image_size, self.image_size

    @property
    def features(self) -> int:
        """F: what the encoder's last layer reads of an image."""
        return math.prod(self.smallest_maps) if self.convolutional else self.hidden_sizes[-1]

    @property
    def smallest_maps(self) -> tuple[int, int, int]:
        """(channels, H, W) of the last convolution."""
        size = self.image_size >> len(self.hidden_sizes) - 1
        return self.hidden_sizes[-1], size, size


class ImageFeatures(nn.Module):
    """Images (B, c, H, W) -> F features each, (B, F), none below 0."""

    def __init__(self, config: AutoencoderConfig):
        self.shape, self.convolutional = config.image_shape, config.convolutional
        if config.convolutional:
            self.layers = narrowing_convolutions(config)
        else:
            self.layers = dense_layers([math.prod(self.shape), *config.hidden_sizes])

    def forward(self, pixel_values: Any) -> Tensor:
        """`pixel_values` are floats of the size that the config says, or a ValueError."""
        return self.features(pixel_values)

    def features(self, pixel_values: Any) -> Tensor:
        """What a last layer would read, (B, F)."""
        first: Any = self.layers[0]
        x = pixels(pixel_values, self.shape[0], first.weight)
        if x.shape[1:] != self.shape:
            raise ValueError(
                f"pixel_values must be {self.shape[1]} × {self.shape[2]} (image_size), got "
                f"{x.shape[2]} × {x.shape[3]}"
            )
        if not self.convolutional:
            x = ops.flatten(x, 1)  # (B, c·H·W)
        return ops.flatten(ops.relu(self.layers(x)), 1)  # (B, F)


class ImageEncoder(ImageFeatures):
    """Images (B, c, H, W) -> `outputs` numbers each, (B, outputs)."""

    def __init__(self, config: AutoencoderConfig, outputs: int):
        super().__init__(config)
        self.output = nn.Linear(config.features, outputs)

    def forward(self, pixel_values: Any) -> Tensor:
        return self.output(self.features(pixel_values))


class ImageDecoder(nn.Module):
    """Codes (B, K) -> images (B, c, H, W), without bounds on the pixels."""

    def __init__(self, config: AutoencoderConfig):
        self.shape, self.convolutional = config.image_shape, config.convolutional
        self.maps = config.smallest_maps
        if config.convolutional:
            self.input = nn.Linear(config.code_size, math.prod(self.maps))
            self.layers = widening_convolutions(config)
        else:
            first, *further = reversed(config.hidden_sizes)
            self.input = nn.Linear(config.code_size, first)
            self.layers = dense_layers([first, *further, math.prod(self.shape)])

    def forward(self, codes: Tensor) -> Tensor:
        x = ops.relu(self.input(codes))
        if self.convolutional:
            x = ops.reshape(x, (len(codes), *self.maps))
        return ops.reshape(self.layers(x), (len(codes), *self.shape))


def narrowing_convolutions(config: AutoencoderConfig) -> nn.Sequential:
    """3 × 3 at full size, then at each further width 3 × 3 with stride 2; ReLU between them."""
    channels = [config.num_channels, *config.hidden_sizes]
    layers: list[nn.Module] = [nn.Conv2d(channels[0], channels[1], 3, padding=1)]
    for inputs, outputs in pairwise(channels[1:]):
        layers += [nn.ReLU(), nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)]
    return nn.Sequential(*layers)


def widening_convolutions(config: AutoencoderConfig) -> nn.Sequential:
    """The way back. A 4 × 4 window that moves by 2 covers every pixel as often: no chessboard."""
    channels = [*reversed(config.hidden_sizes)]
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(channels):
        layers += [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(channels[-1], config.num_channels, 3, padding=1))


class ImagePretrained(PretrainedModel):
    """What the models of these halves share: their starting weights, and the name of the body."""

    prefix = "encoder"

    def initial(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """See `he_normal`."""
        return he_normal(name, shape)


class Autoencoder(ImagePretrained):
    """Images (B, c, H, W) -> the same images, drawn from K numbers each: d(e(x))."""

    config_class = AutoencoderConfig
    head = "decoder"
    config: AutoencoderConfig

    def __init__(self, config: AutoencoderConfig):
        super().__init__(config)
        self.encoder = ImageEncoder(config, config.code_size)
        self.decoder = ImageDecoder(config)
        self.draw_weights()

    def encode(self, pixel_values: Any) -> Tensor:
        """The codes, (B, K)."""
        return self.encoder(pixel_values)

    def decode(self, codes: Tensor) -> Tensor:
        """The images of codes (B, K). Most pixels are near 0 or 1, where the sigmoid is at home."""
        return ops.sigmoid(self.decoder(codes))

    def forward(self, pixel_values: Any) -> Tensor:
        return self.decode(self.encode(pixel_values))
