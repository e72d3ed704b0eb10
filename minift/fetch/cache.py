"""The user's cache: one folder a name, which is there as a whole or not at all.

A folder is filled under a hidden name and renamed when everything in it is checked and written, so
that a run that was killed leaves nothing that could be taken for data. `fetched.json` says where
the files are from, and their sizes.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from minift.fetch import archives
from minift.fetch.download import DownloadError, by_hand, download
from minift.fetch.sources import SOURCES, Source

RECORD = "fetched.json"
A_DAY = 24 * 3600


def cache_folder() -> Path:
    """Where fetched files live: MINIFT_CACHE, or the platform's place for caches."""
    chosen = os.environ.get("MINIFT_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        place = os.environ.get("LOCALAPPDATA")
        return (Path(place) if place else Path.home() / "AppData" / "Local") / "minift" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "minift"
    place = os.environ.get("XDG_CACHE_HOME")
    return (Path(place) if place else Path.home() / ".cache") / "minift"


def cached(name: str) -> Path | None:
    """The folder of a name, or None unless all its files are there, from the known archive."""
    folder = cache_folder() / name
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        sizes = {file: (folder / file).stat().st_size for file in record["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    whole = record["files"] == sizes and record.get("hashes") == hashes(SOURCES[name])
    return folder if whole else None


def fetch(
    name: str, data: str | Path | None = None, advance: Callable[[int], None] = lambda n: None
) -> Path:
    """The folder with the files of `name`; nothing is done if it is there.

    `data` is an archive that the user has, or the folder in which it lies; without it a tool
    downloads it, and `advance` is told the bytes so far. Raises ValueError for an unknown name or
    files that are not the known ones, OSError if they cannot be written, and DownloadError, which
    says what to do by hand, if the archive cannot be had.
    """
    source = known(name)
    there = cached(name)
    if there is not None:
        return there
    folder = cache_folder() / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    sweep(folder.parent)
    part = folder.with_name(f".{name}.{uuid.uuid4().hex}")
    part.mkdir()
    try:
        archive = obtain(name, source, part, data, advance)
        (part / "ready").mkdir()
        fill(part / "ready", source, ready_files(name, source, archive))
        if folder.exists():  # damaged, or from an earlier archive
            folder.rename(part / "old")
        (part / "ready").rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def known(name: str) -> Source:
    """The source of a name. Raises ValueError that says which one was meant, or lists them."""
    if name not in SOURCES:
        close = difflib.get_close_matches(name, SOURCES, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"the names are {', '.join(SOURCES)}"
        raise ValueError(f"nothing is called {name!r}; {hint}")
    return SOURCES[name]


def sweep(cache: Path) -> None:
    """Remove what killed runs left: hidden folders that nobody has touched for a day."""
    for path in cache.glob(".*.*"):
        if path.is_dir() and time.time() - path.stat().st_mtime > A_DAY:
            shutil.rmtree(path, ignore_errors=True)


def obtain(
    name: str, source: Source, part: Path, data: str | Path | None, advance: Callable[[int], None]
) -> Path:
    """The archive: from the user, else from the tool."""
    if data is not None:
        return given(source, Path(data))
    try:
        return download(source, part, advance)
    except DownloadError as error:
        raise DownloadError(
            f"{error}; get {source.archive} by `{by_hand(source)}` where that works, put it in a "
            f"folder DIR and run: minift fetch {name} --data DIR"
        ) from None


def given(source: Source, data: Path) -> Path:
    """The archive that the user has. Raises ValueError if it is not there."""
    if data.is_file():
        return data
    found = sorted(data.glob(source.archive)) if data.is_dir() else []
    if not found:
        raise ValueError(
            f"{data} holds no {source.archive}; get it by `{by_hand(source)}` and name its folder"
        )
    return found[0]


def ready_files(name: str, source: Source, archive: Path) -> dict[str, bytes]:
    """What is kept, by file name. Raises ValueError unless the archive is the known one."""
    if source.sha256 is not None:
        check(archive.name, archives.sha256(archive), source.sha256)
    taken = archives.take(archive, source.files)
    for pattern, expected in source.files.items():
        matches = [path for path in taken if fnmatchcase(path, pattern)]
        if not matches:
            raise ValueError(f"{archive.name} holds no {pattern}")
        if expected:
            check(
                f"{pattern} in {archive.name}",
                hashlib.sha256(taken[pattern]).hexdigest(),
                expected,
                f", that of {source.package} {source.version}",
            )
    return source.prepare(taken)


def check(what: str, got: str, expected: str, whose: str = "") -> None:
    """Raises ValueError if two hashes differ."""
    if got != expected:
        raise ValueError(
            f"{what} has the SHA-256 {got[:12]}…, not {expected[:12]}…{whose}: nothing was kept"
        )


def fill(folder: Path, source: Source, files: Mapping[str, bytes]) -> None:
    """Write the files and their record, and flush them to the disk."""
    record: dict[str, Any] = {
        "package": source.package,
        "version": source.version,
        "licence": source.licence,
        "hashes": hashes(source),
        "files": {name: len(content) for name, content in files.items()},
    }
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    for name, content in {**files, RECORD: text.encode()}.items():
        with (folder / name).open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())


def hashes(source: Source) -> list[str]:
    """The hashes that the files were checked against."""
    return [digest for digest in (source.sha256, *source.files.values()) if digest]
