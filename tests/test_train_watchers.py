"""Callbacks that watch a run (table, lengths, collapse), averaged weights, the range of rates."""

import csv
import warnings

import numpy as np
import pytest

from minift import nn, ops
from minift.backend import random
from minift.data import ArrayDataset, DataLoader
from minift.nn import Module
from minift.objectives import Classification
from minift.optim import SGD
from minift.tensor import Tensor
from minift.train import (
    AverageWeights,
    Callback,
    Checkpoint,
    CollapseDetector,
    CsvLog,
    EarlyStopping,
    JsonLog,
    Norms,
    TrainConfig,
    Trainer,
    find_learning_rate,
)
from minift.train.rates import steepest
from minift.train.records import read_records


class Net(Module):
    def __init__(self):
        self.first, self.dropout, self.last = nn.Linear(3, 8), nn.Dropout(0.1), nn.Linear(8, 2)

    def forward(self, x):
        x = Tensor(x, device=self.first.weight.device)
        return self.last(self.dropout(ops.tanh(self.first(x))))


def examples(n=40):
    x = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    return ArrayDataset(x=x, labels=(x[:, 0] > 0).astype(np.int64))


def build(*callbacks, validation=None, device="cpu", lr=0.02, **config):
    random.manual_seed(1)
    model = Net()
    return Trainer(
        model, examples(), validation, objective=Classification(), callbacks=callbacks,
        optimizer=SGD(model.parameters(), lr=lr),
        config=TrainConfig(**{"steps": 10, "batch_size": 8, "device": device, **config}),
    )  # fmt: skip


class StopError(Exception):
    pass


class StopAt(Callback):
    def __init__(self, step=None):
        self.step = step

    def on_step_end(self, trainer):
        if trainer.step == self.step:
            raise StopError


# ------------------------------------------------------------------------------------------- table


def rows(file):
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_table_has_the_numbers_of_the_log_a_row_for_each_step_and_evaluation(tmp_path):
    table, log = tmp_path / "train.csv", tmp_path / "train.jsonl"
    build(CsvLog(table), JsonLog(log), validation=examples(), evaluate_every=4).fit()
    records = read_records(log)
    assert [int(row["step"]) for row in rows(table)] == [1, 2, 3, 4, 4, 5, 6, 7, 8, 8, 9, 10, 10]
    for row, record in zip(rows(table), records, strict=True):
        assert {name: float(value) for name, value in row.items() if value} == record
    header = table.read_text().splitlines()[0]
    assert header.startswith("step,loss,accuracy,count,grad_norm,lr_factor,validation_loss,")


def test_a_resumed_table_is_that_of_the_uninterrupted_run(tmp_path):
    def run(folder, stop, resume=False):
        trainer = build(
            CsvLog(folder / "train.csv"), Checkpoint(folder, every=3), StopAt(stop),
            validation=examples(), evaluate_every=4,
        )  # fmt: skip
        return (trainer.resume(folder) if resume else trainer).fit()

    run(tmp_path / "whole", None)
    with pytest.raises(StopError):
        run(tmp_path / "killed", 8)
    run(tmp_path / "killed", None, resume=True)
    found, whole = (tmp_path / name / "train.csv" for name in ("killed", "whole"))
    assert found.read_text() == whole.read_text()


def test_a_new_run_begins_a_new_table(tmp_path):
    for _ in range(2):
        build(CsvLog(tmp_path / "train.csv")).fit()
    assert len(rows(tmp_path / "train.csv")) == 10


# ----------------------------------------------------------------------------------------- lengths


def test_lengths_of_weights_and_updates_are_logged(tmp_path, device):
    weights = []

    class Watch(Callback):
        def on_step_end(self, trainer):
            state = trainer.model.state_dict()
            weights.append(np.concatenate([state[name].ravel() for name in state]))

    file = tmp_path / "log"
    trainer = build(Norms(), Watch(), JsonLog(file), device=device, max_grad_norm=float("inf"))
    state = trainer.model.state_dict()
    start = np.concatenate([state[name].ravel() for name in state])
    history = trainer.fit()
    np.testing.assert_allclose(history["weight_norm"], np.linalg.norm(weights, axis=1), rtol=1e-5)
    moved = np.linalg.norm(np.diff([start, *weights], axis=0), axis=1)
    found = [record["update_norm"] for record in read_records(file)]
    np.testing.assert_allclose(found, moved, rtol=1e-4)
    rates = 0.02 * np.array(history["lr_factor"])
    np.testing.assert_allclose(found, rates * history["grad_norm"], rtol=1e-3)  # SGD


