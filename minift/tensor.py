"""Tensor: an array that remembers how it was computed, so that gradients can walk back.

Three ideas, in order: an *op* is a function of raw arrays that returns its value and one
derivative per argument (`op`); every op on tensors leaves a numbered *node* (`Node`); the
backward pass visits nodes from the highest number to the lowest (`_walk`).

Not here: any formula. Those stand in `minift/ops/`, each beside its derivative. Read
`minift/ops/elementwise.py` next.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import weakref
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from minift import backend
from minift.backend import Array

_clock = itertools.count(1)  # numbers nodes and writes alike: what is larger happened later
_recording = True
_last_write = 0


class no_grad(contextlib.ContextDecorator):  # noqa: N801 - PyTorch's name
    """Inside `with no_grad():` (or a function decorated `@no_grad()`), ops leave no nodes."""

    def __enter__(self) -> None:
        self._outer = _set_recording(False)

    def __exit__(self, *exception: object) -> None:
        _set_recording(self._outer)


def _set_recording(on: bool) -> bool:
    """Turn recording on or off; returns what it was."""
    global _recording
    before, _recording = _recording, on
    return before


class Version:
    """When the memory of a tensor was last written; shared by the tensors that share memory."""

    __slots__ = ("array", "written_at")

    def __init__(self) -> None:
        self.written_at = 0  # on _clock; 0: never since it was made
        self.array: Array = None  # the memory that was written

    def write(self, array: Array) -> None:
        """Note that `array` is being written to now."""
        global _last_write
        self.array = array
        self.written_at = _last_write = next(_clock)


class Node:
    """One op that was applied: its inputs, and the derivatives that lead back to them."""

    __slots__ = (
        "derivatives", "dtype", "inputs", "op", "order", "output", "settings", "shape",
        "tracked", "version",
    )  # fmt: skip

    order: int  # the number on _clock
    op: Op
    settings: dict[str, Any]
    inputs: tuple[Any, ...] | None  # Node of an interior tensor, leaf Tensor, array or number
    tracked: list[int]  # which inputs require a gradient
    derivatives: Any  # one function per input, or one for all: (g, wanted) -> gradients
    shape: tuple[int, ...]
    dtype: Any
    version: Version  # of the output
    output: weakref.ref[Tensor]


Source: TypeAlias = "Node | Tensor"  # where a gradient goes: an interior node or a leaf


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
        return self._data.item()

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
        arrived: set[int] = set()
        for leaf, g in _walk([self], [gradient], None, create_graph=False).values():
            assert isinstance(leaf, Tensor)  # nodes pass on what they get
            if leaf.grad is not None:
                leaf.grad._data += g
                continue
            shared = g.base is not None or id(g) in arrived  # as when add gives g to both
            leaf.grad = Tensor.__new__(Tensor)
            leaf.grad._become(g.copy() if shared else g, None)
            arrived.add(id(g))

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
        array = _array_from_python(data)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"a tensor holds floats, integers or booleans, got {array.dtype}")
    return array if dtype is None else array.astype(dtype, copy=False)


def _array_from_python(data: Any) -> np.ndarray:
    if not isinstance(data, (int, float, list, tuple, range)) and not hasattr(data, "__array__"):
        raise TypeError(f"a tensor is made of numbers, lists or arrays, got {type(data).__name__}")
    if isinstance(data, (list, tuple)) and any(isinstance(item, Tensor) for item in data):
        raise TypeError("a list of tensors would lose their gradients: use mf.stack")
    try:
        array = np.asarray(data)
    except ValueError:
        raise ValueError("the rows of a nested list must have equal lengths") from None
    is_python_float = array.dtype == np.float64 and not hasattr(data, "__array__")
    return array.astype(np.float32) if is_python_float else array


# ---- ops ----------------------------------------------------------------------------------------

OpBody: TypeAlias = Callable[..., tuple[Any, Any]]


class Op:
    """An op body made callable on tensors; see `op`.

    `plain` is the body itself (raw arrays or Tensors in; value and derivatives out), `fused` a
    faster routine with the same contract for NumPy arrays, or None.
    """

    def __init__(self, plain: OpBody, fused: OpBody | None = None) -> None:
        functools.update_wrapper(self, plain)
        self.plain, self.fused = plain, fused
        self.name = plain.__name__.strip("_")

    def __call__(self, *inputs: Any, **settings: Any) -> Tensor:
        arrays = []
        tracked = []
        for i, x in enumerate(inputs):
            if isinstance(x, Tensor):
                if x._requires_grad and _recording:
                    tracked.append(i)
                arrays.append(x._data)
            elif x is None or type(x) is float or type(x) is int or type(x) is bool:
                arrays.append(x)
            elif isinstance(x, np.generic):
                arrays.append(x.item())
            else:
                arrays.append(as_array(x))
        value, derivatives = self._apply(arrays, settings)
        node = None
        if tracked:
            node = Node()
            node.order = next(_clock)
            node.op = self
            node.settings = settings
            node.inputs = tuple(
                [(x._node or x) if isinstance(x, Tensor) else a for x, a in zip(inputs, arrays)]
            )
            node.tracked = tracked
            node.derivatives = derivatives
            node.shape = value.shape
            node.dtype = value.dtype
        return _result(value, node, inputs)

    def on(self, *inputs: Any, **settings: Any) -> Any:
        """The value alone, for use inside another op: raw arrays in, raw array out; if an
        input is a Tensor (a derivative of a derivative is being recorded), a Tensor."""
        if any(isinstance(x, Tensor) for x in inputs):
            return self(*inputs, **settings)
        return self._apply(inputs, settings)[0]

    def _apply(self, arrays: Sequence[Any], settings: dict[str, Any]) -> tuple[Array, Any]:
        body = self.plain
        if self.fused is not None and all(a is None or type(a) is np.ndarray for a in arrays):
            body = self.fused
        try:
            value, derivatives = body(*arrays, **settings)
        except TypeError:
            check_one_device(self.name, *arrays)
            raise
        # NumPy's reductions return scalars; a tensor always holds an array
        return (np.asarray(value) if isinstance(value, np.generic) else value), derivatives


def op(body: OpBody | None = None, *, fused: OpBody | None = None) -> Any:
    """Make an op: a function of raw arrays that returns its value and its derivatives.

        @mf.op
        def cube(x):
            return x * x * x, (lambda g: g * 3 * x * x,)

    Arrays are positional, settings keyword-only. The derivatives are a tuple with one function
    per array, each taking g = d loss / d value to d loss / d array, or a single function
    (g, wanted) -> gradients where they are computed jointly (`wanted[i]` says whether input i
    needs one; give None where not). A derivative returns a new array and does not write into
    g. A body that uses only operators, array methods and `xp(x)` functions can be
    differentiated any number of times: it is then run on Tensors.
    """
    return Op(body, fused) if body is not None else functools.partial(op, fused=fused)


def _result(value: Array, node: Node | None, inputs: tuple[Any, ...]) -> Tensor:
    """Wrap an op's value; a view shares the version of the tensor whose memory it shows."""
    version = None
    if value.base is not None:
        for x in inputs:
            if isinstance(x, Tensor) and (value.base is x._data or value.base is x._data.base):
                version = x._version
    tensor = Tensor.__new__(Tensor)
    tensor._become(value, node, version)
    if node is not None:
        node.version = tensor._version
        node.output = weakref.ref(tensor)
    return tensor


