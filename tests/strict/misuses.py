"""What CuPy refuses and what it takes, for `tests/test_strict.py` to try on the double and on CuPy.

Each entry is a function of the module (`cp`), a device array `g`, and `h`, the same on the host:
float32, (2, 3), 1 … 6. `i` are the device integers [0, 1], `twice` [1, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

Use = Callable[[Any], Any]

HOST = np.arange(1, 7, dtype=np.float32).reshape(2, 3)


def ingredients(cp: Any) -> SimpleNamespace:
    """`cp`, `h`, `g`, `i`, `twice`, and `s`, a 0-d sum: new ones for each use."""
    g = cp.asarray(HOST)
    i, twice = cp.arange(2), cp.ones(2, dtype=np.int64)
    return SimpleNamespace(cp=cp, h=HOST.copy(), g=g, i=i, twice=twice, s=g.sum())


def assign(target: Any, index: Any, value: Any) -> Any:
    target[index] = value
    return target


def add_to(target: Any, value: Any) -> Any:
    target += value
    return target


REFUSED: dict[str, Use] = {
    # from device to host unasked
    "np.asarray of a loss": lambda o: np.asarray(o.s),
    "np.testing on a device array": lambda o: np.testing.assert_allclose(o.g, o.h),
    "a host table indexed by a device array": lambda o: o.h[o.i],
    "a device row stored in a host array": lambda o: assign(o.h, 0, o.g[0]),
    "a list of device and host numbers": lambda o: o.cp.array([o.s, 1.0]),
    "a host list of device numbers": lambda o: np.array([o.s, o.s]),
    "range of a device number": lambda o: range(o.i[1]),
    "if on a whole array": lambda o: bool(o.g > 0),
    "float of a whole array": lambda o: float(o.g),
    "round of a loss": lambda o: round(o.s, 1),
    "a device array as a key": lambda o: {o.g: 1},
    # host arrays beside device arrays
    "device + host": lambda o: o.g + o.h,
    "host * device": lambda o: o.h * o.g,
    "device + 0-d host": lambda o: o.g + np.array(2.0),
    "device += host": lambda o: add_to(o.g, o.h),
    "host += device": lambda o: add_to(o.h, o.g),
    "device @ host": lambda o: o.g @ o.h.T,
    "host @ device": lambda o: o.h @ o.g.T,
    "device > host": lambda o: o.g > o.h,
    "matmul with a host weight": lambda o: o.cp.matmul(o.g, o.h.T),
    "exp of a host array": lambda o: o.cp.exp(o.h),
    "exp of a list": lambda o: o.cp.exp([1.0]),
    "sum of a list": lambda o: o.cp.sum([1.0, 2.0]),
    "maximum with a host array": lambda o: o.cp.maximum(o.g, o.h),
    "where with a host condition": lambda o: o.cp.where(o.h > 2, o.g, 0),
    "where with a host choice": lambda o: o.cp.where(o.g > 2, o.g, o.h),
    "concatenate of host and device": lambda o: o.cp.concatenate([o.g, o.h]),
    "concatenate of a device array and a list": lambda o: o.cp.concatenate([o.i, [1]]),
    "stack of a device number and a number": lambda o: o.cp.stack([o.s, 1.0]),
    "np.concatenate of host and device": lambda o: np.concatenate([o.g, o.h]),
    "a host row stored": lambda o: assign(o.g, 0, o.h[0]),
    "a list stored": lambda o: assign(o.g, 0, [1.0, 2.0, 3.0]),
    "out= a host array": lambda o: o.cp.exp(o.g, out=o.h),
    # what CuPy lacks
    "vecdot": lambda o: o.cp.vecdot(o.g, o.g),
    "errstate": lambda o: o.cp.errstate(all="raise"),
    "scatter_add": lambda o: o.cp.scatter_add(o.g, o.i, o.g),
    "maximum.reduce": lambda o: o.cp.maximum.reduce(o.g),
    "maximum.accumulate": lambda o: o.cp.maximum.accumulate(o.g),
    "multiply.at": lambda o: o.cp.multiply.at(o.g, o.i, 2.0),
    "sum(where=)": lambda o: o.cp.sum(o.g, where=o.g > 0),
    ".sum(where=)": lambda o: o.g.sum(where=o.g > 0),
    "max(initial=)": lambda o: o.cp.max(o.g, initial=0.0),
    "exp(where=)": lambda o: o.cp.exp(o.g, where=o.g > 0),
    "var(correction=)": lambda o: o.g.var(correction=1),
    ".ctypes": lambda o: o.g.ctypes,
    ".resize": lambda o: o.g.resize((3, 2)),
    "__array_interface__": lambda o: o.g.__array_interface__,
    # dtypes and shapes
    "an object array": lambda o: o.cp.array([None]),
    "an array of text": lambda o: o.cp.array(["a"]),
    "a long double": lambda o: o.cp.zeros(3, dtype=np.longdouble),
    "integers += floats": lambda o: add_to(o.i, o.cp.ones(2, dtype=np.float32)),
    "a number out of bounds": lambda o: o.g[5],
    "shapes that do not broadcast": lambda o: o.g + o.cp.ones(2, dtype=np.float32),
}

# CuPy takes these: a copy at every use, or numbers that are not the CPU's
STRICTER: dict[str, Use] = {
    "sum of a host array": lambda o: o.cp.sum(o.h),
    "einsum with a host array": lambda o: o.cp.einsum("ij,kj->ik", o.g, o.h),
    "add.at of host values": lambda o: o.cp.add.at(o.g, o.i, o.h),
    "a host index": lambda o: o.g[np.array([1])],
    "a list as an index": lambda o: o.g[[0, 1]],
    "a host mask": lambda o: o.g[o.h[:, 0] > 2],
    "a store at a host index": lambda o: assign(o.g, np.array([1]), 0.0),
    "add.at a host index": lambda o: o.cp.add.at(o.g, np.array([0, 1]), o.g),
    "a store to one place twice": lambda o: assign(o.g, o.twice, o.g),
    "an index out of bounds": lambda o: o.g[o.i + 5],
    "a negative number as unsigned": lambda o: (-o.g).astype(np.uint32),
    "infinity as an integer": lambda o: (o.g / 0).astype(np.int32),
    "a large float stored as an integer": lambda o: assign(o.i, 0, o.s * 1e30),
}

LAWFUL: dict[str, Use] = {
    "np.exp runs on the device": lambda o: np.exp(o.g),
    "np.sum runs on the device": lambda o: np.sum(o.g, axis=0),
    "np.concatenate of device arrays": lambda o: np.concatenate([o.g, o.g]),
    "a Python number": lambda o: o.g + 2.5,
    "a NumPy number": lambda o: np.float32(2) * o.g,
    "a NumPy number of more bits": lambda o: o.g * np.float64(2),
    "integers beside floats": lambda o: o.g[:, :2] + o.i,
    "integers divided": lambda o: o.i / 2,
    "a comparison": lambda o: o.g >= 3,
    "a 0-d sum": lambda o: o.s * 2,
    "a mean in float64": lambda o: o.g.mean(axis=1, dtype=np.float64),
    "var": lambda o: o.g.var(axis=0, keepdims=True),
    "argmax": lambda o: o.g.argmax(axis=-1),
    "any": lambda o: o.cp.isinf(o.g).any(),
    "a number's float": lambda o: float(o.s),
    "an if": lambda o: bool(o.s > 3),
    "a number in a text": lambda o: f"{o.s:.2f}",
    "a device number stored in a host array": lambda o: assign(o.h, (0, 0), o.s),
    "get": lambda o: o.g.get(),
    "tolist": lambda o: o.g.tolist(),
    "asarray of a host array": lambda o: o.cp.asarray(o.h),
    "asarray of a device array": lambda o: o.cp.asarray(o.g),
    "a list to the device": lambda o: o.cp.array([[1.0, 2.0]], dtype=np.float32),
    "a list of device numbers": lambda o: o.cp.array([o.s, o.s]),
    "slices": lambda o: o.g[::-1, None, 1:],
    "a device index": lambda o: o.g[o.i],
    "a pair of device indices": lambda o: o.g[o.i, o.twice],
    "a device mask": lambda o: o.g[o.g > 2],
    "flatnonzero": lambda o: o.cp.flatnonzero(o.g > 2),
    "a number stored": lambda o: assign(o.g, (slice(None), 1), 0),
    "a device row stored": lambda o: assign(o.g, 0, o.g[1] * 2),
    "a store at a device index": lambda o: assign(o.g, o.i, o.g * 2),
    "a number stored twice in one place": lambda o: assign(o.g, o.twice, 5.0),
    "a store under a mask": lambda o: assign(o.g, o.g > 2, 0.0),
    "add.at": lambda o: (o.cp.add.at(o.g, o.twice, o.g * 2), o.g)[1],
    "in place": lambda o: add_to(o.g, o.g),
    "out=": lambda o: o.cp.exp(o.g, out=o.cp.empty_like(o.g)),
    "where": lambda o: o.cp.where(o.g > 2, o.g, 0),
    "clip": lambda o: o.g.clip(2, 4),
    "matmul": lambda o: o.g @ o.g.T,
    "einsum": lambda o: o.cp.einsum("ij,kj->ik", o.g, o.g),
    "vdot": lambda o: o.cp.vdot(o.g, o.g),
    "softmax": lambda o: o.cp.exp(o.g) / o.cp.exp(o.g).sum(axis=-1, keepdims=True),
    "astype": lambda o: o.g.astype(np.float16),
    "astype of the same": lambda o: o.g.astype(np.float32, copy=False),
    "pad": lambda o: o.cp.pad(o.g, ((0, 1), (1, 0)), constant_values=2.0),
    "tril": lambda o: o.cp.tril(o.g, 1),
    "broadcast_to": lambda o: o.cp.broadcast_to(o.g, (2, 2, 3)),
    "strides": lambda o: o.cp.lib.stride_tricks.as_strided(o.g, (2, 2), (12, 4)),
    "may_share_memory": lambda o: o.cp.may_share_memory(o.g, o.g[0]),
    "log of zero warns nobody": lambda o: o.cp.log(o.g - 1),
    "empty": lambda o: o.cp.empty((2, 0), dtype=np.float32).sum(axis=0),
}
