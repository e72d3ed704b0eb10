"""Learning without labels: draw the image again, from its code, from a spoilt copy.

The batch holds `pixel_values` (B, c, H, W); the model gives images of that shape.

Not here: the model (`models/autoencoder.py`), codes that are distributions (`vae.py`, next).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minift import ops
from minift.backend import random, to_device
from minift.nn import Module
from minift.objectives.numbers import Log
from minift.tensor import Tensor


class Reconstruction:
    """1/(N·D) Σ ‖x − d(e(x))‖² over N images of D pixels (Hinton & Salakhutdinov 2006).

    The mean, not the sum: the right learning rate then depends on neither N nor D. The model needs
    a code smaller than the image; otherwise the identity is perfect and worthless. The log holds
    loss and count (images).
    """

    def __call__(self, model: Module, batch: dict[str, Any]) -> tuple[Tensor, Log]:
        """Raises ValueError for a batch without images."""
        images = images_of(batch)
        return reconstruction_loss(model, images, images)


class Denoising:
    """1/(N·D) Σ ‖x − d(e(x̃))‖² with x̃ = x + noise·ε, ε ~ N(0, 1), one a pixel.

    Vincent et al. 2008 and 2010. The target is the clean image: to remove noise one has to know
    what images look like, even with a code as large as the image. Noise is drawn from the generator
    "noise", in evaluation as well. Raises ValueError unless `noise` is above 0.
    """

    def __init__(self, noise: float = 0.3):
        if not 0 < noise < float("inf"):
            raise ValueError(f"Denoising: noise is a standard deviation above 0, got {noise}")
        self.noise = noise

    def __call__(self, model: Module, batch: dict[str, Any]) -> tuple[Tensor, Log]:
        """Raises ValueError for a batch without images."""
        images = images_of(batch)
        draws = random.generator("noise").standard_normal(images.shape).astype(images.dtype)
        return reconstruction_loss(model, images + images.dtype.type(self.noise) * draws, images)


def reconstruction_loss(
    model: Module, inputs: np.ndarray, target: np.ndarray
) -> tuple[Tensor, Log]:
    """Mean squared error per pixel of what the model makes of `inputs`."""
    drawn = model(pixel_values=inputs)
    loss = ops.mse_loss(drawn, to_device(target.astype(drawn.dtype, copy=False), drawn.device))
    return loss, {"loss": loss.item(), "count": len(target)}


def images_of(batch: dict[str, Any]) -> np.ndarray:
    """The images of a batch, (B, c, H, W) with B > 0, as one NumPy array of floats.

    Raises ValueError for a batch without images, and for images of several sizes.
    """
    if "pixel_values" not in batch:
        raise ValueError(f"the batch has no pixel_values, only {', '.join(batch)}")
    given = batch["pixel_values"]
    sizes = {np.shape(image) for image in given}
    if len(sizes) > 1:
        listed = " and ".join(" × ".join(map(str, size)) for size in sorted(sizes)[:2])
        raise ValueError(
            f"the images of a batch must be of one size, got {listed}; crop or scale them first"
        )
    images = np.asarray(given.numpy() if isinstance(given, Tensor) else given)
    if images.ndim != 4 or images.dtype.kind != "f" or not len(images):
        raise ValueError(
            f"pixel_values must be at least one image (B, channels, height, width) of floats, got "
            f"{images.dtype} of shape {images.shape}"
        )
    if not np.isfinite(images).all():
        raise ValueError("pixel_values hold NaN or infinite values; remove those images")
    return images
