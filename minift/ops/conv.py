"""Convolution and pooling on (B, C, H, W).

A convolution is linear in the image and in the kernel. Each of the three maps below is the
derivative of the other two, so that together they can be differentiated any number of times:

    _convolve          image, kernel -> output
    _to_image          output, kernel -> image     (also the transposed convolution)
    _to_kernel         image, output -> kernel

Not here: speed. The windows are copied into one matrix (im2col), which is clear and exact; on the
CPU the kernels of `minift/kernels/conv.py` and `pooling.py` do the same with less.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from minift import kernels
from minift.autograd import op
from minift.backend import Array, xp
from minift.ops.elementwise import in_float32, one_dtype
from minift.ops.shape import _getitem, squeeze, unsqueeze
from minift.tensor import Tensor

Pair = tuple[int, int]


class Geometry(NamedTuple):
    """How a kernel moves over an image."""

    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    def output_size(self, size: tuple[int, ...], kernel: tuple[int, ...]) -> Pair:
        """(H, W) of the output of a convolution."""
        h, w = (
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(size, kernel, self.stride, self.padding, self.dilation)
        )
        return h, w


# ---- windows ------------------------------------------------------------------------------------


def _windows(x: Array, kernel: Pair, geometry: Geometry) -> Array:
    """A view of the padded image in which each output pixel sees its window.

    (B, C, H, W) -> (B, C, H', W', kh, kw), no copy but for the padding.
    """
    (ph, pw), (sh, sw), (dh, dw) = geometry.padding, geometry.stride, geometry.dilation
    H, W = geometry.output_size(x.shape[2:], kernel)
    x = xp(x).pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    b, c, h, w = x.strides
    shape = (*x.shape[:2], H, W, *kernel)
    strides = (b, c, h * sh, w * sw, h * dh, w * dw)
    return xp(x).lib.stride_tricks.as_strided(x, shape, strides)


def _add_windows(columns: Array, size: Pair, geometry: Geometry) -> Array:
    """The transpose of `_windows`: each pixel sums what its windows hold."""
    (ph, pw), (sh, sw), (dh, dw) = geometry.padding, geometry.stride, geometry.dilation
    B, C, H, W, kh, kw = columns.shape
    x = xp(columns).zeros((B, C, size[0] + 2 * ph, size[1] + 2 * pw), columns.dtype)
    for i in range(kh):
        for j in range(kw):
            rows = slice(i * dh, i * dh + (H - 1) * sh + 1, sh)
            cols = slice(j * dw, j * dw + (W - 1) * sw + 1, sw)
            x[:, :, rows, cols] += columns[:, :, :, :, i, j]
    return x[:, :, ph : ph + size[0], pw : pw + size[1]]


def _as_matrix(windows: Array, groups: int) -> Array:
    """(B, C, H, W, kh, kw) -> (G, B·H·W, C/G·kh·kw): one row per output pixel (a copy)."""
    B, C, H, W, kh, kw = windows.shape
    parts = windows.reshape(B, groups, C // groups, H, W, kh, kw)
    rows = parts.transpose(1, 0, 3, 4, 2, 5, 6)  # (G, B, H, W, C/G, kh, kw)
    return rows.reshape(groups, B * H * W, C // groups * kh * kw)


def _pixels(y: Array, groups: int) -> Array:
    """(B, O, H, W) -> (G, B·H·W, O/G)."""
    B, O, H, W = y.shape
    parts = y.reshape(B, groups, O // groups, H, W).transpose(1, 0, 3, 4, 2)
    return parts.reshape(groups, B * H * W, O // groups)


# ---- the three maps -----------------------------------------------------------------------------


@op(fused=kernels.convolve)
def _convolve(x, w, bias=None, *, geometry):
    if isinstance(x, Tensor) or isinstance(w, Tensor):
        y = _convolve(x, w, geometry=geometry)
    else:
        G, (O, _, *kernel) = geometry.groups, w.shape
        H, W = geometry.output_size(x.shape[2:], tuple(kernel))
        matrix = _as_matrix(_windows(x, tuple(kernel), geometry), G)  # (G, B·H·W, C/G·k)
        y = matrix @ w.reshape(G, O // G, -1).swapaxes(1, 2)  # (G, B·H·W, O/G)
        y = y.reshape(G, len(x), H, W, O // G).transpose(1, 0, 4, 2, 3)  # (B, G, O/G, H, W)
        y = y.reshape(len(x), O, H, W)
    size, kernel = tuple(x.shape[2:]), tuple(w.shape[2:])
    derivatives = (
        lambda g: _to_image.on(g, w, size=size, geometry=geometry),
        lambda g: _to_kernel.on(x, g, kernel=kernel, geometry=geometry),
    )
    return _with_bias(y, derivatives, bias)


@op(fused=kernels.to_image)
def _to_image(g, w, bias=None, *, size, geometry):
    if isinstance(g, Tensor) or isinstance(w, Tensor):
        x = _to_image(g, w, size=size, geometry=geometry)
    else:
        G, (O, c, kh, kw) = geometry.groups, w.shape
        B, _, H, W = g.shape
        columns = _pixels(g, G) @ w.reshape(G, O // G, c * kh * kw)  # (G, B·H·W, C/G·k)
        columns = columns.reshape(G, B, H, W, c, kh, kw).transpose(1, 0, 4, 2, 3, 5, 6)
        x = _add_windows(columns.reshape(B, G * c, H, W, kh, kw), size, geometry)
    kernel = tuple(w.shape[2:])
    derivatives = (
        lambda h: _convolve.on(h, w, geometry=geometry),
        lambda h: _to_kernel.on(h, g, kernel=kernel, geometry=geometry),
    )
    return _with_bias(x, derivatives, bias)


@op(fused=kernels.to_kernel)
def _to_kernel(x, g, *, kernel, geometry):
    if isinstance(x, Tensor) or isinstance(g, Tensor):
        w = _to_kernel(x, g, kernel=kernel, geometry=geometry)
    else:
        G, O = geometry.groups, g.shape[1]
        matrix = _as_matrix(_windows(x, kernel, geometry), G)  # (G, B·H·W, C/G·k)
        w = _pixels(g, G).swapaxes(1, 2) @ matrix  # (G, O/G, C/G·k)
        w = w.reshape(O, x.shape[1] // G, *kernel)
    size = tuple(x.shape[2:])
    return w, (
        lambda h: _to_image.on(g, h, size=size, geometry=geometry),
        lambda h: _convolve.on(x, h, geometry=geometry),
    )


def _with_bias(y: Any, derivatives: tuple[Any, ...], bias: Any) -> tuple[Any, tuple[Any, ...]]:
    """Add a number to each channel; its derivative sums what arrives there."""
    if bias is None:
        return y, derivatives
    return y + bias.reshape((1, -1, 1, 1)), (*derivatives, lambda g: g.sum(axis=(0, 2, 3)))


# ---- pooling ------------------------------------------------------------------------------------


@op(fused=kernels.max_pool)
def _max_pool(x, *, kernel, geometry):
    B, C, H, W = x.shape
    index = _of_largest(x.data if isinstance(x, Tensor) else x, kernel, geometry)  # (B, C, H'·W')
    y, (to_flat,) = _getitem.plain(x.reshape((B, C, H * W)), index=index)
    size = geometry.output_size((H, W), kernel)
    return y.reshape((B, C, *size)), (lambda g: to_flat(g.reshape(y.shape)).reshape((B, C, H, W)),)


def _of_largest(x: Array, kernel: Pair, geometry: Geometry) -> tuple[Array, Array, Array]:
    """The index, into (B, C, H·W), of the first largest pixel of each window."""
    (ph, pw), m = geometry.padding, xp(x)
    B, C, H, W = x.shape
    edges = ((0, 0), (0, 0), (ph, ph), (pw, pw))
    padded = m.pad(x, edges, constant_values=-math.inf)
    pixel = m.pad(m.arange(H * W).reshape(1, 1, H, W), edges)  # each pixel's number
    unpadded = geometry._replace(padding=(0, 0))
    values = _windows(padded, kernel, unpadded)  # (B, C, H', W', kh, kw)
    numbers = _windows(pixel, kernel, unpadded)[0, 0].reshape(-1, math.prod(kernel))
    first = values.reshape(B, C, -1, math.prod(kernel)).argmax(axis=-1)  # (B, C, H'·W')
    return m.arange(B)[:, None, None], m.arange(C)[:, None], numbers[m.arange(len(numbers)), first]


@op(fused=kernels.window_means)
def _window_means(x, *, kernel, geometry):
    if isinstance(x, Tensor):
        y = _window_means(x, kernel=kernel, geometry=geometry)
    else:
        y = _windows(x, kernel, geometry).mean(axis=(4, 5))
    size = tuple(x.shape[2:])
    return y, (lambda g: _from_means.on(g, size=size, kernel=kernel, geometry=geometry),)


@op(fused=kernels.from_means)
def _from_means(g, *, size, kernel, geometry):
    if isinstance(g, Tensor):
        x = _from_means(g, size=size, kernel=kernel, geometry=geometry)
    else:
        share = g[..., None, None] / math.prod(kernel)
        columns = xp(g).broadcast_to(share, (*g.shape, *kernel))  # (B, C, H', W', kh, kw)
        x = _add_windows(columns, size, geometry)
    return x, (lambda h: _window_means.on(h, kernel=kernel, geometry=geometry),)


# ---- what users call ----------------------------------------------------------------------------


def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlate (B, C, H, W) with kernels (O, C/groups, kh, kw) -> (B, O, H', W').

    H' = ⌊(H + 2·padding − dilation·(kh − 1) − 1) / stride⌋ + 1. Raises ValueError for shapes
    or settings that do not fit.
    """
    x, weight = _image("conv2d", x, 4), _image("conv2d", weight, 4)
    geometry = _geometry("conv2d", stride, padding, dilation, groups)
    C, (O, c) = x.shape[1], weight.shape[:2]
    if c * groups != C or O % groups:
        raise ValueError(f"conv2d: {C} channels in {groups} groups do not fit {weight.shape}")
    if min(geometry.output_size(x.shape[2:], weight.shape[2:])) < 1:
        raise ValueError(f"conv2d: kernel {weight.shape[2:]} is larger than image {x.shape[2:]}")
    return _convolve(*_operands("conv2d", x, weight, bias, O), geometry=geometry)


