"""Convolution on NumPy: a copy for each kernel column, a view for each kernel row.

A tile of images is copied once for each kernel column j, shifted by j, into planes. There the
pixels that kernel row i sees lie as one strided matrix, so that no window is ever copied whole:

    y = Σ_i w_i @ planes[from row i on]        (O, J·C) @ (J·C, pixels)

A copy is J times the tile, not I·J as in im2col, and is made again on the way back rather than
kept; `benchmarks/convolutions.py` holds this beside the other ways. The map back to the image is
the same sum: for stride s, one for each of the s × s phases in which its pixels see the output.

Not here: the formulas. Read `minift/ops/conv.py` first.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from minift.kernels import patches
from minift.kernels.linear import STEPS_PER_PRODUCT
from minift.kernels.threads import in_parts

TILE = 262144  # elements of a tile's planes and results: 1 MiB of float32
PIXELS = 512  # at least, in a tile: a product with fewer columns does not pay

Tile = tuple[slice, slice]  # of the images, of the output's rows


class Taps(NamedTuple):
    """Where a kernel looks: output pixel (h, w) sees (h·stride + row, w·stride + column)."""

    rows: list[int]
    columns: list[int]
    stride: tuple[int, int]


# ---- the three maps -----------------------------------------------------------------------------


def convolve(x: np.ndarray, w: np.ndarray, bias: Any = None, *, geometry: Any) -> tuple[Any, Any]:
    """image, kernel (and a bias for each channel) -> output."""
    y = _convolved(x, w, bias, geometry)
    size, kernel = x.shape[2:], w.shape[2:]
    derivatives = (
        lambda g: _image_of(g, w, None, size, geometry),
        lambda g: _kernel_of(x, g, kernel, geometry),
        _channel_sums,
    )
    return y, derivatives[: 2 if bias is None else 3]


def to_image(
    g: np.ndarray, w: np.ndarray, bias: Any = None, *, size: tuple[int, ...], geometry: Any
) -> tuple[Any, Any]:
    """output, kernel (and a bias for each channel) -> image."""
    x = _image_of(g, w, bias, size, geometry)
    derivatives = (
        lambda h: _convolved(h, w, None, geometry),
        lambda h: _kernel_of(h, g, w.shape[2:], geometry),
        _channel_sums,
    )
    return x, derivatives[: 2 if bias is None else 3]


def to_kernel(
    x: np.ndarray, g: np.ndarray, *, kernel: tuple[int, ...], geometry: Any
) -> tuple[Any, Any]:
    """image, output -> kernel."""
    w = _kernel_of(x, g, kernel, geometry)
    return w, (
        lambda h: _image_of(g, h, None, x.shape[2:], geometry),
        lambda h: _convolved(x, h, None, geometry),
    )


def _convolved(x: np.ndarray, w: np.ndarray, bias: Any, geometry: Any) -> np.ndarray:
    G, (O, C, I, J) = geometry.groups, w.shape
    if patches.side_by_side(x.shape[2:], (I, J), geometry):
        return patches.output_of(x, w, bias, G)
    y = np.empty((len(x), O, *geometry.output_size(x.shape[2:], (I, J))), x.dtype)
    weight = w.reshape(G, O // G, C, I, J).transpose(3, 0, 1, 4, 2)  # (I, G, O/G, J, C)
    weight = weight.reshape(I, G, O // G, J * C)
    _correlate(_grouped(x, G), weight, bias, _taps((I, J), geometry), _grouped(y, G))
    return y


def _image_of(
    g: np.ndarray, w: np.ndarray, bias: Any, size: tuple[int, ...], geometry: Any
) -> np.ndarray:
    G, (O, C, I, J) = geometry.groups, w.shape
    if patches.side_by_side(size, (I, J), geometry):
        return patches.image_of(g, w, bias, G)
    (sh, sw), (ph, pw), (dh, dw) = geometry.stride, geometry.padding, geometry.dilation
    x = np.empty((len(g), G * C, *size), g.dtype)
    parts = w.reshape(G, O // G, C, I, J).transpose(3, 4, 0, 2, 1)  # (I, J, G, C, O/G)
    for a, b in itertools.product(range(sh), range(sw)):
        rows = [i for i in range(I) if (a + ph - i * dh) % sh == 0]
        columns = [j for j in range(J) if (b + pw - j * dw) % sw == 0]
        if rows and columns:
            taps = Taps(
                [(a + ph - i * dh) // sh for i in rows],
                [(b + pw - j * dw) // sw for j in columns],
                (1, 1),
            )
            weight = parts[np.ix_(rows, columns)].transpose(0, 2, 3, 1, 4)  # (i, G, C, j, O/G)
            weight = weight.reshape(len(rows), G, C, -1)
            phase = _grouped(x, G)[..., a::sh, b::sw]
            _correlate(_grouped(g, G), weight, bias, taps, phase)
        else:  # a stride that leaves pixels out
            x[:, :, a::sh, b::sw] = 0 if bias is None else bias[:, None, None]
    return x


def _kernel_of(x: np.ndarray, g: np.ndarray, kernel: tuple[int, ...], geometry: Any) -> np.ndarray:
    G, (I, J) = geometry.groups, kernel
    if patches.side_by_side(x.shape[2:], kernel, geometry):
        return patches.kernel_of(x, g, kernel, G)
    source, gradient = _grouped(x, G), _grouped(g, G)
    C, O = source.shape[2], gradient.shape[2]
    taps = _taps(kernel, geometry)
    tiles = _tiles(source, gradient, taps)

    def work(part: slice) -> np.ndarray:
        w = np.zeros((I, G, J * C, O), x.dtype)
        planes = _Planes(source, taps, gradient.shape[4])
        for images, rows in tiles[part]:
            planes.fill(images, rows)
            seen = gradient[images, :, :, rows].transpose(1, 2, 3, 0, 4).reshape(G, O, -1)
            for i in range(I):
                w[i] += planes.below(i) @ seen.swapaxes(1, 2)
        return w

    w = np.sum(in_parts(work, len(tiles), _steps(g, tiles, I * J * C)), axis=0)
    return w.reshape(I, G, J, C, O).transpose(1, 4, 3, 0, 2).reshape(G * O, C, I, J)


def _correlate(
    source: np.ndarray, weight: np.ndarray, bias: Any, taps: Taps, out: np.ndarray
) -> None:
    """out = Σ_i weight_i @ (what row i of the taps sees of the source), + bias.

    source (B, G, C, H, W), weight (I, G, O, J·C), out (B, G, O, H', W').
    """
    tiles = _tiles(source, out, taps)
    G, O = weight.shape[1:3]
    start = 0 if bias is None else bias.reshape(G, O, 1, 1, 1)

    def work(part: slice) -> None:
        planes = _Planes(source, taps, out.shape[4])
        for images, rows in tiles[part]:
            planes.fill(images, rows)
            y = weight[0] @ planes.below(0)  # (G, O, pixels)
            for i in range(1, len(weight)):
                y += weight[i] @ planes.below(i)
            target = out[images, :, :, rows].transpose(1, 2, 3, 0, 4)  # (G, O, H', B, W')
            np.add(y.reshape(target.shape), start, out=target)

    in_parts(work, len(tiles), _steps(out, tiles, weight.shape[0] * weight.shape[3]))


# ---- tiles and planes ---------------------------------------------------------------------------


def _grouped(x: np.ndarray, groups: int) -> np.ndarray:
    """(B, G·C, H, W) -> (B, G, C, H, W), a view."""
    B, C, H, W = x.shape
    return x.reshape(B, groups, C // groups, H, W)


def _taps(kernel: tuple[int, ...], geometry: Any) -> Taps:
    rows, columns = (
        [i * d - p for i in range(n)]
        for n, d, p in zip(kernel, geometry.dilation, geometry.padding)
    )
    return Taps(rows, columns, geometry.stride)


def _tiles(source: np.ndarray, out: np.ndarray, taps: Taps) -> list[Tile]:
    """Several images, one, or some rows of one, so that what belongs to them stays in L2."""
    B, G, O, H, W = out.shape
    phases = len({r % taps.stride[0] for r in taps.rows})
    width = G * (phases * len(taps.columns) * source.shape[2] + 2 * O)  # elements a pixel
    rows = max(PIXELS, TILE // width) // max(1, W)
    n, height = max(1, rows // max(1, H)), max(1, min(rows, H))
    return [
        (slice(b, min(b + n, B)), slice(h, min(h + height, H)))
        for b in range(0, B, n)
        for h in range(0, H, height)
    ]


def _steps(out: np.ndarray, tiles: list[Tile], products: int) -> float:
    """Elementary steps of a tile, on average."""
    return out.size * products * STEPS_PER_PRODUCT / max(1, len(tiles))


class _Planes:
    """The source's pixels (P, G, J, C, rows, B, W') as the output's pixels see them.

    Rows that a stride of s parts are P ≤ s phases, so that neighbours in the output are
    neighbours here.
    """

    def __init__(self, source: np.ndarray, taps: Taps, width: int) -> None:
        self.source, self.taps, self.width = source, taps, width
        step = taps.stride[0]
        self.phases = sorted({r % step for r in taps.rows})
        self.above = min(r // step for r in taps.rows)
        self.halo = max(r // step for r in taps.rows) - self.above
        self.memory = np.empty(0, source.dtype)

    def fill(self, images: slice, rows: slice) -> None:
        """Copy what the tile sees; zeros where it looks beyond the source."""
        _, G, C, H, W = self.source.shape
        (sh, sw), n = self.taps.stride, images.stop - images.start
        self.height, self.line = rows.stop - rows.start, n * self.width
        shape = (len(self.phases), G, len(self.taps.columns), C, self.height + self.halo, n)
        self.planes = self._room((*shape, self.width))
        tile = self.source[images].transpose(1, 2, 3, 0, 4)  # (G, C, H, B, W)
        for a, phase in enumerate(self.phases):
            top, bottom, lines = inside(shape[4], phase + (rows.start + self.above) * sh, sh, H)
            self.planes[a, :, :, :, :top] = 0
            self.planes[a, :, :, :, bottom:] = 0
            for j, column in enumerate(self.taps.columns):
                plane = self.planes[a, :, j, :, top:bottom]
                left, right, across = inside(self.width, column, sw, W)
                plane[..., :left] = 0
                plane[..., right:] = 0
                plane[..., left:right] = tile[:, :, lines, :, across]

    def below(self, i: int) -> np.ndarray:
        """(G, J·C, pixels): what row i of the taps sees, a view."""
        row = self.taps.rows[i]
        phase, first = row % self.taps.stride[0], row // self.taps.stride[0] - self.above
        G, J, C = self.planes.shape[1:4]
        matrix = self.planes[self.phases.index(phase)].reshape(G, J * C, -1)
        return matrix[:, :, first * self.line : (first + self.height) * self.line]

    def _room(self, shape: tuple[int, ...]) -> np.ndarray:
        size = int(np.prod(shape))
        if self.memory.size < size:
            self.memory = np.empty(size, self.memory.dtype)
        return self.memory[:size].reshape(shape)


def inside(count: int, first: int, step: int, size: int) -> tuple[int, int, slice]:
    """Which n in range(count) have 0 ≤ first + n·step < size: from, to, and those places."""
    low = min(count, max(0, -(first // step)))
    high = max(low, min(count, (size - 1 - first) // step + 1))
    start = max(0, first + low * step)
    return low, high, slice(start, start + (high - low) * step, step)


def _channel_sums(g: np.ndarray) -> np.ndarray:
    """(B, C, H, W) -> (C,)."""
    return g.reshape(*g.shape[:2], -1).sum(axis=2).sum(axis=0)
