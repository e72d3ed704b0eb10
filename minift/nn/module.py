"""Module: a tree of objects whose weights are found by walking it.

Nothing is registered: `self.weight = Parameter(...)` is an ordinary attribute, lists, tuples and
dicts may hold modules, and `parameters()` walks what is there, in the order of assignment. The path
of a weight (`encoder.layer.0.output.dense.weight`) is its name in files, freezing patterns and
error messages. A weight that two modules share appears once, under the first of its paths.

This file is *not* about computing: that is each layer's `forward` (read `layers.py` next).
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, TypeVar

import numpy as np

from minift.backend import to_device
from minift.nn.loading import LoadReport, first_paths, match_state
from minift.nn.recompute import recomputed
from minift.tape import Tape
from minift.tensor import Tensor

M = TypeVar("M", bound="Module")


class Parameter(Tensor):
    """A tensor that is trained: the only kind of tensor that `Module.parameters()` returns."""

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True):
        super().__init__(data, requires_grad=requires_grad)


class Module:
    """Base class of layers and models; a subclass assigns its parts and defines `forward`.

    Tensors that are not Parameters (running statistics, say) are buffers: saved, never trained.
    `training` is True while layers such as Dropout should be active. `train`, `eval`, `freeze` and
    `unfreeze` set it from the top down: a module trains if `train()` was called, the module around
    it trains, and not all of its own parameters are frozen. So a frozen block rests as a whole, its
    Dropout layers included.
    """

    training: bool = True
    _asked_to_train: bool = True  # the last call of train() or eval(), whatever is frozen
    _recomputes: bool = False  # see recompute()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the module's value; every subclass that is called defines it."""
        raise TypeError(f"{type(self).__name__} defines no forward(), so it cannot be called")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._recomputes and Tape.recording.on:
            return recomputed(self.forward, self.parameters(), args, kwargs)
        return self.forward(*args, **kwargs)

    # ------------------------------------------------------------------------------- the walk

    def members(self) -> Iterable[tuple[str, Any]]:
        """(name, value) of what stands directly below this module."""
        return vars(self).items()

    def modules(self) -> list[Module]:
        """This module and all below it, parents first, a shared one once."""
        return list({id(m): m for _, m in walk(self) if isinstance(m, Module)}.values())

    def children(self) -> list[Module]:
        """The modules nearest below this one, also inside lists and dicts."""
        return [child for _, value in self.members() for child in nearest_modules(value)]

    def named_parameters(self) -> list[tuple[str, Parameter]]:
        """(path, parameter) in order of assignment, a shared parameter once."""
        return [(n, t) for n, t in first_paths(self.named_tensors()) if isinstance(t, Parameter)]

    def parameters(self) -> list[Parameter]:
        """Every parameter, frozen ones included, each once."""
        return [parameter for _, parameter in self.named_parameters()]

    def named_tensors(self) -> dict[str, Tensor]:
        """Every parameter and buffer under each of its paths: a shared one has several.

        Raises ValueError for two tensors under one path, or one that nobody would train.
        """
        tensors: dict[str, Tensor] = {}
        for path, value in walk(self):
            if isinstance(value, Tensor):
                check_member(path, value, tensors)
                tensors[path] = value
        return tensors

    # --------------------------------------------------------------------------- save and load

    def state_dict(self) -> dict[str, np.ndarray]:
        """NumPy copies of all parameters and buffers, a shared one under its first path."""
        tensors = first_paths(self.named_tensors())
        return {path: np.array(tensor.numpy()) for path, tensor in tensors}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> LoadReport:
        """Copy `state` (path -> array or Tensor) into this module and report what happened.

        Values are cast to each weight's dtype. With `strict`, anything missing, unexpected or
        mismatched raises one ValueError that lists it all, and nothing is written; without, what
        fits is loaded. The second path of a shared weight is accepted and reported as renamed.
        """
        values, report = match_state(self.named_tensors(), state)
        if strict and report.problems():
            lines = "\n  ".join(report.problems())
            raise ValueError(f"the state does not fit {type(self).__name__}:\n  {lines}")
        for tensor, value in values:
            tensor.data = to_device(value, tensor.device)
        return report

    # ------------------------------------------------------------------------- mode and device

    def train(self: M) -> M:
        """Ask this module and all below for training mode; what is frozen stays at rest."""
        return self._ask_to_train(True)

    def eval(self: M) -> M:
        """Put this module and all below into evaluation mode: no dropout, fixed statistics."""
        return self._ask_to_train(False)

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """Inside `with module.evaluating():` evaluation mode; afterwards all modes as before."""
        before = {module: module._asked_to_train for module in self.modules()}
        self.eval()
        try:
            yield
        finally:
            for module, asked in before.items():
                module._asked_to_train = asked
            self._settle(True)

    def _ask_to_train(self: M, asked: bool) -> M:
        for module in self.modules():
            module._asked_to_train = asked
        self._settle(True)
        return self

    def _settle(self, around: bool) -> None:
        """Set `training` from the top down; `around` is whether the enclosing module trains."""
        weights = self.parameters()
        frozen = bool(weights) and not any(weight.requires_grad for weight in weights)
        self.training = around and self._asked_to_train and not frozen
        for child in self.children():
            child._settle(self.training)

    def to(self: M, device: str) -> M:
        """Move all parameters and buffers to `device` ("cpu" or "cuda"), in place."""
        for _, tensor in first_paths(self.named_tensors()):
            tensor.data = to_device(tensor.data, device)
        return self

    # --------------------------------------------------------------------------------- memory

    def recompute(self, pattern: str = "*", on: bool = True) -> list[str]:
        """Keep less for the way back: the modules that `pattern` names compute their inside twice.

        Activation checkpointing (`recompute.py`); the usual choice is the layers of a stack,
        `model.recompute("*.layer.*")`. Of modules inside each other the outermost is taken, unless
        it is the model itself. Returns their paths. Raises ValueError if nothing matches.
        """
        named = [(p, m) for p, m in walk(self) if isinstance(m, Module) and p]
        paths = [path for path, _ in named if fnmatchcase(path, pattern)]
        outermost = [path for path in paths if not any(path.startswith(f"{p}.") for p in paths)]
        if not outermost:
            raise ValueError(nothing_matches(type(self).__name__, pattern, dict(named), "module"))
        for path, module in named:
            if path in outermost:
                module._recomputes = on
        return outermost

    # ------------------------------------------------------------------------------- freezing

    def freeze(self, pattern: str = "*") -> list[str]:
        """Stop training what `pattern` names; returns the paths of the parameters it touched.

        The pattern (`*`, `?`, `[...]`) is matched with parameter paths and with the paths of what
        encloses them: `freeze("bert.encoder.layer.0")` freezes all that lies below. A weight that
        is shared is touched under any of its paths. Raises ValueError if nothing matches.
        """
        return self._set_trainable(pattern, False)

    def unfreeze(self, pattern: str = "*") -> list[str]:
        """Train again what `pattern` names; the counterpart of `freeze`."""
        return self._set_trainable(pattern, True)

    def _set_trainable(self, pattern: str, trainable: bool) -> list[str]:
        paths = {n: t for n, t in self.named_tensors().items() if isinstance(t, Parameter)}
        touched = {id(t): t for n, t in paths.items() if matches(n, pattern)}
        if not touched:
            raise ValueError(nothing_matches(type(self).__name__, pattern, paths))
        for tensor in touched.values():
            tensor.requires_grad = trainable
        self._settle(True)
        return [name for name, tensor in first_paths(paths) if id(tensor) in touched]

    @property
    def requires_grad(self) -> bool:
        """A module has none: parameters do."""
        raise AttributeError(ASK_PARAMETERS)

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        raise AttributeError(ASK_PARAMETERS)

    # ------------------------------------------------------------------------------- printing

    def summary(self) -> str:
        """A table of all parameters: path, shape, number of values, trainable or frozen."""
        rows = [describe(path, tensor) for path, tensor in self.named_parameters()]
        table = align([("parameter", "shape", "values", "state"), *rows])
        return "\n".join([*table, totals(self.parameters())])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({totals(self.parameters())})"


