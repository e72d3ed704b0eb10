"""`minift gpu-check`: what it refuses, what it writes down, and that a wrong GPU fails it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gpu import pretend

from benchmarks import gpu, gpu_kernels, gpu_steps
from benchmarks.gpu_costs import Cost, gemm
from benchmarks.gpu_plot import draw_crossover
from minift.backend import cuda
from minift.cli import gpu_check, main

TIMES = ("gpu_seconds", "host_seconds", "cpu_seconds", "roofline_share")


def mistake(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line that gpu-check refuses with."""
    assert main(["gpu-check", *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err.removeprefix("minift: gpu-check: ").rstrip("\n")


# ---- refusals -----------------------------------------------------------------------------------


def test_without_a_gpu_it_says_why(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MINIFT_PRETEND_GPU", raising=False)
    monkeypatch.setattr(cuda, "why_not", lambda: "there is no GPU")
    assert mistake(capsys) == 'device "cuda" cannot be used: there is no GPU'


def test_outside_the_checkout_it_says_where_to_run_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(gpu_check, "ROOT", tmp_path)
    assert mistake(capsys) == (
        f"it runs the tests and benchmarks of minift's checkout, and {tmp_path} has no "
        f"tests/gpu/pretend.py: clone the repository, pip install -e '.[test]' and run it there"
    )


def test_a_pretended_gpu_that_cannot_be_says_why(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIFT_PRETEND_GPU", "1")
    monkeypatch.setattr(pretend, "missing", lambda: "g++ is not installed: apt install g++")
    said = mistake(capsys)
    assert said == "MINIFT_PRETEND_GPU=1, but g++ is not installed: apt install g++"


# ---- what is said -------------------------------------------------------------------------------

OP = {
    "name": "GELU", "bytes": 5e8, "flops": 1.4e8, "largest_difference": 2e-7, "passed": True,
    "gpu_seconds": 4e-4, "host_seconds": 1e-5, "cpu_seconds": 0.05, "roofline_share": 0.61,
}  # fmt: skip
STEP = {"gpu_bytes": 3 << 20, "gpu_tokens_per_second": 90000.0, "cpu_tokens_per_second": 3000.0}
ROWS = [
    {"width": 32, "gpu_seconds": 0.02, "cpu_seconds": 0.01},
    {"width": 256, "gpu_seconds": 0.02, "cpu_seconds": 0.2},
]


def test_lines_say_times_where_there_are_any() -> None:
    assert gpu.op_line(OP) == (
        "largest difference 2e-07; CPU 50.00 ms, GPU 0.400 ms (host 0.010), 61% of the roofline "
        "(500 MB, 0.1 GFLOP)"
    )
    assert gpu.model_line(STEP) == (
        "3.0 MiB on the GPU; CPU 3,000 tokens/s, GPU 90,000 (30.0 times)"
    )
    assert gpu.crossover_line(ROWS) == "the GPU is faster from width 256 on"
    assert gpu.crossover_line(ROWS[:1]) == "the CPU is always faster"
    rates = dict(zip("abcd", (3e12, 5e13, 1.2e10, 9e9)))
    assert gpu.peaks_line(rates) == (
        "copy 3.00 TB/s, product 50.0 TFLOP/s, to the device 12.0 GB/s, back 9.0 GB/s"
    )


def test_nothing_that_a_clock_gave_is_left_on_the_pretended_gpu() -> None:
    op = gpu.untimed(OP)
    assert all(op[name] is None for name in TIMES)
    assert {name: op[name] for name in OP if name not in TIMES} == {
        name: OP[name] for name in OP if name not in TIMES
    }
    assert gpu.op_line(op) == "largest difference 2e-07, not timed"
    assert "neither time nor memory is measured" in gpu.model_line(gpu.untimed(STEP))
    assert gpu.crossover_line(gpu.untimed(ROWS)) == "not timed"
    assert gpu.peaks_line(gpu.untimed({"a_per_second": 1.0})) == "not timed"


def test_the_table_shows_a_failure_and_the_pretence() -> None:
    checks = [
        {"name": "parity", "passed": True, "detail": "equal"},
        {"name": "softmax", "passed": False, "detail": "largest difference 1e+00"},
    ]
    table = gpu.summary({"checks": checks, "passed": False, "pretended": False})
    assert table.splitlines() == [
        "parity   pass  equal",
        "softmax  FAIL  largest difference 1e+00",
        "NOT ALL PASS",
    ]
    table = gpu.summary({"checks": checks[:1], "passed": True, "pretended": True})
    assert table.endswith("all pass on the pretended GPU: nothing here is a measurement")


def test_the_crossover_is_drawn(tmp_path: Path) -> None:
    results = {"crossover": ROWS, "device": {"name": "a GPU"}}
    draw_crossover(results, tmp_path / "crossover.png")
    assert (tmp_path / "crossover.png").read_bytes().startswith(b"\x89PNG")


def test_nvidia_smi_gives_driver_and_clocks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho '580.1, 1980 MHz, 2619 MHz, 1980 MHz, 2619 MHz, 700 W, 35'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("CUPY_TF32", "1")
    monkeypatch.setattr(cuda, "facts", lambda: {"name": "a GPU"})
    found = gpu.device()
    assert (found["name"], found["driver_version"], found["tf32"]) == ("a GPU", "580.1", True)
    assert (found["clocks_sm"], found["clocks_max_mem"]) == ("1980 MHz", "2619 MHz")
    smi.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'\n")
    assert gpu.device()["driver_version"] is None


# ---- what is measured ---------------------------------------------------------------------------


def test_the_roofline_is_the_slower_of_memory_and_arithmetic() -> None:
    assert Cost(6e9, 1e9).seconds(3e12, 1e13) == 2e-3
    assert Cost(6e9, 1e11).seconds(3e12, 1e13) == 1e-2
    assert gemm(2, 3, 5, batch=7) == Cost(4 * 7 * (10 + 15 + 6), 7 * 60)


def test_each_op_is_measured_on_what_its_cost_says() -> None:
    """An op moves at least its inputs, its value and the gradients of its inputs."""
    for case in gpu_kernels.cases(gpu_kernels.PRETENDED_SIZES):
        value, *gradients = gpu_kernels.forward_and_backward(case, "cpu")()
        arrays = [*gradients, *case.inputs]
        once = sum(array.nbytes for array in arrays) + value.nbytes
        assert 0.9 * once < case.cost.bytes < 4 * once, case.name


@pytest.mark.parametrize("models", [gpu_steps.MODELS, gpu_steps.PRETENDED_MODELS])
def test_there_are_three_sizes_of_model(models: tuple[gpu_steps.Model, ...]) -> None:
    sizes = [model.layers * model.width for model in models]
    assert sizes == sorted(set(sizes))
    assert len(sizes) == 3


# ---- end to end, on the pretended GPU -----------------------------------------------------------


@pytest.fixture
def no_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device suite is what runs this test: here it has passed."""
    done = SimpleNamespace(returncode=0, stdout="21 passed, 3 skipped in 2.1s\n", stderr="")
    monkeypatch.setattr(gpu, "run_tests", lambda command: done)


def results_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "gpu-check.json").read_text(encoding="utf-8"))


@pytest.mark.cuda
@pytest.mark.usefixtures("pretended_gpu", "no_suite")
def test_on_the_pretended_gpu_everything_runs_and_nothing_is_timed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert gpu.run(tmp_path, pretended=True, quick=True)
    found = results_of(tmp_path)
    assert (found["pretended"], found["passed"]) == (True, True)
    assert found["device"]["name"] == "pretended GPU"
    assert found["suite"] == {"passed": 21, "skipped": 3}
    assert found["parity"]["largest_difference"] <= 1e-5
    assert len(found["parity"]["losses"]["cuda"]) == 20
    assert [len(found[part]) for part in ("kernels", "models", "crossover")] == [8, 3, 1]
    assert all(c["passed"] for c in found["checks"])
    timed = re.findall(r'"\w*(?:second|share)\w*": (.*?),?\n', json.dumps(found, indent=1))
    assert len(timed) > 30
    assert set(timed) == {"null"}
    said = capsys.readouterr().out
    assert said.startswith("GPU: pretended GPU: nothing below is a measurement;")
    assert not re.search(r"\d ms|tokens/s", said)
    assert not (tmp_path / "crossover.png").exists()


@pytest.mark.cuda
@pytest.mark.usefixtures("pretended_gpu", "no_suite")
def test_a_wrong_op_a_broken_one_and_a_drifting_loss_fail_the_check(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(x: Any) -> Any:
        return x * (1.01 if x.device == "cuda" else 1.0)

    def broken(x: Any) -> Any:
        raise RuntimeError("an illegal memory access was encountered\nand more")

    x = np.ones((2, 2), np.float32)
    planted = [gpu_kernels.Case("wrong", wrong, [x], Cost(1, 1))]
    planted += [gpu_kernels.Case("broken", broken, [x], Cost(1, 1))]
    monkeypatch.setattr(gpu_kernels, "cases", lambda sizes: planted)
    monkeypatch.setattr(gpu_steps, "ALLOWED", 0.0)
    monkeypatch.setattr(gpu_steps, "PRETENDED_MODELS", ())
    assert not gpu.run(tmp_path, pretended=True, quick=True)
    failed = {c["name"]: c["detail"] for c in results_of(tmp_path)["checks"] if not c["passed"]}
    assert set(failed) == {"parity", "wrong", "broken"}
    assert failed["broken"] == "RuntimeError: an illegal memory access was encountered"
    assert "NOT ALL PASS" in capsys.readouterr().out


@pytest.mark.cuda
@pytest.mark.usefixtures("pretended_gpu")
def test_a_suite_that_fails_fails_the_check(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    check = gpu.Check(pretended=True, quick=True)
    for code, last in ((1, "2 failed, 9 passed in 3.00s"), (0, "no tests ran in 0.1s")):
        done = SimpleNamespace(returncode=code, stdout=last, stderr="")
        monkeypatch.setattr(gpu, "run_tests", lambda command, done=done: done)
        gpu.suite(check)
    details = [(c["passed"], c["detail"]) for c in check.results["checks"]]
    assert details == [(False, "2 failed, 9 passed"), (False, "no tests ran")]
