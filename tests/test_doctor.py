"""`minift doctor` names what is there, what is not, and the command that mends it."""

from __future__ import annotations

import importlib
import io
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minift as mf
from minift.backend import cuda
from minift.cli import doctor, main

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


def findings(capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, list[str]]:
    """name -> part, what was found, note; as a pipe gets them."""
    assert main(["doctor"]) == code
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    return {row[1]: [row[0], *row[2:]] for row in rows}


def test_everything_that_minift_needs_is_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    assert list(doctor.NEEDED) == project["dependencies"]
    found = findings(capsys)
    assert found["minift"][:2] == ["minift", mf.__version__]
    assert found["Python"][2] == sys.executable
    assert found["numpy"][:2] == ["needed", np.__version__]
    assert "BLAS: " in found["numpy"][2]
    assert " thread" in found["numpy"][2]
    for name in ("safetensors", "tqdm", "matplotlib", "threadpoolctl"):
        assert found[name][0] == "needed"
        assert len(found[name]) == 2  # nothing to mend


def test_without_a_gpu_the_reason_stands_there_and_the_device_is_the_cpu(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda, "why_not", lambda: "CuPy is not installed: pip install it")
    found = findings(capsys)
    assert found["GPU"] == ["GPU", "none", "CuPy is not installed: pip install it"]
    assert found["device"] == ["GPU", "cpu"]


def test_a_gpu_is_named_with_its_driver(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {
        "name": "a GPU", "compute_capability": "9.0", "memory_gib": 79.6, "cupy": "14.2.0",
        "driver_cuda": "13.1", "runtime_cuda": "13.0",
    }  # fmt: skip
    monkeypatch.setattr(cuda, "why_not", lambda: None)
    monkeypatch.setattr(cuda, "facts", lambda: facts)
    found = findings(capsys)
    assert found["GPU"] == ["GPU", "a GPU", "compute capability 9.0, 79.6 GiB"]
    assert found["driver"] == ["GPU", "for CUDA 13.1"]
    assert found["runtime"] == ["GPU", "CUDA 13.0"]
    assert found["device"] == ["GPU", "cuda", "try: minift gpu-check"]


@pytest.mark.parametrize("device", [pytest.param("cuda", marks=pytest.mark.cuda)], indirect=True)
def test_the_real_cupy_gives_the_facts(capsys: pytest.CaptureFixture[str], device: str) -> None:
    facts = cuda.facts()
    assert set(facts) == {
        "name", "compute_capability", "memory_gib", "driver_cuda", "runtime_cuda", "cupy",
    }  # fmt: skip
    assert findings(capsys)["cupy"] == ["GPU", facts["cupy"]]


def test_cuda_writes_its_versions_as_one_number() -> None:
    assert [cuda.version(n) for n in (13000, 12080, 11020)] == ["13.0", "12.8", "11.2"]


def test_the_cache_of_fetched_things_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MINIFT_CACHE", str(tmp_path))
    nothing = f"minift fetch list shows what there is; in {tmp_path}"
    assert findings(capsys)["cache"] == ["fetched", "0", nothing]
    monkeypatch.setattr("minift.fetch.cached", lambda name: tmp_path if "min" in name else None)
    assert findings(capsys)["cache"] == ["fetched", "1", f"minilm; in {tmp_path}"]


def test_a_missing_package_is_fatal_and_comes_with_its_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    version_of = doctor.version_of
    absent = ("tqdm", "torch")
    monkeypatch.setattr(doctor, "version_of", lambda n: None if n in absent else version_of(n))
    found = findings(capsys, code=1)
    assert found["tqdm"] == ["needed", "missing", "pip install 'tqdm>=4.66'"]
    comparison = ["for comparisons", "not installed", "pip install torch, if you want to compare"]
    assert found["torch"] == comparison  # not fatal


def test_a_package_of_the_wrong_version_or_that_breaks_is_fatal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {"numpy": "2.7.0", "matplotlib": "3.7.2"}
    monkeypatch.setattr(doctor, "version_of", lambda name: versions.get(name, "99.0"))
    real = importlib.import_module

    def broken(name: str) -> Any:
        if name == "safetensors":
            raise OSError("wrong ELF class\nsecond line")
        return real(name)

    monkeypatch.setattr(doctor.importlib, "import_module", broken)
    found = findings(capsys, code=1)
    assert found["numpy"][2] == "too old or too new: pip install 'numpy>=2.0,<2.6'"
    assert found["matplotlib"][2] == "too old or too new: pip install 'matplotlib>=3.8'"
    assert found["safetensors"][2] == (
        "cannot be imported (wrong ELF class): pip install 'safetensors>=0.4.3' --force-reinstall"
    )


@pytest.mark.parametrize(
    ("version", "requirement", "right"),
    [
        ("2.0", "numpy>=2.0,<2.6", True),
        ("2.5.9rc1", "numpy>=2.0,<2.6", True),
        ("2.6.0", "numpy>=2.0,<2.6", False),
        ("1.26.4", "numpy>=2.0,<2.6", False),
        ("4.100.0", "tqdm>=4.66", True),
        ("0.4.1", "safetensors>=0.4.3", False),
    ],
)
def test_versions_are_compared_as_numbers(version: str, requirement: str, right: bool) -> None:
    assert doctor.fits(version, requirement) is right


def test_a_terminal_gets_a_table_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", screen := Terminal())
    monkeypatch.setenv("COLUMNS", "90")
    monkeypatch.setattr(doctor, "version_of", lambda name: None if name == "tqdm" else "99.1")
    monkeypatch.setattr(cuda, "why_not", lambda: "no word of it is left out: " + "pip " * 30)
    main(["doctor"])
    rows = screen.getvalue().splitlines()
    assert rows[0] == f"{doctor.BOLD}minift{doctor.NORMAL}"
    marked = [row for row in rows if row.startswith("✗ tqdm")]
    assert len(marked) == 1
    assert marked[0].endswith("missing       pip install 'tqdm>=4.66'")
    assert sum(row.count("pip ") for row in rows if row.startswith(" " * 20)) >= 15
