"""The Trainer: it learns, repeats itself, evaluates at rest, and can be saved and continued."""

import numpy as np
import pytest

from minift import nn, ops, optim
from minift.backend.random import manual_seed
from minift.data import ArrayDataset, DataLoader
from minift.tape import Tape
from minift.tensor import Tensor
from minift.train import Callback, TrainConfig, Trainer, adamw
from minift.train.logs import mean_log


class Net(nn.Module):
    def __init__(self, dropout=0.0):
        self.first, self.dropout = nn.Linear(3, 8), nn.Dropout(dropout)
        self.last = nn.Linear(8, 2)

    def forward(self, x):
        return self.last(
            self.dropout(ops.tanh(self.first(Tensor(x, device=self.first.weight.device))))
        )


def classify(model, batch):
    loss = ops.cross_entropy(model(batch["x"]), batch["labels"].tolist())
    return loss, {"loss": loss.item(), "count": len(batch["labels"])}


def examples(n=40):
    x = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    return ArrayDataset(x=x, labels=(x[:, 0] > 0).astype(np.int64))


def build(model=None, data=None, callbacks=(), validation=None, optimizer=None, **config):
    manual_seed(1)
    return Trainer(
        model or Net(),
        examples() if data is None else data,
        validation,
        objective=classify,
        config=TrainConfig(**{"batch_size": 8, "lr": 0.02, "device": "cpu", **config}),
        optimizer=optimizer,
        callbacks=callbacks,
    )


def test_training_lowers_the_loss_and_the_history_tells(device):
    trainer = build(epochs=12, device=device)
    before = trainer.evaluate(examples())["loss"]
    history = trainer.fit()
    assert trainer.step == trainer.total_steps == len(history["loss"]) == 60
    assert trainer.evaluate(examples())["loss"] < 0.5 * before


def test_two_equal_runs_are_equal_bit_for_bit(device):
    first, second = (build(Net(dropout=0.5), steps=7, seed=3, device=device) for _ in range(2))
    second.model.load_state_dict(first.model.state_dict())
    assert first.fit()["loss"] == second.fit()["loss"]
    for name, value in first.model.state_dict().items():
        np.testing.assert_array_equal(value, second.model.state_dict()[name])


def test_another_seed_draws_other_batches_and_masks():
    losses = [build(Net(dropout=0.5), steps=3, seed=seed).fit()["loss"] for seed in (0, 1)]
    assert losses[0] != losses[1]


def test_the_rate_follows_the_schedule_in_every_group():
    model, rates = Net(), []

    class Watch(Callback):
        def on_step_end(self, trainer):
            rates.append([group["lr"] for group in trainer.optimizer.param_groups])

    groups = [
        {"params": model.first.parameters(), "lr": 0.1},
        {"params": model.last.parameters()},
    ]
    optimizer = optim.SGD(groups, lr=0.5)
    build(model, steps=4, warmup=0.0, optimizer=optimizer, callbacks=[Watch()]).fit()
    expected = [[0.1 * f, 0.5 * f] for f in (1, 0.75, 0.5, 0.25)]
    np.testing.assert_allclose(rates, expected)


def test_a_long_gradient_is_clipped_before_the_step(device):
    model = nn.Sequential(nn.Linear(3, 2))

    def steep(model, batch):
        loss = 1000 * model(Tensor(batch["x"], device=device)).sum()
        return loss, {"count": 1}

    before = model.state_dict()
    sgd = optim.SGD(model.parameters(), lr=1.0)
    config = TrainConfig(steps=1, warmup=0.0, max_grad_norm=0.5, device=device)
    trainer = Trainer(model, examples(), objective=steep, config=config, optimizer=sgd)
    trainer.fit()
    moved = [np.sum((model.state_dict()[name] - before[name]) ** 2) for name in before]
    assert np.sqrt(sum(moved)) == pytest.approx(0.5, rel=1e-3)
    assert trainer.log["grad_norm"] > 100  # the length before clipping
    assert trainer.log["loss"] != 0  # logged though the objective did not


