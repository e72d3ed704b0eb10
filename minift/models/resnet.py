"""ResNet (He et al. 2016), with the parameter names of Hugging Face transformers.

Reads from top to bottom: the configuration, torchvision's names, a convolution with its norm, the
two kinds of residual layers, stages, the network and its classifier. A residual layer computes what
has to be *added*: y = relu(x + f(x)), so that depth costs nothing where f has nothing to say.

Shapes: B images, C channels, H × W pixels, L labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minift import nn, ops
from minift.models.config import ModelConfig
from minift.models.images import pixels
from minift.models.outputs import Seen, show_hidden
from minift.models.pretrained import PretrainedModel
from minift.models.renames import Rename
from minift.nn import init
from minift.tensor import Tensor


@dataclass
class ResNetConfig(ModelConfig):
    """Sizes, under transformers' names and with its defaults (ResNet-50).

    ResNet-18 is layer_type="basic", depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512].
    """

    num_channels: int = 3
    embedding_size: int = 64
    hidden_sizes: Sequence[int] = (256, 512, 1024, 2048)
    depths: Sequence[int] = (3, 4, 6, 3)
    layer_type: str = "bottleneck"
    hidden_act: str = "relu"
    downsample_in_first_stage: bool = False
    downsample_in_bottleneck: bool = False

    model_types = ("resnet",)

    def __post_init__(self) -> None:
        """Raises ValueError for settings that make no ResNet."""
        self.check_sizes("num_channels", "embedding_size")
        for name in ("hidden_sizes", "depths"):
            setattr(self, name, whole_numbers(self, name))
        if len(self.hidden_sizes) != len(self.depths):
            raise ValueError(
                f"ResNetConfig: hidden_sizes {self.hidden_sizes} and depths {self.depths} must "
                f"name as many stages"
            )
        self.check_choice("layer_type", self.layer_type, ("basic", "bottleneck"))
        self.check_choice("hidden_act", self.hidden_act, ("relu",))
        for name in ("downsample_in_first_stage", "downsample_in_bottleneck"):
            self.check_choice(name, getattr(self, name), (True, False))
        super().__post_init__()

    @property
    def stride(self) -> int:
        """Pixels a side of the image for one of the last feature maps."""
        halvings = 1 + len(self.depths) + self.downsample_in_first_stage
        return 2**halvings


def whole_numbers(config: ResNetConfig, name: str) -> list[int]:
    """A field that lists whole numbers, as a list."""
    value = getattr(config, name)
    good = isinstance(value, list | tuple) and value
    if not good or not all(isinstance(n, int) and 0 < n < 100_000 for n in value):
        raise config.wrong(name, "a list of whole numbers of at least 1", value)
    return list(value)


def torchvision_rows() -> list[Rename]:
    """The names in torchvision's files, from "conv1.weight" to "layer4.1.bn2.bias" and "fc.bias".

    torchvision counts stages and convolutions from 1, transformers from 0.
    """
    rows = [
        Rename("conv1.*", "embedder.embedder.convolution.*"),
        Rename("bn1.*", "embedder.embedder.normalization.*"),
        Rename("fc.*", "classifier.1.*"),
    ]
    for stage in range(4):
        old, new = f"layer{stage + 1}.*", f"encoder.stages.{stage}.layers.*"
        rows += [
            Rename(f"{old}.downsample.0.*", f"{new}.shortcut.convolution.*"),
            Rename(f"{old}.downsample.1.*", f"{new}.shortcut.normalization.*"),
        ]
        for i in range(3):
            rows += [
                Rename(f"{old}.conv{i + 1}.*", f"{new}.layer.{i}.convolution.*"),
                Rename(f"{old}.bn{i + 1}.*", f"{new}.layer.{i}.normalization.*"),
            ]
    return rows


RENAMES = tuple(torchvision_rows())


# -------------------------------------------------------------------------------- the network


class ResNetConvolution(nn.Module):
    """Convolution and norm, no bias (the norm has one), H and W kept up to the stride."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, stride: int = 1):
        self.convolution = nn.Conv2d(
            inputs, outputs, kernel_size, stride, padding=kernel_size // 2, bias=False
        )
        self.normalization = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.normalization(self.convolution(x))


class ResNetEmbedder(nn.Module):
    """A wide look at the pixels at a quarter of their number: (B, c, H, W) -> (B, C, H/4, W/4)."""

    def __init__(self, config: ResNetConfig):
        self.channels = config.num_channels
        self.embedder = ResNetConvolution(config.num_channels, config.embedding_size, 7, stride=2)
        self.pooler = nn.MaxPool2d(3, stride=2, padding=1)

    def forward(self, pixel_values: Any) -> Tensor:
        x = pixels(pixel_values, self.channels, self.embedder.convolution.weight)
        return self.pooler(ops.relu(self.embedder(x)))


