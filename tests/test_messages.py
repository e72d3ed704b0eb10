"""Every mistake in the use of the engine gets a clear message."""

from __future__ import annotations

import numpy as np
import pytest

import minift as mf
from minift import functional as F
from minift.autograd import Op


def leaf(*values: float) -> mf.Tensor:
    return mf.Tensor(values, dtype=np.float32, requires_grad=True)


def test_backward_errors() -> None:
    x = leaf(1, 2)
    with pytest.raises(ValueError, match=r"shape \(2,\) is no single value"):
        (x * 2).backward()
    with pytest.raises(ValueError, match=r"gradient has shape \(3,\), the tensor \(2,\)"):
        (x * 2).backward(np.ones(3))
    with pytest.raises(ValueError, match="nothing to differentiate"):
        mf.Tensor(1.0).backward()
    with pytest.raises(ValueError, match="result of mul, not a leaf"):
        (x * 2).requires_grad = False
    with pytest.raises(ValueError, match="input 1 does not require a gradient"):
        mf.grad((x * 2).sum(), [x, mf.Tensor(1.0)])
    with pytest.raises(ValueError, match="1 outputs but 2 grad_outputs"):
        mf.grad(x.sum(), x, [None, None])


@pytest.mark.parametrize(
    ("derivative", "message"),
    [
        (lambda g: g[:1], r"wrong: the derivative of input 0 returned float32 \(1,\)"),
        (lambda g: g.astype(np.float64), r"returned float64 \(2,\), the input is float32 \(2,\)"),
        (lambda g: None, "returned a NoneType"),
    ],
)
def test_a_wrong_derivative_is_named(derivative: object, message: str) -> None:
    @mf.op
    def wrong(x):
        return x * 1.0, (derivative,)

    with pytest.raises(ValueError, match=message):
        wrong(leaf(1, 2)).sum().backward()


def test_an_op_that_returns_too_little_says_so() -> None:
    no_derivatives = mf.op(lambda x: x * 2)
    with pytest.raises(TypeError, match="an op returns its value and its derivatives, two things"):
        no_derivatives(leaf(1, 2))
    one_of_two = mf.op(lambda a, b: (a * b, (lambda g: g * b,)))
    with pytest.raises(TypeError, match="2 inputs, but 1 derivatives"):
        one_of_two(leaf(1), leaf(2))


def test_an_op_of_a_user() -> None:
    @mf.op
    def cube(x):
        return x * x * x, (lambda g: g * 3 * x * x,)

    assert isinstance(cube, Op)
    assert mf.gradcheck(cube, mf.Tensor([1.0, -2.0], dtype=np.float64, requires_grad=True), order=2)


