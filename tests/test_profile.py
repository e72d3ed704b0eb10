"""A profile finds the layer and the op in which time and memory went, and leaves nothing behind."""

from __future__ import annotations

import gc
import json
import threading
import time
import tracemalloc

import numpy as np
import pytest

import minift as mf
from minift import functional as F
from minift import nn
from minift.autograd import Op
from minift.cli import main
from minift.nn import Module
from minift.optim import Optimizer
from minift.plot import flame as picture
from minift.profiling import recorder
from minift.profiling.report import Cost, Report, layer_of
from minift.tensor import Tensor

PAUSE = 0.02
HOOKS = ((Op, "__call__"), (Module, "__call__"), (Tensor, "backward"), (Optimizer, "step"))


@mf.op
def slow(x):
    time.sleep(PAUSE)

    def back(g):
        time.sleep(2 * PAUSE)
        return g * 1.0

    return x * 1.0, (back,)


@mf.op
def large(x):
    """Passes x on; holds 4 MiB for the way back and takes 8 more for a while."""
    held, passing = np.zeros((1 << 20,), np.float32), np.zeros((1 << 21,), np.float32)
    del passing
    return x * 1.0, (lambda g: g + held[0],)


class Inner(Module):
    def __init__(self, act):
        self.linear, self.act = nn.Linear(4, 4), act

    def forward(self, x):
        return self.act(self.linear(x))


class Net(Module):
    def __init__(self, act=F.relu):
        self.layer = [Inner(F.relu), Inner(act)]

    def forward(self, x):
        for layer in self.layer:
            x = layer(x)
        return x


def train(model, steps=1):
    optimizer = mf.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        model(mf.ones(2, 4)).sum().backward()
        optimizer.step()


def place(report, *path):
    return report.costs[path]


# ---- what it finds ------------------------------------------------------------------------------


def test_time_is_found_where_it_was_spent():
    with mf.profile() as report:
        train(Net(slow), steps=5)
    names = "Net", "layer.1", "slow()"
    forward, backward = place(report, "forward", *names), place(report, "backward", *names)
    assert forward.calls == backward.calls == 5
    assert forward.seconds >= 5 * PAUSE
    assert backward.seconds >= 10 * PAUSE
    assert place(report, "forward", "Net", "layer.1").seconds < PAUSE  # it is the op's
    assert place(report, "backward").seconds < PAUSE  # the walk's own
    top = report.by_op()[0]
    assert (top["name"], top["calls"]) == ("slow()", 5)
    assert report.by_layer()[0]["name"] == "Net.layer.*"
    phases = report.phases()
    assert phases["backward"] > phases["forward"] > phases["optimizer"] > 0
    assert phases["inference"] == 0
    assert report.seconds >= report.rest >= 0


def test_memory_is_found_where_it_was_taken():
    with mf.profile() as report:
        train(Net(large), steps=5)
    cost = place(report, "forward", "Net", "layer.1", "large()")
    assert cost.kept / 2**20 == pytest.approx(4, abs=0.1)
    assert cost.peak / 2**20 == pytest.approx(12, abs=0.1)
    assert place(report, "forward", "Net").peak >= cost.peak
    assert place(report, "forward", "Net", "layer.0", "relu()").peak < 2**16
    assert (cost.traced_calls, cost.clean_calls) == (3, 2)


def test_every_op_of_the_forward_is_found_again_in_the_backward():
    with mf.profile() as report:
        train(Net())
    forward = {path[1:] for path in report.costs if path[0] == "forward" and path[-1][-1] == ")"}
    backward = {path[1:] for path in report.costs if path[0] == "backward" and path[-1][-1] == ")"}
    assert backward == forward - {("Net", "layer.0", "linear", "transpose()")}
    assert ("Net", "layer.0", "linear", "linear()") in forward
    assert ("sum()",) in forward
    assert ("optimizer", "SGD") in report.costs