class ResNetLayer(nn.Module):
    """relu(x + f(x)): f is a row of convolutions with relu between them.

    Where the shape changes, so must x: by a convolution of a single pixel, `shortcut`.
    """

    def __init__(self, config: ResNetConfig, inputs: int, outputs: int, stride: int):
        same = inputs == outputs and stride == 1
        self.shortcut = None if same else ResNetConvolution(inputs, outputs, 1, stride)
        self.layer = convolutions(config, inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer[0](x)
        for convolution in self.layer[1:]:
            y = convolution(ops.relu(y))
        return ops.relu(y + (x if self.shortcut is None else self.shortcut(x)))


def convolutions(
    config: ResNetConfig, inputs: int, outputs: int, stride: int
) -> list[ResNetConvolution]:
    """The f of a residual layer: two 3 × 3, or a 3 × 3 between two 1 × 1 that narrow and widen."""
    if config.layer_type == "basic":
        return [
            ResNetConvolution(inputs, outputs, 3, stride),
            ResNetConvolution(outputs, outputs, 3),
        ]
    narrow = max(outputs // 4, 1)
    first, second = (stride, 1) if config.downsample_in_bottleneck else (1, stride)
    return [
        ResNetConvolution(inputs, narrow, 1, first),
        ResNetConvolution(narrow, narrow, 3, second),
        ResNetConvolution(narrow, outputs, 1),
    ]


class ResNetStage(nn.Module):
    """Residual layers of one size; the first may halve the resolution."""

    def __init__(self, config: ResNetConfig, stage: int):
        sizes = [config.embedding_size, *config.hidden_sizes]
        inputs, outputs = sizes[stage : stage + 2]
        stride = 2 if stage or config.downsample_in_first_stage else 1
        self.layers = [ResNetLayer(config, inputs, outputs, stride)]
        for _ in range(config.depths[stage] - 1):
            self.layers.append(ResNetLayer(config, outputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class ResNetEncoder(nn.Module):
    """The stages one after the other."""

    def __init__(self, config: ResNetConfig):
        self.stages = [ResNetStage(config, stage) for stage in range(len(config.depths))]

    def forward(self, x: Tensor, seen: Seen | None = None) -> Tensor:
        show_hidden(seen, x)
        for stage in self.stages:
            x = stage(x)
            show_hidden(seen, x)
        return x


class ResNetPretrained(PretrainedModel):
    """What the models below share: their configuration, names and starting weights."""

    config_class = ResNetConfig
    prefix = "resnet"
    renames = RENAMES
    config: ResNetConfig

    def initial(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Kernels N(0, 2 / fan_out) (He et al. 2015, eq. 14), norms 1 and 0.

        The classifier starts as any Linear, U(-1/√n, 1/√n) for n features.
        """
        if name.startswith("classifier."):
            return init.fan_in_uniform(shape, self.config.hidden_sizes[-1])
        if name.endswith("bias"):
            return init.zeros(shape)
        if len(shape) == 1:
            return init.ones(shape)
        return init.normal(shape, math.sqrt(2 / (shape[0] * math.prod(shape[2:]))))


class ResNetModel(ResNetPretrained):
    """The bare network: images (B, c, H, W) -> feature maps (B, C, H/32, W/32)."""

    def __init__(self, config: ResNetConfig):
        super().__init__(config)
        self.embedder = ResNetEmbedder(config)
        self.encoder = ResNetEncoder(config)
        self.draw_weights()

    def forward(self, pixel_values: Any, seen: Seen | None = None) -> Tensor:
        return self.encoder(self.embedder(pixel_values), seen)


class ResNetForImageClassification(ResNetPretrained):
    """Classify images by the mean of their feature maps: (B, c, H, W) -> scores (B, L)."""

    head = "classification head"

    def __init__(self, config: ResNetConfig):
        super().__init__(config)
        self.resnet = ResNetModel(config)
        # transformers' classifier is (flatten, linear): the name is classifier.1
        self.classifier = {"1": nn.Linear(config.hidden_sizes[-1], config.num_labels)}
        self.draw_weights()

    def forward(self, pixel_values: Any, seen: Seen | None = None) -> Tensor:
        return self.classify(self.features(pixel_values, seen))

    def features(self, pixel_values: Any, seen: Seen | None = None) -> Tensor:
        """What the head reads, (B, C): the means of the feature maps."""
        return self.resnet(pixel_values, seen=seen).mean(axis=(2, 3))  # of (B, C, H', W')

    def classify(self, features: Tensor) -> Tensor:
        """The head: (B, C) -> scores (B, L)."""
        return self.classifier["1"](features)
