"""float16: what it may change (the last digits) and what not (the run, exact weights, reasons)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minift as mf
from minift import functional as F
from minift import nn
from minift.backend import random
from minift.data import ArrayDataset
from minift.models import BertConfig, BertForSequenceClassification
from minift.objectives import Classification
from minift.train import Callback, TrainConfig, Trainer
from minift.train.loss_scale import LossScale

ON_CUDA = pytest.mark.parametrize(
    "device", [pytest.param("cuda", marks=pytest.mark.cuda)], indirect=True
)
CONFIG = BertConfig(
    vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
    intermediate_size=32, max_position_embeddings=8, num_labels=3,
)  # fmt: skip


def texts() -> ArrayDataset:
    rng = np.random.default_rng(3)
    ids = rng.integers(1, 40, (16, 6))
    real = (np.arange(6) < rng.integers(2, 7, (16, 1))).astype(np.int64)
    return ArrayDataset(input_ids=ids * real, attention_mask=real, labels=ids[:, 0] % 3)


def build(device: str, precision: str = "float16", callbacks: Any = (), **more: Any) -> Trainer:
    random.manual_seed(5)
    settings = {"steps": 20, "batch_size": 4, "lr": 1e-2, "seed": 1, **more}
    config = TrainConfig(device=device, precision=precision, **settings)
    model = BertForSequenceClassification(CONFIG)
    return Trainer(model, texts(), objective=Classification(), config=config, callbacks=callbacks)


# ---- the loss scale -----------------------------------------------------------------------------


def test_the_scale_is_halved_by_an_overflow_and_doubled_after_good_gradients() -> None:
    scale, seen = LossScale(8.0, patience=3), []
    for length in (np.inf, 1.0, 1.0, np.nan, 1.0, 1.0, 1.0, 1.0):
        seen.append((scale.accept(length), scale.scale))
    expected = [False, True, True, False, True, True, True, True]
    assert seen == list(zip(expected, [4.0, 4.0, 4.0, 2.0, 2.0, 2.0, 4.0, 4.0]))


def test_the_scale_has_an_end_in_both_directions() -> None:
    scale = LossScale(2.0**23, patience=1)
    assert [scale.accept(0.0) and scale.scale for _ in range(3)] == [2.0**24] * 3
    scale = LossScale(2.0)
    assert not scale.accept(np.inf)
    with pytest.raises(ValueError, match="the gradient's length is inf even without loss scaling"):
        scale.accept(np.inf)


def test_the_scale_goes_on_where_it_was_saved() -> None:
    first, second = LossScale(64.0, patience=2), LossScale()
    first.accept(1.0)
    second.load_state_dict(first.state_dict())
    second.patience = 2
    second.accept(1.0)
    assert second.scale == 128


# ---- training -----------------------------------------------------------------------------------


@ON_CUDA
def test_twenty_steps_in_float16_are_near_those_in_float32(device: str) -> None:
    half, full = build(device).fit(), build(device, "float32").fit()
    np.testing.assert_allclose(half["loss"], full["loss"], atol=2e-2)
    assert half["loss"] != full["loss"]
    np.testing.assert_allclose(half["grad_norm"], full["grad_norm"], rtol=0.05)
    assert half["loss"][-1] < half["loss"][0] - 0.2
    assert set(half["loss_scale"]) == {2.0**16}


@ON_CUDA
def test_weights_are_float16_during_training_and_their_masters_afterwards(device: str) -> None:
    class Watch(Callback):
        def on_step_end(self, trainer: Trainer) -> None:
            self._dtypes = {p.dtype for p in trainer.model.parameters()}
            self._weight = trainer.model.classifier.weight.numpy()

    trainer = build(device, callbacks=[watch := Watch()])
    trainer.model.freeze("bert.embeddings.word_embeddings")
    frozen = trainer.model.bert.embeddings.word_embeddings.weight.numpy().copy()
    trainer.fit()
    after = trainer.model.state_dict()
    assert watch._dtypes == {np.dtype(np.float16)}
    assert {array.dtype for array in after.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(after["classifier.weight"].astype(np.float16), watch._weight)
    assert (after["classifier.weight"] != watch._weight).any()
    np.testing.assert_array_equal(after["bert.embeddings.word_embeddings.weight"], frozen)


@ON_CUDA
def test_a_batch_whose_gradient_overflows_is_tried_again_at_half_the_scale(device: str) -> None:
    trainer, weights = build(device, steps=4), []

    class Watch(Callback):
        def on_step_end(self, trainer: Trainer) -> None:
            weights.append(trainer.model.classifier.weight.numpy().copy())

    trainer.callbacks.append(Watch())
    trainer.loss_scale.scale = 2.0**40  # far beyond float16's largest number, 65504
    history = trainer.fit()
    assert [record["step"] for record in history.steps] == [1, 2, 3, 4]
    assert history["loss_scale"][0] < 2.0**24
    assert np.isfinite(history["grad_norm"]).all()
    assert all(np.isfinite(w).all() for w in weights)
    assert (weights[0] != weights[1]).any()


@ON_CUDA
def test_a_gradient_that_never_becomes_finite_is_named_and_nothing_is_written(device: str) -> None:
    class Broken(Classification):
        def __call__(self, model: nn.Module, batch: Any) -> Any:
            loss, log = super().__call__(model, batch)
            return loss * float("nan"), log

    trainer = build(device)
    before = trainer.model.state_dict()
    trainer.objective = Broken()
    with pytest.raises(ValueError, match="length is nan even without loss scaling; lower the lea"):
        trainer.fit()
    for name, array in trainer.model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@ON_CUDA
@pytest.mark.parametrize("frozen", ["bert.embeddings", "classifier"])
def test_a_saved_float16_run_goes_on_as_the_uninterrupted_one(device: str, frozen: str) -> None:
    class Stop(Callback):
        def on_step_end(self, trainer: Trainer) -> None:
            if trainer.step == 3:
                self._saved = trainer.state_dict()

    def begin(stop: Stop) -> Trainer:
        trainer = build(device, steps=6, callbacks=[stop])
        trainer.model.freeze(frozen)
        return trainer

    whole = begin(stop := Stop())
    before = whole.model.state_dict()
    losses = whole.fit()["loss"]
    resumed = begin(Stop())
    resumed.load_state_dict(stop._saved)
    assert resumed.fit()["loss"] == losses
    for name, array in resumed.model.state_dict().items():
        np.testing.assert_array_equal(array, whole.model.state_dict()[name])
        assert (array == before[name]).all() == name.startswith(frozen)


@pytest.mark.parametrize(
    ("precision", "message"),
    [
        ("bfloat16", 'precision "bfloat16" cannot be used, because CuPy has no such arrays; use'),
        ("half", "precision must be one of float32, float16, got 'half'"),
        ("float16", 'precision "float16" needs a GPU: on the CPU NumPy is slower in it and sums'),
    ],
)
def test_a_precision_that_cannot_be_used_is_refused(precision: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build("cpu", precision)


# ---- ops ----------------------------------------------------------------------------------------

OPS = {
    "softmax": lambda x: F.softmax(x),
    "log_softmax": lambda x: F.log_softmax(x),
    "gelu": lambda x: F.gelu(x),
    "layer_norm": lambda x: F.layer_norm(x, x[0] * 0 + 1, x[0] * 0),
    "self_attention": lambda x: F.self_attention(x.reshape(1, 4, 6) / 64, heads=2),
}


@pytest.mark.parametrize("name", OPS)
def test_what_sums_or_has_exponents_is_float32_inside(device: str, name: str) -> None:
    values = (300 * np.random.default_rng(0).standard_normal((4, 6))).astype(np.float16)
    g = np.random.default_rng(1).standard_normal(24).astype(np.float16)

    def run(dtype: str) -> list[np.ndarray]:
        x = mf.Tensor(values, dtype=dtype, requires_grad=True, device=device)
        y = OPS[name](x)
        y.backward(mf.Tensor(g[: y.size].reshape(y.shape), dtype=dtype, device=device))
        assert y.dtype == x.grad.dtype == dtype
        return [y.numpy(), x.grad.numpy()]

    for half, full in zip(run("float16"), run("float32")):
        np.testing.assert_allclose(half, full.astype(np.float16), rtol=2e-3, atol=1e-4)


def test_losses_of_float16_are_float32(device: str) -> None:
    x = mf.Tensor(np.full((70000, 1), 2, np.float16), requires_grad=True, device=device)
    for loss in (
        F.mse_loss(x, x * 0, reduction="sum"),
        F.cross_entropy(x, [0] * 70000, reduction="sum") + 280000,
    ):
        assert loss.dtype == np.float32
        assert loss.item() == 280000  # beyond float16's largest number, 65504
    loss.backward()
    assert x.grad.dtype == np.float16


def test_a_row_that_is_looked_up_often_gets_the_sum_of_all_its_gradients(device: str) -> None:
    table = mf.Tensor(np.zeros((3, 1), np.float16), requires_grad=True, device=device)
    for lookup in (F.embedding([1] * 4096, table), table[[1] * 4096]):
        table.grad = None
        lookup.sum().backward()
        assert table.grad.numpy().tolist() == [[0], [4096], [0]]  # in float16 it ends at 2048
