"""Automatic differentiation in reverse: ops, and the walk that composes their derivatives.

An *op* is a function of raw arrays that returns its value and one derivative per argument
(`op`). Applied to tensors it leaves a node; the backward pass visits the nodes from the newest
to the oldest (`_walk`). For gradients of gradients the same bodies run on Tensors (`_replay`).

Not here: any formula. Those stand in `minift/ops/`, each beside its derivative. Read
`minift/ops/elementwise.py` next.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from minift import backend, kernels
from minift.backend import Array
from minift.tape import Node, Tape, Version, recording
from minift.tensor import Tensor, as_array

Source: TypeAlias = Node | Tensor  # where a gradient goes: an interior node or a leaf

# ---- ops ----------------------------------------------------------------------------------------

OpBody: TypeAlias = Callable[..., tuple[Any, Any]]


class Op:
    """An op body made callable on tensors; see `op`.

    `plain` is the body itself (raw arrays or Tensors in; value and derivatives out). Faster
    routines with the same contract, or None: `fused` for NumPy arrays, `cuda` for CuPy's.
    `value` (NumPy arrays in; value out) spares what `fused` does for derivatives alone.
    """

    def __init__(
        self,
        plain: OpBody,
        fused: OpBody | None = None,
        cuda: OpBody | None = None,
        value: Callable[..., Any] | None = None,
    ) -> None:
        functools.update_wrapper(self, plain)
        self.plain, self.fused, self.cuda, self.value = plain, fused, cuda, value
        self.has_kernel = fused is not None or cuda is not None
        self.name = plain.__name__.strip("_")

    def __call__(self, *inputs: Any, **settings: Any) -> Tensor:
        arrays: list[Any] = []
        sources: list[Any] = []  # the node of an interior tensor, a leaf, an array or a number
        tracked = []
        for x in inputs:
            if isinstance(x, Tensor):
                if x._requires_grad and Tape.recording.on:
                    tracked.append(len(arrays))
                arrays.append(x._data)
                sources.append(x._node or x)
            else:
                if not (x is None or type(x) is float or type(x) is int or type(x) is bool):
                    x = x.item() if isinstance(x, np.generic) else as_array(x)
                arrays.append(x)
                sources.append(x)
        value, derivatives = self._apply(arrays, settings, wanted=bool(tracked))
        node = None
        if tracked:
            node = Node()
            node.order = next(Tape.clock)
            node.op = self
            node.settings = settings
            node.inputs = sources
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
        return self._apply(inputs, settings, wanted=False)[0]

    def _kernel_for(self, arrays: Sequence[Any]) -> OpBody:
        """The kernel of the device on which the arrays lie; the plain formula if it has none."""
        if kernels.Choice.plain:
            return self.plain
        if self.fused is not None and all(a is None or type(a) is np.ndarray for a in arrays):
            return self.fused
        if self.cuda is not None and kernels.cuda.take(arrays):
            return self.cuda
        return self.plain

    def _apply(
        self, arrays: Sequence[Any], settings: dict[str, Any], wanted: bool
    ) -> tuple[Array, Any]:
        """The value, and the derivatives if they are `wanted` (or come for nothing)."""
        body = self._kernel_for(arrays) if self.has_kernel else self.plain
        if not wanted and self.value is not None and body is self.fused:
            return self.value(*arrays, **settings), None
        try:
            result = body(*arrays, **settings)
        except TypeError:
            check_one_device(self.name, *arrays)
            raise
        if type(result) is not tuple or len(result) != 2:
            raise TypeError(f"{self.name}: an op returns its value and its derivatives, two things")
        value, derivatives = result
        if type(derivatives) is tuple and len(derivatives) != len(arrays):
            raise TypeError(
                f"{self.name}: {len(arrays)} inputs, but {len(derivatives)} derivatives"
            )
        # NumPy's reductions return scalars; a tensor always holds an array
        return (np.asarray(value) if isinstance(value, np.generic) else value), derivatives


def op(
    body: OpBody | None = None,
    *,
    fused: OpBody | None = None,
    cuda: OpBody | None = None,
    value: Callable[..., Any] | None = None,
) -> Any:
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
    if body is None:
        return functools.partial(op, fused=fused, cuda=cuda, value=value)
    return Op(body, fused, cuda, value)


def _result(value: Array, node: Node | None, inputs: tuple[Any, ...]) -> Tensor:
    """Wrap an op's value; a view shares the version of the tensor whose memory it shows."""
    tensor = Tensor.__new__(Tensor)
    tensor._data, tensor._node, tensor._requires_grad = value, node, node is not None
    tensor.grad = None
    tensor._version = _version_of(value, inputs) or Version()
    if node is not None:
        node.version = tensor._version
        node.output = weakref.ref(tensor)
    return tensor


def _version_of(value: Array, inputs: tuple[Any, ...]) -> Version | None:
    """The version of the input whose memory `value` shows, if there is one."""
    base = value.base
    for x in inputs:
        if isinstance(x, Tensor):
            array = x._data
            if value is array or (base is not None and (base is array or base is array.base)):
                return x._version
    return None


def check_one_device(name: str, *arrays: Any) -> None:
    """Raise a ValueError that names both devices if the arrays lie on two."""
    devices = {backend.device_of(a) for a in arrays if backend.is_array(a)}
    if len(devices) > 1:
        raise ValueError(
            f"{name}: the inputs lie on {' and '.join(sorted(devices))}; "
            'move one of them with .to("cpu") or .to("cuda")'
        )


