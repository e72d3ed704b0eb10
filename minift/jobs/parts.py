"""Three parts of the examples: to train on, to choose the best epoch on, to judge on once.

Each keeps the proportions of the labels, and all copies of a text stand in one part. A label of
which there are fewer than three different texts is all for training: it could not be in each part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minift.data import k_folds, train_test_split
from minift.data.tables import count

NEEDED = 3  # different texts of a label, one for each part


@dataclass(frozen=True)
class Parts:
    """Row numbers of each part."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split(
    strata: Sequence[int] | np.ndarray,
    groups: Sequence[int] | np.ndarray,
    validation: float,
    test: float,
    seed: int,
) -> Parts:
    """Rows by their strata and groups; `validation` and `test` are shares, 0 for none.

    Raises ValueError if that leaves a part empty, or training without one of the labels.
    """
    marks, group = np.asarray(strata), np.asarray(groups)
    rare = ~np.isin(marks, frequent(marks, group))
    bound = np.isin(group, group[rare])  # with all copies of a text that a rare label binds
    always, divisible = np.flatnonzero(bound), np.flatnonzero(~bound)
    rest, held = divisible, {}
    for name, share in (("test", test), ("validation", validation)):
        held[name] = np.empty(0, int)
        if share:
            wanted = round(share * len(divisible))
            if not 0 < wanted < len(rest):
                raise too_few(len(marks), name, share)
            try:
                kept, taken = train_test_split(
                    rest.tolist(),
                    test_size=wanted,
                    seed=seed,
                    stratify=marks[rest].tolist(),
                    group=group[rest].tolist(),
                )
            except ValueError:  # the only groups are too large
                raise too_few(len(marks), name, share) from None
            rest, held[name] = np.array(kept, int), np.array(taken, int)
    train = np.sort(np.concatenate([rest, always]))
    if set(marks[train].tolist()) != set(marks.tolist()):
        raise too_few(len(marks), "validation", validation)
    return Parts(train, held["validation"], held["test"])


def divide_into_folds(
    strata: Sequence[int] | np.ndarray,
    groups: Sequence[int] | np.ndarray,
    k: int,
    validation: float,
    seed: int,
) -> list[Parts]:
    """k divisions, in each of which another fold is the test part: each row is in one of them.

    The others are divided as `split` does, a share of them for the validation part. Raises
    ValueError for rows that are too few.
    """
    marks, group = np.asarray(strata), np.asarray(groups)
    divisions = []
    for rest, held in k_folds(len(marks), k, seed, marks.tolist(), group.tolist()):
        parts = split(marks[rest], group[rest], validation, 0.0, seed)
        divisions.append(Parts(rest[parts.train], rest[parts.validation], held))
    return divisions


def frequent(strata: np.ndarray, groups: np.ndarray) -> list[int]:
    """The marks of which there are enough different texts to divide."""
    pairs = np.unique(np.stack([strata, groups]), axis=1)  # (2, different texts)
    marks, counts = np.unique(pairs[0], return_counts=True)
    return [int(mark) for mark, n in zip(marks, counts) if n >= NEEDED]


def too_few(rows: int, part: str, share: float) -> ValueError:
    """The error for a table that is too small."""
    return ValueError(
        f"{count(rows, 'row')} are too few for a {part} part of {share:.0%} with every label in "
        f"training; label more texts (30 or so), or give --val-split 0 --test-split 0"
    )
