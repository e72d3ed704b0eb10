"""Six ways to convolve in NumPy, beside PyTorch: why `minift/kernels/conv.py` is as it is.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.convolutions [--rounds 7]

Milliseconds of processor time on one thread for 64 images, the best of the rounds; the ways take
turns. "product" is what none of them can go below with this BLAS: the bare matrix products on
matrices that are ready. The second table holds the kept way's three maps against PyTorch's.
Nothing here is used by minift; the plain formulas are in `minift/ops/conv.py`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minift import kernels
from minift.ops import conv

Way = Callable[[np.ndarray, np.ndarray, int, int], Any]  # image, kernel, stride, padding

SHAPES = [  # in, out, height and width, kernel, stride; the padding is 1
    (3, 32, 32, 3, 1),
    (32, 32, 32, 3, 1),
    (32, 64, 32, 3, 2),
    (64, 64, 16, 3, 1),
    (128, 128, 16, 3, 1),
    (32, 3, 32, 3, 1),
    (32, 64, 32, 4, 2),
]


# ---- the ways -----------------------------------------------------------------------------------


def geometry(stride: int, padding: int) -> conv.Geometry:
    return conv.Geometry((stride, stride), (padding, padding), (1, 1), 1)


def plain(x: np.ndarray, w: np.ndarray, s: int, p: int) -> np.ndarray:
    """All windows of the batch in one matrix, pixels as its rows: the formula as it is read."""
    return conv._convolve.plain(x, w, geometry=geometry(s, p))[0]


def planes(x: np.ndarray, w: np.ndarray, s: int, p: int) -> np.ndarray:
    """The way that is kept: a copy for each kernel column, a view for each kernel row."""
    return kernels.convolve(x, w, geometry=geometry(s, p))[0]


def images_as_columns(x: np.ndarray, w: np.ndarray, s: int, p: int) -> np.ndarray:
    """im2col, an image at a time into one buffer; the product goes straight into the output."""
    (B, C, H, W), (O, _, k, _) = x.shape, w.shape
    h, v = (H + 2 * p - k) // s + 1, (W + 2 * p - k) // s + 1
    y, padded = np.empty((B, O, h, v), x.dtype), np.zeros((C, H + 2 * p, W + 2 * p), x.dtype)
    a, b, c = padded.strides
    windows = as_strided(padded, (C, k, k, h, v), (a, b, c, b * s, c * s))
    columns = np.empty(windows.shape, x.dtype)
    for image, out in zip(x, y):
        padded[:, p : p + H, p : p + W] = image
        columns[...] = windows
        np.matmul(w.reshape(O, -1), columns.reshape(C * k * k, -1), out=out.reshape(O, -1))
    return y


def channels_last(x: np.ndarray, w: np.ndarray, s: int, p: int) -> np.ndarray:
    """im2col with the channels innermost: long copies, but the image is transposed twice."""
    (B, C, H, W), (O, _, k, _) = x.shape, w.shape
    h, v = (H + 2 * p - k) // s + 1, (W + 2 * p - k) // s + 1
    y, padded = np.empty((B, O, h, v), x.dtype), np.zeros((H + 2 * p, W + 2 * p, C), x.dtype)
    rows, weight = np.empty((h, v, k, k, C), x.dtype), w.transpose(2, 3, 1, 0).reshape(-1, O)
    for image, out in zip(x, y):
        padded[p : p + H, p : p + W] = image.transpose(1, 2, 0)
        for i in range(k):
            for j in range(k):
                rows[:, :, i, j] = padded[i : i + s * (h - 1) + 1 : s, j : j + s * (v - 1) + 1 : s]
        out[...] = (rows.reshape(h * v, -1) @ weight).T.reshape(O, h, v)
    return y


def taps(x: np.ndarray, w: np.ndarray, s: int, p: int) -> np.ndarray:
    """No copy but the padding: a product for each kernel pixel on a shifted view, added up."""
    (B, C, H, W), (O, _, k, _) = x.shape, w.shape
    wide, h, v = W + 2 * p, H + 2 * p - k + 1, W + 2 * p - k + 1
    y, padded = np.empty((B, O, h, v), x.dtype), np.zeros((C, H + 2 * p, wide), x.dtype)
    flat, n = padded.reshape(C, -1), (h - 1) * wide + v  # each row of pixels runs over the padding
    total, part = np.empty((O, h * wide), x.dtype), np.empty((O, n), x.dtype)
    weight = w.transpose(2, 3, 0, 1).copy()
    for image, out in zip(x, y):
        padded[:, p : p + H, p : p + W] = image
        total[...] = 0
        for i in range(k):
            for j in range(k):
                np.matmul(weight[i, j], flat[:, i * wide + j : i * wide + j + n], out=part)
                total[:, :n] += part
        out[...] = total.reshape(O, h, wide)[:, :, :v]
    return y


def winograd(x: np.ndarray, w: np.ndarray, s: int, p: int, tile: int = 8) -> np.ndarray:
    """F(2 × 2, 3 × 3) of Lavin & Gray 2016: 16 products of channels for 4 pixels instead of 36."""
    (B, C, H, W), O = x.shape, len(w)
    h, v = H // 2, W // 2
    G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], x.dtype)
    weight = np.einsum("ai,ocij,bj->aboc", G, w, G).reshape(16, O, C).copy()
    y, padded = np.empty((B, O, H, W), x.dtype), np.zeros((C, tile, H + 2, W + 2), x.dtype)
    rows = np.empty((4, C, tile, h, W + 2), x.dtype)
    seen = np.empty((4, 4, C, tile, h, v), x.dtype)
    out = np.empty((O, tile, h, 2, v, 2), x.dtype)
    for b in range(0, B, tile):
        padded[:, :, 1:-1, 1:-1] = x[b : b + tile].transpose(1, 0, 2, 3)
        _differences([padded[:, :, i : i + 2 * h - 1 : 2] for i in range(4)], rows)
        columns = [rows[..., j : j + 2 * v - 1 : 2] for j in range(4)]
        _differences(columns, seen.swapaxes(0, 1))
        m = (weight @ seen.reshape(16, C, -1)).reshape(4, 4, O, tile, h, v)
        for a, half in enumerate((m[0] + m[1] + m[2], m[1] - m[2] - m[3])):
            np.add(half[0] + half[1], half[2], out=out[:, :, :, a, :, 0])
            np.subtract(half[1] - half[2], half[3], out=out[:, :, :, a, :, 1])
        y[b : b + tile] = out.reshape(O, tile, H, W).swapaxes(0, 1)
    return y


def _differences(d: list[np.ndarray], out: np.ndarray) -> None:
    """Their matrix Bᵀ along one axis."""
    np.subtract(d[0], d[2], out=out[0])
    np.add(d[1], d[2], out=out[1])
    np.subtract(d[2], d[1], out=out[2])
    np.subtract(d[1], d[3], out=out[3])


def product(x: np.ndarray, w: np.ndarray, s: int, p: int) -> None:
    """The bare products, an image at a time, always the same one."""
    O, k = len(w), w.shape[2]
    pixels = ((x.shape[2] + 2 * p - k) // s + 1) ** 2
    matrix, out = np.ones((w[0].size, pixels), x.dtype), np.empty((O, pixels), x.dtype)
    for _ in x:
        np.matmul(w.reshape(O, -1), matrix, out=out)


def pytorch(x: np.ndarray, w: np.ndarray, s: int, p: int) -> np.ndarray:
    import torch

    with torch.no_grad():
        y = torch.nn.functional.conv2d(torch.from_numpy(x), torch.from_numpy(w), None, s, p)
    return y.numpy()


WAYS: dict[str, Way] = {
    "PyTorch": pytorch,
    "product": product,
    "plain": plain,
    "im2col": images_as_columns,
    "last": channels_last,
    "taps": taps,
    "winograd": winograd,
    "planes": planes,
}


def can(name: str, kernel: int, stride: int) -> bool:
    return stride == 1 and kernel == 3 if name in ("taps", "winograd") else True


# ---- the three maps -----------------------------------------------------------------------------

MAPS = ("output", "image", "kernel")


def maps(x: np.ndarray, w: np.ndarray, s: int, p: int) -> dict[str, tuple[Any, Any]]:
    """For each of MAPS: the kept way and PyTorch's, functions of nothing."""
    import torch

    settings = geometry(s, p)
    y, (to_image, to_kernel) = kernels.convolve(x, w, geometry=settings)
    g = np.random.default_rng(1).standard_normal(y.shape, np.float32)
    tensors = [torch.from_numpy(array) for array in (g, x, w)]
    pairs = [[s, s], [p, p], [1, 1]]

    def theirs(image: bool, kernel: bool) -> Callable[[], Any]:
        wanted = [image, kernel, False]
        return lambda: torch.ops.aten.convolution_backward(
            *tensors, None, *pairs, False, [0, 0], 1, wanted
        )

    return {
        "output": (partial(planes, x, w, s, p), partial(pytorch, x, w, s, p)),
        "image": (partial(to_image, g), theirs(True, False)),
        "kernel": (partial(to_kernel, g), theirs(False, True)),
    }