def conv_transpose2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    groups: int = 1,
    dilation: int | Pair = 1,
) -> Tensor:
    """The transpose of a convolution: (B, C, H, W), (C, O/groups, kh, kw) -> (B, O, H', W').

    H' = (H − 1)·stride − 2·padding + dilation·(kh − 1) + output_padding + 1.
    """
    x, weight = _image("conv_transpose2d", x, 4), _image("conv_transpose2d", weight, 4)
    geometry = _geometry("conv_transpose2d", stride, padding, dilation, groups)
    extra = _pair("conv_transpose2d", "output_padding", output_padding, least=0)
    if x.shape[1] != weight.shape[0] or weight.shape[0] % groups:
        raise ValueError(
            f"conv_transpose2d: {x.shape[1]} channels in {groups} groups do not fit {weight.shape}"
        )
    if any(e >= max(s, d) for e, s, d in zip(extra, geometry.stride, geometry.dilation)):
        raise ValueError(
            f"conv_transpose2d: output_padding {extra} must be smaller than stride or dilation"
        )
    size = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, k, e, s, p, d in zip(x.shape[2:], weight.shape[2:], extra, *geometry[:3])
    )
    if min(size) < 1:
        raise ValueError(f"conv_transpose2d: padding {geometry.padding} leaves no image: {size}")
    operands = _operands("conv_transpose2d", x, weight, bias, weight.shape[1] * groups)
    return _to_image(*operands, size=size, geometry=geometry)


