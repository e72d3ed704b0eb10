"""Many tensors in one launch: optimizer steps, the length of a gradient, clipping, packing.

The kernels are in `multi_tensor.cu`; here their arguments are laid out. Each launch takes the
addresses and sizes of its tensors with it, so a step copies nothing to the device.

Not here: the formulas to learn from. Read those in `minift/optim/rules.py` first.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from minift.backend import Array, cuda, device_of, trouble

CHUNK, ARGUMENTS = 4096, 4032  # elements a block, bytes a launch: as in the .cu file
THREADS = 256
TYPES = {"e": ("__half", "float"), "f": ("float", "float"), "d": ("double", "double")}


@functools.cache
def kernel(expression: str) -> Any:
    """The kernel that a C++ expression such as "squares<float, float>" names."""
    source = Path(__file__).with_suffix(".cu").read_text(encoding="utf-8")
    module = cuda.module().RawModule(
        code=source, options=("--std=c++17",), name_expressions=(expression,)
    )
    return module.get_function(expression)


Row: TypeAlias = tuple[Any, ...]  # a struct of the .cu file without `first`: the size, the rest


class Batch(NamedTuple):
    """What one launch works on: the struct, how many entries it holds, its blocks."""

    struct: np.ndarray
    entries: np.int32
    blocks: int


def batches(entry: np.dtype, rows: Sequence[Row]) -> Iterator[Batch]:
    """As many launches as the rows need; each row gets the number of its first block."""
    capacity = ARGUMENTS // entry.itemsize
    for start in range(0, len(rows), capacity):
        chosen = rows[start : start + capacity]
        ends = list(itertools.accumulate(-(-size // CHUNK) for size, *_ in chosen))
        struct = np.zeros((), np.dtype([("entries", entry, capacity)]))
        struct["entries"][: len(chosen)] = [(n, *row) for n, row in zip([0, *ends], chosen)]
        if ends[-1]:
            yield Batch(struct, np.int32(len(chosen)), ends[-1])


# ---- optimizer steps ----------------------------------------------------------------------------


class Rule:
    """An update rule of `multi_tensor.cu` and its members, computed from a group's settings."""

    def __init__(self, name: str, members: Callable[..., tuple[float, ...]]) -> None:
        self.name, self.members = name, members


SGD = Rule(
    "SGD",
    lambda *, lr, momentum, nesterov, weight_decay, **_: (lr, momentum, nesterov, weight_decay),
)
RMSPROP = Rule(
    "RMSprop",
    lambda *, lr, alpha, eps, momentum, **_: (lr, alpha, 1 - alpha, eps, momentum),
)


def _adam(
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    step: int,
    weight_decay: float = 0,
    **_: Any,
) -> tuple[float, ...]:
    """decay, β₁, 1-β₁, β₂, 1-β₂, rate, scale, ε: bias corrections are numbers of the step."""
    (beta1, beta2), decay = betas, 1 - lr * weight_decay
    rate, scale = lr / (1 - beta1**step), 1 / math.sqrt(1 - beta2**step)
    return decay, beta1, 1 - beta1, beta2, 1 - beta2, rate, scale, eps


ADAM = Rule("Adam", _adam)


def takes(*arrays: Array | None) -> bool:
    """Whether the kernels can work on these: on the GPU, without gaps, of floats."""
    return all(
        a is None or (device_of(a) == "cuda" and a.flags.c_contiguous and a.dtype.char in TYPES)
        for a in arrays
    )


def step(rule: Rule, updates: Sequence[Any], scale: float) -> None:
    """Apply one rule to many updates (`minift/kernels/updates.py`), gradients times `scale`."""
    by_type: dict[str, list[Any]] = defaultdict(list)
    for update in updates:
        by_type[update.gradient.dtype.char].append(update)
    for char, alike in by_type.items():
        stored, computed = TYPES[char]
        number = np.dtype("f8" if computed == "double" else "f4")
        rows = [update_row(rule, update) for update in alike]
        run = kernel(f"step<{stored}, {computed}, {rule.name}<{computed}>>")
        for batch in batches(update_entry(number, len(rows[0][-1])), rows):
            run((batch.blocks,), (THREADS,), (batch.struct, batch.entries, number.type(scale)))


def update_entry(number: np.dtype, members: int) -> np.dtype:
    """The struct Update of the .cu file."""
    addresses = [(name, "u8") for name in ("weight", "gradient", "state", "second", "copy")]
    fields = [("first", "i4"), ("size", "i8"), *addresses, ("rule", number, members)]
    return np.dtype(fields, align=True)


def update_row(rule: Rule, update: Any) -> Row:
    """One entry: size, addresses, members of the rule."""
    state, second = (*update.state, None, None)[:2]
    arrays = (update.weight, update.gradient, state, second, update.copy)
    return (update.weight.size, *map(address, arrays), rule.members(**update.settings))


