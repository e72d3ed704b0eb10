"""A batch that is split over threads makes the step of the whole batch, its dropout included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minift as mf
from minift import nn
from minift.backend import random
from minift.data import ArrayDataset
from minift.models import BertConfig, BertForMaskedLM, BertForSequenceClassification
from minift.objectives import Classification, MaskedLM
from minift.optim import SGD
from minift.train import TrainConfig, Trainer, backward_in_parts, trainer

SIZES: dict[str, Any] = {
    "vocab_size": 30, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32, "max_position_embeddings": 150, "hidden_dropout_prob": 0.3,
    "attention_probs_dropout_prob": 0.2,
}  # fmt: skip


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = mf.get_num_threads()
    yield
    mf.set_num_threads(before)


def texts(length: int = 10) -> ArrayDataset:
    """Six texts of which 1, 9, 2, 7, 1 and 1 words are hidden, the last three padded."""
    rng = np.random.default_rng(0)
    ids = rng.integers(5, 30, (6, length))
    labels = np.where(np.arange(length) < np.array([1, 9, 2, 7, 1, 1])[:, None], ids, -100)
    mask = np.arange(length) < np.array([9, 9, 9, 8, 8, 3])[:, None]
    masked = np.where(labels >= 0, 4, ids)
    return ArrayDataset(input_ids=masked, attention_mask=mask.astype(int), labels=labels)


def classified() -> ArrayDataset:
    ids = np.random.default_rng(0).integers(5, 30, (7, 8))
    return ArrayDataset(input_ids=ids, labels=np.array([0, 1, 1, -100, 0, 0, 1]))


def masked_words() -> nn.Module:
    return BertForMaskedLM(BertConfig(**SIZES))


def classifier() -> nn.Module:
    return BertForSequenceClassification(BertConfig(**SIZES))


CASES: dict[str, Any] = {
    "words": (masked_words, texts, MaskedLM()),
    "long texts": (masked_words, lambda: texts(150), MaskedLM()),  # attention in blocks
    "examples": (classifier, classified, Classification()),
    "weights": (classifier, classified, Classification(weight=[1.0, 7.0])),
}


def two_steps(case: str, threads: int, **config: Any) -> tuple[list[Any], list[np.ndarray]]:
    """The logs and the weights of two steps of SGD."""
    build, data, objective = CASES[case]
    mf.set_num_threads(threads)
    random.manual_seed(3)
    model = build()
    settings = {"steps": 2, "batch_size": 99, "warmup": 0.0, "device": "cpu", **config}
    training = Trainer(
        model,
        data(),
        objective=objective,
        config=TrainConfig(**settings),
        optimizer=SGD(model.parameters(), lr=0.5),
    )
    return training.fit().steps, [p.numpy() for p in model.parameters()]


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("case", CASES)
def test_a_split_step_is_that_of_the_whole_batch(case: str, threads: int) -> None:
    logs, weights = two_steps(case, 1)
    split_logs, split_weights = two_steps(case, threads, split_batch=True)
    for ours, whole in zip(split_logs, logs, strict=True):
        assert ours == pytest.approx(whole, rel=1e-4)
    for a, b in zip(split_weights, weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=3e-6)


def test_split_batches_accumulate_as_whole_ones_do() -> None:
    logs, weights = two_steps("words", 1, batch_size=3, accumulate=2)
    split_logs, split_weights = two_steps("words", 2, batch_size=3, accumulate=2, split_batch=True)
    assert split_logs[0] == pytest.approx(logs[0], rel=1e-4)
    for a, b in zip(split_weights, weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=3e-6)


def test_the_same_number_of_threads_gives_the_same_bits() -> None:
    one, two = (two_steps("words", 2, split_batch=True) for _ in range(2))
    assert one[0] == two[0]
    for a, b in zip(one[1], two[1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_gradients_are_added_to_what_is_there_where_leaves_share_one() -> None:
    mf.set_num_threads(2)
    x = np.arange(6.0)
    a, b, c = (mf.Tensor(0.0, requires_grad=True) for _ in range(3))
    for leaf in (a, b):
        leaf.grad = mf.Tensor(np.float32(100))

    def loss_of(rows: slice) -> Any:
        weights = mf.Tensor(x[rows])
        loss = ((a + b) * weights).mean()
        return (loss + c if rows.start else loss), {"count": len(x[rows])}

    backward_in_parts(loss_of, 6, unit=6)
    assert [leaf.grad.item() for leaf in (a, b, c)] == [102.5, 102.5, 0.5]


def images() -> ArrayDataset:
    return ArrayDataset(images=np.random.default_rng(0).random((6, 1, 8, 8), np.float32))


def no_labels(model: Any, batch: Any) -> Any:
    loss = (model(mf.Tensor(batch["images"])) ** 2).mean()
    return loss, {"loss": loss.item(), "count": len(batch["images"])}


class Noisy(nn.Module):
    """Draws on the host while it goes forward."""

    def __init__(self) -> None:
        self.weight = nn.Parameter(np.ones(1))

    def forward(self, x: mf.Tensor) -> mf.Tensor:
        return (x + mf.randn(*x.shape)) * self.weight


def recomputed() -> nn.Module:
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    model.recompute("0")
    return model


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: nn.BatchNorm2d(1), r"takes the moments of whole batches \(batch_norm\)"),
        (Noisy, "draws from the generator 'user'"),
        (recomputed, "goes forward twice"),
    ],
)
def test_what_only_a_whole_batch_can_do_is_refused(build: Any, message: str) -> None:
    mf.set_num_threads(2)
    config = TrainConfig(steps=1, split_batch=True, device="cpu")
    training = Trainer(build(), images(), objective=no_labels, config=config)
    with pytest.raises(ValueError, match=f"split_batch: .*{message}; leave out split_batch"):
        training.fit()


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        ([1, 2], TypeError, "a batch must be a dict of arrays to be cut, got list"),
        ({"x": np.ones(3), "y": np.ones(2)}, ValueError, "differ in length: {'x': 3, 'y': 2}"),
    ],
)
def test_a_batch_that_cannot_be_cut_says_so(batch: Any, error: Any, message: str) -> None:
    config = TrainConfig(steps=1, split_batch=True, device="cpu")
    training = Trainer(nn.Linear(2, 2), images(), objective=no_labels, config=config)
    with pytest.raises(error, match=message):
        training.train_step(batch)


def test_a_gpu_has_no_use_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "choose_device", lambda name: "cuda")
    monkeypatch.setattr(trainer, "check_precision", lambda precision, device: None)
    config = TrainConfig(split_batch=True)
    with pytest.raises(ValueError, match="split_batch is for the threads of a CPU; leave it out"):
        Trainer(nn.Linear(2, 2), images(), objective=no_labels, config=config)
