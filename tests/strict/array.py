"""The double's array: a class around `np.ndarray`, not under it: nothing converts it unseen.

Refused as CuPy refuses it: `np.asarray(g)`, host arrays beside device arrays in any operator,
keywords and methods that CuPy lacks, dtypes that no kernel has. Reductions stay on the device, as
0-d arrays, until `float()`, `.item()`, an `if` or `.get()` fetches them: each is counted.

Refused though CuPy takes it in silence: a host array or list as an index (a copy at each use), a
store to the same place twice (on a GPU nobody knows which value wins), an index out of bounds
(it wraps round) and a cast of floats to integers that cannot hold them (another number than on the
CPU). These raise `TooStrict`, so that they can be told from CuPy's own refusals.

What it cannot show: how a GPU rounds, races, and what lies in kernels; there are none here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from strict.api import read_file
from strict.checks import TooStrict, check_cast, check_keywords, check_stored_once
from strict.counts import count

METHODS = read_file()["methods"]


class ndarray:  # noqa: N801 - CuPy's name
    """A device array; `_inner` is the NumPy array that holds its values."""

    __module__ = "cupy"  # an array's device is the package of its type
    __slots__ = ("_inner", "base")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, inner: np.ndarray, base: ndarray | None = None) -> None:
        if inner.dtype.kind not in "biufc" or inner.dtype.char in "gG":
            raise ValueError(f"Unsupported dtype {inner.dtype}")
        self._inner, self.base = inner, base

    # ---- what it is; asking costs nothing ----------------------------------------------------

    shape = property(lambda self: self._inner.shape)
    dtype = property(lambda self: self._inner.dtype)
    ndim = property(lambda self: self._inner.ndim)
    size = property(lambda self: self._inner.size)
    nbytes = property(lambda self: self._inner.nbytes)
    itemsize = property(lambda self: self._inner.itemsize)
    strides = property(lambda self: self._inner.strides)
    flags = property(lambda self: self._inner.flags)
    T = property(lambda self: view(self, self._inner.T))
    mT = property(lambda self: view(self, self._inner.mT))  # noqa: N815
    real = property(lambda self: view(self, self._inner.real))
    imag = property(lambda self: view(self, self._inner.imag))

    def __len__(self) -> int:
        return len(self._inner)

    def __iter__(self) -> Iterator[ndarray]:
        return (self[i] for i in range(len(self)))

    # ---- to the host: each waits for the device ----------------------------------------------

    def get(self) -> np.ndarray:
        count("d2h")
        return self._inner.copy()

    def item(self) -> Any:
        count("d2h")
        return self._inner.item()

    def tolist(self) -> Any:
        return self.get().tolist()

    def tobytes(self, order: str = "C") -> bytes:
        return self.get().tobytes(order)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __bool__(self) -> bool:
        count("d2h")
        return bool(self._inner)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item() if self.ndim == 0 else str(self), spec)

    def __repr__(self) -> str:
        return repr(self.get())

    def __str__(self) -> str:
        return str(self.get())

    # ---- parts --------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> ndarray:
        return compute(np.ndarray.__getitem__, self, on_device(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        key = inside(on_device(index))
        if isinstance(value, (np.ndarray, list)) and np.ndim(value):
            raise ValueError(f"non-scalar {type(value).__name__} cannot be used for fill")
        if isinstance(value, ndarray):
            if value.ndim:
                check_stored_once(self.shape, key)
            check_cast(value._inner, self.dtype)
        count("launches")
        self._inner[key] = value._inner if isinstance(value, ndarray) else value

    # ---- new arrays ---------------------------------------------------------------------------

    def astype(self, dtype: Any, *args: Any, **keywords: Any) -> ndarray:
        check_keywords("astype", METHODS["astype"], (dtype, *args), keywords)
        check_cast(self._inner, np.dtype(dtype))
        return compute(np.ndarray.astype, self, dtype, *args, **keywords)

    def set(self, array: np.ndarray) -> None:
        """The one way to write a host array into this one."""
        if type(array) is not np.ndarray or array.dtype != self.dtype:
            raise TypeError(f"set: a host array of {self.dtype} is needed")
        if array.shape != self.shape:
            raise ValueError(f"set: shapes {array.shape} and {self.shape} differ")
        count("h2d")
        self._inner[...] = array

    def __copy__(self) -> ndarray:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> ndarray:
        return self.copy()

    def __reduce__(self) -> Any:
        from strict.functions import cupy

        return cupy.asarray, (self.get(),)

    def __getattr__(self, name: str) -> Any:
        """The other methods: NumPy's, as far as CuPy has them and with CuPy's keywords."""
        method = getattr(np.ndarray, name, None)
        if METHODS.get(name) is None or method is None:
            raise AttributeError(f"'ndarray' object has no attribute {name!r}")

        def call(*args: Any, **keywords: Any) -> Any:
            check_keywords(name, METHODS[name], args, keywords)
            return compute(method, self, *args, **keywords)

        return call

    # ---- NumPy's functions, called on this array, run on the device ---------------------------

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        from strict.functions import cupy

        ufunc = getattr(cupy, function.__name__, None)
        if ufunc is None:
            return NotImplemented
        if "out" in keywords:
            keywords["out"] = keywords["out"][0]
        return getattr(ufunc, method)(*inputs, **keywords)

    def __array_function__(self, function: Any, types: Any, args: Any, keywords: Any) -> Any:
        from strict.functions import cupy

        ours = getattr(cupy, function.__name__, None)
        return NotImplemented if ours is None else ours(*args, **keywords)


# ---- operators ----------------------------------------------------------------------------------

BINARY = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide,
    "floordiv": np.floor_divide, "mod": np.remainder, "pow": np.power, "matmul": np.matmul,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "lshift": np.left_shift, "rshift": np.right_shift,
}  # fmt: skip
COMPARING = {
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "eq": np.equal, "ne": np.not_equal,
}  # fmt: skip
UNARY = {"neg": np.negative, "pos": np.positive, "abs": np.absolute, "invert": np.invert}


def _operators(name: str, function: np.ufunc) -> None:
    """x op y, y op x, x op= y; NotImplemented where the other type wants its own say."""

    def forward(self: ndarray, other: Any) -> Any:
        return NotImplemented if _has_its_own(other) else compute(function, self, other)

    def reflected(self: ndarray, other: Any) -> Any:
        return compute(function, other, self)

    def in_place(self: ndarray, other: Any) -> ndarray:
        compute(function, self, other, out=self)
        return self

    setattr(ndarray, f"__{name}__", forward)
    if name in BINARY:
        setattr(ndarray, f"__r{name}__", reflected)
        if name != "matmul":  # CuPy has no @=
            setattr(ndarray, f"__i{name}__", in_place)


def _has_its_own(other: Any) -> bool:
    return getattr(other, "__array_ufunc__", other) is None


for _name, _function in (BINARY | COMPARING).items():
    _operators(_name, _function)
for _name, _function in UNARY.items():
    setattr(ndarray, f"__{_name}__", lambda self, function=_function: compute(function, self))


# ---- the one gate between the double and NumPy --------------------------------------------------


def compute(function: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    """Call a NumPy function on what lies inside device arrays; its result is on the device.

    A view of an argument's memory costs nothing, all else a launch. No warnings: a GPU gives none.
    Raises TypeError for a host array.
    """
    sources = arrays_in((args, keywords))
    with np.errstate(all="ignore"):
        result = function(*inside(args), **inside(keywords))
    if keywords.get("out") is not None:
        count("launches")
        return keywords["out"]
    return outside(result, sources)


def inside(x: Any) -> Any:
    """NumPy's arrays in place of device arrays, in containers as well."""
    if isinstance(x, ndarray):
        return x._inner
    if isinstance(x, (list, tuple)):
        return type(x)([inside(v) for v in x])
    if isinstance(x, dict):
        return {k: inside(v) for k, v in x.items()}
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type {type(x)}")
    return x


