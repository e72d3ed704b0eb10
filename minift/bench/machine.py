"""What a figure depends on: processor, libraries, threads, and the kernels of NumPy's BLAS.

Not here: the time of anything (`contest.py`).
"""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np

from minift.train import machine as record

# what OpenBLAS calls the kernels that it falls back on if it does not know the processor
OLD_KERNELS = ("prescott", "core2", "penryn", "nehalem", "generic", "katmai", "unknown")


def facts(threads: int) -> dict[str, Any]:
    """Processor, versions, threads, BLAS and its kernels, as they are in this process."""
    return {
        "processor": record.processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": record.machine("cpu")["cores"],
        "threads": threads,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": version_of("torch"),
        "blas": [described(pool) for pool in blas_pools()],
    }


def version_of(name: str) -> str | None:
    """The installed version of a package, None without one."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def blas_pools() -> list[dict[str, Any]]:
    """What threadpoolctl knows of each BLAS in this process; nothing of Apple's, say."""
    import threadpoolctl

    return [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]


def described(pool: dict[str, Any]) -> str:
    """openblas 0.3.31, SkylakeX kernels, 2 threads"""
    name = " ".join(filter(None, [pool["internal_api"], pool.get("version")]))
    threads = f"{pool['num_threads']} thread{'s' if pool['num_threads'] > 1 else ''}"
    kernels = [f"{pool['architecture']} kernels"] if pool.get("architecture") else []
    return ", ".join([name, *kernels, threads])


def warning() -> str | None:
    """A sentence if a BLAS here runs kernels for processors of long ago, else None."""
    for pool in blas_pools():
        kernels = str(pool.get("architecture") or "")
        if kernels.lower() in OLD_KERNELS and has_avx2():
            return (
                f"NumPy {np.__version__} brings {pool['internal_api']} {pool.get('version')}, "
                f"which does not know this processor and runs its {kernels} kernels: products take "
                f"several times as long as they must; pip install --upgrade numpy, or set "
                f"OPENBLAS_CORETYPE=Haswell before Python starts"
            )
    return None


def has_avx2() -> bool:
    """Whether the processor has the vectors of 2013, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        return "avx2" in info.read_text(encoding="utf-8").split()
    return platform.machine().lower() in ("x86_64", "amd64") and sys.platform != "darwin"
