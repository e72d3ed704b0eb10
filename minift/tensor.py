"""Tensor: an array that remembers how it was computed, so that gradients can walk back.

Each operator and method is one op of `minift/ops/`, written out here so that any editor finds
it. Not here: any formula. Read `minift/autograd.py` next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from minift import backend
from minift.backend import Array
from minift.tape import Node, Version, no_grad


class Tensor:
    """An n-dimensional array on the CPU (NumPy) or a GPU (CuPy) that takes part in autograd.

    `data`: numbers, nested lists, a NumPy or CuPy array, or a Tensor; always copied. Python
    floats become float32, integers int64, booleans bool; arrays keep their dtype, unless
    `dtype` is given. `device`: "cpu", "cuda", or None for where the data lie.

    Raises TypeError for what is no array of numbers, ValueError for a ragged list, for
    `requires_grad` on integers, and for an unknown device.
    """

    __slots__ = ("__weakref__", "_data", "_node", "_requires_grad", "_version", "grad")
    __array_ufunc__ = None  # array + Tensor is our business, not NumPy's

    _data: Array
    _node: Node | None
    _requires_grad: bool
    _version: Version
    grad: Tensor | None

    def __init__(
        self, data: Any, requires_grad: bool = False, dtype: Any = None, device: str | None = None
    ) -> None:
        array = as_array(data, dtype)
        array = array.copy() if device is None else backend.to_device(array.copy(), device)
        self._become(array, None)
        self.requires_grad = requires_grad

    def _become(self, array: Array, node: Node | None, version: Version | None = None) -> None:
        self._data = array
        self._node = node
        self._requires_grad = node is not None
        self._version = version or Version()
        self.grad = None

    # ---- what it is -------------------------------------------------------------------------

    @property
    def data(self) -> Array:
        """The raw array. Assigning a value of the same shape and dtype writes into that array
        (so `t.data += 1` is seen by whoever shares the memory); any other value replaces it.
        Both are noticed by a backward that needed the old value. Writes into the raw array
        itself (`t.data[0] = 1`) are not seen."""
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        old, new = self._data, as_array(value)
        if not hasattr(value, "__array__"):  # numbers and lists lie nowhere yet
            new = backend.to_device(new, self.device)
        self._version.write(old)
        if new is old:
            return
        if (new.shape, new.dtype, type(new)) == (old.shape, old.dtype, type(old)):
            old[...] = new
        else:
            self._data, self.grad = new.copy(), None

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this tensor; can be set on leaves."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, on: bool) -> None:
        if self._node is not None:
            raise ValueError(
                f"requires_grad: this tensor is the result of {self._node.op.name}, not a leaf; "
                "use detach() to cut it out of the graph"
            )
        if on and self._data.dtype.kind != "f":
            raise ValueError(f"requires_grad: only floats have gradients, got {self.dtype}")
        self._requires_grad = bool(on)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._data.shape

    @property
    def ndim(self) -> int:
        return self._data.ndim

    @property
    def size(self) -> int:
        return self._data.size

    @property
    def dtype(self) -> Any:
        return self._data.dtype

    @property
    def device(self) -> str:
        """ "cpu" or "cuda"."""
        return backend.device_of(self._data)

    @property
    def T(self) -> Tensor:  # noqa: N802 - NumPy's name
        """All axes reversed."""
        return ops.transpose(self)

    def __repr__(self) -> str:
        values = np.array2string(self.numpy(), threshold=20, precision=4, separator=", ")
        facts = [f"shape={self.shape}", f"dtype={self.dtype}", f"device={self.device!r}"]
        if self._node is not None:
            facts.append(f"op={self._node.op.name}")
        elif self._requires_grad:
            facts.append("requires_grad=True")
        return f"{type(self).__name__}({values}, {', '.join(facts)})"

    # ---- in and out -------------------------------------------------------------------------

    def numpy(self) -> np.ndarray:
        """The values as a NumPy array (on the CPU the tensor's own memory, not a copy)."""
        return backend.to_numpy(self._data)

    def item(self) -> int | float | bool:
        """The single value as a Python number; ValueError if there is not exactly one."""
        if self.size != 1:
            raise ValueError(f"item: the tensor has {self.size} values, not one: {self.shape}")
        return backend.to_numpy(self._data).item()

    def to(self, device: str) -> Tensor:
        """This tensor on "cpu" or "cuda"; itself if it is there already."""
        return self if device == self.device else ops.to_device(self, device=device)

    def astype(self, dtype: Any) -> Tensor:
        """A copy in another dtype; gradients come back in this one."""
        return ops.astype(self, dtype)

    def detach(self) -> Tensor:
        """The same memory, outside the graph."""
        tensor = Tensor.__new__(Tensor)
        tensor._become(self._data, None, self._version)
        return tensor

    def backward(self, gradient: Any = None) -> None:
        """Add d self / d leaf to `.grad` of every leaf that requires it; frees the graph.

        `gradient`: d loss / d self, of this shape; may be left out for a single value (1).
        Raises ValueError for a tensor outside the graph, a missing or misshapen gradient, a
        graph that was freed, or a value that was overwritten after it was used.
        """
        autograd.backward(self, gradient)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __array_namespace__(self, api_version: str | None = None) -> ModuleType:
        return ops

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(f"the truth of {self.size} values is ambiguous: use .data.any()/all()")
        return bool(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iub" or self.size != 1:
            raise TypeError(f"only a single integer can be an index, got {self.dtype} {self.shape}")
        return int(self.item())

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len: a tensor without axes has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._node is not None:
            raise TypeError("only leaves are copied: use detach() first")
        copy = type(self).__new__(type(self))
        copy._become(self._data.copy(), None)
        copy._requires_grad = self._requires_grad
        memo[id(self)] = copy
        return copy

    def __reduce__(self) -> Any:
        raise TypeError(
            "a Tensor is not pickled (unpickling can run code): save weights with "
            "mf.save_weights, or the values with np.save(path, t.numpy())"
        )

    # ---- operators and methods: each is one op of minift/ops ---------------------------------

    __hash__ = object.__hash__

    def __add__(self, other: Any) -> Tensor:
        return ops.add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return ops.add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return ops.sub(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return ops.sub(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return ops.mul(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return ops.mul(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return ops.div(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return ops.div(other, self)

    def __pow__(self, other: Any) -> Tensor:
        return ops.power(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return ops.power(other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return ops.matmul(other, self)

    def __neg__(self) -> Tensor:
        return ops.neg(self)

    def __abs__(self) -> Tensor:
        return ops.abs(self)

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return ops.equal(self, other)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return ops.not_equal(self, other)

    def __lt__(self, other: Any) -> Tensor:
        return ops.less(self, other)

    def __le__(self, other: Any) -> Tensor:
        return ops.less_equal(self, other)

    def __gt__(self, other: Any) -> Tensor:
        return ops.greater(self, other)

    def __ge__(self, other: Any) -> Tensor:
        return ops.greater_equal(self, other)

    def __getitem__(self, index: Any) -> Tensor:
        return ops.getitem(self, index)

    def exp(self) -> Tensor:
        return ops.exp(self)

    def log(self) -> Tensor:
        return ops.log(self)

    def sqrt(self) -> Tensor:
        return ops.sqrt(self)

    def abs(self) -> Tensor:
        return ops.abs(self)

    def sin(self) -> Tensor:
        return ops.sin(self)

    def cos(self) -> Tensor:
        return ops.cos(self)

    def tanh(self) -> Tensor:
        return ops.tanh(self)

    def sigmoid(self) -> Tensor:
        return ops.sigmoid(self)

    def relu(self) -> Tensor:
        return ops.relu(self)

    def gelu(self, approximate: str = "none") -> Tensor:
        return ops.gelu(self, approximate=approximate)

    def silu(self) -> Tensor:
        return ops.silu(self)

    def softplus(self) -> Tensor:
        return ops.softplus(self)

    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        return ops.clip(self, min, max)

    def maximum(self, other: Any) -> Tensor:
        return ops.maximum(self, other)

    def minimum(self, other: Any) -> Tensor:
        return ops.minimum(self, other)

    def where(self, condition: Any, other: Any) -> Tensor:
        """Self where `condition` holds, `other` elsewhere."""
        return ops.where(condition, self, other)

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return ops.sum(self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return ops.mean(self, axis=axis, keepdims=keepdims)

    def var(self, axis: Axis = None, keepdims: bool = False, correction: float = 0) -> Tensor:
        return ops.var(self, axis=axis, keepdims=keepdims, correction=correction)

    def max(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return ops.max(self, axis=axis, keepdims=keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return ops.min(self, axis=axis, keepdims=keepdims)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        return ops.argmax(self, axis=axis, keepdims=keepdims)

    def logsumexp(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return ops.logsumexp(self, axis=axis, keepdims=keepdims)

    def softmax(self, axis: int = -1) -> Tensor:
        return ops.softmax(self, axis=axis)

    def log_softmax(self, axis: int = -1) -> Tensor:
        return ops.log_softmax(self, axis=axis)

    def cumsum(self, axis: int) -> Tensor:
        return ops.cumsum(self, axis=axis)

    def reshape(self, *shape: Any) -> Tensor:
        return ops.reshape(self, _unpacked(shape))

    def transpose(self, *axes: Any) -> Tensor:
        return ops.transpose(self, _unpacked(axes) or None)

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        return ops.swapaxes(self, axis1, axis2)

    def expand(self, *shape: Any) -> Tensor:
        return ops.expand(self, _unpacked(shape))

    def squeeze(self, axis: Axis = None) -> Tensor:
        return ops.squeeze(self, axis)

    def unsqueeze(self, axis: int) -> Tensor:
        return ops.unsqueeze(self, axis)

    def flatten(self, start_axis: int = 0, end_axis: int = -1) -> Tensor:
        return ops.flatten(self, start_axis, end_axis)

    def pad(self, pad: Any, value: float = 0.0) -> Tensor:
        return ops.pad(self, pad, value=value)

    def split(self, size: int | Sequence[int], axis: int = 0) -> list[Tensor]:
        return ops.split(self, size, axis=axis)

    def gather(self, axis: int, index: Any) -> Tensor:
        return ops.gather(self, axis, index)

    def take_along_axis(self, indices: Any, axis: int) -> Tensor:
        return ops.take_along_axis(self, indices, axis=axis)

    def tril(self, k: int = 0) -> Tensor:
        return ops.tril(self, k=k)

    def matmul(self, other: Any) -> Tensor:
        return ops.matmul(self, other)


Axis: TypeAlias = int | tuple[int, ...] | None


def _unpacked(arguments: tuple[Any, ...]) -> Any:
    """So that both `t.reshape(2, 3)` and `t.reshape((2, 3))` work."""
    one_sequence = len(arguments) == 1 and isinstance(arguments[0], (tuple, list))
    return tuple(arguments[0]) if one_sequence else arguments


# ---- from data to arrays ----------------------------------------------------------------------


def as_array(data: Any, dtype: Any = None) -> Array:
    """The raw array of a Tensor, array, number or nested list (see Tensor for the dtypes)."""
    if isinstance(data, Tensor):
        array = data._data
    elif backend.is_array(data):
        array = data
    elif isinstance(data, np.generic):
        array = np.asarray(data)
    else:
        array = _array_from_python(data, dtype)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"a tensor holds floats, integers or booleans, got {array.dtype}")
    return array if dtype is None else array.astype(dtype, copy=False)


def _array_from_python(data: Any, dtype: Any) -> np.ndarray:
    is_array_like = hasattr(data, "__array__")
    if not isinstance(data, (int, float, list, tuple, range)) and not is_array_like:
        raise TypeError(f"a tensor is made of numbers, lists or arrays, got {type(data).__name__}")
    if isinstance(data, (list, tuple)) and any(isinstance(item, Tensor) for item in data):
        raise TypeError("a list of tensors would lose their gradients: use mf.stack")
    try:
        array = np.asarray(data)
    except ValueError:
        raise ValueError("the rows of a nested list must have equal lengths") from None
    is_python_float = array.dtype == np.float64 and not is_array_like
    return array.astype(np.float32) if is_python_float and dtype is None else array


# The one import cycle: methods of Tensor name ops, and ops are built on Tensor.
from minift import autograd, ops  # noqa: E402

__all__ = ["Axis", "Tensor", "as_array", "no_grad"]
