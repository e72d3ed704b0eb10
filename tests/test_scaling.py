"""Cost against size: exponents and bends are read off times that are known; memory stays flat."""

import json

import pytest

from benchmarks import scaling


def test_the_exponent_of_a_power_is_found():
    found = scaling.curve((1, 2, 4, 8, 16), [3.0 * size**1.5 for size in (1, 2, 4, 8, 16)])
    assert found["exponent"] == pytest.approx(1.5)
    assert found["slopes"] == pytest.approx([1.5] * 4)


def test_overhead_below_and_a_square_above_bend_where_they_meet():
    sizes = (1, 2, 4, 8, 16)
    found = scaling.curve(sizes, [1.0, 1.0, 1.0, 4.0, 16.0])
    assert found["bend"] == 4
    assert (found["below"], found["above"]) == pytest.approx((0, 2))
    said = scaling.curve_lines("tokens", found)
    assert "1: 1000.0 ms" in said
    assert "it bends at 4: ^0.00 below, ^2.00 above" in said


def test_memory_of_training_is_flat():
    found = scaling.memory(steps=30, window=10)
    assert len(found["peaks"]) == 3
    assert found["objects in cycles"] == 0
    assert found["growth"][0] < scaling.FLAT
    assert scaling.memory_line(found).endswith(": flat")


def test_a_step_that_keeps_something_is_not_flat(monkeypatch):
    kept = []

    def leaking(**sizes):
        return lambda: kept.append(bytearray(10_000))

    monkeypatch.setattr(scaling, "training_step", leaking)
    assert scaling.memory_line(scaling.memory(30, 10)).endswith(": not flat")


def test_cycles_are_not_flat(monkeypatch):
    def cycle():
        loop = []
        loop.append(loop)

    monkeypatch.setattr(scaling, "training_step", lambda **sizes: cycle)
    found = scaling.memory(30, 10)
    assert found["objects in cycles"] == 30
    assert scaling.memory_line(found).endswith(": not flat")


def test_times_of_imports_are_those_of_fresh_processes():
    found = scaling.imports(rounds=1)
    assert found["minift"] > 0
    assert scaling.import_line({"numpy": 0.1, "minift": 0.25}) == (
        "import  numpy 0.10 s, minift 0.25 s"
    )


def test_a_run_prints_writes_and_draws(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scaling, "SIZES", {"tokens": (2, 4, 8), "layers": (1, 2, 3)})
    monkeypatch.setattr(scaling, "BASE", {"tokens": 2, "width": 32, "layers": 1, "batch": 1})
    monkeypatch.setattr(scaling.mf, "set_num_threads", lambda n: None)  # of this process
    data, picture = tmp_path / "a.json", tmp_path / "a.png"
    words = ["tokens", "layers", "--rounds", "1", "--threads", "1"]
    scaling.main([*words, "--json", str(data), "--picture", str(picture)])
    assert list(json.loads(data.read_text())) == ["tokens", "layers"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "time ~ tokens^" in capsys.readouterr().out


def test_an_unknown_word_is_named(capsys):
    with pytest.raises(SystemExit):
        scaling.main(["depth"])
    said = capsys.readouterr().err
    assert "unknown 'depth'; there are tokens, width, layers, batch, memory, import" in said
