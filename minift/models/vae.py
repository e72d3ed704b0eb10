"""VAE: an autoencoder whose codes are distributions, so that one can draw new images from it.

Kingma & Welling 2014. The encoder gives q(z|x) = N(μ(x), σ²(x)), where σ is the standard deviation;
the decoder sees z alone and gives p(x|z); the prior is N(0, I). What is trained is the evidence
lower bound of `objectives/vae.py`.

Shapes: B images, (c, H, W) pixels in [0, 1], K = code_size.
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

LOG_VARIANCE_RANGE = (-30.0, 20.0)  # beyond it exp() leaves float32


@dataclass
class VAEConfig(AutoencoderConfig):
    """`likelihood`: what a pixel is, given z.

    "gaussian": N(f(z), s²) with s = `decoder_std`; "bernoulli": ink with probability σ(f(z)).
    """

    likelihood: str = "bernoulli"
    decoder_std: float = 0.1

    model_types = ("minift-vae",)

    def __post_init__(self) -> None:
        """Raises ValueError for settings that make no network."""
        self.check_choice("likelihood", self.likelihood, ("gaussian", "bernoulli"))
        self.check_positive("decoder_std")
        super().__post_init__()


class VAE(ImagePretrained):
    """Images (B, c, H, W) -> the decoder's means for the most likely codes, of that shape."""

    config_class = VAEConfig
    head = "decoder"
    config: VAEConfig

    def __init__(self, config: VAEConfig):
        super().__init__(config)
        self.encoder = ImageEncoder(config, 2 * config.code_size)
        self.decoder = ImageDecoder(config)
        self.draw_weights()

    def encode(self, pixel_values: Any) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of q(z|x), (B, K) each."""
        K = self.config.code_size
        both = self.encoder(pixel_values)  # (B, 2K)
        return both[:, :K], ops.clip(both[:, K:], *LOG_VARIANCE_RANGE)

    def sample_code(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """z = μ + σ ⊙ ε with ε ~ N(0, I) and σ = exp(½ log σ²): gradients reach μ and σ.

        Kingma & Welling 2014, section 2.4. Draws come from the generator "code".
        """
        draws = random.generator("code").standard_normal(mean.shape)
        return mean + ops.exp(log_variance * 0.5) * beside(mean, draws)

    def decode(self, codes: Tensor) -> Tensor:
        """Mean images of codes (B, K): E[x|z]."""
        return self.mean_image(self.decoder(codes))

    def mean_image(self, decoded: Tensor) -> Tensor:
        """The decoder's output as pixels."""
        return ops.sigmoid(decoded) if self.config.likelihood == "bernoulli" else decoded

    def forward(self, pixel_values: Any) -> Tensor:
        return self.decode(self.encode(pixel_values)[0])

    def generate(self, count: int, temperature: float = 1.0) -> np.ndarray:
        """Mean images of `count` codes drawn from N(0, temperature²·I), (count, c, H, W)."""
        draws = random.generator("code").standard_normal((count, self.config.code_size))
        return draw(self, draws * temperature)

    def walk(self, start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
        """Mean images on the straight line from the code of one image (c, H, W) to another's."""
        with no_grad():
            ends = self.encode(np.stack([start, end]))[0].numpy()
        share = np.linspace(0, 1, steps)[:, None]
        return draw(self, ends[:1] * (1 - share) + ends[1:] * share)


def draw(model: VAE, codes: np.ndarray) -> np.ndarray:
    """The images of codes (n, K), on the host, without a graph."""
    with no_grad():
        return model.decode(beside(model.decoder.input.weight, codes)).numpy()


def beside(like: Tensor, values: np.ndarray) -> Tensor:
    """An array in the dtype and on the device of `like`."""
    return Tensor(to_device(values.astype(like.dtype), like.device))