def conv1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlate (B, C, T) with kernels (O, C/groups, k) -> (B, O, T'): a flat conv2d."""
    x, weight = _image("conv1d", x, 3), _image("conv1d", weight, 3)
    y = conv2d(
        unsqueeze(x, 2), unsqueeze(weight, 2), bias,
        (1, stride), (0, padding), (1, dilation), groups,
    )  # fmt: skip
    return squeeze(y, 2)


def max_pool2d(
    x: Any, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
) -> Tensor:
    """The largest value of each window; of equal ones the first gets the gradient.

    (B, C, H, W) -> (B, C, H', W'); the stride is the kernel's size unless given.
    """
    x = _image("max_pool2d", x, 4)
    kernel, geometry = _pool_geometry("max_pool2d", x, kernel_size, stride, padding)
    return _max_pool(x, kernel=kernel, geometry=geometry)


@in_float32
def avg_pool2d(
    x: Any, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
) -> Tensor:
    """The mean of each window, zeros of the padding included."""
    x = _image("avg_pool2d", x, 4)
    kernel, geometry = _pool_geometry("avg_pool2d", x, kernel_size, stride, padding)
    return _window_means(x, kernel=kernel, geometry=geometry)


# ---- settings -----------------------------------------------------------------------------------


def _image(name: str, x: Any, ndim: int) -> Tensor:
    x = x if isinstance(x, Tensor) else Tensor(x)
    if x.ndim != ndim:
        raise ValueError(f"{name}: {ndim} axes are needed, got shape {x.shape}")
    return x


def _pair(name: str, setting: str, value: int | Pair, least: int) -> Pair:
    pair = (value, value) if isinstance(value, (int, np.integer)) else tuple(value)
    if len(pair) != 2 or any(n < least for n in pair):
        raise ValueError(f"{name}: {setting} is one or two numbers of at least {least}: {value}")
    return int(pair[0]), int(pair[1])


def _geometry(
    name: str, stride: int | Pair, padding: int | Pair, dilation: int | Pair, groups: int
) -> Geometry:
    if groups < 1:
        raise ValueError(f"{name}: groups must be at least 1, got {groups}")
    return Geometry(
        _pair(name, "stride", stride, 1),
        _pair(name, "padding", padding, 0),
        _pair(name, "dilation", dilation, 1),
        groups,
    )


def _pool_geometry(
    name: str, x: Tensor, kernel_size: int | Pair, stride: int | Pair | None, padding: int | Pair
) -> tuple[Pair, Geometry]:
    kernel = _pair(name, "kernel_size", kernel_size, 1)
    geometry = _geometry(name, kernel if stride is None else stride, padding, 1, 1)
    if any(2 * p > k for p, k in zip(geometry.padding, kernel)):
        raise ValueError(f"{name}: padding {geometry.padding} is over half of kernel {kernel}")
    if min(geometry.output_size(x.shape[2:], kernel)) < 1:
        raise ValueError(f"{name}: kernel {kernel} is larger than image {x.shape[2:]}")
    return kernel, geometry


def _operands(name: str, x: Tensor, weight: Tensor, bias: Any, channels: int) -> list[Tensor]:
    """Image, kernel and, if there is one, the bias of each channel, in one dtype."""
    if bias is None:
        return one_dtype(x, weight)
    bias = bias if isinstance(bias, Tensor) else Tensor(bias)
    if bias.shape != (channels,):
        raise ValueError(f"{name}: the bias must be ({channels},), got {bias.shape}")
    return one_dtype(x, weight, bias)
