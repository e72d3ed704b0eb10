"""`minift doctor`: what is installed, which device is used, what is missing and what mends it.

On a terminal a table; in a pipe one line a finding, its parts separated by tabs. Exit code 1 if
something that minift cannot do without is missing. Not here: the GPU's tests and speed, which
`minift gpu-check` runs.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import itertools
import os
import platform
import re
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

from minift.backend import cuda
from minift.cli.arguments import EXIT_FAILURE

# as in pyproject.toml, which a test compares; what is missing is installed in these words
NEEDED = (
    "numpy>=2.0,<2.6", "safetensors>=0.4.3", "tqdm>=4.66", "matplotlib>=3.8", "threadpoolctl>=3.2",
)  # fmt: skip
BOLD, NORMAL = "\033[1m", "\033[0m"
FOR_COMPARISONS = ("torch", "transformers", "tokenizers", "scikit-learn")


class Finding(NamedTuple):
    """A line: what was looked for, what is there, and a note, which may be what mends it."""

    part: str
    name: str
    found: str
    note: str = ""
    fatal: bool = False


def add(commands: Any) -> None:
    """The command; it has no options."""
    command = commands.add_parser(
        "doctor",
        help="what is installed, which device is used, what is missing and what mends it",
        description=(
            "Look at everything that minift uses and say what was found. Whatever is missing\n"
            "comes with the command that installs it. Exit code 1 if minift cannot run."
        ),
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print all findings."""
    findings = [*minift_itself(), *needed(), *gpu(), *fetched(), *for_comparisons()]
    print(table(findings) if sys.stdout.isatty() else lines(findings))
    return EXIT_FAILURE if any(finding.fatal for finding in findings) else 0


# ---- looking ------------------------------------------------------------------------------------


def minift_itself() -> list[Finding]:
    """The package and the Python that runs it."""
    import minift

    folder = Path(minift.__file__).parent
    system = f"{platform.system()} {platform.machine()}"
    return [
        Finding("minift", "minift", minift.__version__, str(folder)),
        Finding("minift", "Python", platform.python_version(), sys.executable),
        Finding("minift", "system", system, f"{os.cpu_count()} processors"),
    ]


def needed() -> list[Finding]:
    """What minift cannot do without; each package is imported, to see that it works."""
    return [needed_package(requirement) for requirement in NEEDED]


def needed_package(requirement: str) -> Finding:
    """One package, with the line of pip that mends it."""
    name = requirement.partition(">")[0]
    mend = f"pip install '{requirement}'"
    version = version_of(name)
    if version is None:
        return Finding("needed", name, "missing", mend, fatal=True)
    try:
        importlib.import_module(name)
    except Exception as error:
        reason = f"cannot be imported ({cuda.first_line(error)}): {mend} --force-reinstall"
        return Finding("needed", name, version, reason, fatal=True)
    if not fits(version, requirement):
        return Finding("needed", name, version, f"too old or too new: {mend}", fatal=True)
    return Finding("needed", name, version, blas() if name == "numpy" else "")


def version_of(name: str) -> str | None:
    """The installed version, None without one."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def fits(version: str, requirement: str) -> bool:
    """Whether 2.4.6 lies within numpy>=2.0,<2.6."""
    least, _, below = requirement.partition(">=")[2].partition(",<")
    return numbers(least) <= numbers(version) and not (below and numbers(version) >= numbers(below))


def numbers(version: str) -> tuple[int, ...]:
    """2.4.6rc1 -> (2, 4, 6)."""
    start = re.match(r"[\d.]*\d", version)
    return tuple(map(int, start[0].split("."))) if start else ()


def blas() -> str:
    """The library behind `@` on the CPU: name, version, what it was tuned for, threads."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:  # reported in a line of its own
        return ""
    found = [library for library in threadpool_info() if library["user_api"] == "blas"]
    if not found:  # Apple's Accelerate, for one, does not say
        return "BLAS of an unknown name"
    first = found[0]
    names = (first["internal_api"], first.get("version"), first.get("architecture"))
    threads = first["num_threads"]
    return f"BLAS: {' '.join(filter(None, names))}, {threads} thread{'s' if threads > 1 else ''}"


def gpu() -> list[Finding]:
    """Which device is used, and the GPU, or the reason why there is none."""
    reason = cuda.why_not()
    if reason is not None:
        return [Finding("GPU", "GPU", "none", reason), Finding("GPU", "device", "cpu")]
    facts = cuda.facts()
    chip = f"compute capability {facts['compute_capability']}, {facts['memory_gib']} GiB"
    return [
        Finding("GPU", "GPU", str(facts["name"]), chip),
        Finding("GPU", "driver", f"for CUDA {facts['driver_cuda']}"),
        Finding("GPU", "runtime", f"CUDA {facts['runtime_cuda']}"),
        Finding("GPU", "cupy", str(facts["cupy"])),
        Finding("GPU", "device", "cuda", "try: minift gpu-check"),
    ]


def fetched() -> list[Finding]:
    """Where `minift fetch` keeps models and data, and which are there."""
    from minift.fetch import SOURCES, cache_folder, cached

    here = [name for name in SOURCES if cached(name) is not None]
    what = ", ".join(here) if here else "minift fetch list shows what there is"
    return [Finding("fetched", "cache", str(len(here)), f"{what}; in {cache_folder()}")]


def for_comparisons() -> list[Finding]:
    """What tests and benchmarks compare with, and nothing else needs."""
    findings = []
    for name in FOR_COMPARISONS:
        version = version_of(name)
        note = "" if version else f"pip install {name}, if you want to compare"
        findings.append(Finding("for comparisons", name, version or "not installed", note))
    return findings


# ---- showing ------------------------------------------------------------------------------------


def lines(findings: list[Finding]) -> str:
    """For a pipe: part, name, what was found, note."""
    return "\n".join("\t".join(finding[:4]).rstrip() for finding in findings)


def table(findings: list[Finding]) -> str:
    """For a terminal: columns under a heading for each part; what is fatal is marked."""
    names = max(len(finding.name) for finding in findings)
    values = max(len(finding.found) for finding in findings)
    indent = " " * (names + values + 6)
    room = max(30, shutil.get_terminal_size().columns - len(indent))
    rows: list[str] = []
    for part, members in itertools.groupby(findings, key=lambda finding: finding.part):
        rows += ["", f"{BOLD}{part}{NORMAL}"]
        for finding in members:
            mark = "✗" if finding.fatal else " "
            name, found = finding.name.ljust(names), finding.found.ljust(values)
            note = textwrap.wrap(finding.note, room, break_on_hyphens=False)
            first, *more = note or [""]
            rows.append(f"{mark} {name}  {found}  {first}".rstrip())
            rows += [indent + line for line in more]
    return "\n".join(rows[1:])
