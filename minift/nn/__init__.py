"""Modules and layers. Read `module.py` (the tree of weights), then `layers.py`, `attention.py`."""

from minift.nn import init
from minift.nn.attention import MultiHeadAttention, TransformerEncoderLayer
from minift.nn.layers import (
    GELU,
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    ModuleList,
    ReLU,
    Sequential,
    Tanh,
)
from minift.nn.loading import LoadReport
from minift.nn.module import Module, Parameter

__all__ = [
    "GELU",
    "Dropout",
    "Embedding",
    "LayerNorm",
    "Linear",
    "LoadReport",
    "Module",
    "ModuleList",
    "MultiHeadAttention",
    "Parameter",
    "ReLU",
    "Sequential",
    "Tanh",
    "TransformerEncoderLayer",
    "init",
]