def check_one_device(name: str, *arrays: Any) -> None:
    """Raise a ValueError that names both devices if the arrays lie on two."""
    devices = {backend.device_of(a) for a in arrays if backend.is_array(a)}
    if len(devices) > 1:
        raise ValueError(
            f"{name}: the inputs lie on {' and '.join(sorted(devices))}; "
            'move one of them with .to("cpu") or .to("cuda")'
        )


# ---- the walk back ------------------------------------------------------------------------------

Gradients: TypeAlias = dict[int, tuple[Source, Any]]  # id(source) -> the source, its gradient


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    create_graph: bool = False,
) -> list[Tensor]:
    """d outputs / d inputs, one Tensor per input; nobody's `.grad` is touched.

    `grad_outputs`: d loss / d output for each output (may be left out for single values).
    With `create_graph` the result can itself be differentiated and the graph is kept; without
    it the graph is freed. An input that the outputs do not depend on gets zeros.

    Raises ValueError as `Tensor.backward` does, and for an input that requires no gradient.
    """
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if grad_outputs is None:
        grad_outputs = [None] * len(outputs)
    elif not isinstance(grad_outputs, (list, tuple)):
        grad_outputs = [grad_outputs]
    if len(grad_outputs) != len(outputs):
        raise ValueError(f"grad: {len(outputs)} outputs but {len(grad_outputs)} grad_outputs")
    for i, x in enumerate(inputs):
        if not x._requires_grad:
            raise ValueError(f"grad: input {i} does not require a gradient")
    gradients = _walk(outputs, grad_outputs, inputs, create_graph)
    return [_gradient_of(x, gradients) for x in inputs]


