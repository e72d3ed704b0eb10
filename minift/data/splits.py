"""Splitting rows into parts that do not leak into each other.

Three kinds of split, in order of growing care: at random; *stratified*, where every part keeps
the proportions of the classes; *grouped*, where rows that belong together (sentences of one
author, views of one patient) never stand on both sides. Everything is decided by index, from a
seed, so that the same call makes the same split on every machine.

Not here: the fixed split of the glosses (`make_glosses.py`, where a row has many groups).
Read next: `glosses.py`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def proportional_counts(class_sizes: ArrayLike, total: int, minimum: int = 0) -> np.ndarray:
    """How many rows to take of each class: (C,) integers that sum to `total`.

    Each class gives its share `total * size / sum of sizes`, rounded so that the sum is exact (the
    largest remainders are rounded up) and no class gives fewer than `minimum`. Raises ValueError
    if the classes are too few or too small for that.
    """
    sizes = np.asarray(class_sizes)
    if not minimum * len(sizes) <= total <= sizes.sum() or sizes.min(initial=minimum) < minimum:
        raise ValueError(
            f"proportional_counts: cannot take {total} rows, at least {minimum} of each class, "
            f"from classes of {sizes.tolist()} rows"
        )
    shares = total * sizes / sizes.sum()
    counts = np.maximum(np.floor(shares).astype(int), minimum)
    while counts.sum() < total:
        counts[np.argmax(np.where(counts < sizes, shares - counts, -np.inf))] += 1
    while counts.sum() > total:
        counts[np.argmin(np.where(counts > minimum, shares - counts, np.inf))] -= 1
    return counts


def train_test_split(
    *items: Sequence,
    test_size: float = 0.2,
    seed: int = 0,
    stratify: Sequence | None = None,
    group: Sequence | None = None,
) -> list:
    """Split sequences of equal length: `train_a, test_a, train_b, test_b = split(a, b)`.

    `test_size` is a fraction in (0, 1) or a whole number of rows. With `stratify` (one class a
    row) both parts keep the class proportions; with `group` (one group a row) whole groups go to
    one side, and the test part is the first such set that reaches `test_size`. With both, whole
    groups go to one side and no class's share of the test part is exceeded. Arrays come back as
    arrays, everything else as lists. Raises ValueError for sequences of different lengths and for
    a part that would be empty.
    """
    n = _common_length(items)
    num_test = _num_test_rows(n, test_size)
    _check_row_marks(n, stratify, group)
    rng = np.random.default_rng(seed)
    in_test = np.zeros(n, bool)
    if stratify is not None and group is not None:
        in_test[_stratified_group_rows(stratify, group, num_test, rng)] = True
    elif stratify is not None:
        in_test[_stratified_rows(stratify, num_test, rng)] = True
    elif group is not None:
        in_test[_grouped_rows(group, num_test, rng)] = True
    else:
        in_test[rng.permutation(n)[:num_test]] = True
    return [_take(item, part) for item in items for part in (~in_test, in_test)]


def k_folds(
    n: int,
    k: int,
    seed: int = 0,
    stratify: Sequence | None = None,
    group: Sequence | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield `k` pairs (train indices, test indices); every row is tested exactly once.

    With `stratify` the class counts of two folds differ by at most one; with `group` whole groups
    are dealt to the fold that is smallest so far; with both, to the fold that has the least of the
    group's classes so far. Raises ValueError for fewer than two folds and for more folds than rows
    (or groups).
    """
    units = n if group is None else len(set(group))
    if not 2 <= k <= units:
        what = "rows" if group is None else "groups"
        raise ValueError(f"k_folds: k must lie between 2 and the {units} {what}, got {k}")
    _check_row_marks(n, stratify, group)
    fold = _fold_of_rows(n, k, np.random.default_rng(seed), stratify, group)
    return ((np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(k))


def _fold_of_rows(
    n: int, k: int, rng: np.random.Generator, stratify: Sequence | None, group: Sequence | None
) -> np.ndarray:
    """The fold of each row, (n,) integers in [0, k)."""
    if group is not None:
        return _fold_of_groups(group, [0] * n if stratify is None else stratify, k, rng)
    order = rng.permutation(n)
    if stratify is not None:  # class by class, so that dealing round the table is even in each
        order = order[np.argsort(_codes(stratify)[order], kind="stable")]
    fold = np.empty(n, int)
    fold[order] = np.arange(n) % k
    return fold


def _fold_of_groups(
    group: Sequence, labels: Sequence, k: int, rng: np.random.Generator
) -> np.ndarray:
    """Groups from the largest to the smallest, each to the fold that has the smallest share of its
    classes so far, of equals to the one with the fewest rows."""
    groups, classes = _codes(group), _codes(labels)
    held = np.zeros((groups.max() + 1, classes.max() + 1), int)  # rows of each group and class
    np.add.at(held, (groups, classes), 1)
    shares, sizes = held / held.sum(axis=0), held.sum(axis=1)
    order = rng.permutation(len(sizes))  # the seed decides among groups of one size
    filled, fold_of = np.zeros((k, held.shape[1]), int), np.empty(len(sizes), int)
    for g in order[np.argsort(-sizes[order], kind="stable")]:
        fold_of[g] = np.lexsort((filled.sum(axis=1), filled @ shares[g]))[0]
        filled[fold_of[g]] += held[g]
    return fold_of[groups]


def _stratified_rows(labels: Sequence, count: int, rng: np.random.Generator) -> np.ndarray:
    codes = _codes(labels)
    wanted = proportional_counts(np.bincount(codes), count)
    order = rng.permutation(len(codes))
    rows_of = [order[codes[order] == c] for c in range(len(wanted))]
    return np.concatenate([rows[:w] for rows, w in zip(rows_of, wanted)])


def _grouped_rows(group: Sequence, count: int, rng: np.random.Generator) -> np.ndarray:
    codes = _codes(group)
    order = rng.permutation(codes.max() + 1)
    reached = np.cumsum(np.bincount(codes)[order])
    chosen = order[: np.searchsorted(reached, count) + 1]
    if len(chosen) == len(order):
        raise ValueError(
            f"train_test_split: {count} test rows need all {len(order)} groups; nothing would be "
            f"left to train on"
        )
    return np.flatnonzero(np.isin(codes, chosen))


def _stratified_group_rows(
    labels: Sequence, group: Sequence, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Groups in random order, each taken if its rows still fit into the share of every class."""
    classes, groups = _codes(labels), _codes(group)
    held = np.zeros((groups.max() + 1, classes.max() + 1), int)  # rows of each group and class
    np.add.at(held, (groups, classes), 1)
    room = proportional_counts(held.sum(0), count)
    chosen = []
    for g in rng.permutation(len(held)):
        if (held[g] <= room).all():
            chosen.append(g)
            room -= held[g]
    if not chosen:
        raise ValueError(
            f"train_test_split: no group is small enough for {count} test rows of {len(classes)}"
        )
    return np.flatnonzero(np.isin(groups, chosen))


def _codes(marks: Sequence) -> np.ndarray:
    """Marks of any kind as integers 0, 1, 2, ... in sorted order."""
    return np.unique(np.asarray(marks), return_inverse=True)[1]


def _take(item: Sequence, chosen: np.ndarray) -> Any:
    if isinstance(item, np.ndarray):
        return item[chosen]
    return [item[i] for i in np.flatnonzero(chosen).tolist()]


def _common_length(items: tuple[Sequence, ...]) -> int:
    lengths = [len(item) for item in items]
    if not lengths or len(set(lengths)) > 1:
        raise ValueError(f"train_test_split: need sequences of one length, got lengths {lengths}")
    return lengths[0]


def _num_test_rows(n: int, test_size: float) -> int:
    count = round(n * test_size) if 0 < test_size < 1 else test_size
    if int(count) != count or not 0 < count < n:
        raise ValueError(
            f"train_test_split: test_size={test_size} of {n} rows leaves an empty part; give a "
            f"fraction in (0, 1) or a whole number of rows below {n}"
        )
    return int(count)


def _check_row_marks(n: int, stratify: Sequence | None, group: Sequence | None) -> None:
    for name, marks in (("stratify", stratify), ("group", group)):
        if marks is not None and len(marks) != n:
            raise ValueError(f"splits: {name} has {len(marks)} marks for {n} rows")
