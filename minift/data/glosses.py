"""The data set that ships: definitions ("glosses") of WordNet 3.0, split once and for all.

WordNet sorts its nouns into 26 classes such as `animal`, `food` or `feeling`; guessing the class
from the definition alone is the classification task. `Tops` and `motive` hold too few to learn
and are dropped, which leaves 24. The unlabelled text is every definition of every part of speech
that is not held out.

The split is a column of the file, made by `make_glosses.py`: no held-out gloss shares a lemma or
its text with any other row. Choose recipes on `dev`; read `test` once, at the very end.

Not here: how the file is made (`make_glosses.py`). Read next: `wordpiece.py`.
WordNet: Miller, "WordNet: a lexical database for English" (1995); see WORDNET_LICENSE.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# WordNet's lexicographer files 03-28, in their order: lexnames(5WN).
# fmt: off
NOUN_CLASSES = [
    "Tops", "act", "animal", "artifact", "attribute", "body", "cognition",
    "communication", "event", "feeling", "food", "group", "location", "motive",
    "object", "person", "phenomenon", "plant", "possession", "process", "quantity",
    "relation", "shape", "state", "substance", "time",
]
# fmt: on
CLASSES = [name for name in NOUN_CLASSES if name not in ("Tops", "motive")]
GLOSS_FILE = Path(__file__).with_name("wordnet_glosses.tsv.bz2")
COLUMNS = ("split", "part_of_speech", "class", "gloss")

# An example starts at an opening quote after a semicolon (a colon or a comma in a few glosses).
_EXAMPLES_START = re.compile(r'\s*[;:,]\s*"')
_QUOTED = re.compile(r'"([^"]+)"')

Labelled = tuple[list[str], np.ndarray]


@dataclass(frozen=True)
class Glosses:
    """The shipped data. Labels are int64 indices into `classes`.

    `unlabelled`: definitions to pre-train on, each text once (it contains the texts of `train`
    and none of `dev` or `test`). `examples`: example sentences of the same glosses, unlabelled,
    without the few that are word for word a definition of `dev` or `test`.
    `train`, `dev`, `test`: (definitions, labels).
    """

    unlabelled: list[str]
    examples: list[str]
    train: Labelled
    dev: Labelled
    test: Labelled
    classes: list[str]


def split_gloss(gloss: str) -> tuple[str, list[str]]:
    """A gloss as (definition, example sentences).

    >>> split_gloss('a feeling of joy; "full of glee"; "they laughed"')
    ('a feeling of joy', ['full of glee', 'they laughed'])
    """
    start = _EXAMPLES_START.search(gloss)
    if start is None:
        return gloss.rstrip("; "), []
    return gloss[: start.start()], _QUOTED.findall(gloss[start.start() :])


def load_glosses() -> Glosses:
    """Read the shipped file: about 107,000 rows, in about a second."""
    import bz2  # on use: a Python built without libbz2 must still be able to import minift

    lines = bz2.decompress(GLOSS_FILE.read_bytes()).decode("utf-8").splitlines()
    rows = [line.split("\t") for line in lines[1:]]  # the first line names the columns
    kept = [split_gloss(gloss) for split, _, _, gloss in rows if split in ("train", "unlabelled")]
    dev, test = _labelled(rows, "dev"), _labelled(rows, "test")
    held_out = {*dev[0], *test[0]}
    examples = dict.fromkeys(example for _, examples in kept for example in examples)
    return Glosses(
        unlabelled=list(dict.fromkeys(definition for definition, _ in kept)),
        examples=[example for example in examples if example not in held_out],
        train=_labelled(rows, "train"),
        dev=dev,
        test=test,
        classes=list(CLASSES),
    )


def draw_labelled(glosses: Glosses, labels_per_class: int, seed: int) -> Labelled:
    """Draw the same number of labelled texts of each class from `glosses.train`, in random order.

    The draw depends on `seed` alone, and with one seed the texts of a small draw are among those
    of a larger one. Raises ValueError unless 1 <= labels_per_class <= every class's size.
    """
    texts, labels = glosses.train
    if labels_per_class < 1:
        raise ValueError(f"labels per class must be 1 or more, got {labels_per_class}")
    for name, count in zip(glosses.classes, np.bincount(labels, minlength=len(glosses.classes))):
        if labels_per_class > count:
            raise ValueError(
                f"labels per class: asked for {labels_per_class}, but class {name!r} has only "
                f"{count} labelled texts"
            )
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    rows_of = [order[labels[order] == c] for c in range(len(glosses.classes))]
    chosen = rng.permutation(np.concatenate([rows[:labels_per_class] for rows in rows_of]))
    return [texts[i] for i in chosen], labels[chosen]


def _labelled(rows: list[list[str]], split: str) -> Labelled:
    chosen = [(name, gloss) for row_split, _, name, gloss in rows if row_split == split]
    label_of = {name: i for i, name in enumerate(CLASSES)}
    texts = [split_gloss(gloss)[0] for _, gloss in chosen]
    return texts, np.array([label_of[name] for name, _ in chosen], dtype=np.int64)
