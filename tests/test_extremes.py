"""Huge, tiny, infinite and masked inputs."""

from __future__ import annotations

import numpy as np
import pytest
from oracle import oracle

import minift as mf
from minift import functional as F
from minift.backend import to_device


def test_extreme_logits_are_finite(device: str) -> None:
    x = mf.Tensor([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]], requires_grad=True, device=device)
    loss = F.cross_entropy(x, [1, 0], reduction="none")
    np.testing.assert_allclose(loss.numpy(), [2e4, np.log(3)], rtol=1e-6)
    loss.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [[1, -1, 0], [-2 / 3, 1 / 3, 1 / 3]], atol=1e-6)
    assert F.softmax(x).data[0].tolist() == [1, 0, 0]
    assert np.isfinite(F.log_softmax(x).data).all()
    big = mf.Tensor([1e4, -1e4], device=device)
    assert F.sigmoid(big).data.tolist() == [1, 0]
    assert F.softplus(big).data.tolist() == [1e4, 0]
    assert F.gelu(big).data.tolist() == F.relu(big).data.tolist() == [1e4, 0]
    for values, total in [
        ((-np.inf, -np.inf), -np.inf),
        ((np.inf, 0), np.inf),
        ((1e4, -np.inf), 1e4),
    ]:
        assert F.logsumexp(mf.Tensor(values, device=device)).item() == total
    infinite = mf.Tensor([-np.inf, np.inf], device=device)
    assert F.relu(infinite).data.tolist() == [0, np.inf]
    z = mf.zeros(3, 2, device=device)
    assert F.info_nce(z, z).item() == pytest.approx(np.log(3))


def test_extremes_equal_pytorch(device: str) -> None:
    torch = oracle("torch")
    t = torch.nn.functional
    rows = np.array([[1e4, -1e4, 3.0], [-1e4, -1e4, -1e4], [88.0, 89.0, 90.0], [1e-42, 0, -1e-42]])
    rows = rows.astype(np.float32)
    one, zero = mf.ones(3, device=device), mf.zeros(3, device=device)
    targets = [2, 0, 1, 2]
    constant = np.full((2, 3), 7.0, np.float32)
    pairs = [
        (F.softmax, lambda x: t.softmax(x, -1), rows),
        (F.log_softmax, lambda x: t.log_softmax(x, -1), rows),
        (lambda x: x.logsumexp(axis=-1), lambda x: x.logsumexp(-1), rows),
        (lambda x: F.cross_entropy(x, targets),
         lambda x: t.cross_entropy(x, torch.tensor(targets)), rows),
        (F.gelu, t.gelu, rows), (F.sigmoid, torch.sigmoid, rows), (F.silu, t.silu, rows),
        (F.softplus, t.softplus, rows), (F.tanh, torch.tanh, rows),
        (lambda x: F.layer_norm(x, one, zero), lambda x: t.layer_norm(x, (3,)), rows),
        (lambda x: F.layer_norm(x, one, zero), lambda x: t.layer_norm(x, (3,)), constant),
    ]  # fmt: skip
    for ours, theirs, values in pairs:
        x = mf.Tensor(values, requires_grad=True, device=device)
        y = torch.tensor(values, requires_grad=True)
        a, b = ours(x), theirs(y)
        a.sum().backward()
        b.sum().backward()
        assert np.isfinite(a.data).all()
        assert np.isfinite(x.grad.data).all()
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=2e-6, atol=2e-6)
        np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=2e-5, atol=2e-5)


def test_a_masked_class_is_allowed(device: str) -> None:
    x = mf.Tensor([[0.0, 0.0, -np.inf]], requires_grad=True, device=device)
    loss = F.cross_entropy(x, [0])
    assert loss.item() == pytest.approx(np.log(2))
    loss.backward()
    np.testing.assert_allclose(x.grad.numpy(), [[-0.5, 0.5, 0]])


def test_if_all_targets_are_ignored_loss_and_gradient_are_zero(device: str) -> None:
    x = mf.Tensor([[1.0, np.inf], [0.0, 2.0]], requires_grad=True, device=device)
    for f in (F.cross_entropy, F.nll_loss, F.focal_loss):
        x.grad = None
        loss = f(x, [-100, -100])
        loss.backward()
        assert loss.item() == 0
        assert x.grad.data.tolist() == [[0, 0], [0, 0]]
        assert f(x, [-100, -100], reduction="none").data.tolist() == [0, 0]
        assert f(x, [-100, -100], weight=[1.0, 2.0]).item() == 0


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_the_focal_loss_of_what_is_certain_is_zero_and_so_is_its_gradient(
    device: str, gamma: float
) -> None:
    x = mf.Tensor([[80.0, 0.0], [0.0, 200.0]], requires_grad=True, device=device)
    loss = F.focal_loss(x, [0, 1], gamma=gamma)
    loss.backward()
    assert loss.item() == 0
    np.testing.assert_allclose(x.grad.numpy(), 0, atol=1e-30)


def test_attention_rows_that_may_look_nowhere_give_zeros(device: str) -> None:
    mf.manual_seed(0)
    q, k, v = (mf.randn(1, 1, 3, 4, requires_grad=True, device=device) for _ in range(3))
    mask = [[True, True, True], [False] * 3, [True, False, False]]
    y = F.scaled_dot_product_attention(q, k, v, mask=mask)
    assert (y.numpy()[0, 0, 1] == 0).all()
    np.testing.assert_allclose(y.numpy()[0, 0, 2], v.numpy()[0, 0, 0], rtol=1e-6)
    y.sum().backward()
    assert all(np.isfinite(t.grad.data).all() for t in (q, k, v))
    qkv = mf.randn(2, 3, 12, requires_grad=True, device=device)
    y = F.self_attention(qkv, 2, mask=to_device(np.zeros((2, 1, 1, 3), bool), device))
    y.sum().backward()
    assert not y.data.any()
    assert not qkv.grad.data.any()


def test_rows_without_variance_and_denormals(device: str) -> None:
    one, zero = mf.ones(4, device=device), mf.zeros(4, device=device)
    x = mf.full((2, 4), 3.0, requires_grad=True, device=device)
    y = F.layer_norm(x, one, zero)
    assert not y.data.any()
    y.sum().backward()
    assert np.isfinite(x.grad.data).all()
    tiny = mf.full((2, 4), 1e-42, device=device)
    assert np.isfinite(F.layer_norm(tiny, one, zero).data).all()
    np.testing.assert_allclose(F.softmax(tiny).numpy(), 0.25)


def test_infinite_scores_and_logits_raise_where_pytorch_gives_nan(device: str) -> None:
    infinite = np.zeros((1, 1, 3, 3), np.float32)
    infinite[0, 0, 1, 1] = np.inf
    infinite = to_device(infinite, device)
    x = mf.ones(1, 1, 3, 4, device=device)
    with pytest.raises(ValueError, match="attention: a score is infinite"):
        F.scaled_dot_product_attention(x, x, x, mask=infinite).numpy()
    with pytest.raises(ValueError, match="attention: a score is infinite"):
        F.self_attention(mf.ones(1, 3, 12, device=device), 1, mask=infinite).numpy()
    for logit in (np.inf, -np.inf):
        with pytest.raises(ValueError, match="infinite logits have no finite loss"):
            F.binary_cross_entropy_with_logits(mf.Tensor([logit], device=device), [1.0])