# ---------------------------------------------------------------------------------------- collapse


def test_a_model_that_predicts_one_class_is_told_of():
    trainer = build(CollapseDetector(), validation=examples(), steps=1, lr=0.0)
    trainer.model.last.bias.data[1] = 100
    with pytest.warns(
        UserWarning, match="step 1: all 40 predictions are class 1, the labels are of"
    ):
        trainer.fit()
    assert trainer.model.training


def test_two_predictions_or_labels_of_one_class_are_no_collapse():
    one = ArrayDataset(x=np.ones((4, 3), np.float32), labels=np.zeros(4, np.int64))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build(CollapseDetector(), validation=examples()).fit()
        build(CollapseDetector(), validation=one).fit()


def test_a_healthy_model_costs_one_batch():
    taken = []

    class Counted(ArrayDataset):
        def __getitems__(self, rows):
            taken.append(len(rows))
            return super().__getitems__(rows)

    data = Counted(x=examples().arrays["x"], labels=examples().arrays["labels"])
    trainer = build(CollapseDetector(), validation=data, steps=1)
    trainer.fit()
    assert taken == [8] * 5 + [8]  # the evaluation, and the look


# ----------------------------------------------------------------------------------------- average


def test_the_model_ends_with_the_average_of_its_weights(device):
    seen = []

    class Watch(Callback):
        def on_step_end(self, trainer):
            seen.append(trainer.model.last.weight.numpy().copy())

    trainer = build(AverageWeights(0.8), Watch(), device=device)
    expected = trainer.model.last.weight.numpy().copy()
    trainer.model.freeze("first.weight")
    frozen = trainer.model.first.weight.numpy().copy()
    trainer.fit()
    for t, weight in enumerate(seen, 1):
        decay = min(0.8, (1 + t) / (10 + t))  # 2/11, 3/12, ...
        expected = decay * expected + (1 - decay) * weight
    np.testing.assert_allclose(trainer.model.last.weight.numpy(), expected, rtol=1e-5)
    np.testing.assert_array_equal(trainer.model.first.weight.numpy(), frozen)
    assert abs(seen[-1] - expected).max() > 1e-4


def test_evaluations_are_of_the_average_and_steps_are_not(device):
    class Watch(Callback):
        def __init__(self):
            self.after_step, self.at_evaluation = [], []

        def on_step_end(self, trainer):
            self.after_step.append(trainer.model.last.weight.numpy().copy())

        def on_evaluate(self, trainer):
            self.at_evaluation.append(trainer.model.state_dict())

    plain, watch, stopping = Watch(), Watch(), EarlyStopping()
    build(plain, validation=examples(), steps=12, device=device).fit()
    averaged = build(
        AverageWeights(0.9), watch, stopping, validation=examples(), steps=12, device=device
    )
    numbers = averaged.fit().evaluations
    np.testing.assert_array_equal(watch.after_step, plain.after_step)  # the average moves nothing
    assert abs(watch.at_evaluation[-1]["last.weight"] - watch.after_step[-1]).max() > 1e-3
    for record, weights in zip(numbers, watch.at_evaluation):
        averaged.model.load_state_dict(weights)
        again = averaged.evaluate(averaged.validation)["loss"]
        assert again == pytest.approx(record["validation_loss"], rel=1e-6)
    best = watch.at_evaluation[[n["step"] for n in numbers].index(stopping.best_step)]
    stopping.on_fit_end(averaged)
    np.testing.assert_array_equal(averaged.model.last.weight.numpy(), best["last.weight"])


