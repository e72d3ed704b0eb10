"""Images side by side: reconstructions, samples, the way from one to another.

Not here: who draws them (`models/vae.py`, `models/gan.py`).
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np

from minift import hub


def image_grid(rows: np.ndarray, path: str | Path) -> Path:
    """Write images (rows, columns, c, H, W) in [0, 1], c = 1 or 3, as a PNG; returns its path.

    Each row of the array is a row of the picture; a single channel is drawn as ink on white.
    Raises ValueError for another shape.
    """
    from matplotlib.figure import Figure

    images = np.asarray(rows, np.float64)
    if images.ndim != 5 or images.shape[2] not in (1, 3) or not images.size:
        raise ValueError(
            f"image_grid: images must be (rows, columns, 1 or 3 channels, height, width), got "
            f"{images.shape}"
        )
    sheet = laid_out(np.clip(images, 0, 1))
    figure = Figure(figsize=(sheet.shape[1] / 20, sheet.shape[0] / 20), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(sheet, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axes.set_axis_off()
    picture = BytesIO()
    figure.savefig(picture, format="png")
    hub.write(Path(path), picture.getvalue())
    return Path(path)


def laid_out(images: np.ndarray) -> np.ndarray:
    """(R, N, c, H, W) -> one image (R·(H+2), N·(W+2)), with the colours last if there are any."""
    framed = np.pad(images, ((0, 0), (0, 0), (0, 0), (1, 1), (1, 1)))
    R, N, c, H, W = framed.shape
    sheet = framed.transpose(0, 3, 1, 4, 2).reshape(R * H, N * W, c)
    return sheet[..., 0] if c == 1 else sheet
