"""The benchmarks measure what they say: workloads, turns, verdicts. No time is tested."""

import json
import math
from functools import partial

import numpy as np
import pytest

from benchmarks import compare, peers
from benchmarks.goals import GOALS, reached
from minift import models
from minift.bench import contest, in_minift, workloads
from minift.bench.contest import Contestant, Entry
from minift.bench.workloads import PARTS, WORKLOADS, InParts

CHEAP = ("W1", "W2", "W6-256", "W8-scale", "W8-tanh", "W8-matmul", "W3-cached")


# ---- workloads ----------------------------------------------------------------------------------


def test_every_workload_has_a_builder_and_a_goal():
    assert set(WORKLOADS) == set(in_minift.BUILDERS) == set(GOALS)


@pytest.mark.parametrize("name", CHEAP)
def test_a_step_can_be_repeated(name):
    step = in_minift.BUILDERS[name]()
    first, second = step(), step()
    if first is not None and name[1] in "123":
        assert second < first  # a step of training lowers its loss


def test_parts_of_the_inference_make_up_all_texts():
    batches = workloads.buckets_of_text()
    parts = [batches[i::PARTS] for i in range(PARTS)]
    assert sum(len(ids) for part in parts for ids, _ in part) == 2000
    tokens = sum(int(mask.sum()) for _, mask in batches)
    assert tokens == pytest.approx(WORKLOADS["W5"].tokens * PARTS, rel=1e-3)


def test_a_turn_does_the_part_of_its_number():
    done = []
    step = InParts([partial(done.append, i) for i in range(3)])
    for step.turn in (0, 4, 2):
        step()
    assert done == [0, 1, 2]


def test_pytorch_has_the_same_builders():
    pytest.importorskip("torch")
    from minift.bench import in_torch

    assert set(in_torch.BUILDERS) == set(WORKLOADS)


def test_the_gpt_of_pytorch_writes_what_ours_writes():
    torch = pytest.importorskip("torch")
    from minift.bench import torch_nets

    sizes = {"words": 50, "width": 16, "layers": 2, "heads": 2, "wide": 32, "length": 24}
    theirs = torch_nets.GPT(sizes).eval()
    theirs.words.weight.data *= 0.3  # else a token is likeliest to be said again
    ours = models.GPT2LMHeadModel(
        models.GPT2Config(
            vocab_size=50, n_positions=24, n_embd=16, n_layer=2, n_head=2, n_inner=32,
            activation_function="gelu",
        )
    )  # fmt: skip
    state = {key: value.numpy() for key, value in theirs.state_dict().items()}
    names = {"words": "wte", "places": "wpe", "norm": "ln_f", "layers": "h", "norm1": "ln_1",
             "norm2": "ln_2", "qkv": "attn.c_attn", "mix": "attn.c_proj", "up": "mlp.c_fc",
             "down": "mlp.c_proj"}  # fmt: skip
    stored_across = {"qkv", "mix", "up", "down"}  # Conv1D keeps (in, out)
    renamed = {}
    for key, value in state.items():
        parts = key.split(".")
        across = parts[-2] in stored_across and value.ndim == 2
        path = ".".join(names.get(part, part) for part in parts)
        renamed[f"transformer.{path}"] = value.T if across else value
    ours.load_state_dict(renamed)
    prompt = np.array([3, 1, 4, 1, 5])
    written = ours.generate(prompt, 15, temperature=0)
    np.testing.assert_array_equal(
        written, theirs.generate(torch.tensor(prompt[None]), 15)[0].numpy()
    )
    assert len(set(written[5:])) > 1


# ---- turns --------------------------------------------------------------------------------------


def test_a_contestant_is_a_process_that_answers_with_time_and_memory():
    contestant = Contestant("W8-scale", Entry("minift.bench.in_minift"), threads=1)
    try:
        turn = contestant.turn(0)
    finally:
        contestant.close()
    assert 0 < turn["seconds"] < 10
    assert turn["mib"] >= turn["before"] > 10 or math.isnan(turn["mib"])
    assert contestant.process.returncode == 0


def test_a_contestant_that_dies_is_reported(capfd):
    with pytest.raises(RuntimeError, match="a contestant died with exit code 1"):
        Contestant("W8-scale", Entry("minift.no_such_module"), threads=1)
    assert "No module named 'minift.no_such_module'" in capfd.readouterr().err


def test_rounds_go_there_and_back(monkeypatch):
    said = []

    class Counted:
        def __init__(self, workload, entry, threads):
            self.name = entry.module

        def turn(self, number):
            said.append((number, self.name))
            return {"seconds": 1.0, "mib": 1.0, "before": 0.0}

        def close(self):
            said.append(self.name)

    monkeypatch.setattr(contest, "Contestant", Counted)
    turns = contest.compete("W1", {"a": Entry("A"), "b": Entry("B")}, rounds=2, threads=1)
    assert said == [(0, "A"), (0, "B"), (1, "B"), (1, "A"), "A", "B"]
    assert {who: len(each) for who, each in turns.items()} == {"a": 2, "b": 2}


# ---- verdicts and the table ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratio", "control", "word"),
    [(0.75, 1, "aim"), (0.9, 0.95, "must"), (0.91, 1.05, "missed"), (0.5, 1.11, "unsure"),
     (5, 0.89, "unsure"), (math.nan, 1, "")],
)  # fmt: skip
def test_a_verdict_needs_a_control_that_holds(ratio, control, word):
    assert reached(ratio, 0.9, 0.75, control) == word
    assert reached(ratio, None, None, control) == ""


