"""Early stopping: the weights of the best evaluation stay, and patience ends the rest."""

import math

import numpy as np
import pytest

from minift import nn
from minift.data import ArrayDataset
from minift.optim import SGD
from minift.train import EarlyStopping, TrainConfig, Trainer

DATA = ArrayDataset(x=np.zeros((4, 1), np.float32))


class Scripted:
    """An objective whose validation scores are given; training adds 1 to the weight a step."""

    def __init__(self, scores):
        self.scores = iter(scores)

    def __call__(self, model, batch):
        if model.training:
            return model.weight.sum() * -1.0, {}
        return model.weight.sum(), {"loss": next(self.scores), "count": 4}


def fit(scores, patience=None, epochs=None, **settings):
    model = nn.Linear(1, 1, bias=False)
    model.weight.data = np.zeros((1, 1), np.float32)
    stopping = EarlyStopping(patience, **settings)
    config = TrainConfig(epochs=epochs or len(scores), batch_size=4, seed=0, device="cpu",
                         max_grad_norm=None, schedule=lambda step, total, warmup: 1.0)  # fmt: skip
    trainer = Trainer(model, DATA, DATA, objective=Scripted(scores), config=config,
                      optimizer=SGD(model.parameters(), lr=1.0), callbacks=[stopping])  # fmt: skip
    trainer.fit()
    return stopping, trainer, float(model.weight.data[0, 0])


def test_the_weights_of_the_best_evaluation_are_restored():
    stopping, trainer, weight = fit([3.0, 1.0, 2.0, 4.0])
    assert (stopping.best_step, stopping.best_score, weight) == (2, 1.0, 2.0)
    assert trainer.step == 4


def test_patience_ends_training_and_a_better_score_renews_it():
    stopping, trainer, weight = fit([5.0, 6.0, 4.0, 4.5, 4.1, 1.0], patience=2)
    assert (trainer.step, stopping.best_step, weight) == (5, 3, 3.0)


def test_of_equal_scores_the_first_is_kept():
    assert fit([2.0, 1.0, 1.0])[0].best_step == 2


def test_nan_is_never_the_best():
    assert fit([math.nan, 2.0, math.nan])[0].best_step == 2
    stopping, _, weight = fit([math.nan, math.nan])
    assert (stopping.best_step, weight) == (0, 2.0)  # nothing to restore


def test_a_metric_may_be_better_when_higher():
    assert fit([1.0, 3.0, 2.0], higher_is_better=True)[0].best_step == 2


def test_gains_below_min_delta_use_up_the_patience_but_are_kept():
    """5 renews; 4.9 and 4.8 are better, by less than a half; together with 4.4 it is enough."""
    stopping, trainer, weight = fit([5.0, 4.9, 4.8, 1.0], patience=2, min_delta=0.5)
    assert (trainer.step, stopping.best_step, weight) == (3, 3, 3.0)
    assert fit([5.0, 4.9, 4.4, 4.3, 4.2], patience=2, min_delta=0.5)[1].step == 5
    higher = fit([0.5, 0.52, 0.54, 0.9], patience=2, min_delta=0.1, higher_is_better=True)
    assert (higher[1].step, higher[0].best_step) == (3, 3)


def test_training_ends_when_the_threshold_is_reached():
    assert fit([3.0, 2.0, 1.0, 0.5], threshold=2.0)[1].step == 2
    assert fit([0.1, 0.6, 0.7], threshold=0.5, higher_is_better=True)[1].step == 2
    assert fit([math.nan, 3.0], threshold=2.0)[1].step == 2


def test_after_nan_any_number_renews_the_patience():
    assert fit([math.nan, 2.0, 3.0, 4.0], patience=2)[1].step == 4


def test_it_goes_on_from_its_state():
    first, trainer, _ = fit([3.0, 1.0, 2.0])
    second = EarlyStopping(patience=2)
    second.load_state_dict(first.state_dict())
    trainer.history.evaluations.append({"step": 4, "validation_loss": 5.0})
    trainer.total_steps = 9
    second.on_evaluate(trainer)
    assert (second.waited, second.best_step, trainer.total_steps) == (2, 2, 3)


def test_mistakes_are_sentences():
    with pytest.raises(ValueError, match="patience must be 1 or more, got 0"):
        EarlyStopping(0)
    with pytest.raises(ValueError, match="min_delta must be 0 or more, got -1"):
        EarlyStopping(min_delta=-1)
    with pytest.raises(ValueError, match="no validation_f1 is evaluated, only validation_loss, "):
        fit([1.0], metric="validation_f1")
    trainer = Trainer(nn.Linear(1, 1), DATA, objective=Scripted([]), callbacks=[EarlyStopping(1)])
    with pytest.raises(ValueError, match="the Trainer has no validation data to choose on"):
        trainer.fit()
