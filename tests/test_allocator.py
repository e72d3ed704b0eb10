"""Memory that was freed is used again without asking the system for it."""

import os
import subprocess
import sys

import pytest

from minift.backend.allocator import keep_freed_memory

FAULTS = """
import resource, numpy as np, {module}
def step(): return [np.ones(2**20) for _ in range(6)]  # 8 MiB each, freed together
for _ in range(3): step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3): step()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 3)
"""


def faults(module: str, **variables: str) -> float:
    """Pages that the system had to give for one step of 48 MiB."""
    kept = {name: v for name, v in os.environ.items() if not name.startswith("MALLOC_")}
    env = {**kept, "NUMPY_MADVISE_HUGEPAGE": "0", **variables}
    command = [sys.executable, "-c", FAULTS.format(module=module)]
    run = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    return float(run.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc alone is told")
def test_a_step_finds_the_memory_of_the_last_one() -> None:
    assert faults("sys") > 6 * 1024  # what it is about: 12 Ki pages of 4 KiB
    assert faults("minift") < 100


def test_what_the_user_told_malloc_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    assert not keep_freed_memory()
