"""The images that ship: 1,797 handwritten digits of 8 × 8 pixels, split once and for all.

Alpaydin & Kaynak 1998 (UCI "optdigits", its test part; see DIGITS_LICENSE). 1,297 images to learn
from and 500 to test on, drawn at random: a writer has digits on both sides, so that the numbers say
how well a model knows these thirteen hands, not new ones.

Not here: how images are changed at random (`augmentation.py`, read it next).
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

DIGITS_FILE = Path(__file__).with_name("digits.csv.gz")
DIGITS_SHA256 = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"
TRAIN_SIZE = 1297
WHITE = 16.0  # the largest pixel: each counts the ink in 4 × 4 finer ones

LabelledImages = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Digits:
    """(images, labels) to learn from and to test on.

    Images are float32 (n, 1, 8, 8) in [0, 1], ink 1; labels int64 (n,), the digit.
    """

    train: LabelledImages
    test: LabelledImages


def load_digits() -> Digits:
    """Read the shipped file (20 ms). Raises ValueError if it is not the file that was shipped."""
    packed = DIGITS_FILE.read_bytes()
    if hashlib.sha256(packed).hexdigest() != DIGITS_SHA256:
        raise ValueError(f"{DIGITS_FILE} is damaged; install minift again")
    rows = np.loadtxt(gzip.decompress(packed).decode("ascii").splitlines(), delimiter=",")
    images = (rows[:, :-1] / WHITE).astype(np.float32).reshape(-1, 1, 8, 8)
    labels = rows[:, -1].astype(np.int64)
    order = np.random.default_rng(0).permutation(len(rows))
    train, test = order[:TRAIN_SIZE], order[TRAIN_SIZE:]
    return Digits((images[train], labels[train]), (images[test], labels[test]))