def address(array: Array | None) -> int:
    """Where the array's values begin on the device; 0 for None."""
    return 0 if array is None else array.data.ptr


# ---- gradients ----------------------------------------------------------------------------------

GRADIENT = np.dtype([("first", "i4"), ("size", "i8"), ("values", "u8")], align=True)


def length(gradients: Sequence[Array]) -> Array:
    """√(Σ g·g) over all gradients, a float64 array without axes on the device."""
    cupy = cuda.module()
    sums = cupy.empty(sum(-(-g.size // CHUNK) for g in gradients), "f8")
    done = 0
    for char, rows in by_dtype(gradients).items():
        run = kernel(f"squares<{', '.join(TYPES[char])}>")
        for batch in batches(GRADIENT, rows):
            run((batch.blocks,), (THREADS,), (batch.struct, batch.entries, sums[done:]))
            done += batch.blocks
    result = cupy.empty((), "f8")
    kernel("length")((1,), (1024,), (sums, np.int32(done), result))
    return result


def clip(gradients: Sequence[Array], length: Array, max_length: float) -> None:
    """Scale gradients in place by max_length / (length + 1e-6) where that is below 1.

    A length that is not finite sets the trouble word, and leaves them as they are.
    """
    more = (length, np.float64(max_length), trouble.word(), np.int32(trouble.bit("gradient")))
    for char, rows in by_dtype(gradients).items():
        run = kernel(f"clip<{', '.join(TYPES[char])}>")
        for batch in batches(GRADIENT, rows):
            run((batch.blocks,), (THREADS,), (batch.struct, batch.entries, *more))


def by_dtype(gradients: Sequence[Array]) -> dict[str, list[Row]]:
    """The entry of each array, by the letter of its dtype."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for g in gradients:
        rows[g.dtype.char].append((g.size, address(g)))
    return rows


# ---- concatenation ------------------------------------------------------------------------------

PART = np.dtype(
    [
        *(("first", "i4"), ("size", "i8"), ("from", "u8"), ("to", "u8")),
        *(("width", "u4"), ("from_pitch", "u4"), ("to_pitch", "u4")),
    ],
    align=True,
)


def joins(xs: Sequence[Array]) -> bool:
    """Whether `concatenate` can work on these arrays."""
    return takes(*xs) and len({x.dtype for x in xs}) == 1


def concatenate(xs: Sequence[Array], axis: int) -> tuple[Array, Any]:
    """The joined arrays in one launch, and one more for all gradients: an op's two results."""
    cupy, lengths = cuda.module(), [x.shape[axis] for x in xs]
    shape = (*xs[0].shape[:axis], sum(lengths), *xs[0].shape[axis + 1 :])
    y = cupy.empty(shape, xs[0].dtype)
    copy_parts(y.dtype, parts_of(y, axis, xs, into=True))

    def backward(g: Array, wanted: list[bool]) -> list[Array]:
        grads = [cupy.empty(x.shape, x.dtype) for x in xs]
        copy_parts(g.dtype, parts_of(cupy.ascontiguousarray(g), axis, grads, into=False))
        return grads

    return y, backward


def copy_parts(dtype: np.dtype, parts: Sequence[Row]) -> None:
    run = kernel(f"copy_parts<{TYPES[dtype.char][0]}>")
    for batch in batches(PART, parts):
        run((batch.blocks,), (THREADS,), (batch.struct, batch.entries))


def parts_of(whole: Array, axis: int, pieces: Sequence[Array], into: bool) -> list[Row]:
    """How `pieces` lie side by side in `whole`, to copy them `into` it or out of it."""
    inner = math.prod(whole.shape[axis + 1 :])
    pitch, at, rows = whole.shape[axis] * inner, address(whole), []
    for piece in pieces:
        width = piece.shape[axis] * inner
        here, there = (address(piece), width), (at, pitch)
        source, target = (here, there) if into else (there, here)
        rows.append((piece.size, source[0], target[0], max(width, 1), source[1], target[1]))
        at += width * whole.itemsize
    return rows


# ---- numbers ------------------------------------------------------------------------------------

NUMBER = np.dtype([("address", "u8"), ("type", "i4")], align=True)


def pack(numbers: Sequence[Array]) -> Array:
    """Arrays of one value each as one float64 array (n,) on the device, in one launch."""
    capacity = ARGUMENTS // NUMBER.itemsize
    batch = np.zeros((), np.dtype([("entries", NUMBER, capacity)]))
    for i, x in enumerate(numbers):
        batch["entries"][i] = (address(x), ord(x.dtype.char))
    packed = cuda.module().empty(len(numbers), "f8")
    kernel("pack")((1,), (capacity,), (batch, np.int32(len(numbers)), packed))
    return packed