def _gradient_of(x: Tensor, gradients: Gradients) -> Tensor:
    source = x._node or x
    if id(source) not in gradients:
        return Tensor(backend.xp(x._data).zeros_like(x._data))
    g = gradients[id(source)][1]
    return g if isinstance(g, Tensor) else Tensor(g)


def _walk(
    outputs: Sequence[Tensor],
    cotangents: Sequence[Any],
    targets: Sequence[Tensor] | None,
    create_graph: bool,
) -> Gradients:
    """Reverse accumulation: gradients of all leaves, or of the `targets` alone if given.

    Nodes are visited from the newest to the oldest, so that a node's gradient is complete when
    its turn comes. With `create_graph` the same derivatives run on Tensors and so leave a
    graph of their own.
    """
    gradients: Gradients = {}
    owned: set[int] = set()  # sources whose gradient array is ours to add into
    for t, cotangent in zip(outputs, cotangents, strict=True):
        g = _first_gradient(t, cotangent)
        if create_graph:  # a cotangent may itself be differentiated
            g = cotangent if isinstance(cotangent, Tensor) else Tensor(g)
        _add(gradients, owned, t._node or t, g)
    kept = None if targets is None else {id(t._node or t) for t in targets}
    nodes = _nodes_before(outputs)
    wanted = _wanted_inputs(nodes, kept)
    replayed = _replay(nodes, wanted) if create_graph else {}
    outer = _set_recording(create_graph)
    try:
        while nodes:
            node = nodes.pop()
            if not wanted[id(node)] or id(node) not in gradients:
                continue
            g = gradients[id(node)][1]
            if kept is None or id(node) not in kept:
                del gradients[id(node)]
            _check_not_overwritten(node, wanted[id(node)])
            derivatives = replayed[id(node)][1] if create_graph else node.derivatives
            for i, gi in _apply_derivatives(node, derivatives, g, wanted[id(node)]):
                _add(gradients, owned, node.inputs[i], gi)  # type: ignore[index]
            if not create_graph:
                node.derivatives = node.inputs = None
    finally:
        _set_recording(outer)
    return gradients


def _first_gradient(t: Tensor, gradient: Any) -> Array:
    """d loss / d t, checked; 1 for a single value."""
    if not t._requires_grad:
        raise ValueError(
            "backward: nothing to differentiate: this tensor was not computed from one with "
            "requires_grad=True (or under no_grad)"
        )
    if gradient is None:
        if t.size != 1:
            raise ValueError(
                f"backward: a tensor of shape {t.shape} is no single value; "
                "give its gradient or reduce it first, for example with .sum() or .mean()"
            )
        return backend.xp(t._data).ones_like(t._data)
    g = as_array(gradient)
    if g.shape != t.shape:
        raise ValueError(f"backward: the gradient has shape {g.shape}, the tensor {t.shape}")
    check_one_device("backward", g, t._data)
    return g.astype(t.dtype)


def _nodes_before(outputs: Sequence[Tensor]) -> list[Node]:
    """All nodes that the outputs were computed by, oldest first."""
    found: dict[int, Node] = {}
    stack: list[Any] = [t._node for t in outputs]
    while stack:
        node = stack.pop()
        if type(node) is not Node or node.order in found:
            continue
        if node.inputs is None:
            raise ValueError(
                f"backward: the graph behind {node.op.name} was freed by an earlier backward; "
                "add the losses and go back once, or compute the value again"
            )
        found[node.order] = node
        stack.extend(node.inputs)
    return [found[order] for order in sorted(found)]