def beside(name: str, x: Array, data: Any) -> Array:
    """The raw array of `data` (an index, a target, a mask) where the array `x` lies.

    Numbers and lists lie nowhere yet and are put there; an array that lies on another device
    raises a ValueError, because moving it unasked at every call would be slow and unseen.
    """
    array = as_array(data)
    if isinstance(data, (bool, int, float, np.generic, list, tuple, range)):
        return backend.to_device(array, backend.device_of(x))
    check_one_device(name, x, array)
    return array


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


def backward(t: Tensor, gradient: Any = None) -> None:
    """See `Tensor.backward`."""
    accumulate(gradients_of_leaves(t, gradient))


def gradients_of_leaves(t: Tensor, gradient: Any = None) -> list[tuple[Tensor, Array]]:
    """What `backward` adds to the `.grad` of each leaf."""
    found = _walk([t], [gradient], None, create_graph=False).values()
    return [(leaf, g) for leaf, g in found if isinstance(leaf, Tensor)]  # no node is left


def accumulate(gradients: Sequence[tuple[Tensor, Array]]) -> None:
    """Add to the `.grad` of leaves; an array that nobody else holds becomes it."""
    arrived: set[int] = set()
    for leaf, g in gradients:
        if leaf.grad is not None:
            leaf.grad._data += g
            continue
        shared = g.base is not None or id(g) in arrived  # as when add gives g to both
        leaf.grad = Tensor.__new__(Tensor)
        leaf.grad._become(g.copy() if shared else g, None)
        arrived.add(id(g))


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
    nodes = nodes_before(outputs)
    wanted = None if kept is None else _wanted_inputs(nodes, kept)
    replayed = _replay(nodes, wanted) if create_graph and wanted is not None else {}
    with recording(create_graph):
        for node in reversed(nodes):
            needed = node.tracked if wanted is None else wanted[id(node)]
            if not needed or id(node) not in gradients:
                continue
            g = gradients[id(node)][1]
            if kept is None or id(node) not in kept:
                del gradients[id(node)]
            if Tape.last_write > node.order:
                _check_not_overwritten(node, needed, read_again=create_graph)
            derivatives = replayed[id(node)][1] if create_graph else node.derivatives
            if callable(derivatives):
                joint = derivatives(g, [i in needed for i in range(len(node.inputs))])
            for i in needed:
                gi = joint[i] if callable(derivatives) else derivatives[i](g)
                source = node.inputs[i]
                _add(gradients, owned, source, _checked(gi, source, node.op.name, i))
            if not create_graph:
                node.derivatives = node.inputs = None
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
    g = beside("backward", t._data, gradient)
    if g.shape != t.shape:
        raise ValueError(f"backward: the gradient has shape {g.shape}, the tensor {t.shape}")
    return g.astype(t.dtype)


def nodes_before(outputs: Sequence[Tensor]) -> list[Node]:
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


def _wanted_inputs(nodes: list[Node], kept: set[int]) -> dict[int, list[int]]:
    """For each node, which inputs lead to something kept."""
    wanted: dict[int, list[int]] = {}
    for node in nodes:  # oldest first: an input's own entry is there before it is asked for
        ids = [(i, id(node.inputs[i])) for i in node.tracked]
        wanted[id(node)] = [i for i, source in ids if source in kept or wanted.get(source)]
    return wanted


def _replay(nodes: list[Node], wanted: dict[int, list[int]]) -> dict[int, tuple[Tensor, Any]]:
    """Run op bodies again on Tensors: values, and derivatives whose own graph is recorded.

    An interior tensor that somebody still holds stands for itself, so that later gradients
    with respect to it are found; one that is gone is computed again.
    """
    replayed: dict[int, tuple[Tensor, Any]] = {}
    with recording(True):
        for node in nodes:
            value: Any = node.output()
            derivatives = None
            if value is None or wanted[id(node)]:
                inputs = [
                    replayed[id(source)][0] if type(source) is Node else source
                    for source in node.inputs
                ]
                again, derivatives = node.op.plain(*inputs, **node.settings)
                value = again if value is None else value
            replayed[id(node)] = value, derivatives
    return replayed


def _checked(g: Any, source: Source, name: str, i: int) -> Any:
    """The gradient of input `i`, an array of its shape and dtype. Raises ValueError if not."""
    shape, dtype = getattr(g, "shape", None), getattr(g, "dtype", None)
    if shape != source.shape or dtype != source.dtype:
        raise ValueError(
            f"{name}: the derivative of input {i} returned {_described(g)}, "
            f"the input is {source.dtype} {source.shape}"
        )
    return np.asarray(g) if isinstance(g, np.generic) else g


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
        gradients[key] = (source, np.asarray(total) if isinstance(total, np.generic) else total)
        if not isinstance(total, (Tensor, np.generic)):
            owned.add(key)


# ---- writes that a backward would miss ----------------------------------------------------------


def _check_not_overwritten(node: Node, wanted: list[int], read_again: bool) -> None:
    """Raise if memory that a wanted derivative still needs was written after the op ran; with
    `read_again` (create_graph runs the op a second time) if any of its inputs was."""
    derivatives = node.derivatives
    used = [derivatives] if callable(derivatives) else [derivatives[i] for i in wanted]
    for source in (*node.inputs, node):
        if not isinstance(source, (Node, Tensor)):
            continue
        version = source.version if isinstance(source, Node) else source._version
        if version.written_at > node.order and (read_again or _is_held(version.array, used)):
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