def test_evaluate_is_the_mean_over_examples_at_rest_and_without_a_graph(device):
    trainer = build(Net(dropout=0.9), steps=1, device=device)
    modes = []

    def watched(model, batch):
        modes.append((model.training, Tape.recording.on))
        return classify(model, batch)

    trainer.objective = watched
    numbers = trainer.evaluate(DataLoader(examples(11), batch_size=4))  # 4, 4 and 3
    whole = trainer.evaluate(DataLoader(examples(11), batch_size=11))
    assert numbers["count"] == 11
    assert numbers["loss"] == pytest.approx(whole["loss"], rel=1e-5)
    assert set(modes) == {(False, False)}
    assert trainer.model.training
    assert Tape.recording.on


def test_evaluate_restores_the_mode_when_the_objective_fails():
    trainer = build(steps=1)

    def broken(model, batch):
        raise RuntimeError("broken")

    trainer.objective = broken
    with pytest.raises(RuntimeError, match="broken"):
        trainer.evaluate(examples())
    assert trainer.model.training


def test_validation_after_each_epoch_or_every_few_steps():
    steps = [record["step"] for record in build(epochs=2, validation=examples()).fit().evaluations]
    assert steps == [5, 10]
    history = build(steps=5, evaluate_every=2, validation=examples()).fit()
    assert [record["step"] for record in history.evaluations] == [2, 4, 5]
    assert history.evaluations[0]["validation_loss"] > 0


def test_a_saved_trainer_goes_on_as_the_uninterrupted_one(device):
    class Stop(Callback):
        def on_step_end(self, trainer):
            if trainer.step == 7:
                self._saved = trainer.state_dict()

    whole = build(Net(dropout=0.3), epochs=3, callbacks=[stop := Stop()], device=device)
    losses = whole.fit()["loss"]
    resumed = build(Net(dropout=0.3), epochs=3, callbacks=[Stop()], device=device)
    resumed.load_state_dict(stop._saved)
    assert resumed.fit()["loss"] == losses
    for name, value in whole.model.state_dict().items():
        np.testing.assert_array_equal(value, resumed.model.state_dict()[name])


def test_a_saved_trainer_remembers_what_was_frozen():
    first = build(steps=2)
    first.model.freeze("first")
    second = build(steps=2)
    second.load_state_dict(first.state_dict())
    frozen = [n for n, p in second.model.named_parameters() if not p.requires_grad]
    assert frozen == ["first.weight", "first.bias"]


def test_matrices_decay_and_vectors_do_not():
    model = Net()
    optimizer = adamw([{"params": model.parameters(), "lr": 0.1}], lr=1.0, weight_decay=0.2)
    found = [
        (g["lr"], g["weight_decay"], {p.ndim for p in g["params"]}) for g in optimizer.param_groups
    ]
    assert found == [(0.1, 0.2, {2}), (0.1, 0.0, {1})]


def test_means_weigh_batches_by_their_count():
    logs = [{"loss": 1.0, "count": 3}, {"loss": 5.0, "count": 1}]
    assert mean_log(logs) == {"loss": 2.0, "count": 4}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 1, "steps": 1}, "give epochs or steps, not both"),
        ({"steps": 0}, "steps must be 1 or more, got 0"),
        ({"epochs": -1}, "epochs must be 1 or more, got -1"),
        ({"batch_size": 0}, "batch_size must be 1 or more, got 0"),
        ({"evaluate_every": 0}, "evaluate_every must be 1 or more, got 0"),
        ({"max_grad_norm": 0.0}, "max_grad_norm must be above 0 or None, got 0.0"),
        ({"warmup": 1.0}, r"warmup is a share in \[0, 1\), got 1.0"),
    ],
)
def test_numbers_that_make_no_training_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**settings)


def test_an_empty_data_set_is_refused():
    with pytest.raises(ValueError, match="the data set is empty"):
        build(data=examples(0))
