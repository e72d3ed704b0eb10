"""Layers of image networks: convolution, batch normalisation, pooling, in PyTorch's layouts.

Images are (B, C, H, W). As in `layers.py`, formulas live in `ops/` (`ops/conv.py` and, for batch
normalisation, `ops/neural.py`); what a network does with these layers is in `models/resnet.py`.
"""

from __future__ import annotations

import math

from minift import ops
from minift.nn import init
from minift.nn.layers import check_size
from minift.nn.module import Module, Parameter
from minift.tensor import Tensor

Pair = tuple[int, int]


class Conv2d(Module):
    """One small network at every place: (B, in_channels, H, W) -> (B, out_channels, H', W').

    H' = ⌊(H + 2·padding − dilation·(k − 1) − 1) / stride⌋ + 1. `weight` is (out_channels,
    in_channels / groups, k, k), `bias` (out_channels,) or None; both start from U(-1/√n, 1/√n) for
    n inputs of a unit.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
    ):
        check_channels("Conv2d", in_channels, out_channels, groups)
        kernel = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        shape = (out_channels, in_channels // groups, *kernel)
        fan_in = math.prod(shape[1:])
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.weight = Parameter(init.fan_in_uniform(shape, fan_in))
        self.bias = Parameter(init.fan_in_uniform((out_channels,), fan_in)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return ops.conv2d(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )


class Conv1d(Module):
    """A convolution along time: (B, in_channels, T) -> (B, out_channels, T'), as `Conv2d`.

    `weight` is (out_channels, in_channels / groups, k).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ):
        check_channels("Conv1d", in_channels, out_channels, groups)
        shape = (out_channels, in_channels // groups, kernel_size)
        fan_in = math.prod(shape[1:])
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.weight = Parameter(init.fan_in_uniform(shape, fan_in))
        self.bias = Parameter(init.fan_in_uniform((out_channels,), fan_in)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return ops.conv1d(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )


class ConvTranspose2d(Module):
    """The transpose of a convolution, which enlarges: (B, in_channels, H, W) -> (B, out, H', W').

    H' = (H − 1)·stride − 2·padding + k. `weight` is (in_channels, out_channels, k, k), `bias`
    (out_channels,); both start from U(-1/√n, 1/√n) with n = out_channels·k², as in PyTorch.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
    ):
        check_size("ConvTranspose2d", in_channels=in_channels, out_channels=out_channels)
        kernel = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        shape = (in_channels, out_channels, *kernel)
        self.stride, self.padding = stride, padding
        self.weight = Parameter(init.fan_in_uniform(shape, math.prod(shape[1:])))
        self.bias = Parameter(init.fan_in_uniform((out_channels,), math.prod(shape[1:])))

    def forward(self, x: Tensor) -> Tensor:
        return ops.conv_transpose2d(x, self.weight, self.bias, self.stride, self.padding)


class BatchNorm2d(Module):
    """Bring each channel to mean 0 and variance 1, then scale and shift (Ioffe & Szegedy 2015).

    In training by the batch's own statistics, which move the running ones by `momentum`; in
    evaluation, and where frozen, by the running ones. `weight` starts at 1, `bias` at 0, the
    buffers `running_mean` at 0 and `running_var` at 1, all (channels,). `num_batches_tracked`
    counts the moves: nothing depends on it, but PyTorch's files hold it.
    """

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1):
        check_size("BatchNorm2d", channels=channels)
        self.eps, self.momentum = eps, momentum
        self.weight = Parameter(init.ones((channels,)))
        self.bias = Parameter(init.zeros((channels,)))
        self.running_mean = Tensor(init.zeros((channels,)))
        self.running_var = Tensor(init.ones((channels,)))
        self.num_batches_tracked = Tensor(0)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or x.shape[1] != self.weight.shape[0]:
            raise ValueError(
                f"BatchNorm2d: expected images (B, {self.weight.shape[0]}, H, W), got a tensor of "
                f"shape {x.shape}"
            )
        if self.training:
            self.num_batches_tracked.data += 1
        return ops.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )


class MaxPool2d(Module):
    """The largest value of each window; the stride is the window's size unless given."""

    def __init__(
        self, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
    ):
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x: Tensor) -> Tensor:
        return ops.max_pool2d(x, self.kernel_size, self.stride, self.padding)


class AvgPool2d(Module):
    """The mean of each window, zeros of the padding included; the stride is the window's size
    unless given."""

    def __init__(
        self, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
    ):
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x: Tensor) -> Tensor:
        return ops.avg_pool2d(x, self.kernel_size, self.stride, self.padding)


class Flatten(Module):
    """All axes but the first as one: (B, C, H, W) -> (B, C·H·W)."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.flatten(x, 1)


def check_channels(layer: str, in_channels: int, out_channels: int, groups: int) -> None:
    """Raise ValueError for numbers of channels that the groups do not share evenly."""
    check_size(layer, in_channels=in_channels, out_channels=out_channels, groups=groups)
    if in_channels % groups or out_channels % groups:
        raise ValueError(
            f"{layer}: in_channels ({in_channels}) and out_channels ({out_channels}) must be "
            f"multiples of groups ({groups})"
        )
