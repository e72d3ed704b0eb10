"""Attention and the encoder layer against PyTorch's."""

import numpy as np
import pytest
from oracle import oracle

from minift import nn
from minift.backend import to_device
from minift.tensor import Tensor

torch = oracle("torch")
B, T, S, C, H = 2, 5, 4, 8, 2


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def pair_of_attentions():
    theirs = torch.nn.MultiheadAttention(C, H, batch_first=True)
    torch.nn.init.normal_(theirs.in_proj_bias)
    ours = nn.MultiHeadAttention(C, H)
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    return theirs, ours


def padding():
    return np.arange(T)[None] < np.array([[3], [5]])  # (B, T), True for real tokens


@pytest.mark.parametrize("case", ["plain", "padded", "causal", "cross"])
def test_attention_is_torchs(case, device):
    theirs, ours = pair_of_attentions()
    x, memory, mask, causal, settings = draw(B, T, C), draw(B, S, C, seed=1), None, False, {}
    if case == "padded":
        mask = to_device(padding()[:, None, None, :], device)
        settings = {"key_padding_mask": torch.tensor(~padding())}
    if case == "causal":
        causal = True
        settings = {"attn_mask": torch.ones(T, T).triu(1).bool()}
    inputs = [x, memory, memory * 2] if case == "cross" else [x]
    a = [Tensor(array, requires_grad=True, device=device) for array in inputs]
    b = [torch.tensor(array, requires_grad=True) for array in inputs]
    y = ours.to(device)(*a, mask=mask, causal=causal)
    expected, _ = theirs(*(b if case == "cross" else b * 3), need_weights=False, **settings)
    cotangent = draw(B, T, C, seed=2)
    y.backward(to_device(cotangent, device))
    expected.backward(torch.tensor(cotangent))
    np.testing.assert_allclose(y.numpy(), expected.detach(), rtol=1e-5, atol=1e-5)
    for ours_, theirs_ in zip(a, b):
        np.testing.assert_allclose(ours_.grad.numpy(), theirs_.grad, rtol=1e-4, atol=1e-5)
    gradients = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        np.testing.assert_allclose(
            parameter.grad.numpy(), gradients[name].grad, rtol=1e-4, atol=1e-5
        )


def test_the_merged_path_equals_three_projections(device):
    ours = pair_of_attentions()[1].to(device)
    x = Tensor(draw(B, T, C), device=device)
    np.testing.assert_allclose(ours(x).numpy(), ours(x, x, x).numpy(), rtol=1e-5, atol=1e-6)


def test_attention_drops_weights_in_training_alone(device):
    layer = nn.MultiHeadAttention(C, H, dropout=0.5).to(device)
    x = Tensor(draw(B, T, C), device=device)
    assert not np.array_equal(layer(x).numpy(), layer(x).numpy())
    layer.eval()
    np.testing.assert_array_equal(layer(x).numpy(), layer(x).numpy())


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_the_encoder_layer_is_torchs(norm_first, activation, device):
    settings = {"dim_feedforward": 12, "activation": activation, "norm_first": norm_first}
    theirs = torch.nn.TransformerEncoderLayer(C, H, dropout=0.0, batch_first=True, **settings)
    ours = nn.TransformerEncoderLayer(C, H, dropout=0.0, **settings)
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    a = Tensor(draw(B, T, C), requires_grad=True, device=device)
    b = torch.tensor(draw(B, T, C), requires_grad=True)
    y = ours.to(device)(a, mask=to_device(padding()[:, None, None, :], device))
    expected = theirs(b, src_key_padding_mask=torch.tensor(~padding()))
    cotangent = draw(B, T, C, seed=2) * padding()[..., None]
    y.backward(to_device(cotangent, device))
    expected.backward(torch.tensor(cotangent))
    real = padding()
    np.testing.assert_allclose(
        y.numpy()[real], expected.detach().numpy()[real], rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(a.grad.numpy(), b.grad, rtol=1e-4, atol=1e-5)
    gradients = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        np.testing.assert_allclose(
            parameter.grad.numpy(), gradients[name].grad, rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_the_decoder_layer_is_torchs(norm_first, activation, device):
    """Causal self-attention, and attention to a memory whose first text is padded."""
    settings = {"dim_feedforward": 12, "activation": activation, "norm_first": norm_first}
    theirs = torch.nn.TransformerDecoderLayer(C, H, dropout=0.0, batch_first=True, **settings)
    ours = nn.TransformerDecoderLayer(C, H, dropout=0.0, **settings)
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    seen = np.arange(S)[None] < np.array([[2], [4]])  # (B, S)
    arrays = draw(B, T, C), draw(B, S, C, seed=1)
    a = [Tensor(array, requires_grad=True, device=device) for array in arrays]
    b = [torch.tensor(array, requires_grad=True) for array in arrays]
    mask = to_device(seen[:, None, None, :], device)
    y = ours.to(device)(*a, memory_mask=mask, causal=True)
    expected = theirs(
        *b,
        tgt_mask=torch.ones(T, T).triu(1).bool(),
        memory_key_padding_mask=torch.tensor(~seen),
    )
    cotangent = draw(B, T, C, seed=2)
    y.backward(to_device(cotangent, device))
    expected.backward(torch.tensor(cotangent))
    np.testing.assert_allclose(y.numpy(), expected.detach(), rtol=1e-5, atol=1e-5)
    for ours_, theirs_ in zip(a, b):
        np.testing.assert_allclose(ours_.grad.numpy(), theirs_.grad, rtol=1e-4, atol=1e-5)
    assert not a[1].grad.numpy()[0, 2:].any()  # what is not seen learns nothing
    gradients = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        np.testing.assert_allclose(
            parameter.grad.numpy(), gradients[name].grad, rtol=1e-4, atol=1e-5
        )


def test_a_decoder_layer_sees_all_unless_told():
    """As PyTorch's: without `causal` the last token changes the first."""
    layer = nn.TransformerDecoderLayer(C, H).eval()
    x, memory = draw(B, T, C), Tensor(draw(B, S, C, seed=1))
    changed = x.copy()
    changed[:, -1] += draw(B, C, seed=3)
    for causal in (False, True):
        before, after = (layer(Tensor(v), memory, causal=causal).numpy() for v in (x, changed))
        assert np.array_equal(before[:, 0], after[:, 0]) == causal


def test_a_decoder_layer_drops_in_training_alone(device):
    layer = nn.TransformerDecoderLayer(C, H, dropout=0.5).to(device)
    inputs = [Tensor(draw(B, n, C), device=device) for n in (T, S)]
    assert not np.array_equal(layer(*inputs).numpy(), layer(*inputs).numpy())
    layer.eval()
    np.testing.assert_array_equal(layer(*inputs).numpy(), layer(*inputs).numpy())
