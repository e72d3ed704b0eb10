"""The double's module: CuPy's functions, each NumPy's of that name behind CuPy's manners.

Only what `api.json` names is there. Kernels (`RawKernel`, `ElementwiseKernel` ...), streams and
random numbers are not: under the double every op takes its plain formula, and minift draws on the
host.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from minift import kernels
from minift.backend import cuda, trouble
from strict.api import read_file
from strict.array import arrays_in, compute, inside, ndarray, on_device
from strict.checks import check_cast, check_keywords
from strict.counts import count

TABLE = read_file()
FUNCTIONS = TABLE["functions"]
CONSTANTS = ("e", "inf", "nan", "newaxis", "pi")
INTEGERS = ("int32", "int64", "uint32", "uint64")
AT = {  # the only ufuncs with `at`, and the dtypes that it takes
    "add": (*INTEGERS, "float16", "float32", "float64"),
    "subtract": ("int32", "uint32"),
    "maximum": (*INTEGERS, "float32", "float64"),
    "minimum": (*INTEGERS, "float32", "float64"),
    "bitwise_and": INTEGERS,
    "bitwise_or": INTEGERS,
    "bitwise_xor": INTEGERS,
}
REDUCE = {"add", "multiply"}  # the only ufuncs with reduce and accumulate
ONE_ARRAY = ("a", "x", "arr")  # first parameter of functions that take no list of arrays
ON_HOST = {"can_cast", "isscalar", "may_share_memory", "ndim", "result_type", "shape", "size"}
UNFILLED = {"empty", "empty_like"}  # memory alone, no launch
FETCHING = {"argwhere", "flatnonzero", "nonzero"}  # the result's shape has to be fetched


class ufunc:  # noqa: N801 - CuPy's name
    """A function of elements. Refuses host arrays, lists, `where=`, most of `at` and `reduce`."""

    def __init__(self, name: str) -> None:
        self.name, self.numpy = name, getattr(np, name)

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return self._compute(self.numpy, args, keywords)

    def _compute(self, function: Any, args: tuple, keywords: dict[str, Any]) -> Any:
        if unknown := set(keywords) & {"where", "initial", "subok", "axes", "extobj"}:
            raise TypeError(f"Wrong arguments {unknown}")
        refuse_lists(*args, keywords.get("out"))
        return compute(function, *args, **keywords)

    def at(self, target: ndarray, index: Any, *values: Any) -> None:
        """target[index] op= values, each element as often as the index names it."""
        if self.name not in AT:
            raise NotImplementedError(f"`cupy_{self.name}.at` is not supported yet")
        if not isinstance(target, ndarray):
            raise TypeError(f"Unsupported type {type(target)}")
        if target.dtype.name not in AT[self.name]:
            kinds = ", ".join(AT[self.name])
            raise TypeError(f"cupy.{self.name}.at only supports {kinds} as data type")
        compute(self.numpy.at, target, on_device(index), *values)

    def outer(self, *args: Any, **keywords: Any) -> Any:
        return self._compute(self.numpy.outer, args, keywords)

    def reduce(self, x: Any, *args: Any, **keywords: Any) -> Any:
        return self._fold("reduce", x, args, keywords)

    def accumulate(self, x: Any, *args: Any, **keywords: Any) -> Any:
        return self._fold("accumulate", x, args, keywords)

    def _fold(self, method: str, x: Any, args: tuple, keywords: dict[str, Any]) -> Any:
        if self.name not in REDUCE:
            raise NotImplementedError(f"`cupy_{self.name}.{method}` is not supported yet")
        return self._compute(getattr(self.numpy, method), (x, *args), keywords)


def refuse_mixed(x: Any) -> None:
    """Of a list with device arrays, such as that of `concatenate`, each must be one."""
    if isinstance(x, (list, tuple)) and arrays_in(x):
        for part in x:
            if not isinstance(part, ndarray):
                raise TypeError(f"Unsupported type {type(part)}")


def refuse_lists(*args: Any) -> None:
    """Numbers and device arrays only (`compute` refuses host arrays)."""
    for x in args:
        if isinstance(x, (list, tuple)):
            raise TypeError(f"Unsupported type {type(x)}")


# ---- to the device and back ---------------------------------------------------------------------


def array(obj: Any, dtype: Any = None, copy: bool = True, order: str = "K") -> ndarray:
    """A device array of numbers, nested lists, a host array (one copy) or device arrays."""
    if isinstance(obj, ndarray):
        check_cast(obj._inner, np.dtype(dtype or obj.dtype))
        return compute(np.array, obj, dtype, copy=copy or None, order=order)
    if isinstance(obj, (list, tuple)) and arrays_in(obj):
        return compute(np.array, [_all_on_device(v) for v in obj], dtype, order=order)
    count("h2d")
    return ndarray(np.array(obj, dtype, order=order))


def _all_on_device(x: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return [_all_on_device(v) for v in x]
    return x if isinstance(x, ndarray) else ndarray.__array__(x)


def asarray(a: Any, dtype: Any = None, order: str = "K", copy: Any = None) -> ndarray:
    return array(a, dtype, copy=bool(copy), order=order)


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    return array(a, dtype, copy=False, order="C")


def asnumpy(a: Any) -> np.ndarray:
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


def get_array_module(*args: Any) -> Any:
    return cupy if arrays_in(args) else np


def where(condition: Any, *values: Any) -> Any:
    """Of one argument: the places that are true, whose number has to be fetched."""
    refuse_lists(condition, *values)
    if not values:
        count("d2h")
    return compute(np.where, condition, *values)


OWN = {
    f.__name__: f
    for f in (array, asarray, ascontiguousarray, asnumpy, get_array_module, ufunc, where)
}


# ---- the module ---------------------------------------------------------------------------------


@functools.cache
def function(path: str) -> Any:
    """CuPy's function of that name ("exp", "linalg.norm"). Raises AttributeError without one."""
    theirs = functools.reduce(lambda m, name: getattr(m, name, None), path.split("."), np)
    if path not in FUNCTIONS or theirs is None:
        raise AttributeError(f"module 'cupy' has no attribute {path!r}, or its double has none")
    if isinstance(theirs, type):  # float32 and the like are NumPy's own
        return theirs
    if path in TABLE["ufuncs"]:
        return ufunc(path)

    @functools.wraps(theirs)
    def call(*args: Any, **keywords: Any) -> Any:
        check_keywords(path, FUNCTIONS[path], args, keywords)
        if (FUNCTIONS[path] or [""])[0] in ONE_ARRAY:
            refuse_lists(*args[:1])
        for x in args[:1]:
            refuse_mixed(x)
        if path in ON_HOST:
            return theirs(*inside(args), **keywords)
        if path in UNFILLED:
            return ndarray(theirs(*inside(args), **keywords))
        if path in FETCHING:
            count("d2h")
        return compute(theirs, *args, **keywords)

    return call


