"""Module: the walk, saving and loading, modes, freezing."""

import contextlib
import re

import numpy as np
import pytest

from minift import nn
from minift.tensor import Tensor


class Block(nn.Module):
    def __init__(self):
        self.dense = nn.Linear(3, 3)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        return self.dropout(self.dense(x))


class Net(nn.Module):
    """A list, a tuple, a dict, a buffer, a shared weight, a module that is None."""

    def __init__(self):
        self.blocks = [Block(), Block()]
        self.pair = (nn.Linear(3, 2, bias=False), "a string")
        self.named = {"norm": nn.LayerNorm(3)}
        self.running_mean = Tensor(np.zeros(3, np.float32))
        self.output = {"weight": self.pair[0].weight}
        self.head = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1))
        self.nothing = None


NAMES = [
    "blocks.0.dense.weight",
    "blocks.0.dense.bias",
    "blocks.1.dense.weight",
    "blocks.1.dense.bias",
    "pair.0.weight",
    "named.norm.weight",
    "named.norm.bias",
    "head.0.weight",
    "head.0.bias",
]


def trainable(module):
    return [name for name, p in module.named_parameters() if p.requires_grad]


# --------------------------------------------------------------------------------------- the walk


def test_parameters_are_found_in_lists_tuples_dicts_in_order_and_shared_ones_once():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert [id(p) for p in net.parameters()] == [id(p) for _, p in net.named_parameters()]


def test_a_shared_parameter_has_all_its_paths():
    tensors = Net().named_tensors()
    assert tensors["output.weight"] is tensors["pair.0.weight"]


def test_buffers_are_no_parameters_but_saved():
    state = Net().state_dict()
    assert list(state) == [*NAMES[:7], "running_mean", *NAMES[7:]]
    assert "output.weight" not in state


def test_modules_and_children():
    net = Net()
    assert [type(m).__name__ for m in net.children()] == [
        *("Block", "Block", "Linear", "LayerNorm", "Sequential")
    ]
    assert net.modules()[0] is net
    assert sum(isinstance(m, nn.Dropout) for m in net.modules()) == 3


def test_a_module_that_contains_itself_is_refused():
    net = Net()
    net.blocks[0].parent = net
    with pytest.raises(ValueError, match=r"blocks\.0\.parent leads back to a module that contains"):
        net.parameters()


def test_a_plain_tensor_that_requires_grad_is_refused():
    net = Net()
    net.forgotten = Tensor(np.ones(2, np.float32), requires_grad=True)
    with pytest.raises(ValueError, match=r"forgotten is a plain Tensor that requires grad; wrap"):
        net.parameters()


def test_two_tensors_under_one_path_are_refused():
    net = nn.Module()
    net.parts = {"a.b": nn.Parameter(np.ones(1)), "a": {"b": nn.Parameter(np.ones(1))}}
    with pytest.raises(ValueError, match=r"two tensors share the path parts\.a\.b"):
        net.state_dict()


def test_a_module_without_forward_says_so():
    with pytest.raises(TypeError, match=r"Net defines no forward\(\), so it cannot be called"):
        Net()(1)


# -------------------------------------------------------------------------------------- save, load


def test_a_state_round_trips_and_is_a_copy(device):
    net, other = Net().to(device), Net().to(device)
    state = net.state_dict()
    report = other.load_state_dict(state)
    assert report.loaded == list(state)
    assert report.problems() == []
    assert report.renamed == []
    for name, value in other.state_dict().items():
        np.testing.assert_array_equal(value, state[name])
    state["pair.0.weight"] += 1
    assert not np.array_equal(net.pair[0].weight.numpy(), state["pair.0.weight"])


def test_loading_writes_into_the_same_parameters(device):
    net = Net().to(device)
    weight, memory = net.pair[0].weight, net.pair[0].weight.data
    net.load_state_dict({**net.state_dict(), "pair.0.weight": np.full((2, 3), 7.0)})
    assert net.pair[0].weight is weight
    assert weight.data is memory
    assert weight.dtype == np.float32
    assert (memory == 7).all()
    assert weight.requires_grad


def test_loading_lists_everything_that_does_not_fit_and_writes_nothing():
    net = Net()
    before = net.state_dict()
    state = {name: value + 1 for name, value in before.items()}
    del state["head.0.bias"]
    state["head.9.bias"] = np.zeros(2)
    state["pair.0.weight"] = np.zeros((3, 2))
    state["named.norm.bias"] = np.array(["a", "b", "c"])
    with pytest.raises(ValueError, match="the state does not fit Net") as caught:
        net.load_state_dict(state)
    for line in (
        "missing: head.0.bias",
        "unexpected: head.9.bias",
        "mismatched: pair.0.weight: expected shape (2, 3), got (3, 2)",
        "mismatched: named.norm.bias: expected float32 values, got <U1",
    ):
        assert line in str(caught.value)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_loading_without_strict_takes_what_fits_and_reports_the_rest():
    net = Net()
    state = {"head.0.bias": np.ones(2), "other": np.ones(1), "head.0.weight": np.ones(5)}
    report = net.load_state_dict(state, strict=False)
    assert report.loaded == ["head.0.bias"]
    assert report.unexpected == ["other"]
    assert report.mismatched == [("head.0.weight", "expected shape (2, 2), got (5,)")]
    assert "running_mean" in report.missing
    assert "head.0.weight" not in report.missing
    assert (net.head[0].bias.numpy() == 1).all()
    assert str(report).startswith("loaded 1 tensors\nmissing: blocks.0.dense.weight\n")


