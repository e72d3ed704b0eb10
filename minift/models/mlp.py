"""MLP: a row of linear layers with ReLU between them, the simplest network there is.

Rumelhart et al. 1986. Also the starting weights (`he_normal`) and the layers (`dense_layers`) that
the networks of `autoencoder.py` are made of; read that next.

Shapes: B rows, L labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from minift import nn, ops
from minift.backend import to_device
from minift.models.config import ModelConfig
from minift.models.pretrained import PretrainedModel
from minift.nn import init
from minift.nn.layers import check_size
from minift.tensor import Tensor


@dataclass
class MLPConfig(ModelConfig):
    """Sizes: numbers of an input, of each hidden layer, and labels."""

    input_size: int = 64
    hidden_sizes: tuple[int, ...] = (256,)

    model_types = ("minift-mlp",)

    def __post_init__(self) -> None:
        """Raises ValueError for settings that make no network."""
        self.check_sizes("input_size")
        self.hidden_sizes = row_of_sizes(self, "hidden_sizes")
        super().__post_init__()


class MLP(PretrainedModel):
    """Rows (B, ...) of `input_size` numbers each -> scores (B, L)."""

    config_class = MLPConfig
    prefix = "body"
    head = "classification head"
    config: MLPConfig

    def __init__(self, config: MLPConfig):
        super().__init__(config)
        self.body = dense_layers([config.input_size, *config.hidden_sizes])
        self.classifier = nn.Linear(config.hidden_sizes[-1], config.num_labels)
        self.draw_weights()

    def initial(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """See `he_normal`."""
        return he_normal(name, shape)

    def forward(self, x: Any) -> Tensor:
        """`x` are floats, flattened row by row; ValueError if a row has another size."""
        return self.classifier(ops.relu(self.body(self.rows(x))))

    def rows(self, x: Any) -> Tensor:
        """The input as a Tensor (B, input_size) beside the weights."""
        like = self.classifier.weight
        if not isinstance(x, Tensor):
            x = Tensor(to_device(np.asarray(x), like.device), dtype=like.dtype)
        if x.ndim < 2 or math.prod(x.shape[1:]) != self.config.input_size:
            raise ValueError(
                f"MLP: rows must hold {self.config.input_size} numbers (input_size), got shape "
                f"{x.shape}"
            )
        return ops.reshape(x, (len(x), self.config.input_size))


def dense_layers(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers from each size to the next, with ReLU between them but not at the end."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.ReLU()] * bool(layers) + [nn.Linear(inputs, outputs)]
    return nn.Sequential(*layers)


def he_normal(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Weights N(0, 2 / fan_in), which keeps the size of what ReLU lets through; biases 0.

    He et al. 2015, equation 10. A convolution's fan-in is its window times its channels.
    """
    if name.endswith("bias"):
        return init.zeros(shape)
    return init.normal(shape, math.sqrt(2 / math.prod(shape[1:])))


def row_of_sizes(config: ModelConfig, name: str) -> tuple[int, ...]:
    """The field as a tuple (JSON knows lists only), checked."""
    sizes = getattr(config, name)
    if not isinstance(sizes, list | tuple) or not sizes:
        raise config.wrong(name, "a row of at least one whole number", sizes)
    for size in sizes:
        check_size(type(config).__name__, **{name: size})
    return tuple(sizes)
