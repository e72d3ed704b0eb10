"""Batches accumulated into one step make the step of the large batch (transformers #24725).

The mean of the batches' means is another number where batches hold different numbers of words.
"""

import numpy as np
import pytest

from minift import nn, ops
from minift.backend import random
from minift.data import ArrayDataset, DataLoader
from minift.models import BertConfig, BertForMaskedLM
from minift.nn import Module
from minift.objectives import Classification, MaskedLM
from minift.optim import SGD
from minift.tensor import Tensor
from minift.train import Callback, Progress, TrainConfig, Trainer

BERT = BertConfig(
    vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
    intermediate_size=32, max_position_embeddings=12, hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)  # fmt: skip
HIDDEN = [1, 9, 2, 7, 1, 1]  # words hidden in each of six texts


def texts():
    rng = np.random.default_rng(0)
    ids = rng.integers(5, 30, (6, 10))
    labels = np.where(np.arange(10) < np.array(HIDDEN)[:, None], ids, -100)
    masked = np.where(labels >= 0, 4, ids)
    return ArrayDataset(input_ids=masked, attention_mask=np.ones_like(ids), labels=labels)


class Linear(Module):
    def __init__(self):
        self.body, self.head = nn.Linear(3, 5), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(ops.tanh(self.body(Tensor(x, device=self.body.weight.device))))


def examples(labels=(0, 1, 1, 2, 0, 0)):
    x = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)
    return ArrayDataset(x=x, labels=np.array(labels))


CASES = {
    "words": (lambda: BertForMaskedLM(BERT), texts, MaskedLM()),
    "examples": (Linear, examples, Classification()),
    "weights": (Linear, examples, Classification(weight=[1.0, 7.0, 0.2])),
    "ignored": (Linear, lambda: examples([0, -100, 1, 2, -100, 0]), Classification()),
    "smoothed": (Linear, examples, Classification(weight=[1, 7, 0.2], label_smoothing=0.1)),
}


def one_step(case, batch_size, accumulate, device="cpu", **config):
    """Loss, length of the gradient and weights after one step of SGD over all six rows."""
    build, data, objective = CASES[case]
    random.manual_seed(3)
    model = build()
    trainer = Trainer(
        model, DataLoader(data(), batch_size), objective=objective,
        optimizer=SGD(model.parameters(), lr=1.0),
        config=TrainConfig(steps=1, accumulate=accumulate, warmup=0, device=device, **config),
    )  # fmt: skip
    trainer.fit()
    return trainer.log, model.state_dict()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("batch_size", "accumulate"), [(1, 6), (2, 3), (4, 2)])
def test_the_step_is_that_of_the_large_batch(case, batch_size, accumulate, device):
    expected, weights = one_step(case, 6, 1, device)
    log, found = one_step(case, batch_size, accumulate, device)
    for name in ("loss", "grad_norm", "accuracy", "count"):
        assert log[name] == pytest.approx(expected[name], rel=1e-6), name
    for name, weight in weights.items():
        np.testing.assert_allclose(found[name], weight, atol=1e-6)
    assert log.keys() == expected.keys()


def test_a_long_gradient_is_clipped_as_that_of_the_large_batch():
    expected, weights = one_step("words", 6, 1, max_grad_norm=0.1)
    log, found = one_step("words", 1, 6, max_grad_norm=0.1)
    assert log["grad_norm"] == pytest.approx(expected["grad_norm"], rel=1e-6)
    assert log["grad_norm"] > 0.5
    for name, weight in weights.items():
        np.testing.assert_allclose(found[name], weight, atol=1e-7)


def test_evaluation_in_batches_is_that_of_the_whole(device):
    for case in ("words", "weights"):
        build, data, objective = CASES[case]
        random.manual_seed(3)
        trainer = Trainer(build(), data(), objective=objective, config=TrainConfig(device=device))
        found = [trainer.evaluate(DataLoader(data(), size))["loss"] for size in (1, 4, 6)]
        np.testing.assert_allclose(found, found[-1], rtol=1e-6)


def test_an_epoch_is_a_whole_number_of_steps_and_no_batch_is_left_out(capsys):
    seen = []

    class Watch(Callback):
        def on_step_end(self, trainer):
            seen.append([len(batch["labels"]) for batch in trainer.batches])

    trainer = Trainer(
        Linear(), examples(), objective=Classification(),
        config=TrainConfig(epochs=2, batch_size=1, accumulate=4, device="cpu"),
        callbacks=[Watch(), Progress("toy", seconds=0)],
    )  # fmt: skip
    history = trainer.fit()
    assert seen == [[1, 1, 1, 1], [1, 1]] * 2
    assert trainer.total_steps == 4
    assert history["count"] == [4, 2, 4, 2]
    assert "step 4 of 4" in capsys.readouterr().out


def test_less_than_one_batch_a_step_is_refused():
    with pytest.raises(ValueError, match="accumulate must be 1 or more, got 0"):
        TrainConfig(accumulate=0)
