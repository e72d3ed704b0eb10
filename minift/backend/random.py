"""Every random draw comes from here: named generators, one seed, a state that can be saved.

Weights, shuffles and the like are drawn on the host from a named generator, so that a run on a
GPU starts from the same numbers. Dropout asks for a *key* instead: the mask is a pure function
of (seed, draw number) and can be made again anywhere.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

_seed = 0
_draws = 0
_generators: dict[str, np.random.Generator] = {}


def manual_seed(seed: int) -> None:
    """Restart every named generator from `seed` (an integer of at least 0)."""
    global _seed, _draws
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"manual_seed: the seed must be an integer of at least 0, got {seed!r}")
    _seed, _draws = int(seed), 0
    _generators.clear()


def generator(name: str) -> np.random.Generator:
    """The generator called `name`; each name has its own stream, whatever the others draw."""
    if name not in _generators:
        _generators[name] = np.random.default_rng([_seed, zlib.crc32(name.encode())])
    return _generators[name]


def next_key() -> tuple[int, int]:
    """(seed, draw number): a new key for one counter-based draw, such as a dropout mask."""
    global _draws
    _draws += 1
    return _seed, _draws


def get_state() -> dict[str, Any]:
    """All that is needed to go on exactly here; plain JSON values."""
    states = {name: g.bit_generator.state for name, g in _generators.items()}
    return {"seed": _seed, "draws": _draws, "generators": states}


def set_state(state: dict[str, Any]) -> None:
    """Go on from what `get_state` returned."""
    global _draws
    manual_seed(state["seed"])
    _draws = state["draws"]
    for name, saved in state["generators"].items():
        generator(name).bit_generator.state = saved