def test_a_profile_is_taken_on_every_device(device):
    model = Net().to(device)
    with mf.profile() as report:
        model(mf.Tensor(np.ones((2, 4), np.float32), device=device)).sum().backward()
    assert place(report, "backward", "Net", "layer.0", "linear", "linear()").seconds > 0


def test_inference_is_a_phase_of_its_own():
    with mf.profile() as report, mf.no_grad():
        Net()(mf.ones(2, 4))
    assert {path[0] for path in report.costs} == {"inference"}


def test_a_recomputed_layer_works_in_the_backward():
    model = Net(slow)
    model.recompute("layer.*")
    with mf.profile() as report:
        train(model)
    inside = [path for path in report.costs if path[-1] == "slow()"]
    assert {path[0] for path in inside} == {"forward", "backward"}
    assert all(path[1:3] == ("Net", "layer.1") for path in inside)


def test_a_model_inside_another_goes_by_its_place():
    config = mf.models.BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=8,
    )  # fmt: skip
    model = mf.models.BertForSequenceClassification(config)
    with mf.profile() as report:
        model(np.zeros((1, 4), int))
    assert ("forward", "BertForSequenceClassification", "bert", "pooler") in report.costs


def test_a_clock_that_ran_under_tracing_is_heard_only_for_want_of_another():
    cost = Cost()
    cost.add(9.0, traced=True)
    assert (cost.calls, cost.seconds) == (1, 9.0)
    cost.add(1.0, traced=False)
    assert (cost.calls, cost.seconds) == (2, 2.0)


# ---- what it leaves behind ----------------------------------------------------------------------


def test_nothing_is_in_the_way_before_and_after():
    before = [getattr(owner, name) for owner, name in HOOKS]

    def broken_run():
        with mf.profile():
            assert [getattr(owner, name) for owner, name in HOOKS] != before
            train(Net())
            assert tracemalloc.is_tracing()
            raise LookupError

    with pytest.raises(LookupError):
        broken_run()
    assert [getattr(owner, name) for owner, name in HOOKS] == before
    assert not tracemalloc.is_tracing()
    with mf.profile():  # and another can be taken
        pass


def test_results_are_the_same_under_a_profile():
    outcomes = []
    for profiled in (False, True):
        mf.manual_seed(0)
        model = Net()
        if profiled:
            with mf.profile():
                train(model, steps=5)
        else:
            train(model, steps=5)
        outcomes.append(model.state_dict())
    for name, value in outcomes[0].items():
        np.testing.assert_array_equal(outcomes[1][name], value)


def test_models_are_not_kept_alive():
    with mf.profile():
        model = Net()
        train(model)
        gone = recorder.weakref.ref(model)
        del model
        gc.collect()
        assert gone() is None


def test_one_profile_at_a_time():
    with mf.profile(), pytest.raises(RuntimeError, match="a profile is being taken already"):
        recorder.profile().__enter__()


def test_other_threads_go_by_unseen():
    with mf.profile() as report:
        thread = threading.Thread(target=train, args=(Net(),))
        thread.start()
        thread.join()
    assert not report.costs


def test_gradients_of_gradients_work_under_a_profile():
    x = mf.Tensor([2.0], requires_grad=True)
    with mf.profile():
        (g,) = mf.grad((x * x * x).sum(), x, create_graph=True)
        (h,) = mf.grad(g.sum(), x)
    assert h.item() == 12


# ---- how it is told -----------------------------------------------------------------------------


def test_of_a_long_name_the_end_is_shown():
    cost = Cost()
    cost.add(1.0, traced=False)
    report = Report()
    report.costs["forward", "M" * 50, "dense", "add()"] = cost
    assert f"…{'M' * 37}.dense  " in str(report)


def test_layers_that_differ_in_a_number_are_one():
    assert layer_of(("forward", "Bert", "layer.0", "dense", "add()")) == "Bert.layer.*.dense"
    assert layer_of(("forward", "Bert", "layer.11")) == "Bert.layer.*"
    assert layer_of(("forward", "sum()")) == "(outside layers)"
    assert layer_of(("backward",)) == "the tape's walk"
    assert recorder.segments("encoder.layer.0.output") == ("encoder", "layer.0", "output")