ASK_PARAMETERS = (
    "a Module has no requires_grad of its own; use module.freeze(pattern) or "
    "module.unfreeze(pattern), or set it on a Parameter"
)


# --------------------------------------------------------------------------------------- the walk


def walk(value: Any, path: str = "", above: tuple[int, ...] = ()) -> Iterator[tuple[str, Any]]:
    """(path, module or tensor) for `value` and all below it, parents first, in order.

    Raises ValueError if a module lies below itself: such a tree has no end.
    """
    if id(value) in above:
        raise ValueError(f"{path} leads back to a module that contains it; keep no parent links")
    if isinstance(value, Module | Tensor):
        yield path, value
    for name, member in members_of(value):
        yield from walk(member, f"{path}.{name}" if path else name, (*above, id(value)))


def members_of(value: Any) -> Iterable[tuple[str, Any]]:
    """What the walk looks into: modules, dicts, lists and tuples."""
    if isinstance(value, Module):
        return value.members()
    if isinstance(value, dict):
        return ((str(key), item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return ((str(index), item) for index, item in enumerate(value))
    return ()


def nearest_modules(value: Any) -> Iterator[Module]:
    """The modules in `value` that no other module of it encloses."""
    if isinstance(value, Module):
        yield value
    else:
        for _, member in members_of(value):
            yield from nearest_modules(member)


def check_member(path: str, tensor: Tensor, tensors: Mapping[str, Tensor]) -> None:
    """Refuse what the walk cannot name or the optimizer would silently leave out."""
    if path in tensors:
        raise ValueError(f"two tensors share the path {path}; a key holds a dot, rename it")
    if tensor.requires_grad and not isinstance(tensor, Parameter):
        raise ValueError(
            f"{path} is a plain Tensor that requires grad; wrap a weight in nn.Parameter, "
            f"detach() a value that is only kept"
        )


# ------------------------------------------------------------------------- freezing and printing


def matches(path: str, pattern: str) -> bool:
    """Whether `pattern` names this parameter or something that encloses it."""
    return fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern}.*")


def nothing_matches(
    model: str, pattern: str, paths: Mapping[str, Any], kind: str = "parameter"
) -> str:
    """The sentence for a pattern that names nothing, with the names nearest to it."""
    if not paths:
        return f"{model} has no {kind}s, so there is nothing that {pattern!r} could name"
    enclosing = {path.rsplit(".", up)[0] for path in paths for up in range(path.count(".") + 1)}
    near = difflib.get_close_matches(pattern, sorted(enclosing), n=3, cutoff=0.3)
    hint = f"nearest names: {', '.join(near)}" if near else f"names begin like {next(iter(paths))}"
    return f"no {kind} of {model} matches {pattern!r}; {hint}"


def describe(path: str, tensor: Tensor) -> tuple[str, str, str, str]:
    """One row of the summary."""
    shape = " × ".join(map(str, tensor.shape)) or "scalar"
    return path, shape, f"{tensor.size:,}", "trainable" if tensor.requires_grad else "frozen"


def align(rows: list[tuple[str, str, str, str]]) -> list[str]:
    """Rows as text: columns two spaces apart, the numbers flush right."""
    a, b, c, _ = (max(map(len, column)) for column in zip(*rows))
    return [f"{path:<{a}}  {shape:<{b}}  {size:>{c}}  {state}" for path, shape, size, state in rows]


def totals(parameters: list[Parameter]) -> str:
    """How many values there are, and how many of them are trained."""
    total = sum(p.size for p in parameters)
    trainable = sum(p.size for p in parameters if p.requires_grad)
    return f"{total:,} parameters, {trainable:,} trainable, {total - trainable:,} frozen"
