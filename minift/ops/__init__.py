"""Every differentiable function, by NumPy's or PyTorch's name; `minift.functional` to users.

A Tensor names this module as its array namespace, so that `xp(x).exp(x)` in an op body means
NumPy's or CuPy's function for an array and the op itself for a Tensor.
"""

from minift.ops.conv import avg_pool2d, conv1d, conv2d, conv_transpose2d, max_pool2d
from minift.ops.elementwise import (
    abs,
    add,
    astype,
    clip,
    cos,
    div,
    equal,
    erf,
    exp,
    greater,
    greater_equal,
    less,
    less_equal,
    log,
    log1p,
    maximum,
    minimum,
    mul,
    neg,
    not_equal,
    power,
    relu,
    sigmoid,
    silu,
    sin,
    softplus,
    sqrt,
    sub,
    tanh,
    where,
)
from minift.ops.losses import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    focal_loss,
    info_nce,
    kl_normal,
    l1_loss,
    mse_loss,
    nll_loss,
)
from minift.ops.neural import (
    batch_norm,
    dropout,
    embedding,
    gelu,
    gradient_reversal,
    layer_norm,
    linear_gelu,
    log_softmax,
    scaled_dot_product_attention,
    self_attention,
    softmax,
)
from minift.ops.products import einsum, linear, matmul
from minift.ops.reduce import argmax, cumsum, logsumexp, max, mean, min, sum, var
from minift.ops.shape import (
    broadcast_to,
    concatenate,
    expand,
    flatten,
    gather,
    getitem,
    pad,
    reshape,
    split,
    squeeze,
    stack,
    swapaxes,
    take_along_axis,
    to_device,
    transpose,
    tril,
    unsqueeze,
)