def test_the_tables_name_ten_and_add_up():
    with mf.profile() as report:
        train(Net(slow), steps=4)
    said = str(report).splitlines()
    assert " s: forward " in said[0]
    tables = [line.split() for line in said if line.split()[-1:] == ["MiB"]]
    assert tables[0] == [
        "op", "forward", "backward", "optimizer", "seconds", "share", "calls", "kept", "MiB",
        "peak", "MiB",
    ]  # fmt: skip
    assert len(said) <= 25
    assert sum(row["share"] for row in report.by_op()) == pytest.approx(1)
    assert sum(row["share"] for row in report.by_layer()) == pytest.approx(1)
    assert str(Report()) == "profile: no op and no layer ran"


def test_all_is_written_and_drawn(tmp_path):
    with mf.profile() as report:
        train(Net(slow), steps=4)
    report.save(tmp_path)
    found = json.loads((tmp_path / "profile.json").read_text())
    slowest = found["places"][0]
    assert slowest["path"] == ["backward", "Net", "layer.1", "slow()"]
    assert slowest["seconds"] >= 8 * PAUSE
    assert found["phases"]["backward"] >= slowest["seconds"]
    assert (tmp_path / "profile.png").read_bytes().startswith(b"\x89PNG")
    whole = picture.blocks_of(report)
    assert list(whole.inside) == ["forward", "backward", "optimizer"]
    assert whole.seconds == pytest.approx(sum(report.phases().values()))
    assert whole.inside["forward"].depth == 5  # Net, layer.1, linear, linear()


# ---- the command --------------------------------------------------------------------------------


@pytest.fixture
def model_folder(tmp_path):
    from minift.data import WordPieceTokenizer

    tokenizer = WordPieceTokenizer.train(["a small cat", "a big dog"] * 2, 60)
    config = mf.models.BertConfig(
        vocab_size=tokenizer.vocab_size, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=16,
    )  # fmt: skip
    mf.models.BertForSequenceClassification(config).save_pretrained(tmp_path / "model", tokenizer)
    return tmp_path / "model"


def test_a_fine_tuning_is_profiled(capsys, tmp_path, model_folder):
    rows = "".join(f"{'a cat' if i % 2 else 'a dog'} {i},{i % 2}\n" for i in range(40))
    (tmp_path / "rows.csv").write_text("text,label\n" + rows)
    words = (
        f"profile --output {tmp_path}/profile finetune --model {model_folder} --epochs 1 "
        f"--data {tmp_path}/rows.csv --text text --label label --output {tmp_path}/run --device cpu"
    )
    assert main(words.split()) == 0
    out = capsys.readouterr().out
    assert "\nlayer  " in out
    assert out.endswith(f"{tmp_path}/profile holds profile.json, profile.png\n")
    found = json.loads((tmp_path / "profile" / "profile.json").read_text())
    layers, phases = {row["name"] for row in found["layers"]}, found["phases"]
    assert "BertForSequenceClassification.bert.encoder.layer.*.intermediate" in layers
    assert min(phases.values()) > 0, phases
    assert (tmp_path / "run" / "metrics.json").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "profile: name the command, as in minift profile quickstart --quick"),
        (["bench"], "profile: minift bench works in processes of its own, which are not seen"),
        (["quikstart"], "unknown command 'quikstart'; did you mean 'quickstart'?"),
        (["doctor"], "profile: minift doctor ran no op, so there is nothing to tell"),
    ],
)
def test_mistakes_are_one_sentence(capsys, tmp_path, words, sentence):
    assert main(["profile", "--output", str(tmp_path), *words]) == 2
    assert capsys.readouterr().err == f"minift: {sentence}\n"
    assert not list(tmp_path.iterdir())


def test_a_command_that_refuses_keeps_its_sentence_and_code(capsys, tmp_path):
    words = ["profile", "--output", str(tmp_path), "predict", "--model", "no", "--text", "cat"]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("minift: predict: ")
    assert said.count("\n") == 1
