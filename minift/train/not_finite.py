"""Where a loss that is NaN or infinite came from: the step again, with every value looked at.

The look costs time, and on a GPU a copy for every op, so it is taken only when a step has failed.
Forward, the cause is found by going back from the loss through what is not finite: an infinite
value elsewhere may be right (what attention must not see scores -inf). Backward, no gradient may be
infinite, so the first one is the cause.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minift.autograd import Op
from minift.backend import Array, is_array, xp
from minift.nn import Module
from minift.nn.calls import intercepted
from minift.nn.module import walk
from minift.tensor import Tensor
from minift.train.logs import Log

if TYPE_CHECKING:
    from minift.train.trainer import Trainer


def explain(trainer: Trainer, log: Log, batches: Sequence[Any]) -> str:
    """The sentence about a step whose loss or gradient is not finite. Runs it again."""
    what = "loss" if not np.isfinite(log["loss"]) else "grad_norm"
    begun = f"step {log['step']}: the {NAMES[what]} is {log[what]}"
    return (
        f"{begun}; {cause(trainer, batches)}. No weight was changed by this step; a lower learning "
        f"rate, gradient clipping or other data may help"
    )


NAMES = {"loss": "loss", "grad_norm": "gradient's length"}


def cause(trainer: Trainer, batches: Sequence[Any]) -> str:
    """Which weight, data, op or derivative was the first that was not finite."""
    for name, parameter in trainer.model.named_parameters():
        if not finite(parameter.data):
            return f"the weight {name} was not finite before it"
    for name, value in [pair for batch in batches for pair in members(batch)]:
        if not finite(value):
            return f"the batch's {name} is not finite"
    for batch in batches:
        with watching(trainer.model) as watch, np.errstate(all="ignore"):
            loss, _ = trainer.objective(trainer.model, batch)
            if finite(loss.data):
                scale = 1 if trainer.loss_scale is None else trainer.loss_scale.scale
                (loss * scale).backward()
        found = watch.source_of(loss.data) or watch.gradient
        if found:
            return f"the first value that is not finite was made by {found}"
    return "run again, all values were finite, so something outside the model is random"


def finite(value: Any) -> bool:
    """Whether an array holds neither NaN nor an infinity; other things count as finite."""
    if not is_array(value) or value.dtype.kind != "f":
        return True
    return bool(xp(value).isfinite(value).all())


def members(batch: Any) -> list[tuple[str, Any]]:
    """The arrays of a batch, with their names or places."""
    if isinstance(batch, dict):
        return list(batch.items())
    items = batch if isinstance(batch, list | tuple) else [batch]
    return [(f"part {i}", item) for i, item in enumerate(items)]


class Watch:
    """What was seen to be not finite: results of ops, and the first gradient."""

    def __init__(self, model: Module):
        self.layers = [type(model).__name__]  # those that are being computed, outermost first
        self.names = {id(module): path for path, module in named_modules(model)}
        self.bad: dict[int, tuple[Array, str, list[Array]]] = {}  # id -> itself, maker, inputs
        self.gradient = ""

    def source_of(self, value: Array) -> str:
        """Where what is not finite in `value` began; empty if it is finite."""
        maker = ""
        while id(value) in self.bad:
            _, maker, inputs = self.bad[id(value)]
            value = next((x for x in inputs if id(x) in self.bad), None)
        return maker

    def call_op(self, original: Callable[..., Tensor], op: Op, *inputs: Any, **more: Any) -> Tensor:
        """Carry out an op; note its result, and look at its gradients later."""
        result = original(op, *inputs, **more)
        where = f"{op.name} in {self.layers[-1]}"
        if not finite(result.data):
            arrays = [x.data if isinstance(x, Tensor) else x for x in inputs]
            self.bad.setdefault(id(result.data), (result.data, where, arrays))
        if result._node is not None:
            result._node.derivatives = self.looked_at(result._node.derivatives, where)
        return result

    def call_module(
        self, original: Callable[..., Any], module: Module, *inputs: Any, **more: Any
    ) -> Any:
        """Carry out a layer, in whose name its ops are noted."""
        self.layers.append(self.names.get(id(module), type(module).__name__))
        try:
            return original(module, *inputs, **more)
        finally:
            self.layers.pop()

    def looked_at(self, derivatives: Any, where: str) -> Any:
        """The same derivatives, with a look at what they return."""

        def look(derivative: Callable[..., Any]) -> Callable[..., Any]:
            def looking(g: Any, *wanted: Any) -> Any:
                result = derivative(g, *wanted)
                arrays = result if isinstance(result, list | tuple) else [result]
                if not self.gradient and not all(map(finite, arrays)):
                    self.gradient = f"the derivative of {where}"
                return result

            return looking

        if callable(derivatives):
            return look(derivatives)
        return tuple(None if one is None else look(one) for one in derivatives)


def named_modules(model: Module) -> list[tuple[str, Module]]:
    """Every module with its path; the model itself goes by its class."""
    found = [(path, value) for path, value in walk(model) if isinstance(value, Module)]
    return [(path or type(model).__name__, module) for path, module in found]


@contextlib.contextmanager
def watching(model: Module) -> Iterator[Watch]:
    """Inside the `with` block every op and every layer reports to the Watch."""
    watch = Watch(model)
    with (
        intercepted(Op, "__call__", watch.call_op),
        intercepted(Module, "__call__", watch.call_module),
    ):
        yield watch
