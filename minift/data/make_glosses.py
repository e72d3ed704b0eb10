"""Make the shipped gloss file from WordNet's own files, the same bytes every time.

    apt-get download wordnet-base=1:3.0-37 && dpkg-deb -x wordnet-base_*.deb wn
    python -m minift.data.make_glosses wn/usr/share/wordnet --output wordnet_glosses.tsv.bz2

A random split of a dictionary leaks: a lemma has several senses, and one definition serves
several entries, so that a model could recognise a test gloss instead of understanding it. Hence
two synsets are *related* if they share a lemma (case-folded) or their definition (its words,
case-folded), and everything related to a held-out gloss is left out of the file, whatever its
part of speech. The held-out glosses are unrelated to each other, too.

bzip2 rather than gzip or xz: as small as xz here, and its compressor has had one output for
twenty years. Format of the data files: wndb(5WN). Read next: `glosses.py`, which loads the file.
"""

import argparse
import bz2
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minift import hub
from minift.data.glosses import CLASSES, COLUMNS, GLOSS_FILE, NOUN_CLASSES, split_gloss
from minift.data.splits import proportional_counts

PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")
SPLIT_SEED = 20061206  # the date of WordNet 3.0's files; the split never depends on a user's seed
HELD_OUT_ROWS = 3000  # of `test`, and as many of `dev`
HELD_OUT_MINIMUM = 10  # of each class, in each
_FIRST_NOUN_FILE = 3  # lexicographer file 03 is noun.Tops


@dataclass(frozen=True)
class Synset:
    """One entry: words of one meaning with their gloss. `noun_class` is "" but for nouns."""

    part_of_speech: str
    noun_class: str
    lemmas: tuple[str, ...]
    gloss: str

    def keys(self) -> set[str]:
        """What makes two synsets related: each lemma, and the definition's words."""
        definition = split_gloss(self.gloss)[0].casefold()
        text = " ".join(re.findall(r"[a-z0-9]+", definition)) or definition
        return {"lemma " + lemma for lemma in self.lemmas} | {"text " + text}


def parse_synset(line: str, part_of_speech: str) -> Synset:
    """Read a line `offset file type count lemma id ... | gloss`; the count is hexadecimal."""
    head, gloss = line.split(" | ", 1)
    fields = head.split()
    words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
    is_noun = part_of_speech == "noun"
    return Synset(
        part_of_speech=part_of_speech,
        noun_class=NOUN_CLASSES[int(fields[1]) - _FIRST_NOUN_FILE] if is_noun else "",
        lemmas=tuple(re.sub(r"\((a|p|ip)\)$", "", word).casefold() for word in words),
        gloss=" ".join(gloss.split()),
    )


def read_synsets(folder: Path) -> list[Synset]:
    """All synsets of `folder`, which holds data.noun, data.verb, data.adj and data.adv."""
    synsets = []
    for part_of_speech in PARTS_OF_SPEECH:
        path = folder / f"data.{part_of_speech}"
        if not path.is_file():
            raise FileNotFoundError(f"no {path.name} in {folder}; give WordNet's own folder")
        lines = path.read_text(encoding="utf-8").splitlines()
        # The licence stands on top, in lines that start with two spaces.
        synsets += [parse_synset(line, part_of_speech) for line in lines if line[:2] != "  "]
    return synsets


def hold_out(synsets: Sequence[Synset], rows: int, minimum: int) -> tuple[dict[int, str], set[int]]:
    """Choose `rows` test and `rows` dev nouns: ({index: split}, indices related to those).

    Nouns are visited in one seeded random order; one is taken while its class still wants rows
    and it is unrelated to all that were taken before. Raises ValueError if a class runs out.
    """
    keys = [synset.keys() for synset in synsets]
    related = _rows_of_keys(keys)
    members = [i for i, synset in enumerate(synsets) if synset.noun_class in CLASSES]
    sizes = [sum(synsets[i].noun_class == name for i in members) for name in CLASSES]
    wanted = dict(zip(CLASSES, 2 * proportional_counts(sizes, rows, minimum)))
    chosen: dict[int, str] = {}
    left_out: set[int] = set()
    for i in np.random.default_rng(SPLIT_SEED).permutation(members).tolist():
        name = synsets[i].noun_class
        if wanted[name] and i not in left_out:
            wanted[name] -= 1
            chosen[i] = ("test", "dev")[wanted[name] % 2]
            left_out.update(j for key in keys[i] for j in related[key] if j != i)
    short = [name for name, count in wanted.items() if count]
    if short:
        raise ValueError(f"too few unrelated glosses of class {', '.join(short)} to hold out")
    return chosen, left_out


def make_table(
    synsets: Sequence[Synset], rows: int = HELD_OUT_ROWS, minimum: int = HELD_OUT_MINIMUM
) -> str:
    """The whole file as tab-separated text, in WordNet's order, a header line first."""
    chosen, left_out = hold_out(synsets, rows, minimum)
    lines = ["\t".join(COLUMNS)]
    for i, synset in enumerate(synsets):
        if i not in left_out:
            rest = "train" if synset.noun_class in CLASSES else "unlabelled"
            split = chosen.get(i, rest)
            lines.append("\t".join((split, synset.part_of_speech, synset.noun_class, synset.gloss)))
    return "\n".join(lines) + "\n"


def write_table(table: str, output: Path) -> None:
    """Write the compressed table whole."""
    hub.write(output, bz2.compress(table.encode("utf-8"), 9))


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `python -m minift.data.make_glosses FOLDER --output FILE`."""
    parser = argparse.ArgumentParser(description="Make the shipped gloss file from WordNet 3.0.")
    parser.add_argument("folder", type=Path, help="folder with data.noun, data.verb, ...")
    parser.add_argument("--output", type=Path, default=GLOSS_FILE, help="default: the package's")
    args = parser.parse_args(argv)
    try:
        write_table(make_table(read_synsets(args.folder)), args.output)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(f"wrote {args.output}: {args.output.stat().st_size:,} bytes")


def _rows_of_keys(keys: Sequence[set[str]]) -> dict[str, list[int]]:
    rows = defaultdict(list)
    for i, own in enumerate(keys):
        for key in own:
            rows[key].append(i)
    return rows


if __name__ == "__main__":
    main()