def test_a_resumed_average_is_that_of_the_uninterrupted_run(tmp_path, device):
    def run(folder, stop, resume=False):
        callbacks = AverageWeights(0.9), Checkpoint(folder, every=3), StopAt(stop)
        trainer = build(*callbacks, device=device)
        (trainer.resume(folder) if resume else trainer).fit()
        return trainer.model.state_dict()

    whole = run(tmp_path / "whole", None)
    with pytest.raises(StopError):
        run(tmp_path / "killed", 8)
    for name, weight in run(tmp_path / "killed", None, resume=True).items():
        np.testing.assert_array_equal(weight, whole[name])


@pytest.mark.parametrize("decay", [1.0, -0.1])
def test_a_decay_that_averages_nothing_is_refused(decay):
    with pytest.raises(ValueError, match=rf"decay must lie in \[0, 1\), got {decay}"):
        AverageWeights(decay)


# ----------------------------------------------------------------------------------- range of rates


def quadratic(lr=1.0, **config):
    """½ w² : gradient descent halves |w| at rate ½, and diverges above rate 2."""

    class Point(Module):
        def __init__(self):
            self.w = nn.Parameter(np.array([3.0]))

        def forward(self):
            return (self.w * self.w).sum() * 0.5

    def objective(model, batch):
        loss = model()
        return loss, {"loss": loss.item()}

    model = Point()
    data = DataLoader(ArrayDataset(x=np.zeros(7)), batch_size=1)
    settings = TrainConfig(steps=5, device="cpu", max_grad_norm=None, **config)
    return Trainer(
        model, data, objective=objective, config=settings, optimizer=SGD(model.parameters(), lr=lr)
    )


def test_the_rates_rise_evenly_and_the_suggestion_lies_below_divergence():
    curve = find_learning_rate(quadratic(), 1e-4, 100, steps=60)
    ratios = np.diff(np.log(curve.rates))
    np.testing.assert_allclose(ratios, np.log(1e6) / 59)
    assert len(curve.rates) == len(curve.losses) < 60  # it ended when the loss had diverged
    assert 2 < curve.rates[-1] < 20
    assert 0.02 < curve.suggestion < 1


def test_the_trainer_is_left_as_it_was(device):
    class Untouched(Callback):
        def on_step_end(self, trainer):
            assert trainer.step <= 10

        def load_state_dict(self, state):
            raise AssertionError("the range test is no resume")

    trainer, other = (build(Untouched(), device=device, validation=examples()) for _ in range(2))
    before = trainer.state_dict()
    find_learning_rate(trainer, steps=30)
    np.testing.assert_equal(trainer.state_dict(), before)
    assert trainer.fit()["loss"] == other.fit()["loss"]


def test_the_rates_are_those_of_the_first_group():
    rates = []

    def run(lr):
        trainer = quadratic(lr)
        step = trainer.optimizer.step
        trainer.optimizer.step = lambda scale: (
            rates.append(trainer.optimizer.param_groups[0]["lr"]), step(scale)
        )  # fmt: skip
        return find_learning_rate(trainer, 1e-3, 1e-1, steps=5)

    for lr in (1.0, 1e-5):
        rates.clear()
        np.testing.assert_allclose(run(lr).rates, rates)


def test_a_loss_that_is_not_finite_ends_the_test_of_rates():
    trainer = quadratic()
    losses = iter([3.0, 2.0])
    trainer.objective = lambda model, batch: (model(), {"loss": next(losses, float("inf"))})
    curve = find_learning_rate(trainer, steps=10)
    assert len(curve.losses) == 2
    np.testing.assert_allclose(trainer.model.w.numpy(), 3.0)


def test_the_steepest_fall_before_the_lowest_loss():
    assert steepest([5, 4.9, 3, 1, 0.9, 3, 0.95]) == 2
    assert steepest([1, 2, 3]) == 0


@pytest.mark.parametrize("wrong", [{"lowest": 0}, {"lowest": 2, "highest": 1}, {"steps": 2}])
def test_a_range_without_rates_is_refused(wrong):
    with pytest.raises(ValueError, match="needs 0 < lowest < highest and 3 steps or more, got low"):
        find_learning_rate(quadratic(), **wrong)
