"""Why there is no usable GPU: each of the four reasons has a sentence, and the real CuPy gives it.

The real wheel without a driver is asked in a process of its own; a driver that shows no device and
a kernel that fails are played by stand-ins for CuPy and, marked "cuda", by the pretended GPU.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from minift.backend import cuda

ROOT = Path(__file__).parent.parent
INSTALL = "pip install 'cupy-cuda13x[ctk]' (driver 580 or newer; older: 'cupy-cuda12x[ctk]')"
NO_CUPY = f"CuPy is not installed: {INSTALL}"
NO_DRIVER = (
    "there is no NVIDIA driver that CuPy {} can use (cudaErrorInsufficientDriver: CUDA driver "
    "version is insufficient for CUDA runtime version): install one "
    "(https://www.nvidia.com/drivers), then `nvidia-smi` shows it"
)
NO_DEVICE = (
    "the NVIDIA driver shows no GPU: see `nvidia-smi`, and `unset CUDA_VISIBLE_DEVICES` if that "
    "variable hides it"
)


def command_of_its_own(first: str = "") -> subprocess.CompletedProcess[str]:
    """`minift quickstart --device cuda` in a process without the pretended GPU."""
    words = ["quickstart", "--device", "cuda", "--output", "never-made"]
    code = f"import sys; {first}\nfrom minift.cli import main; sys.exit(main({words}))"
    env = {k: v for k, v in os.environ.items() if k != "MINIFT_PRETEND_GPU"}
    env["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, env=env)


def assert_refused(said: subprocess.CompletedProcess[str], reason: str) -> None:
    message = f'minift: quickstart: device "cuda" cannot be used: {reason}\n'
    assert (said.returncode, said.stdout, said.stderr) == (2, "", message)


# ---- for real -----------------------------------------------------------------------------------


def test_without_cupy_the_command_that_installs_it_is_named() -> None:
    assert_refused(command_of_its_own("sys.modules['cupy'] = None"), NO_CUPY)


def test_the_real_cupy_without_a_driver_says_so() -> None:
    try:
        version = importlib.metadata.version("cupy-cuda13x")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("CuPy is not installed: pip install '.[dev]'")
    if shutil.which("nvidia-smi"):
        pytest.skip("here is an NVIDIA driver")
    assert_refused(command_of_its_own(), NO_DRIVER.format(version))


@pytest.fixture
def asked_anew() -> Any:
    """`why_not` remembers its answer: forget it before and after."""
    cuda.why_not.cache_clear()
    yield
    cuda.why_not.cache_clear()


@pytest.mark.cuda
@pytest.mark.usefixtures("pretended_gpu")
def test_the_real_cupy_with_a_driver_that_shows_no_device(
    monkeypatch: pytest.MonkeyPatch, asked_anew: None
) -> None:
    import cupy

    def no_device() -> int:  # what the runtime does when CUDA_VISIBLE_DEVICES is empty
        raise cupy.cuda.runtime.CUDARuntimeError(cuda.NO_DEVICE)

    monkeypatch.setattr(cupy.cuda.runtime, "getDeviceCount", no_device)
    assert cuda.why_not() == NO_DEVICE


@pytest.mark.cuda
@pytest.mark.usefixtures("pretended_gpu")
def test_the_real_cupy_whose_products_fail(
    monkeypatch: pytest.MonkeyPatch, asked_anew: None
) -> None:
    import cupy

    def absent(*_: Any) -> Any:  # what CuPy raises without libcublas
        raise RuntimeError('Failure finding "libcublas.so.13": No such file')

    monkeypatch.setattr(cupy, "ones", absent)
    assert cuda.why_not() == (
        f"the GPU is there, but a first kernel fails (Failure finding "
        f'"libcublas.so.13": No such file): {INSTALL}'
    )


# ---- stand-ins for CuPy -------------------------------------------------------------------------


def stand_in(count: Callable[[], int], arange: Any = None) -> Any:
    """A module that has what `why_not` asks for, up to where it fails."""
    runtime = SimpleNamespace(getDeviceCount=count)
    return SimpleNamespace(
        __version__="14.2.0", cuda=SimpleNamespace(runtime=runtime), arange=arange
    )


def raises(error: Exception) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


class CUDARuntimeError(RuntimeError):
    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


OLD_DRIVER = CUDARuntimeError(35, NO_DRIVER.split("(")[1].split(")")[0])
NOTHING_THERE = CUDARuntimeError(100, "cudaErrorNoDevice: no CUDA-capable device is detected")
NO_NVRTC = OSError('Failure finding "libnvrtc.so.13"\nand more\n')


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (None, NO_CUPY),
        (stand_in(raises(OLD_DRIVER)), NO_DRIVER.format("14.2.0")),
        (stand_in(raises(NOTHING_THERE)), NO_DEVICE),
        (stand_in(lambda: 0), NO_DEVICE),
        (
            stand_in(lambda: 1, raises(NO_NVRTC)),
            f'the GPU is there, but a first kernel fails (Failure finding "libnvrtc.so.13"): '
            f"{INSTALL}",
        ),
    ],
    ids=["no CuPy", "no driver", "no device", "device count 0", "no NVRTC"],
)
def test_each_reason_is_one_sentence_with_what_mends_it(
    monkeypatch: pytest.MonkeyPatch, asked_anew: None, module: Any, reason: str
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", module)
    assert cuda.why_not() == reason
    assert not cuda.is_available()
    with pytest.raises(RuntimeError) as caught:
        cuda.module()
    assert str(caught.value) == f'device "cuda" cannot be used: {reason}'


def test_a_cupy_that_does_not_import_is_not_called_missing(
    monkeypatch: pytest.MonkeyPatch, asked_anew: None
) -> None:
    broken = ImportError("\n====\nFailed to import CuPy.\n\nOriginal error: libcudart")
    monkeypatch.setattr(cuda.importlib, "import_module", raises(broken))
    reason = "CuPy is installed but cannot be imported (Failed to import CuPy): "
    assert cuda.why_not() == reason + INSTALL
