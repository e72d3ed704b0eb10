"""`minift bench`: what it measures it says, writes and draws; what spoils a figure it warns of."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from minift.bench import contest, machine, report
from minift.bench.workloads import WORKLOADS
from minift.cli import main

POOL = {"user_api": "blas", "internal_api": "openblas", "version": "0.3.31",
        "architecture": "SkylakeX", "num_threads": 2}  # fmt: skip


def turns(seconds, mib=50.0):
    return [{"seconds": s, "mib": mib, "before": 30.0} for s in seconds]


BESIDE = {
    "minift": turns([0.5, 1.0, 1.0]),
    "PyTorch": turns([1.0, 2.0, 1.5], 400.0),
    "PyTorch again": turns([1.0, 2.0, 1.5], 400.0),
}


def fake_compete(name, entries, rounds, threads):
    return {who: turns([2.0] * rounds, 40.0 if who == "minift" else 400.0) for who in entries}


def without_torch(monkeypatch):
    monkeypatch.setattr(report.importlib.util, "find_spec", lambda name: None)


# ---- figures ------------------------------------------------------------------------------------


def test_rates_are_of_units_and_ratios_of_rounds():
    figures = report.figures_of(WORKLOADS["W8-scale"], BESIDE)
    assert figures["minift"]["per_second"] == 100  # a step of a second is 100 ops
    assert figures["minift"]["tokens_per_second"] is None
    assert figures["time_ratio"] == 0.5
    assert figures["time_ratio_range"] == [0.5, pytest.approx(2 / 3)]
    assert figures["memory_ratio"] == 0.125
    assert report.figures_of(WORKLOADS["W2"], BESIDE)["minift"]["tokens_per_second"] == 2048


def test_the_inference_counts_a_pass_over_all_texts():
    figures = report.figures_of(WORKLOADS["W5"], {**BESIDE, "minift": turns([1.0, 1.0, 1.0])})
    assert figures["minift"]["seconds"] == pytest.approx(7)
    assert figures["minift"]["tokens_per_second"] == WORKLOADS["W5"].tokens


def test_a_line_reads_like_the_header(capsys, monkeypatch):
    monkeypatch.setattr(report.importlib.util, "find_spec", lambda name: "there")
    found = report.measure(["W2"], 2, 1, by=fake_compete)
    head, names, said = capsys.readouterr().out.rstrip("\n").split("\n")
    assert head.split() == ["a", "second", "tokens", "a", "second", "MiB"]
    assert names.split() == ["minift", "PyTorch"] * 3 + ["time", "ratio", "MiB", "A/A"]
    assert said.startswith(WORKLOADS["W2"].title)
    assert said.split()[-11:] == [
        "steps", "0.50", "0.50", "1,024", "1,024", "40", "400", "1.00", "[1.00-1.00]", "0.10",
        "1.00",
    ]  # fmt: skip
    assert found["W2"]["control"] == 1


def test_without_pytorch_minift_is_its_own_control(capsys, monkeypatch):
    without_torch(monkeypatch)
    assert set(report.entries()) == {"minift", "minift again"}
    found = report.measure(["W2"], 2, 1, by=fake_compete)
    assert "PyTorch" not in capsys.readouterr().out
    assert set(found["W2"]) == {"title", "unit", "control", "minift"}


def test_a_busy_machine_is_said_to_be_one():
    busy = {**BESIDE, "PyTorch again": turns([1.2, 2.4, 1.8], 400.0)}
    assert "unsure: the machine was busy" in report.line(report.figures_of(WORKLOADS["W1"], busy))
    assert "unsure" not in report.line(report.figures_of(WORKLOADS["W1"], BESIDE))


# ---- the machine --------------------------------------------------------------------------------


def test_blas_is_told_with_its_kernels_and_threads():
    assert machine.described(POOL) == "openblas 0.3.31, SkylakeX kernels, 2 threads"
    bare = {"internal_api": "mkl", "version": None, "num_threads": 1}
    assert machine.described(bare) == "mkl, 1 thread"


@pytest.mark.parametrize("kernels", ["Prescott", "Core2", "generic"])
def test_kernels_of_an_old_processor_are_warned_of(monkeypatch, kernels):
    monkeypatch.setattr(machine, "blas_pools", lambda: [{**POOL, "architecture": kernels}])
    monkeypatch.setattr(machine, "has_avx2", lambda: True)
    said = machine.warning()
    assert f"does not know this processor and runs its {kernels} kernels" in said
    assert "pip install --upgrade numpy" in said
    monkeypatch.setattr(machine, "has_avx2", lambda: False)
    assert machine.warning() is None  # they are the right ones there


def test_kernels_that_fit_are_not_warned_of(monkeypatch):
    monkeypatch.setattr(machine, "has_avx2", lambda: True)
    monkeypatch.setattr(machine, "blas_pools", lambda: [POOL])
    assert machine.warning() is None


def test_lines_of_the_machine_name_what_is_missing():
    facts = {"processor": "X", "cores": 2, "system": "Linux x86_64", "python": "3.12", "threads": 2,
             "numpy": "2.4", "torch": None, "blas": []}  # fmt: skip
    said = report.machine_lines(facts)
    assert "no PyTorch: pip install torch" in said
    assert "BLAS: of an unknown name" in said


# ---- the command --------------------------------------------------------------------------------


@pytest.mark.parametrize("beside", [True, False])
def test_the_command_prints_writes_and_draws(capsys, tmp_path, monkeypatch, beside):
    asked = []

    def compete(name, entries, rounds, threads):
        asked.append((name, rounds, threads))
        return fake_compete(name, entries, rounds, threads)

    monkeypatch.setattr(report.measure, "__defaults__", (compete,))
    spec = (lambda name: name) if beside else (lambda name: None)
    monkeypatch.setattr(report.importlib.util, "find_spec", spec)
    monkeypatch.setattr(machine, "warning", lambda: "NumPy is old")
    words = ["bench", "--rounds", "3", "--threads", "1", "--output", str(tmp_path / "b")]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "WARNING: NumPy is old" in out
    assert out.endswith(f"{tmp_path / 'b'} holds bench.json, bench.png\n")
    assert asked == [(name, 3, 1) for name in report.CHOSEN]
    result = json.loads((tmp_path / "b" / "bench.json").read_text())
    assert (result["threads"], result["rounds"]) == (1, 3)
    assert set(result["workloads"]) == set(report.CHOSEN)
    assert ("time_ratio" in result["workloads"]["W1"]) is beside
    assert (tmp_path / "b" / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_quick_really_measures(capsys, tmp_path, monkeypatch):
    without_torch(monkeypatch)
    assert (
        main(["bench", "--quick", "--rounds", "1", "--threads", "1", "--output", str(tmp_path)])
        == 0
    )
    found = json.loads((tmp_path / "bench.json").read_text())["workloads"]
    assert set(found) == set(report.QUICK)
    assert all(figures["minift"]["per_second"] > 0 for figures in found.values())


def test_a_contestant_that_dies_fails_the_command(capfd, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "entries", lambda: {"minift": contest.Entry("minift.gone")})
    assert main(["bench", "--quick", "--output", str(tmp_path)]) == 1
    said = capfd.readouterr().err
    assert said.endswith("minift: bench: a contestant died with exit code 1\n")


def test_a_folder_that_cannot_be_made_is_refused(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert main(["bench", "--output", str(tmp_path / "file" / "x")]) == 2
    reason = "Not a directory" if sys.platform != "win32" else ""
    assert capsys.readouterr().err.startswith(f"minift: bench: {tmp_path}/file/x: {reason}")


def test_it_needs_no_checkout():
    """Nothing of what it runs lies outside the package."""
    folder = Path(report.__file__).parent
    assert all("benchmarks" not in line.split("`")[0]
               for file in folder.glob("*.py") for line in file.read_text().splitlines()
               if "import" in line)  # fmt: skip
