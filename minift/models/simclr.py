"""SimCLR: an image encoder under a small head, on whose output similar images are to meet.

Chen et al. 2020. The head g takes up what the loss throws away (where a digit stands, say); what is
used afterwards are the features h below it. What is trained is `objectives/contrastive.py`.

Shapes: B images, (c, H, W) pixels in [0, 1], K = code_size (features), P = projection_size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minift import ops
from minift.models.autoencoder import AutoencoderConfig, ImageEncoder, ImagePretrained
from minift.models.mlp import dense_layers
from minift.tensor import Tensor


@dataclass
class SimCLRConfig(AutoencoderConfig):
    """As an autoencoder's, and the width of the head's output."""

    hidden_sizes: tuple[int, ...] = (512,)
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
        K = config.code_size
        self.encoder = ImageEncoder(config, outputs=K)
        self.projection = dense_layers([K, K, config.projection_size])
        self.draw_weights()

    def encode(self, pixel_values: Any) -> Tensor:
        """The features h, (B, K), none below 0."""
        return ops.relu(self.encoder(pixel_values))

    def forward(self, pixel_values: Any) -> Tensor:
        return self.projection(self.encode(pixel_values))