def x23() -> mf.Tensor:
    return mf.zeros(2, 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: x23() + mf.zeros(2), ValueError, r"add: shapes \(2, 3\) and \(2,\) do not broad"),
        (lambda: x23() @ x23(), ValueError, r"matmul: inner sizes differ, got \(2, 3\) @ \(2, 3\)"),
        (lambda: mf.zeros(2, 2, 3) @ mf.zeros(3, 3, 2), ValueError, "leading axes do not broadc"),
        (lambda: x23() @ mf.Tensor(1.0), ValueError, "both sides need at least one axis"),
        (lambda: x23().sum(axis=2), ValueError, "sum: axis 2 does not exist in a tensor of 2 axes"),
        (lambda: x23().mean(axis=(0, 0)), ValueError, "names an axis twice"),
        (lambda: mf.zeros(0).mean(), ValueError, "mean: no values to reduce"),
        (lambda: mf.zeros(0).max(), ValueError, "max: no values to reduce"),
        (lambda: mf.zeros(1).var(correction=1), ValueError, "1 values cannot take a correction"),
        (lambda: mf.zeros(0).argmax(), ValueError, "argmax: no values"),
        (lambda: x23().reshape(4), ValueError, r"reshape: \(2, 3\) has other than the elements"),
        (lambda: x23().flatten(1, 0), ValueError, "start_axis 1 comes after end_axis 0"),
        (lambda: x23().squeeze(0), ValueError, "axis 0 has length 2, not 1"),
        (lambda: x23().unsqueeze(5), ValueError, "unsqueeze: axis 5 does not exist"),
        (lambda: x23().expand(4, 3), ValueError, r"\(2, 3\) cannot be repeated to \(4, 3\)"),
        (lambda: x23().transpose(0, 0), ValueError, "is no order of the 2 axes"),
        (lambda: x23()[5], IndexError, "getitem: index 5 is out of bounds"),
        (lambda: x23()[[0.5]], TypeError, "an index holds integers or booleans"),
        (lambda: x23().gather(0, [0]), ValueError, "indices have 1 axes, the tensor 2"),
        (lambda: x23().gather(0, [[0.5]]), TypeError, "gather: indices are integers"),
        (lambda: x23().split(0), ValueError, "size of a piece must be at least 1"),
        (lambda: x23().split([1, 5], 1), ValueError, r"sizes \[1, 5\] do not add up to the 3"),
        (lambda: mf.zeros(3).tril(), ValueError, "at least 2 axes are needed"),
        (lambda: F.concatenate([]), ValueError, "no tensors were given"),
        (lambda: F.concatenate([x23(), mf.zeros(3, 2)]), ValueError, "differ off axis 0"),
        (lambda: F.stack([x23(), mf.zeros(3)]), ValueError, "stack: the shapes differ"),
        (lambda: x23().pad((1,)), ValueError, "a flat list needs an even length"),
        (lambda: x23().pad(((1, 1),)), ValueError, "does not give a pair for each of 2 axes"),
        (lambda: x23().pad((-1, 0)), ValueError, "widths cannot be negative"),
        (lambda: x23().clip(), ValueError, "give min, max or both"),
        (lambda: F.linear(x23(), mf.zeros(4, 2)), ValueError, r"last axis of \(2, 3\) must be the"),
        (lambda: F.linear(x23(), mf.zeros(4, 3), mf.zeros(3)), ValueError, r"bias must be \(4,\)"),
        (lambda: F.einsum("ij,jk", x23()), ValueError, "names 2 inputs, got 1"),
        (lambda: F.einsum("ijk", x23()), ValueError, "does not fit inputs of"),
        (lambda: F.einsum("ij->ii", x23()), ValueError, "must name input letters once"),
        (lambda: F.einsum("ii", x23()), ValueError, "'i' is both 2 and 3"),
        (lambda: F.einsum("ij,jk", x23(), x23()), ValueError, "'j' in 'ij,jk' is both 3 and 2"),
        (lambda: F.gelu(x23(), "fast"), ValueError, 'approximate is "none" or "tanh"'),
        (lambda: F.softmax(mf.Tensor([np.inf, 0])), ValueError, "largest value is infinite"),
        (lambda: F.log_softmax(mf.Tensor([np.inf])), ValueError, "largest value is infinite"),
        (lambda: F.layer_norm(x23(), mf.ones(2), mf.ones(2)), ValueError, "must have the length"),
        (lambda: F.dropout(x23(), 1.5), ValueError, "p must lie between 0 and 1, got 1.5"),
        (lambda: F.embedding([3], x23()), IndexError, "ids from 3 to 3 do not fit 2 rows"),
        (lambda: F.embedding([-1], x23()), IndexError, "ids from -1 to -1"),
        (lambda: F.embedding([0.5], x23()), TypeError, "ids are integers, got float32"),
        (
            lambda: F.scaled_dot_product_attention(x23(), x23(), mf.zeros(3, 3)),
            ValueError, r"do not fit",
        ),
        (
            lambda: F.scaled_dot_product_attention(x23(), x23(), x23(), mask=[[True] * 3]),
            ValueError, r"mask \(1, 3\) must fit scores \(2, 2\)",
        ),
        (lambda: F.self_attention(x23(), 2), ValueError, "is not"),
        (
            lambda: F.batch_norm(x23(), mf.zeros(2), mf.ones(2)),
            ValueError, r"2 channels do not fit \(2, 3\)",
        ),
        (
            lambda: F.batch_norm(mf.zeros(1, 2), mf.zeros(2), mf.ones(2), training=True),
            ValueError, "training needs 2 values a channel",
        ),
        (lambda: F.cross_entropy(x23(), [0, 3]), ValueError, "target 3 is none of the 3 classes"),
        (lambda: F.cross_entropy(x23(), [0, -1]), ValueError, "target -1 is none of"),
        (lambda: F.cross_entropy(x23(), [0]), ValueError, r"targets \(1,\) must have the shape"),
        (lambda: F.cross_entropy(x23(), [0.0, 1.0]), TypeError, "targets are integer classes"),
        (
            lambda: F.cross_entropy(x23(), [0, 1], label_smoothing=2.0),
            ValueError, "label_smoothing lies in",
        ),
        (
            lambda: F.cross_entropy(x23(), [0, 1], weight=[1.0]),
            ValueError, r"\(1,\) weights for 3 classes",
        ),
        (
            lambda: F.cross_entropy(x23(), [0, 1], reduction="all"),
            ValueError, 'reduction is "mean", "sum" or "none", got \'all\'',
        ),
        (
            lambda: F.cross_entropy(mf.Tensor([[np.inf, 0]]), [0]),
            ValueError, "largest value is infinite",
        ),
        (lambda: F.focal_loss(x23(), [0, 1], gamma=-1), ValueError, "gamma must be at least 0"),
        (lambda: F.mse_loss(x23(), mf.zeros(3)), ValueError, "mse_loss: the shapes differ"),
        (lambda: F.info_nce(x23(), x23(), 0), ValueError, "temperature must be positive, got 0"),
        (lambda: F.info_nce(mf.zeros(3), mf.zeros(3)), ValueError, r"are \(N, D\), got"),
        (lambda: F.conv2d(x23(), x23()), ValueError, "conv2d: 4 axes are needed"),
        (
            lambda: F.conv2d(mf.zeros(1, 3, 4, 4), mf.zeros(2, 2, 3, 3)),
            ValueError, "3 channels in 1 groups do not fit",
        ),
        (
            lambda: F.conv2d(mf.zeros(1, 1, 2, 2), mf.zeros(1, 1, 3, 3)),
            ValueError, "is larger than image",
        ),
        (
            lambda: F.conv2d(mf.zeros(1, 1, 4, 4), mf.zeros(1, 1, 3, 3), mf.zeros(2)),
            ValueError, r"bias must be \(1,\), got \(2,\)",
        ),
        (
            lambda: F.conv2d(mf.zeros(1, 1, 4, 4), mf.zeros(1, 1, 3, 3), stride=0),
            ValueError, "stride is one or two numbers of at least 1",
        ),
        (
            lambda: F.conv2d(mf.zeros(1, 1, 4, 4), mf.zeros(1, 1, 3, 3), groups=0),
            ValueError, "groups must be at least 1",
        ),
        (
            lambda: F.conv_transpose2d(mf.zeros(1, 3, 4, 4), mf.zeros(2, 2, 3, 3)),
            ValueError, "3 channels in 1 groups do not fit",
        ),
        (
            lambda: F.conv_transpose2d(
                mf.zeros(1, 1, 4, 4), mf.zeros(1, 1, 3, 3), output_padding=1
            ),
            ValueError, "must be smaller than stride or dilation",
        ),
        (
            lambda: F.conv_transpose2d(mf.zeros(1, 1, 1, 1), mf.zeros(1, 1, 2, 2), padding=1),
            ValueError, "leaves no image",
        ),
        (
            lambda: F.max_pool2d(mf.zeros(1, 1, 4, 4), 2, padding=2),
            ValueError, "is over half of kernel",
        ),
        (lambda: F.avg_pool2d(mf.zeros(1, 1, 2, 2), 3), ValueError, "is larger than image"),
        (lambda: mf.zeros(-1), ValueError, "a shape is made of integers of at least 0"),
        (lambda: mf.arange(0, 1, 0), ValueError, "the step cannot be 0"),
        (lambda: mf.manual_seed(-1), ValueError, "the seed must be an integer of at least 0"),
    ],
)  # fmt: skip
def test_a_mistake_gets_a_clear_message(call: object, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        call()