def arrays_in(x: Any) -> list[ndarray]:
    if isinstance(x, ndarray):
        return [x]
    if isinstance(x, (list, tuple)):
        return [a for v in x for a in arrays_in(v)]
    return arrays_in(list(x.values())) if isinstance(x, dict) else []


def outside(result: Any, sources: list[ndarray]) -> Any:
    """Device arrays in place of NumPy's; a scalar becomes a 0-d array."""
    if isinstance(result, (list, tuple)):
        return type(result)([outside(r, sources) for r in result])
    if isinstance(result, (np.ndarray, np.generic, bool, int, float)):
        for source in sources:
            if result is source._inner:
                return source
            if isinstance(result, np.ndarray) and memory(result) is memory(source._inner):
                return view(source, result)
        result = ndarray(np.asarray(result))
    count("launches")
    return result


def view(source: ndarray, inner: np.ndarray) -> ndarray:
    return ndarray(inner, source if source.base is None else source.base)


def memory(array: Any) -> Any:
    """The object that owns an array's memory."""
    while getattr(array, "base", None) is not None:
        array = array.base
    return array


def on_device(index: Any) -> Any:
    """The index as it is. Raises TooStrict where using it would move data to the device."""
    for part in index if isinstance(index, tuple) else (index,):
        if isinstance(part, (np.ndarray, list)):
            raise TooStrict(
                f"an index of {type(part).__name__} is copied to the device at each use: "
                "move it there once"
            )
        if isinstance(part, ndarray) and part.dtype == bool:
            count("d2h")  # how many are true
    return index