def turns_of(seconds, mib):
    """Contestant -> turns, from seconds of each round and a peak."""
    return {
        who: [{"seconds": s, "mib": mib[who], "before": 10.0} for s in each]
        for who, each in seconds.items()
    }


SECONDS = {
    "minift": [0.5, 1.0, 2.0],  # the machine slows down by four, the ratios stay
    "PyTorch": [1.0, 2.0, 3.0],
    "PyTorch again": [1.0, 2.1, 3.0],
    "PyTorch fused": [0.5, 1.0, 2.0],
}
MIB = {"minift": 30.0, "PyTorch": 100.0, "PyTorch again": 100.0, "PyTorch fused": 90.0}


def test_ratios_are_taken_within_a_round():
    figures = compare.summary(WORKLOADS["W1"], GOALS["W1"], turns_of(SECONDS, MIB))
    assert figures["ratio"] == 0.5
    assert figures["range"] == [0.5, pytest.approx(2 / 3)]
    assert figures["control"] == 1.0
    assert figures["ratios"] == {"PyTorch": 0.5, "PyTorch fused": 1.0}
    assert figures["milliseconds"]["minift"] == 1000
    assert (figures["time"], figures["memory"]) == ("aim", "missed")
    assert figures["mib of the step"]["minift"] == 20


def test_a_time_is_of_one_unit():
    figures = compare.summary(WORKLOADS["W8-tanh"], GOALS["W8-tanh"], turns_of(SECONDS, MIB))
    assert figures["milliseconds"]["minift"] == 10  # 100 ops
    assert figures["memory"] == ""  # no goal


def fake_compete(memory_of_attention):
    def compete(name, entries, rounds, threads):
        seconds = {who: [1.0] * rounds for who in entries}
        T = int(name.partition("-")[2]) if name.startswith("W6") else 1
        peak = 10.0 + memory_of_attention(T)
        return turns_of(seconds, dict.fromkeys(entries, peak))

    return compete


def test_the_table_is_printed_line_by_line(capsys):
    names = compare.chosen(["W6", "W1"])
    assert names == ["W1", *(f"W6-{T}" for T in (256, 512, 1024, 2048, 4096))]
    found = compare.run(names, 2, 1, {}, by=fake_compete(lambda T: T / 8))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:6]] == names
    assert lines[0].split()[-3:] == ["0.25", "0.15", "missed"]
    assert "W6 memory      grows as T^1.00 in minift, T^1.00 in PyTorch: linear" in lines
    assert lines[-2:] == [
        "7 goals: 5 aims reached, 0 musts held",
        "missed: W1 (time), W1 (memory)",
    ]
    assert found["W1"]["ratios"]["PyTorch fused"] == 1


def test_attention_that_keeps_a_square_is_not_linear(capsys):
    compare.run(["W6-1024", "W6-4096"], 1, 1, {}, by=fake_compete(lambda T: T * T / 8))
    assert "grows as T^2.00 in minift, T^2.00 in PyTorch: missed" in capsys.readouterr().out


def test_a_workload_that_is_not_there_is_named(capsys):
    with pytest.raises(SystemExit) as stopped:
        compare.main(["W11"])
    assert stopped.value.code == 2
    assert "unknown workload 'W11'; there are W1, W2, " in capsys.readouterr().err
    assert compare.chosen(["W2"]) == ["W2"]  # and not its dropout
    assert compare.chosen(["W6-4096"]) == ["W6-4096"]


def test_all_figures_go_into_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(compare.run, "__defaults__", (fake_compete(lambda T: T),))
    compare.main(["W1", "--rounds", "3", "--threads", "1", "--json", str(tmp_path / "a.json")])
    result = json.loads((tmp_path / "a.json").read_text())
    assert result["rounds"] == 3
    assert result["machine"]["threads"] == 1
    assert len(result["workloads"]["W1"]["turns"]["minift"]) == 3
    assert "W1" in capsys.readouterr().out


# ---- peers --------------------------------------------------------------------------------------


def test_a_peer_that_cannot_be_imported_says_why():
    assert peers.why_not(peers.sys.executable, "no_such_peer") == (
        "ModuleNotFoundError: No module named 'no_such_peer'"
    )
    assert peers.why_not("/no/python", "x") == "/no/python: No such file or directory"


def test_peers_take_part_where_they_can(capsys):
    others = {"JAX": Entry("benchmarks.peers.in_jax")}
    assert set(compare.entries_of("W1", others)) == {*compare.OURS, "JAX"}
    assert set(compare.entries_of("W8-tanh", others)) == set(compare.OURS) - {"PyTorch fused"}
    compare.run(["W1", "W8-tanh"], 2, 1, others, by=fake_compete(lambda T: 1))
    out = capsys.readouterr().out
    assert out.count("beside: JAX 1e+03 ms (minift 1.00 of it), 11 MiB") == 1


@pytest.mark.parametrize("who", peers.MODULES)
def test_a_peer_that_is_installed_learns_the_same_task(who):
    if peers.why_not(peers.sys.executable, peers.MODULES[who]):
        pytest.skip(f"{who} is not installed")
    module = __import__(peers.MODULES[who], fromlist=["BUILDERS"])
    assert set(module.BUILDERS) == set(peers.CAN[who])
    step = module.BUILDERS["W1"]()
    losses = [step() for _ in range(5)]
    assert losses[0] == pytest.approx(math.log(10), abs=0.3)
    assert losses[-1] < losses[0]
