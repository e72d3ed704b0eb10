"""A device changes where numbers are made, not which: each test runs on all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minift as mf
from minift import functional as F
from minift import nn, optim
from minift.backend import device_of, random
from minift.data import ArrayDataset
from minift.models import BertConfig, BertForMaskedLM, BertForSequenceClassification
from minift.objectives import Classification, MaskedLM
from minift.train import TrainConfig, Trainer

ON_CUDA = pytest.mark.parametrize(
    "device", ["strict", pytest.param("cuda", marks=pytest.mark.cuda)], indirect=True
)

rng = np.random.default_rng(11)
IDS = rng.integers(1, 40, (3, 6))
REAL = (np.arange(6) < np.array([[4], [6], [2]])).astype(np.int64)
TEXTS = {"input_ids": IDS * REAL, "attention_mask": REAL, "token_type_ids": REAL * (IDS % 2)}


def config(**more: Any) -> BertConfig:
    sizes = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    return BertConfig(**{**sizes, "intermediate_size": 32, "max_position_embeddings": 8, **more})


def same_on(device: str, f: Any, rtol: float = 1e-5, atol: float = 1e-6) -> list[np.ndarray]:
    """Assert that `f(device)`, a list of arrays, gives what it gives on the CPU; that list."""
    results = []
    for place in ("cpu", device):
        random.manual_seed(5)
        results.append(f(place))
    for there, here in zip(*results, strict=True):
        np.testing.assert_allclose(there, here, rtol=rtol, atol=atol, strict=True)
    return results[1]


# ---- moving, and refusing to --------------------------------------------------------------------


def test_factories_and_moves_name_their_device(device: str) -> None:
    for x in (mf.zeros(2, 3, device=device), mf.randn(2, device=device), mf.arange(3).to(device)):
        assert x.device == device == device_of(x.data) == mf.ones_like(x).device
    x = mf.Tensor([1.0, -2.0], requires_grad=True, device=device)
    assert repr(x).endswith(f"dtype=float32, device='{device}', requires_grad=True)")
    (x.to("cpu") * 2).sum().backward()
    assert x.grad.device == device
    assert x.grad.numpy().tolist() == [2, 2]


def test_random_numbers_are_the_same_everywhere(device: str) -> None:
    same_on(device, lambda d: [mf.randn(4, device=d).numpy(), mf.rand(4, device=d).numpy()], 0, 0)
    ones = np.ones((33, 7), np.float32)
    for p in (0.1, 0.5):
        drop = lambda d, p=p: [F.dropout(mf.Tensor(ones, device=d), p).numpy() == 0]
        assert 0 < same_on(device, drop)[0].mean() < 1


def test_lists_go_where_they_are_needed_but_arrays_elsewhere_raise(device: str) -> None:
    x = mf.Tensor(rng.standard_normal((3, 4)), device=device)
    uses = {
        "getitem": lambda i: x[i],
        "backward": lambda g: backward(x, g),
        "gather": lambda i: F.gather(x, 0, i),
        "take_along_axis": lambda i: F.take_along_axis(x, i, axis=0),
        "where": lambda i: F.where(i, x, 0.0),
        "embedding": lambda i: F.embedding(i, x),
        "cross_entropy": lambda i: F.cross_entropy(x.reshape(3, 1, 4)[:, [0]], i),
        "attention": lambda i: F.scaled_dot_product_attention(
            x.reshape(1, 1, 3, 4), x.reshape(1, 1, 3, 4), x.reshape(1, 1, 3, 4), mask=i
        ),
    }
    lists = {
        "backward": [1.0, 0.0, 1.0],
        "gather": [[0, 1, 2, 0]],
        "take_along_axis": [[0, 1, 2, 0]],
        "where": [True, False] * 2,
    }
    for name, use in uses.items():
        index = lists.get(name, [[1], [0], [2]])
        assert use(index).device == device
        if device == "cuda":
            with pytest.raises(ValueError, match=f"{name}: the inputs lie on cpu and cuda"):
                use(np.array(index))
            with pytest.raises(ValueError, match=f"{name}: the inputs lie on cpu and cuda"):
                use(mf.Tensor(index))


@ON_CUDA
@pytest.mark.parametrize("name", ["add", "mul", "matmul", "linear", "concatenate", "greater"])
def test_operands_on_two_devices_raise(device: str, name: str) -> None:
    here, there = mf.ones(2, 2), mf.ones(2, 2, device=device)
    f = (lambda a, b: F.concatenate([a, b])) if name == "concatenate" else getattr(F, name)
    for pair in ((here, there), (there, here), (here.data, there)):
        with pytest.raises(ValueError, match=f"{name}: the inputs lie on cpu and cuda"):
            f(*pair)


def test_comparisons_take_numbers_and_arrays_of_their_device(device: str) -> None:
    x = mf.Tensor([1.0, 2.0, 3.0], device=device)
    assert (x > 1.5).numpy().tolist() == (x.data > x.data - x + 1.5).numpy().tolist()
    assert (np.float32(2) == x).numpy().tolist() == [False, True, False]
    assert (x <= x[1]).device == device
    assert int(x.argmax()) == 2


def backward(x: mf.Tensor, gradient: Any) -> mf.Tensor:
    """Gradient of column 1 of `x`."""
    leaf = mf.Tensor(x, requires_grad=True)
    leaf[:, 1].backward(gradient)
    return leaf.grad


# ---- the tape -----------------------------------------------------------------------------------


def test_gradients_accumulate_and_gradients_of_gradients_agree(device: str) -> None:
    x = mf.Tensor([0.5, -1.0], dtype="float64", requires_grad=True, device=device)
    (x * x).sum().backward()
    (x * x + x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [3, -3])
    (g,) = mf.grad((x**3).sum(), x, create_graph=True)
    (h,) = mf.grad((g * g).sum(), x)
    np.testing.assert_allclose(h.numpy(), 36 * np.array([0.5, -1.0]) ** 3)
    assert h.device == device


def test_an_overwritten_value_is_noticed(device: str) -> None:
    x = mf.Tensor([0.5, -1.0], requires_grad=True, device=device)
    y = x.exp()
    z = y * y
    y.data += 1
    with pytest.raises(ValueError, match="written to afterwards"):
        z.sum().backward()


# ---- optimizers ---------------------------------------------------------------------------------

RULES = {
    "SGD": {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    "RMSprop": {"lr": 0.01, "momentum": 0.5},
    "Adam": {"lr": 0.01},
    "AdamW": {"lr": 0.01, "weight_decay": 0.5},
}


@pytest.mark.parametrize("rule", RULES)
def test_optimizers_take_the_same_steps_and_can_be_saved(device: str, rule: str) -> None:
    start, pull = rng.standard_normal((2, 5, 3)).astype(np.float32)

    def run(d: str) -> list[np.ndarray]:
        p = nn.Parameter(start)
        p.data = mf.Tensor(p, device=d).data
        target = mf.Tensor(pull, device=d)
        optimizer = getattr(optim, rule)([p], **RULES[rule])
        for step in range(6):
            if step == 3:  # state leaves the device and comes back
                state = optimizer.state_dict()
                optimizer = getattr(optim, rule)([p], **RULES[rule])
                optimizer.load_state_dict(state)
            optimizer.zero_grad()
            ((p - target) ** 2).sum().backward()
            length = optim.clip_grad_norm_([p], 2.0)
            optimizer.step()
        assert p.device == d
        return [p.numpy(), np.array(length)]

    same_on(device, run)


# ---- models -------------------------------------------------------------------------------------


def loss_and_gradients(model: nn.Module, objective: Any, batch: dict[str, Any], d: str) -> list:
    model.to(d)
    loss, log = objective(model, batch)
    loss.backward()
    assert {p.grad.device for p in model.parameters() if p.grad is not None} == {d}
    gradients = [p.grad.numpy() for p in model.parameters() if p.grad is not None]
    numbers = [np.array(float(v)) for v in log.values()]
    return [np.array(loss.item()), *numbers, *gradients]


def test_masked_words_give_the_same_loss_and_gradients(device: str) -> None:
    labels = np.where((IDS % 3 == 0) & (REAL == 1), IDS, -100)
    run = lambda d: loss_and_gradients(
        BertForMaskedLM(config()), MaskedLM(), {**TEXTS, "labels": labels}, d
    )
    same_on(device, run)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_classification_gives_the_same_loss_and_gradients(device: str, pooling: str) -> None:
    objective = Classification(weight=[0.5, 2.0, 1.0], label_smoothing=0.1)
    run = lambda d: loss_and_gradients(
        BertForSequenceClassification(config(classifier_pooling=pooling, num_labels=3)),
        objective,
        {**TEXTS, "labels": np.array([2, 0, 1])},
        d,
    )
    same_on(device, run)


def test_attention_layers_give_the_same(device: str) -> None:
    x = rng.standard_normal((2, 5, 8)).astype(np.float32)

    def run(d: str) -> list[np.ndarray]:
        layer = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", norm_first=True).to(d)
        attention = nn.MultiHeadAttention(8, 2, dropout=0.2).to(d)
        inputs = mf.Tensor(x, requires_grad=True, device=d)
        y = attention(layer(inputs, causal=True), inputs)
        y.backward(mf.Tensor(x[::-1], device=d))
        gradients = [p.grad.numpy() for p in (*layer.parameters(), *attention.parameters())]
        return [y.numpy(), inputs.grad.numpy(), *gradients]

    same_on(device, run)


def test_twenty_steps_of_training_have_the_same_losses(device: str) -> None:
    texts = np.random.default_rng(3).integers(1, 40, (16, 6))
    labels = np.where(texts % 3 == 0, texts, -100)
    labels[:, 0] = texts[:, 0]
    data = ArrayDataset(input_ids=texts, attention_mask=np.ones_like(texts), labels=labels)

    def run(d: str) -> list[np.ndarray]:
        settings = TrainConfig(steps=20, batch_size=4, lr=1e-2, device=d)
        trainer = Trainer(BertForMaskedLM(config()), data, objective=MaskedLM(), config=settings)
        losses = np.array(trainer.fit()["loss"])
        return [losses, np.array(trainer.evaluate(data)["loss"])]

    losses, _ = same_on(device, run, rtol=0, atol=1e-5)
    assert losses[-1] < losses[0] - 0.3
