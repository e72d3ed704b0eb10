"""ImageProcessor: pixels as a published model wants them; for images what a tokenizer is for texts.

    x = (scale · v − mean) / std        v from 0 to 1; a mean and a std for each channel

The numbers stand beside the weights, in `preprocessor_config.json` under transformers' names. Of
that file nothing else counts: a ViT reads squares of its own size and a ResNet any, whatever
`size`, `crop_pct` or `do_center_crop` say. Files written here say in full what was done, so that
transformers does the same.

Not here: files of images (`minift/jobs/images.py`), and what changes an image at random
(`augmentation.py`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from minift import hub

FILE = "preprocessor_config.json"
BILINEAR, BICUBIC = 2, 3  # as Pillow numbers them


@dataclass(frozen=True)
class ImageProcessor:
    """Images (n, c, H, W) in [0, 1] -> pixel values (n, `channels`, H, W), float32.

    A single channel is given to all. Where the model reads one `size` only (None: it reads any),
    images of another are scaled by `resample`; if that is None, they are refused.
    """

    channels: int
    size: int | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float = 1.0
    resample: int | None = None

    @classmethod
    def from_pretrained(cls, folder: str | Path, channels: int, size: int | None) -> ImageProcessor:
        """What a model's folder says for a model of so many channels and pixels a side.

        Without a file pixels stay as they are, from 0 to 1. Raises ValueError for a damaged file.
        """
        file = Path(folder) / FILE
        plain = cls(channels, size, (0.0,) * channels, (1.0,) * channels)
        return read(file, plain) if file.is_file() else plain

    def save_pretrained(self, folder: str | Path) -> None:
        """Write preprocessor_config.json, which transformers opens as a ViTImageProcessor."""
        text = json.dumps(self.to_dict(), indent=2, sort_keys=True)
        hub.write(Path(folder) / FILE, (text + "\n").encode("utf-8"))

    def to_dict(self) -> dict[str, Any]:
        """In transformers' words."""
        size = {} if self.size is None else {"size": {"height": self.size, "width": self.size}}
        return {
            "image_processor_type": "ViTImageProcessor",
            "do_convert_rgb": self.channels == 3,
            "do_resize": self.resample is not None,
            "resample": self.resample or BILINEAR,
            **size,
            "do_rescale": True,
            "rescale_factor": self.scale / 255,  # of bytes
            "do_normalize": True,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
        }

    def check(self, shape: tuple[int, ...], source: str, model: str | Path) -> None:
        """Raise ValueError unless images of this shape (c, H, W) can be brought to the model's."""
        c, H, W = shape
        fits = self.size in (None, H) or self.resample is not None
        if c in (1, self.channels) and fits:
            return
        size = self.size or H
        remedy = "" if fits else f"; scale them first, or let its {FILE} say do_resize"
        raise ValueError(
            f"the images of {source} are {c} × {H} × {W} (channels × height × width), but {model} "
            f"is for {self.channels} × {size} × {size}{remedy}"
        )

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """The pixel values of images that `check` lets through."""
        if self.size is not None and self.resample is not None and self.size != images.shape[2]:
            images = resized(images, self.size, self.resample)
        images = np.broadcast_to(images, (len(images), self.channels, *images.shape[2:]))
        return (images * np.float32(self.scale) - column(self.mean)) / column(self.std)

    def describe(self, shape: tuple[int, ...]) -> str:
        """What happens to images of this shape (c, H, W), in words."""
        c, H, _ = shape
        steps = []
        if self.size not in (None, H):
            steps.append(f"scaled to {self.size} × {self.size}")
        if c != self.channels:
            steps.append(f"one channel given {self.channels} times")
        if (self.scale, set(self.mean), set(self.std)) == (1, {0}, {1}):
            steps.append(f"from 0 to 1, as no {FILE} says otherwise")
        else:
            factor = "" if self.scale == 1 else f"{self.scale:g} "
            steps.append(f"({factor}v - {said(self.mean)}) / {said(self.std)}")
        return f"pixels: {', '.join(steps)}"


