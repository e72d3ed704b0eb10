"""Fused routines for the few ops in which nearly all time goes.

Each has the contract of the op body that it stands in for (raw arrays in; value and derivatives
out) and is held equal to that plain body, in `minift/ops/`, by `tests/test_kernels.py`.
They work in tiles that stay in the processor's second-level cache, write in place, and keep for
the backward pass only what it needs; a `..._value` is for where no gradient is wanted.

Not here: formulas to learn from. Read those in `minift/ops/neural.py` first.
"""

from minift.kernels import cuda
from minift.kernels.attention import (
    attention,
    scores_bias,
    self_attention,
    self_attention_value,
)
from minift.kernels.batch_norm import channel_moments, standardize
from minift.kernels.choice import Choice, check_bounds, check_later, plain_formulas, take_on_gpu
from minift.kernels.conv import convolve, to_image, to_kernel
from minift.kernels.dropout import dropout, keep_mask
from minift.kernels.erf import erf
from minift.kernels.gelu import gelu, gelu_value
from minift.kernels.layer_norm import layer_norm, layer_norm_value
from minift.kernels.linear import linear, linear_gelu, linear_gelu_value
from minift.kernels.pooling import from_means, max_pool, window_means
from minift.kernels.rows import cross_entropy, scatter_rows, softmax
from minift.kernels.threads import get_num_threads, set_num_threads

__all__ = [
    "Choice",
    "attention",
    "channel_moments",
    "check_bounds",
    "check_later",
    "convolve",
    "cross_entropy",
    "cuda",
    "dropout",
    "erf",
    "from_means",
    "gelu",
    "gelu_value",
    "get_num_threads",
    "keep_mask",
    "layer_norm",
    "layer_norm_value",
    "linear",
    "linear_gelu",
    "linear_gelu_value",
    "max_pool",
    "plain_formulas",
    "scatter_rows",
    "scores_bias",
    "self_attention",
    "self_attention_value",
    "set_num_threads",
    "softmax",
    "standardize",
    "take_on_gpu",
    "to_image",
    "to_kernel",
    "window_means",
]
