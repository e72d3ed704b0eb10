"""Files out of a wheel, an npm package or a Debian package, in memory.

Nothing is unpacked: a member is read only if its whole path is asked for, links and devices are
passed over, and what it is called in the archive never becomes a path on the disk.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

AR_MAGIC = b"!<arch>\n"


def take(archive: Path, wanted: Iterable[str]) -> dict[str, bytes]:
    """The contents of the members that match one of the patterns, by path.

    Members that end in .gz or .dz come uncompressed. Raises ValueError for a file that is no
    whole archive of a known kind.
    """
    patterns = list(wanted)
    try:
        found = dict(members(archive, patterns))
        return {path: plain(path, content) for path, content in found.items()}
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{archive.name} is not a whole archive ({error})") from None


def members(archive: Path, patterns: list[str]) -> Iterator[tuple[str, bytes]]:
    """Path and content of each member that is a plain file and matches a pattern."""
    if archive.suffix == ".deb":
        with archive.open("rb") as stream:
            data = io.BytesIO(debian_data(stream))
        with tarfile.open(fileobj=data) as opened:
            yield from tar_members(opened, patterns)
    elif archive.suffix == ".tgz":
        with tarfile.open(archive) as opened:
            yield from tar_members(opened, patterns)
    else:
        with zipfile.ZipFile(archive) as wheel:
            for path in wheel.namelist():
                if matches(path, patterns):
                    yield path, wheel.read(path)


def tar_members(opened: tarfile.TarFile, patterns: list[str]) -> Iterator[tuple[str, bytes]]:
    """The same of a tar file, which is read once from its beginning."""
    for member in opened:
        path = member.name.removeprefix("./")
        if member.isreg() and matches(path, patterns):
            content = opened.extractfile(member)
            assert content is not None  # it is a plain file
            yield path, content.read()


def debian_data(stream: BinaryIO) -> bytes:
    """The tar file with a Debian package's files: the member data.tar.* of an `ar` archive.

    Each member has a header of 60 bytes (name 16, date 12, owner 6, group 6, mode 8, size 10, end
    mark 2) and begins at an even byte: deb(5), ar(5).
    """
    if stream.read(len(AR_MAGIC)) != AR_MAGIC:
        raise tarfile.ReadError("no Debian package")
    while header := stream.read(60):
        name, size = header[:16].decode("ascii", "replace").strip(" /"), header[48:58].strip()
        if not size.isdigit():
            break
        content = stream.read(int(size))
        if name.startswith("data.tar"):
            return content
        stream.read(int(size) % 2)
    raise tarfile.ReadError("it holds no data.tar")


def matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def plain(path: str, content: bytes) -> bytes:
    return gzip.decompress(content) if path.endswith((".gz", ".dz")) else content


def sha256(file: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
