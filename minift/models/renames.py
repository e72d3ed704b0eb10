"""Rename: one row of the table by which a family reads the names that other files use.

    Rename("bn1.*", "embedder.embedder.normalization.*")
    Rename("blocks.*.attn.qkv.*", ("layers.*.attention.q_proj.*", "layers.*.attention.k_proj.*", …))

A star stands for any text and carries it over. Names are those of the body, without the family's
prefix ("bert."), which is added and removed as the model needs it: bare encoders are saved without,
models with a head with it. A row with several new names cuts a fused array into equal parts along
its first axis; one with none drops a constant that is no weight. Each family's table stands in its
own file; what is done with the arrays afterwards is in `pretrained.py`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Rename:
    """`old` in a file is `new` here; with `published`, files that we write say `old` again."""

    old: str
    new: str | tuple[str, ...] = ()
    published: bool = False

    def read(self, name: str) -> list[str]:
        """What `name` is called here: itself if this row is not about it, nothing if it goes."""
        new = (self.new,) if isinstance(self.new, str) else self.new
        texts = stars(self.old, name)
        return [name] if texts is None else [filled(one, texts) for one in new]

    def write(self, name: str) -> str:
        """What our `name` is called in a file that we write."""
        texts = stars(self.new, name) if self.published and isinstance(self.new, str) else None
        return name if texts is None else filled(self.old, texts)


def stars(template: str, name: str) -> tuple[str, ...] | None:
    """The texts that the stars of `template` stand for in `name`; None if it does not fit."""
    found = re.fullmatch(re.escape(template).replace(r"\*", "(.+?)"), name)
    return None if found is None else found.groups()


def filled(template: str, texts: Sequence[str]) -> str:
    """The template with its stars replaced, one after the other."""
    remaining = iter(texts)
    return re.sub(r"\*", lambda _: next(remaining), template)


def read_names(
    arrays: Arrays, table: Sequence[Rename], prefix: str, known: Collection[str]
) -> tuple[Arrays, list[tuple[str, str]]]:
    """The arrays under the names that a model knows, and which names changed.

    A name that no row and no prefix makes known keeps its own. Raises ValueError if two arrays get
    one name, or a fused one cannot be cut.
    """
    found: Arrays = {}
    renamed: list[tuple[str, str]] = []
    for old, array in arrays.items():
        names = [with_prefix(name, old, prefix, known) for name in by_table(old, table, prefix)]
        for name, part in zip(names, parts_of(old, array, len(names))):
            if name in found:
                raise ValueError(f"the file holds {name} twice, once as {old}; copy it again")
            found[name] = part
            renamed += [(old, name)] if name != old else []
    return found, renamed


def by_table(name: str, table: Iterable[Rename], prefix: str) -> list[str]:
    """The name without its prefix, after each row in turn."""
    names = [name.removeprefix(f"{prefix}.")]
    for row in table:
        names = [new for one in names for new in row.read(one)]
    return names


def with_prefix(name: str, old: str, prefix: str, known: Collection[str]) -> str:
    """The name with or without the prefix: as the model knows it, else as the file had it."""
    prefixed = f"{prefix}.{name}"
    if prefixed in known:
        return prefixed
    return prefixed if name not in known and old.startswith(f"{prefix}.") else name


def parts_of(name: str, array: np.ndarray, count: int) -> list[np.ndarray]:
    """A fused array cut into `count` equal parts along its first axis."""
    if count < 2:
        return [array] * count
    if array.ndim == 0 or len(array) % count:
        raise ValueError(f"{name} of shape {array.shape} cannot be cut into {count} equal parts")
    return np.split(array, count)


def write_names(arrays: Arrays, table: Sequence[Rename], prefix: str) -> Arrays:
    """The arrays under the names that published files use."""
    return {published_name(name, table, prefix): array for name, array in arrays.items()}


def published_name(name: str, table: Iterable[Rename], prefix: str) -> str:
    bare = name.removeprefix(f"{prefix}.")
    start = name[: len(name) - len(bare)]
    for row in table:
        bare = row.write(bare)
    return start + bare
