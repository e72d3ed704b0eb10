"""SimCLR: an image encoder under a small head, on whose output similar images are to meet.

Chen et al. 2020. The head g takes up what the loss throws away (where a digit stands, say); what is
used afterwards, here and by `image_classifier.py`, are the features h below it. What is trained is
`objectives/contrastive.py`.

Shapes: B images, (c, H, W) pixels in [0, 1], F features, P = projection_size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minift.models.autoencoder import AutoencoderConfig, ImageFeatures, ImagePretrained
from minift.models.mlp import dense_layers
from minift.tensor import Tensor


@dataclass
class SimCLRConfig(AutoencoderConfig):
    """As an autoencoder's; `code_size` is the width inside the head, `projection_size` is P."""

    hidden_sizes: tuple[int, ...] = (512, 128)
    code_size: int = 128
    projection_size: int = 32

    model_types = ("minift-simclr",)

    def __post_init__(self) -> None:
        """Raises ValueError for settings that make no network."""
        self.check_sizes("projection_size")
        super().__post_init__()


class SimCLR(ImagePretrained):
    """Images (B, c, H, W) -> g(h(x)), (B, P): what the contrastive loss compares."""

    config_class = SimCLRConfig
    head = "projection head"
    config: SimCLRConfig

    def __init__(self, config: SimCLRConfig):
        super().__init__(config)
        self.encoder = ImageFeatures(config)
        head = [config.features, config.code_size, config.projection_size]
        self.projection = dense_layers(head)
        self.draw_weights()

    def encode(self, pixel_values: Any) -> Tensor:
        """The features h, (B, F), none below 0."""
        return self.encoder(pixel_values)

    def forward(self, pixel_values: Any) -> Tensor:
        return self.projection(self.encode(pixel_values))
