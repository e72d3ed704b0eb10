"""A loss that is NaN or infinite ends training with the step, the op and the layer that made it."""

import numpy as np
import pytest

from minift import nn, ops
from minift.autograd import Op
from minift.backend import random
from minift.data import ArrayDataset
from minift.nn import Module
from minift.tensor import Tensor
from minift.train import Callback, Checkpoint, TrainConfig, Trainer

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's own, at the first run


class Block(Module):
    def __init__(self, act):
        self.linear, self.act = nn.Linear(3, 3), act

    def forward(self, x):
        return self.act(self.linear(x))


class Net(Module):
    """Four layers; the one at `place` ends with `act`."""

    def __init__(self, act=ops.tanh, place=2):
        random.manual_seed(0)
        self.layer = [Block(act if i == place else ops.tanh) for i in range(4)]
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        for layer in self.layer:
            x = self.dropout(layer(x))
        return x


def objective(model, batch):
    loss = model(Tensor(batch["x"], device=model.layer[0].linear.weight.device)).sum()
    return loss, {"loss": loss.item()}


def build(model, device="cpu", callbacks=(), values=1.0, **config):
    data = ArrayDataset(x=np.full((8, 3), values, np.float32))
    settings = {"steps": 6, "batch_size": 4, "lr": 1e-3, **config}
    return Trainer(model, data, objective=objective,
                   config=TrainConfig(device=device, **settings), callbacks=callbacks)  # fmt: skip


def assert_stops(trainer, message):
    """With this sentence, all weights and the way ops are called as they were."""
    before, calls = trainer.model.state_dict(), (Op.__call__, Module.__call__)
    with pytest.raises(FloatingPointError, match=message):
        trainer.fit()
    for name, weight in trainer.model.state_dict().items():
        np.testing.assert_array_equal(weight, before[name])
    assert calls == (Op.__call__, Module.__call__)


def test_the_op_and_the_layer_that_made_it_are_named(device):
    assert_stops(
        build(Net(lambda x: ops.log(x - 10)), device),
        r"step 1: the loss is nan; the first value that is not finite was made by log in "
        r"layer\.2\. No weight was changed by this step; a lower learning rate, gradient clipping",
    )
    assert_stops(
        build(Net(lambda x: ops.exp(x + 1000), 3), device),
        r"loss is (inf|nan); .* exp in layer\.3\.",
    )


def test_the_first_of_many_is_named():
    twice = Net(lambda x: ops.log(x - 10), place=1)
    twice.layer[3].act = lambda x: ops.log(x - 10)
    assert_stops(build(twice), r"made by log in layer\.1\.")


def test_an_infinity_that_the_loss_does_not_depend_on_is_not_blamed():
    def masked(x):
        hidden = ops.where(np.array([True, False, False]), x, -float("inf"))
        return ops.softmax(hidden)

    model = Net(masked, place=0)
    model.layer[2].act = lambda x: ops.sqrt(x - 10)
    assert_stops(build(model), r"made by sqrt in layer\.2\.")


def test_it_is_found_inside_a_layer_that_is_computed_twice():
    model = Net(lambda x: ops.log(x - 10))
    model.recompute("layer.*")
    assert_stops(build(model), r"made by log in layer\.2\.")


def test_a_gradient_that_is_not_finite_is_named_by_its_op(device):
    trainer = build(Net(lambda x: ops.sqrt(x * 0)), device)
    assert_stops(
        trainer,
        r"step 1: the gradient's length is (nan|inf); the first value that is not finite was made "
        r"by the derivative of sqrt in layer\.2\. No weight",
    )


def test_data_that_are_not_finite_are_named():
    assert_stops(build(Net(), values=np.nan), "the loss is nan; the batch's x is not finite. No we")


def test_a_weight_that_was_lost_before_is_named_without_clipping():
    class Spoil(Callback):
        def on_step_end(self, trainer):
            trainer.model.layer[1].linear.bias.data[1] = np.nan

    trainer = build(Net(), callbacks=[Spoil()], max_grad_norm=None)
    with pytest.raises(
        FloatingPointError, match=r"step 2: .*layer\.1\.linear\.bias was not finite be"
    ):
        trainer.fit()


def test_what_is_drawn_in_the_step_is_drawn_again_when_it_is_looked_at():
    """Dropout of 1 of 2 values: only some masks divide by zero, so another draw would be finite."""
    masks = []

    class Rare(Net):
        def forward(self, x):
            kept = self.dropout(self.layer[0](x) * 0 + 1)
            masks.append(kept.numpy().copy())
            return 1 / (kept[0] + kept[1] + kept[2] + kept[3])

    trainer = build(Rare(), steps=500)
    with pytest.raises(FloatingPointError, match=r"loss is inf; .* made by \w+ in Rare\."):
        trainer.fit()
    np.testing.assert_array_equal(masks[-1], masks[-2])


def test_what_does_not_come_again_is_said_so():
    losses = iter([float("nan")])

    def once(model, batch):
        loss = model(Tensor(batch["x"])).sum() * next(losses, 1.0)
        return loss, {"loss": loss.item()}

    trainer = build(Net())
    trainer.objective = once
    assert_stops(trainer, "run again, all values were finite, so something outside the model is ra")


def test_the_last_good_checkpoint_stays(tmp_path):
    class Spoil(Callback):
        def on_step_end(self, trainer):
            if trainer.step == 4:
                trainer.model.layer[2].act = lambda x: ops.log(x - 10)

    trainer = build(Net(), callbacks=[Checkpoint(tmp_path, every=2), Spoil()])
    with pytest.raises(FloatingPointError, match="step 5: the loss is nan"):
        trainer.fit()
    again = build(Net(), callbacks=[Checkpoint(tmp_path, every=2), Spoil()]).resume(tmp_path)
    assert again.step == 4
    assert len(again.fit()["loss"]) == 6