def _wanted_inputs(nodes: list[Node], kept: set[int] | None) -> dict[int, list[int]]:
    """For each node, which inputs lead to something kept (all tracked ones if kept is None)."""
    if kept is None:
        return {id(node): node.tracked for node in nodes}
    wanted: dict[int, list[int]] = {}
    for node in nodes:  # oldest first: an input's own entry is there before it is asked for
        ids = [(i, id(node.inputs[i])) for i in node.tracked]  # type: ignore[index]
        wanted[id(node)] = [i for i, source in ids if source in kept or wanted.get(source)]
    return wanted


def _replay(nodes: list[Node], wanted: dict[int, list[int]]) -> dict[int, tuple[Tensor, Any]]:
    """Run op bodies again on Tensors: values, and derivatives whose own graph is recorded.

    An interior tensor that somebody still holds stands for itself, so that later gradients
    with respect to it are found; one that is gone is computed again.
    """
    replayed: dict[int, tuple[Tensor, Any]] = {}
    outer = _set_recording(True)
    try:
        for node in nodes:
            value: Any = node.output()
            derivatives = None
            if value is None or wanted[id(node)]:
                inputs = [
                    replayed[id(source)][0] if type(source) is Node else source
                    for source in node.inputs  # type: ignore[union-attr]
                ]
                again, derivatives = node.op.plain(*inputs, **node.settings)
                value = again if value is None else value
            replayed[id(node)] = value, derivatives
    finally:
        _set_recording(outer)
    return replayed


def _apply_derivatives(
    node: Node, derivatives: Any, g: Any, wanted: list[int]
) -> Iterator[tuple[int, Any]]:
    """(input number, its gradient) for each wanted input of the node, checked."""
    inputs: Any = node.inputs
    if callable(derivatives):
        gradients = derivatives(g, [i in wanted for i in range(len(inputs))])
    for i in wanted:
        gi = gradients[i] if callable(derivatives) else derivatives[i](g)
        source = inputs[i]
        shape, dtype = getattr(gi, "shape", None), getattr(gi, "dtype", None)
        if shape != source.shape or dtype != source.dtype:
            raise ValueError(
                f"{node.op.name}: the derivative of input {i} returned {_described(gi)}, "
                f"the input is {source.dtype} {source.shape}"
            )
        yield i, np.asarray(gi) if isinstance(gi, np.generic) else gi


def _described(g: Any) -> str:
    return f"{g.dtype} {g.shape}" if hasattr(g, "dtype") else f"a {type(g).__name__}"


def _add(gradients: Gradients, owned: set[int], source: Source, g: Any) -> None:
    """Add a gradient that arrived at `source`; from the second on the sum is our own array."""
    key = id(source)
    if key not in gradients:
        gradients[key] = (source, g)
    elif key in owned:
        total = gradients[key][1]
        total += g
    else:
        total = gradients[key][1] + g
        gradients[key] = (source, total if isinstance(total, Tensor) else np.asarray(total))
        if not isinstance(total, (Tensor, np.generic)):
            owned.add(key)


# ---- writes that a backward would miss ----------------------------------------------------------


def _check_not_overwritten(node: Node, wanted: list[int]) -> None:
    """Raise if memory that a wanted derivative still needs was written after the op ran."""
    if _last_write < node.order:
        return
    derivatives = node.derivatives
    used = [derivatives] if callable(derivatives) else [derivatives[i] for i in wanted]
    for source in (*node.inputs, node):  # type: ignore[misc]
        if not isinstance(source, (Node, Tensor)):
            continue
        version = source.version if isinstance(source, Node) else source._version
        if version.written_at > node.order and _is_held(version.array, used):
            role = "result" if source is node else f"input of shape {source.shape}"
            raise ValueError(
                f"backward: {node.op.name} needs its {role} as it was, but that tensor was "
                "written to afterwards; go back first, or write into a copy"
            )


def _is_held(array: Array, functions: list[Any]) -> bool:
    """Whether the closure of one of the functions holds memory of `array`."""
    stack, seen = list(functions), set()
    while stack:
        item = stack.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if backend.is_array(item):
            if backend.same_memory(item, array):
                return True
        elif isinstance(item, (tuple, list)):
            stack.extend(item)
        else:
            stack.extend(c.cell_contents for c in getattr(item, "__closure__", None) or ())
    return False


# The one import cycle: methods of Tensor name their ops, and ops are built with `op`.
from minift import ops  # noqa: E402
