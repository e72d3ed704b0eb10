"""The `device` fixture, and the pretended GPU for those who ask for it.

Tests that take `device` run on the CPU; as "strict" on a double of CuPy that refuses what CuPy
refuses (`strict/`); and, marked "cuda", on a GPU:

    pytest -m "not cuda"                    CPU and strict: needs nothing but NumPy
    pytest -m cuda                          where there is one; else they are skipped
    MINIFT_PRETEND_GPU=1 pytest -m cuda     on the pretended one of `tests/gpu/pretend.py`
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest
import strict
from gpu import pretend

from minift.backend import cuda, trouble

PRETENDED = os.environ.get("MINIFT_PRETEND_GPU") == "1"
EXIT_STATUS = pytest.StashKey[int]()
REQUIRED = os.environ.get("MINIFT_REQUIRE_ORACLES") == "1"


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background jobs
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests' children inherit it
    if PRETENDED and pretend.missing() is None:
        assert config.cache is not None
        pretend.install(config.cache.mkdir("pretended-gpu"))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[EXIT_STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    if "gpu.memory" in sys.modules and EXIT_STATUS in config.stash:
        pretend.leave(config.stash[EXIT_STATUS])


CUDA = pytest.param("cuda", marks=pytest.mark.cuda)


@pytest.fixture(params=["cpu", "strict", CUDA])
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """ "cpu"; then "cuda" on the strict double, and where a GPU is there or pretended."""
    if request.param == "strict":
        with strict.installed():
            yield "cuda"
        return
    if request.param == "cuda":
        need_cuda()
    yield request.param
    pretend.check()
    trouble.check()  # none is left to the next test


@pytest.fixture
def power_stays_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for the disk: only a power cut could tell, and tests that save are faster."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def pretended_gpu() -> Iterator[None]:
    """For tests of the pretended GPU itself."""
    if not PRETENDED:
        skip("MINIFT_PRETEND_GPU=1 asks for the pretended GPU")
    need_cuda()
    yield
    pretend.check()


def need_cuda() -> None:
    """Skip the test where CUDA does not work, and say why; fail it where CI promised CUDA."""
    reason = pretend.missing() if PRETENDED else cuda.why_not()
    if reason is not None:
        skip(reason if PRETENDED else f"no GPU here ({reason}); see tests/conftest.py")
    assert cuda.why_not() is None, cuda.why_not()


def skip(reason: str) -> None:
    if REQUIRED and PRETENDED:
        pytest.fail(f"MINIFT_REQUIRE_ORACLES=1, but {reason}")
    pytest.skip(reason)