def column(values: tuple[float, ...]) -> np.ndarray:
    """A number a channel, (c, 1, 1) float32."""
    return np.array(values, np.float32)[:, None, None]


def said(values: tuple[float, ...]) -> str:
    """Numbers of channels in words, equal ones once."""
    shown = [f"{value:g}" for value in values]
    return shown[0] if len(set(shown)) == 1 else f"[{', '.join(shown)}]"


# --------------------------------------------------------------------------------- the file


def read(file: Path, plain: ImageProcessor) -> ImageProcessor:
    """`plain` with what the file says; what it leaves out is as in transformers.

    But for mean and deviation, which differ between models there: to guess them is to be wrong
    unnoticed.
    """
    saved = hub.read_json(file)
    changes: dict[str, Any] = {}
    if flag(saved, "do_normalize", file):
        changes["mean"] = numbers(saved, "image_mean", plain.channels, file)
        changes["std"] = numbers(saved, "image_std", plain.channels, file, above=0)
    bytes_scale = {"rescale_factor": 1 / 255, **saved}
    rescales = flag(saved, "do_rescale", file)
    (factor,) = numbers(bytes_scale, "rescale_factor", 1, file, above=0) if rescales else (1.0,)
    if flag(saved, "do_resize", file) and plain.size is not None:
        changes["resample"] = resample = saved.get("resample", BILINEAR)
        if resample not in KERNELS:
            raise wrong(file, "resample", f"{BILINEAR} (bilinear) or {BICUBIC} (bicubic)", resample)
    return replace(plain, scale=255 * factor, **changes)


def flag(saved: dict[str, Any], name: str, file: Path) -> bool:
    """A word of yes or no; yes, if the file has none."""
    value = saved.get(name, True)
    if not isinstance(value, bool):
        raise wrong(file, name, "true or false", value)
    return value


def numbers(
    saved: dict[str, Any], name: str, count: int, file: Path, above: float = -math.inf
) -> tuple[float, ...]:
    """So many numbers, or one that stands for all."""
    value = saved.get(name)
    found = value if isinstance(value, list) else [value] * count
    good = len(found) == count and all(
        isinstance(one, int | float) and not isinstance(one, bool) and above < one < math.inf
        for one in found
    )
    if not good:
        many = "a number" if count == 1 else f"{count} numbers, one for each channel of the model"
        raise wrong(file, name, many + (f", above {above}" if above > -math.inf else ""), value)
    return tuple(map(float, found))


def wrong(file: Path, name: str, expected: str, value: Any) -> ValueError:
    return ValueError(f"{file}: {name} must be {expected}, got {value!r}")


# ------------------------------------------------------------------------------ another size


def triangle(x: np.ndarray) -> np.ndarray:
    """Linear interpolation, from 1 at 0 to 0 at 1."""
    return np.maximum(1 - x, 0)


def cubic(x: np.ndarray) -> np.ndarray:
    """Cubic convolution (Keys 1981, equation 4: a = -1/2), 0 from 2 on."""
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


KERNELS: dict[int, Callable[[np.ndarray], np.ndarray]] = {BILINEAR: triangle, BICUBIC: cubic}


def resized(images: np.ndarray, size: int, resample: int) -> np.ndarray:
    """Images (n, c, H, W) in [0, 1] -> (n, c, size, size), float32, as Pillow scales floats."""
    rows, columns = (shares(length, size, resample) for length in images.shape[2:])
    return np.clip(rows @ images @ columns.T, 0, 1)


def shares(length: int, size: int, resample: int) -> np.ndarray:
    """What each new pixel of a line takes of each old one, (size, length); rows have the sum 1.

    Scaled down, the kernel is stretched, so that a new pixel sees all that it stands for.
    """
    old, new = np.arange(length) + 0.5, (np.arange(size)[:, None] + 0.5) * length / size
    weights = KERNELS[resample](abs(old - new) / max(length / size, 1))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
