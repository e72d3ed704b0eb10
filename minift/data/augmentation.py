"""Images changed at random, so that a model learns what does not matter.

Every function takes images (B, c, H, W), floats, and a generator, and returns new images of that
shape; each image has draws of its own, its channels share them. What moves in from outside is 0.
`Augmentation` does all of them by name.

Not here: which changes leave a digit a digit; that is a choice (a flipped 2 is none).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Augmentation:
    """The changes to make, in this order; the defaults change nothing.

    `crop`: the smallest share of the area to keep; `rotate`: degrees at most; `shift`: pixels at
    most; `flip`: probability; `erase`: side of the erased square in pixels; `noise`: standard
    deviation. Raises ValueError for numbers out of range.
    """

    crop: float = 1.0
    rotate: float = 0.0
    shift: int = 0
    flip: float = 0.0
    erase: int = 0
    noise: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.crop <= 1:
            raise ValueError(f"Augmentation: crop is a share in (0, 1], got {self.crop}")
        if not 0 <= self.flip <= 1:
            raise ValueError(f"Augmentation: flip is a probability in [0, 1], got {self.flip}")
        for name in ("rotate", "shift", "erase", "noise"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"Augmentation: {name} must be 0 or more, got {value}")
            if name in ("shift", "erase") and value != int(value):
                raise ValueError(f"Augmentation: {name} must be whole pixels, got {value}")

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The images, changed."""
        check_images(images)
        if self.crop < 1:
            images = crop(images, self.crop, rng)
        if self.rotate:
            images = rotate(images, self.rotate, rng)
        if self.shift:
            images = shift(images, self.shift, rng)
        if self.flip:
            images = flip(images, self.flip, rng)
        if self.erase:
            images = erase(images, self.erase, rng)
        return noise(images, self.noise, rng) if self.noise else images


def augment(images: np.ndarray, rng: np.random.Generator, **changes: float) -> np.ndarray:
    """`Augmentation(**changes)` once: augment(images, rng, shift=2, rotate=10)."""
    return Augmentation(**changes)(images, rng)  # type: ignore[arg-type]  # shift, erase: whole


def shift(images: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Move each image by whole pixels, evenly from -most to most, down and to the right."""
    B, _, H, W = images.shape
    edges = ((0, 0), (0, 0), (most, most), (most, most))
    padded = np.pad(images, edges)
    down, right = rng.integers(0, 2 * most + 1, (2, B, 1, 1))
    rows = np.arange(H)[:, None] + 2 * most - down  # (B, H, 1): from where a pixel comes
    columns = np.arange(W) + 2 * most - right  # (B, 1, W)
    return pick(padded, rows, columns)


def flip(images: np.ndarray, probability: float, rng: np.random.Generator) -> np.ndarray:
    """Mirror an image, left for right, with this probability."""
    flipped = rng.random(len(images)) < probability
    return np.where(flipped[:, None, None, None], images[..., ::-1], images)


def rotate(images: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
    """Turn each image about its centre, anticlockwise, evenly from -degrees to degrees."""
    B, _, H, W = images.shape
    angle = np.deg2rad(rng.uniform(-degrees, degrees, (B, 1, 1)))
    y, x = np.arange(H)[:, None] - (H - 1) / 2, np.arange(W) - (W - 1) / 2
    rows = np.cos(angle) * y + np.sin(angle) * x + (H - 1) / 2  # (B, H, W)
    columns = np.cos(angle) * x - np.sin(angle) * y + (W - 1) / 2
    return interpolate(images, rows, columns)


def crop(images: np.ndarray, smallest: float, rng: np.random.Generator) -> np.ndarray:
    """Cut out a rectangle of the image's proportions and enlarge it to the image's size.

    Its share of the area is drawn evenly from [smallest, 1], then its place from where it fits.
    """
    B, _, H, W = images.shape
    side = np.sqrt(rng.uniform(smallest, 1, (B, 1, 1)))  # relative
    top, left = rng.random((2, B, 1, 1)) * (1 - side)  # relative
    rows = (top + side * (np.arange(H)[:, None] + 0.5) / H) * H - 0.5  # (B, H, 1), pixel centres
    columns = (left + side * (np.arange(W) + 0.5) / W) * W - 0.5  # (B, 1, W)
    return interpolate(images, np.clip(rows, 0, H - 1), np.clip(columns, 0, W - 1))


def erase(images: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Set a square of `size` pixels in each image to 0, anywhere where it fits."""
    B, _, H, W = images.shape
    if size > min(H, W):
        raise ValueError(f"erase: a square of {size} pixels does not fit into {H} × {W}")
    top = rng.integers(0, H - size + 1, (B, 1, 1))
    left = rng.integers(0, W - size + 1, (B, 1, 1))
    y, x = np.arange(H)[:, None], np.arange(W)
    inside = (y >= top) & (y < top + size) & (x >= left) & (x < left + size)  # (B, H, W)
    return np.where(inside[:, None], images.dtype.type(0), images)


def noise(images: np.ndarray, std: float, rng: np.random.Generator) -> np.ndarray:
    """Add N(0, std²) to every pixel."""
    draws = rng.standard_normal(images.shape) * std
    return images + draws.astype(images.dtype)


def pick(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Pixel [rows, columns] of each image, for places (B, H, W) or what broadcasts to them."""
    picked = images[np.arange(len(images))[:, None, None], :, rows, columns]  # (B, H, W, c)
    return np.ascontiguousarray(picked.transpose(0, 3, 1, 2))


def interpolate(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Images at places between pixels, by the four around each; 0 outside (bilinear)."""
    _, _, H, W = images.shape
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    rows, columns = np.clip(rows + 1, 0, H + 1), np.clip(columns + 1, 0, W + 1)
    top, left = np.minimum(rows.astype(int), H), np.minimum(columns.astype(int), W)
    down, right = rows - top, columns - left
    result = np.zeros(images.shape)
    for i, share_y in ((0, 1 - down), (1, down)):
        for j, share_x in ((0, 1 - right), (1, right)):
            result += pick(padded, top + i, left + j) * (share_y * share_x)[:, None]
    return result.astype(images.dtype)


def check_images(images: np.ndarray) -> None:
    """Raise ValueError unless these are images (B, c, H, W) of floats."""
    if np.ndim(images) != 4 or np.asarray(images).dtype.kind != "f":
        raise ValueError(
            f"augment: images must be floats (B, channels, height, width), got "
            f"{np.asarray(images).dtype} of shape {np.shape(images)}"
        )
