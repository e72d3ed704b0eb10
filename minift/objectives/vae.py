"""The evidence lower bound: how well a VAE explains an image, less what its code costs.

    log p(x) ≥ E_q[log p(x|z)] − KL(q(z|x) ‖ N(0, I))          Kingma & Welling 2014, equation 3

Not here: the model (`models/vae.py`). Read next: `adversarial.py`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minift import ops
from minift.backend import to_device
from minift.models.vae import VAE
from minift.objectives.numbers import Log
from minift.objectives.reconstruction import images_of
from minift.tensor import Tensor


class EvidenceLowerBound:
    """(−E_q[log p(x|z)] + β KL(q(z|x) ‖ N(0, I))) / D, the mean over the images; D pixels each.

    The expectation is one draw of z, the KL is exact: ½ Σ (μ² + σ² − log σ² − 1). β = 1 is the
    bound; larger ones (Higgins et al. 2017) buy codes closer to the prior with blurred images. The
    log holds, in nats per pixel: loss, reconstruction (−log p), kl, elbo; and count (images).
    """

    def __init__(self, beta: float = 1.0):
        if not 0 <= beta < float("inf"):
            raise ValueError(f"EvidenceLowerBound: beta must be 0 or more, got {beta}")
        self.beta = beta

    def __call__(self, model: VAE, batch: dict[str, Any]) -> tuple[Tensor, Log]:
        """Raises ValueError for a batch without images, or with a Bernoulli pixel outside 0..1."""
        images = images_of(batch)
        D = math.prod(images.shape[1:])
        mean, log_variance = model.encode(images)  # (B, K) each
        decoded = model.decoder(model.sample_code(mean, log_variance))  # (B, c, H, W)
        reconstruction = -log_likelihood(model, decoded, images) / D
        kl = ops.kl_normal(mean, log_variance) / D
        loss = reconstruction + kl * self.beta
        log: Log = {
            "loss": loss.item(),
            "reconstruction": reconstruction.item(),
            "kl": kl.item(),
            "elbo": -(reconstruction.item() + kl.item()),
            "count": len(images),
        }
        return loss, log


def log_likelihood(model: VAE, decoded: Tensor, images: np.ndarray) -> Tensor:
    """log p(x|z) of `images` under the decoder's output, both (B, c, H, W); mean over images.

    Gaussian: −Σ (x − f)² / (2s²) − D log(s √(2π)). Bernoulli: Σ x log σ(f) + (1 − x) log(1 − σ(f)),
    from the logits f; pixels between 0 and 1 count as that share of ink.
    """
    x = to_device(images.astype(decoded.dtype, copy=False), decoded.device)
    if model.config.likelihood == "bernoulli":
        if images.min() < 0 or images.max() > 1:
            raise ValueError(
                f"a Bernoulli decoder needs pixels in [0, 1], got {images.min():.3g} to "
                f'{images.max():.3g}; scale them, or use likelihood="gaussian"'
            )
        nats = ops.binary_cross_entropy_with_logits(decoded, x, reduction="sum")
        return -nats / len(images)
    s, D = model.config.decoder_std, math.prod(images.shape[1:])
    squares = ops.mse_loss(decoded, x, reduction="sum") / len(images)
    return -squares / (2 * s * s) - D * math.log(s * math.sqrt(2 * math.pi))