def test_the_second_path_of_a_shared_weight_loads_it_and_is_reported():
    net = Net()
    state = net.state_dict()
    state["output.weight"] = state.pop("pair.0.weight") + 1
    report = net.load_state_dict(state)
    assert report.renamed == [("output.weight", "pair.0.weight")]
    np.testing.assert_array_equal(net.pair[0].weight.numpy(), state["output.weight"])
    assert "renamed: output.weight -> pair.0.weight" in str(report)


def test_tied_weights_with_two_values_are_refused():
    net = Net()
    state = net.state_dict()
    state["output.weight"] = state["pair.0.weight"].copy()
    net.load_state_dict(state)
    state["output.weight"] += 1
    with pytest.raises(ValueError, match=r"output\.weight: is tied to pair\.0\.weight, but the"):
        net.load_state_dict(state)


# ------------------------------------------------------------------------------- mode and freezing


def dropouts(net):
    return [m.training for m in net.modules() if isinstance(m, nn.Dropout)]


def test_train_and_eval_reach_every_module_and_return_the_module():
    net = Net()
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    assert net.train() is net
    assert all(module.training for module in net.modules())


def test_evaluating_rests_all_and_restores_each_module_even_after_an_error():
    net = Net().train()
    net.blocks[0].eval()
    with net.evaluating():
        assert dropouts(net) == [False, False, False]
    assert dropouts(net) == [False, True, True]
    with contextlib.suppress(KeyError), net.evaluating():
        raise KeyError
    assert dropouts(net) == [False, True, True]


def test_freezing_names_what_it_touched_by_parameter_or_enclosing_path():
    net = Net()
    assert net.freeze("blocks.0") == NAMES[:2]
    assert net.freeze("*.bias") == [n for n in NAMES if n.endswith("bias")]
    assert trainable(net) == [n for n in NAMES[2:] if not n.endswith("bias")]
    assert net.unfreeze() == NAMES
    assert trainable(net) == NAMES


def test_freezing_does_not_match_half_a_name():
    net = nn.Module()
    net.layer = {str(i): nn.Linear(1, 1) for i in (1, 11)}
    assert net.freeze("layer.1") == ["layer.1.weight", "layer.1.bias"]


def test_a_shared_weight_is_frozen_under_any_of_its_paths():
    assert Net().freeze("output") == ["pair.0.weight"]


def test_a_pattern_that_names_nothing_raises_with_the_nearest_names():
    with pytest.raises(
        ValueError, match=r"no parameter of Net matches 'block\.0'; nearest names: .*blocks\.0"
    ):
        Net().freeze("block.0")
    with pytest.raises(ValueError, match=r"matches 'zzzz'; names begin like blocks\.0\.dense"):
        Net().unfreeze("zzzz")
    with pytest.raises(ValueError, match=r"Dropout has no parameters, so there is nothing"):
        nn.Dropout().freeze()


def test_a_frozen_block_rests_as_a_whole_in_train_mode():
    net = Net().train()
    net.freeze("blocks.1")
    assert dropouts(net) == [True, False, True]
    assert not net.blocks[1].training
    assert net.training
    net.eval().train()
    assert dropouts(net) == [True, False, True]
    net.unfreeze("blocks")
    assert dropouts(net) == [True, True, True]


def test_unfreezing_in_eval_mode_does_not_start_dropout():
    net = Net().eval()
    net.freeze("blocks.0")
    net.unfreeze("blocks.0")
    assert dropouts(net) == [False, False, False]


def test_train_sees_weights_that_were_frozen_one_by_one():
    net = Net()
    for parameter in net.blocks[0].parameters():
        parameter.requires_grad = False
    assert dropouts(net.train()) == [False, True, True]


def test_a_frozen_block_gives_the_same_output_twice(device):
    block = Block().to(device).train()
    x = Tensor(np.ones((50, 3), np.float32), device=device)
    assert not np.array_equal(block(x).numpy(), block(x).numpy())
    block.freeze()
    np.testing.assert_array_equal(block(x).numpy(), block(x).numpy())


def test_setting_requires_grad_on_a_module_points_to_freeze():
    message = re.escape("use module.freeze(pattern) or module.unfreeze(pattern)")
    with pytest.raises(AttributeError, match=message):
        Net().requires_grad = False
    assert not hasattr(Net(), "requires_grad")


def test_to_keeps_the_parameters_themselves_and_names_a_bad_device(device):
    net = Net()
    before = [id(p) for p in net.parameters()]
    assert net.to(device) is net
    assert [id(p) for p in net.parameters()] == before
    assert {p.device for p in net.parameters()} == {device}
    with pytest.raises(ValueError, match='device must be "cpu" or "cuda", got \'tpu\''):
        net.to("tpu")


# ---------------------------------------------------------------------------------------- printing


def test_the_summary_lists_every_parameter_and_the_totals():
    net = Net()
    net.freeze("blocks")
    lines = net.summary().splitlines()
    assert lines[0].split() == ["parameter", "shape", "values", "state"]
    assert lines[1].split() == ["blocks.0.dense.weight", "3", "×", "3", "9", "frozen"]
    assert lines[5].split() == ["pair.0.weight", "2", "×", "3", "6", "trainable"]
    assert lines[-1] == "42 parameters, 18 trainable, 24 frozen"
    assert repr(net) == "Net(42 parameters, 18 trainable, 24 frozen)"
