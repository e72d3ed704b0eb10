"""What image models are given: pixels (B, C, H, W), checked in the user's words."""

from __future__ import annotations

from typing import Any

import numpy as np

from minift.backend import to_device
from minift.tensor import Tensor


def pixels(pixel_values: Any, channels: int, like: Tensor) -> Tensor:
    """Images as a Tensor in the dtype and on the device of the weights `like`.

    Raises ValueError unless they are floats (B, channels, H, W): whole numbers are raw bytes, which
    nobody has scaled as the model expects.
    """
    array = pixel_values.data if isinstance(pixel_values, Tensor) else np.asarray(pixel_values)
    if array.dtype.kind != "f":
        raise ValueError(
            f"pixel_values must be floats, scaled as in the model's training, got {array.dtype}"
        )
    if array.ndim != 4 or array.shape[1] != channels:
        raise ValueError(
            f"pixel_values must be (images, {channels} channels, height, width), got shape "
            f"{array.shape}"
        )
    if isinstance(pixel_values, Tensor) and array.dtype == like.dtype:
        return pixel_values.to(like.device)  # keeps its graph
    return Tensor(to_device(array, like.device), dtype=like.dtype)
