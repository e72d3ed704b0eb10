"""What text models are given: token ids, masks, segments, positions, checked in the user's words.

Everything comes as lists, arrays or Tensors and leaves as NumPy arrays on the host; `on_device`
brings them to the weights. The models that use them: `bert.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minift.backend import to_device
from minift.tensor import Tensor


def segments(token_type_ids: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """Segment numbers (B, T), or None if all are 0: then one row serves for every token."""
    if token_type_ids is None:
        return None
    types = integers("token_type_ids", token_type_ids, shape)
    return types if types.any() else None


def padding_mask(attention_mask: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """(B, T) of ones and zeros -> (B, 1, 1, T), True for real tokens; None if all are."""
    if attention_mask is None:
        return None
    real = integers("attention_mask", attention_mask, shape) != 0
    if not real.any(axis=1).all():
        row = int(real.any(axis=1).argmin())
        raise ValueError(f"attention_mask: text {row} has no real token to attend to")
    return None if real.all() else real[:, None, None, :]  # (B, 1, 1, T)


def integers(name: str, values: Any, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Ids or masks as a NumPy array of integers or booleans, of `shape` if one is given."""
    array = values.numpy() if isinstance(values, Tensor) else np.asarray(values)
    if array.dtype.kind not in "iub":
        raise ValueError(f"{name} must be integers, got {array.dtype}")
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name} must have the shape of input_ids, {shape}, got {array.shape}")
    return array


def check_length(ids: np.ndarray, limit: int) -> None:
    """Raise ValueError unless ids are (B, T) with 1 <= T <= limit."""
    if ids.ndim != 2 or not 1 <= ids.shape[1] <= limit:
        raise ValueError(
            f"input_ids must be (texts, tokens) with 1 to {limit} tokens "
            f"(max_position_embeddings), got shape {ids.shape}"
        )


def on_device(array: np.ndarray | None, device: str) -> Any:
    """The array where the weights are; None stays None."""
    return None if array is None else to_device(array, device)


def flat_positions(positions: Any, count: int) -> np.ndarray:
    """Positions as a flat integer array, each within `count` tokens."""
    array = integers("positions", positions)
    if array.ndim != 1 or ((array < 0) | (array >= count)).any():
        raise ValueError(
            f"positions must be a flat list of indices from 0 to {count - 1} (texts × tokens)"
        )
    return array
