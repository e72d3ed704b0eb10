"""Every random draw comes from here: named generators, one seed, a state that can be saved.

Weights, shuffles and the like are drawn on the host from a named generator, so that a run on a
GPU starts from the same numbers. Dropout asks for a *key* instead: the mask is a pure function
of (seed, draw number) and can be made again anywhere.
"""

from __future__ import annotations

import contextlib
import threading
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

_seed = 0
_draws = 0
_generators: dict[str, np.random.Generator] = {}
_own = threading.local()  # of a thread that works on a part of a batch: its rows and its draws


def manual_seed(seed: int) -> None:
    """Restart every named generator from `seed` (an integer of at least 0)."""
    global _seed, _draws
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"manual_seed: the seed must be an integer of at least 0, got {seed!r}")
    _seed, _draws = int(seed), 0
    _generators.clear()


def generator(name: str) -> np.random.Generator:
    """The generator called `name`; each name has its own stream, whatever the others draw."""
    refuse_a_part(f"draws from the generator {name!r}")
    if name not in _generators:
        _generators[name] = np.random.default_rng([_seed, zlib.crc32(name.encode())])
    return _generators[name]


def next_key() -> tuple[int, int]:
    """(seed, draw number): a new key for one counter-based draw, such as a dropout mask."""
    global _draws
    if in_part():
        _own.draws += 1
        return _seed, _own.draws
    _draws += 1
    return _seed, _draws


# ---- a batch whose parts are on several threads -------------------------------------------------


@contextlib.contextmanager
def part_of_batch(rows: slice) -> Iterator[None]:
    """Inside, this thread has those rows of a batch: keys and masks are those of the whole batch.

    Each thread counts its keys from the same number; what the whole batch used up is theirs to
    tell (`go_on_after`), for all have drawn the same.
    """
    _own.rows, _own.draws = rows, _draws
    try:
        yield
    finally:
        del _own.rows


def go_on_after(draws: int) -> None:
    """The parts of a batch have drawn up to that number (`drawn`)."""
    global _draws
    _draws = draws


def drawn() -> int:
    """The number of the last key that this thread, or the process, has drawn."""
    return _own.draws if in_part() else _draws


def in_part() -> bool:
    """Whether this thread works on a part of a batch."""
    return hasattr(_own, "rows")


def first_draw(n: int) -> int:
    """Where n draws of this thread begin among those of the whole batch, along its first axis."""
    return n * _own.rows.start // (_own.rows.stop - _own.rows.start) if in_part() else 0


def refuse_a_part(what: str) -> None:
    """ValueError on a thread that has a part of a batch, where only all of it would do."""
    if in_part():
        raise ValueError(f"split_batch: this training {what}; leave out split_batch")


# ---- the state ----------------------------------------------------------------------------------


def get_state() -> dict[str, Any]:
    """All that is needed to go on exactly here; plain JSON values."""
    refuse_a_part("goes forward twice")
    states = {name: g.bit_generator.state for name, g in _generators.items()}
    return {"seed": _seed, "draws": _draws, "generators": states}


def set_state(state: dict[str, Any]) -> None:
    """Go on from what `get_state` returned."""
    global _draws
    manual_seed(state["seed"])
    _draws = state["draws"]
    for name, saved in state["generators"].items():
        generator(name).bit_generator.state = saved