# ---- the tables ---------------------------------------------------------------------------------


def best(functions: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Milliseconds of the fastest call of each; they take turns."""
    found = {name: float("inf") for name in functions}
    for _ in range(rounds + 1):  # the first warms up
        for name, function in functions.items():
            start = time.process_time()
            function()
            found[name] = min(found[name], 1e3 * (time.process_time() - start))
    return found


def arrays(C: int, O: int, size: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, C, size, size), np.float32)
    return x, rng.standard_normal((O, C, k, k), np.float32)


def race_of_ways(C: int, O: int, size: int, k: int, s: int, rounds: int) -> str:
    """A line of milliseconds. Raises AssertionError for a way whose result is another."""
    x, w = arrays(C, O, size, k)
    expected = pytorch(x, w, s, 1)
    calls = {}
    for name, way in WAYS.items():
        if can(name, k, s):
            calls[name] = partial(way, x, w, s, 1)
            if name != "product":
                np.testing.assert_allclose(calls[name](), expected, rtol=1e-3, atol=1e-3)
    found = best(calls, rounds)
    return "".join(f"{found[name]:10.1f}" if name in found else f"{'-':>10}" for name in WAYS)


def race_of_maps(C: int, O: int, size: int, k: int, s: int, rounds: int) -> str:
    pairs = maps(*arrays(C, O, size, k), s, 1)
    ours = best({name: pair[0] for name, pair in pairs.items()}, rounds)
    theirs = best({name: pair[1] for name, pair in pairs.items()}, rounds)
    return "".join(f"{ours[n]:7.1f} /{theirs[n]:6.1f} ={ours[n] / theirs[n]:5.2f}" for n in pairs)


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    kernels.set_num_threads(1)
    title = lambda C, O, size, k, s: f"{C}->{O} {size}x{size} k{k} s{s}".ljust(22)
    print(f"{'ms':22}" + "".join(f"{name:>10}" for name in WAYS))
    for shape in SHAPES:
        print(title(*shape) + race_of_ways(*shape, rounds), flush=True)
    print(f"\n{'planes / PyTorch':22}" + "".join(f"{f'to {n}':>22}" for n in MAPS))
    for shape in SHAPES:
        print(title(*shape) + race_of_maps(*shape, rounds), flush=True)


if __name__ == "__main__":
    main()
