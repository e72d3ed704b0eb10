"""A recomputed layer: the same values, masks and gradients, from less memory."""

import tracemalloc

import numpy as np
import pytest

import minift as mf
from minift import nn, ops
from minift.backend import random
from minift.data import ArrayDataset
from minift.models import BertConfig, BertForSequenceClassification
from minift.nn import Module
from minift.objectives import Classification
from minift.tensor import Tensor
from minift.train import TrainConfig, Trainer

BERT = BertConfig(
    vocab_size=30, hidden_size=16, num_hidden_layers=3, num_attention_heads=2,
    intermediate_size=32, max_position_embeddings=8, num_labels=3,
)  # fmt: skip
IDS = np.random.default_rng(0).integers(5, 30, (4, 6))
MASK = np.array([[1] * 6, [1] * 6, [1] * 3 + [0] * 3, [1] * 4 + [0] * 2])
LAYERS = [f"bert.encoder.layer.{i}" for i in range(3)]


def bert(device, recompute, frozen=()):
    random.manual_seed(2)
    model = BertForSequenceClassification(BERT).to(device).train()
    for pattern in frozen:
        model.freeze(pattern)
    if recompute:
        assert model.recompute("bert.encoder.layer.*") == LAYERS
    return model


def gradients(model, device):
    """Value and gradients of a random projection; the numbers drawn next tell of the draws."""
    random.manual_seed(7)
    scores = model(IDS, attention_mask=MASK)
    g = np.random.default_rng(1).normal(size=scores.shape).astype(np.float32)
    scores.backward(Tensor(g, device=device))
    found = {name: p.grad for name, p in model.named_parameters()}
    numbers = {name: None if g is None else g.numpy() for name, g in found.items()}
    return scores.numpy(), numbers, random.next_key()


@pytest.mark.parametrize(
    "frozen",
    [(), ("bert.embeddings",), ("bert.embeddings", "bert.encoder.layer.[01]"), ("bert",)],
    ids=["nothing frozen", "inputs need no gradient", "two layers frozen", "body frozen"],
)
def test_values_masks_and_gradients_are_the_same_to_the_last_bit(device, frozen):
    plain = gradients(bert(device, False, frozen), device)
    less = gradients(bert(device, True, frozen), device)
    np.testing.assert_array_equal(less[0], plain[0])
    np.testing.assert_equal(less[1], plain[1])
    assert less[2] == plain[2]
    assert sum(g is not None for g in less[1].values()) >= 2


def test_dropout_is_on_in_that_comparison():
    model = bert("cpu", True)
    first, second = (model(IDS, attention_mask=MASK).numpy() for _ in range(2))
    assert (first != second).any()


def test_training_with_it_is_the_same_training(device):
    def run(recompute):
        data = ArrayDataset(input_ids=IDS, attention_mask=MASK, labels=IDS[:, 0] % 3)
        config = TrainConfig(steps=4, batch_size=2, accumulate=2, device=device, lr=1e-2)
        trainer = Trainer(bert(device, recompute), data, objective=Classification(), config=config)
        return trainer.fit()["loss"], trainer.model.state_dict()

    plain, less = run(False), run(True)
    assert plain[0] == less[0]
    np.testing.assert_equal(plain[1], less[1])


class Block(Module):
    """Of (B, C) it keeps (B, 8 C) more than once on the way."""

    def __init__(self, width):
        self.up, self.down = nn.Linear(width, 8 * width), nn.Linear(8 * width, width)

    def forward(self, x):
        return self.down(ops.tanh(self.up(x)))


def memory(recompute, layers=12, rows=2048, width=32):
    """(bytes held after the way forward, at most on the way back above that)."""
    model = nn.Sequential(*(Block(width) for _ in range(layers)))
    if recompute:
        model.recompute("*")
    for parameter in model.parameters():
        parameter.grad = Tensor(np.zeros(parameter.shape, np.float32))
    x = Tensor(np.ones((rows, width), np.float32))
    tracemalloc.start()
    loss = model(x).sum()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    loss.backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return held, peak - held


def test_memory_falls_as_the_theory_says():
    """Of each of 12 layers I = B C floats are kept, instead of A = 9 B C; the first is not ours."""
    one_input = 2048 * 32 * 4
    plain, plain_way_back = memory(False)
    less, way_back = memory(True)
    assert plain == pytest.approx((12 * 9 - 1) * one_input, rel=0.02)
    assert less == pytest.approx((12 - 1) * one_input, rel=0.02)
    assert way_back == pytest.approx(memory(True, layers=4)[1], rel=0.02)  # of one layer
    assert less + way_back < (plain + plain_way_back) / 2.5


def test_a_step_costs_one_forward_more_and_an_evaluation_none():
    calls = []

    class Counted(Block):
        def forward(self, x):
            calls.append(1)
            return super().forward(x)

    model = nn.Sequential(Counted(2), Counted(2))
    model.recompute()
    x = Tensor(np.ones((1, 2), np.float32))
    model(x).sum().backward()
    assert len(calls) == 4
    with mf.no_grad():
        model(x)
    assert len(calls) == 6


def test_keyword_arguments_and_arrays_arrive_as_they_were_given():
    class Masked(Module):
        def __init__(self):
            self.linear = nn.Linear(3, 3)

        def forward(self, x, mask=None, *, scale):
            assert isinstance(mask, np.ndarray)
            assert isinstance(scale, Tensor)
            return ops.where(mask, self.linear(x), 0.0) * scale

    found = []
    for on in (False, True):
        random.manual_seed(0)
        model = nn.Sequential(Masked())
        model.recompute(on=on)
        scale = Tensor(np.array([2.0, 3.0, 4.0], np.float32), requires_grad=True)
        masked = model[0](Tensor(np.ones((2, 3))), np.array([True, False, True]), scale=scale)
        masked.sum().backward()
        found.append([scale.grad.numpy(), model[0].linear.weight.grad.numpy()])
    np.testing.assert_equal(found[0], found[1])


# ---------------------------------------------------------------------------------------- mistakes


def test_a_pattern_that_names_no_module_raises_with_the_nearest():
    model = BertForSequenceClassification(BERT)
    with pytest.raises(
        ValueError, match=r"no module of Bert\w+ matches 'bert.encoder.layers'; near"
    ):
        model.recompute("bert.encoder.layers")


def test_a_weight_that_was_written_before_the_way_back_is_noticed():
    model = nn.Sequential(Block(2))
    model.recompute()
    loss = model(Tensor(np.ones((1, 2), np.float32))).sum()
    model[0].up.weight.data = model[0].up.weight.data * 2
    with pytest.raises(ValueError, match=r"recomputed needs its input of shape .* as it was"):
        loss.backward()


def test_gradients_of_gradients_are_refused_with_what_to_do():
    model = nn.Sequential(Block(2))
    model.recompute()
    x = Tensor(np.ones((1, 2), np.float32), requires_grad=True)
    with pytest.raises(ValueError, match=r"no gradients of gradients; call recompute\(pattern, on"):
        mf.grad(model(x).sum(), x, create_graph=True)
    model.recompute(on=False)
    mf.grad(model(x).sum(), x, create_graph=True)


def test_a_layer_that_returns_two_things_is_refused():
    class Two(Block):
        def forward(self, x):
            return x, x

    model = nn.Sequential(Two(2))
    model.recompute()
    with pytest.raises(
        TypeError, match="must return one Tensor, got tuple; recompute the layers in"
    ):
        model[0](Tensor(np.ones((1, 2))))