class Module(ModuleType):
    """A module (or a part of it, with its own `prefix`) whose functions are looked up on use."""

    def __init__(self, name: str, prefix: str = "", **content: Any) -> None:
        super().__init__(name)
        self.__dict__.update(content, prefix=prefix)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return function(self.prefix + name)


def erf(x: ndarray) -> ndarray:
    """As `cupyx.scipy.special.erf`."""
    if not isinstance(x, ndarray):
        raise TypeError(f"Unsupported type {type(x)}")
    return compute(lambda inner: np.vectorize(math.erf, [inner.dtype])(inner), x)


cupy = Module(
    "cupy",
    **OWN,
    **{name: getattr(np, name) for name in CONSTANTS},
    ndarray=ndarray,
    __version__=TABLE["cupy"],
    cuda=SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=lambda: 1)),
    linalg=Module("cupy.linalg", "linalg."),
    lib=SimpleNamespace(stride_tricks=Module("cupy.lib.stride_tricks", "lib.stride_tricks.")),
)
special = ModuleType("cupyx.scipy.special")
special.erf = erf  # type: ignore[attr-defined]
MODULES: dict[str, Any] = {
    "cupy": cupy,
    "cupyx": SimpleNamespace(scipy=SimpleNamespace(special=special)),
    "cupyx.scipy": SimpleNamespace(special=special),
    "cupyx.scipy.special": special,
}


@contextmanager
def installed() -> Iterator[Any]:
    """`import cupy` finds the double inside the block, and what was there before after it.

    Ops take their plain formulas meanwhile: the double has no kernels.
    """
    real = {n: m for n, m in sys.modules.items() if n.partition(".")[0] in ("cupy", "cupyx")}
    _exchange(real, MODULES)
    try:
        with kernels.plain_formulas():
            yield cupy
    finally:
        _exchange(MODULES, real)


def _exchange(out: dict[str, Any], into: dict[str, Any]) -> None:
    for name in out:
        del sys.modules[name]
    sys.modules.update(into)
    # what minift remembers of the other: can CUDA be used, and an array that lies there
    cuda.why_not.cache_clear()
    trouble.State.word, trouble.State.unread = None, False
