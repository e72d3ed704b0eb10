"""Activation checkpointing: a layer that keeps its input alone, and goes forward again in backward.

Chen et al. 2016 (arXiv:1604.06174), section 4: of L layers that each keep A bytes for the way back
and pass on I bytes, L I + A are held at most instead of L A, for one more forward pass. Values and
gradients are the same to the last bit, because dropout draws the same masks again.

`Module.recompute` says which layers do it. Not for layers that change themselves when they are
called (the running statistics of a batch norm): they would do so twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from minift.autograd import grad, op
from minift.backend import Array, random
from minift.tape import no_grad, recording
from minift.tensor import Tensor


def recomputed(
    forward: Callable[..., Tensor], weights: Iterable[Tensor], inputs: Any, named: dict[str, Any]
) -> Tensor:
    """forward(*inputs, **named), of which the graph keeps the inputs and no value in between.

    `weights` are the tensors beside the inputs that get gradients.
    """
    values = (*inputs, *named.values())
    trained = [weight for weight in weights if weight.requires_grad]
    are_tensors = [isinstance(value, Tensor) for value in values]
    return _recomputed(*values, *trained, part=Part(forward, are_tensors, tuple(named), trained))


class Part(NamedTuple):
    """A layer's forward, and how the arrays that an op is given make up its arguments."""

    forward: Callable[..., Tensor]
    are_tensors: list[bool]
    names: tuple[str, ...]  # of the last values, which are keyword arguments
    trained: list[Tensor]

    def run(self, values: list[Any]) -> Tensor:
        """The layer's value. Raises TypeError unless it is one Tensor."""
        first = len(values) - len(self.names)
        value = self.forward(*values[:first], **dict(zip(self.names, values[first:])))
        if not isinstance(value, Tensor):
            raise TypeError(
                f"a recomputed layer must return one Tensor, got {type(value).__name__}; "
                f"recompute the layers inside it"
            )
        return value

    def leaves(self, arrays: tuple[Any, ...], wanted: list[bool]) -> list[Any]:
        """The layer's arguments: Tensors, cut off from what they were computed by, and the rest."""
        return [
            leaf(array, need) if is_tensor else array
            for array, is_tensor, need in zip(arrays, self.are_tensors, wanted)
        ]


def leaf(array: Array, requires_grad: bool) -> Tensor:
    """A Tensor that shows this very memory: copies of the inputs would cost what is to be saved."""
    tensor = Tensor.__new__(Tensor)
    tensor._become(array, None)
    tensor.requires_grad = requires_grad
    return tensor


@op
def _recomputed(*arrays, part):
    if any(isinstance(array, Tensor) for array in arrays):
        raise ValueError(
            "a recomputed layer gives gradients, but no gradients of gradients; call "
            "recompute(pattern, on=False) on the model"
        )
    before = random.get_state()
    with no_grad():
        value = part.run(part.leaves(arrays, [False] * len(arrays)))

    def derivatives(g, wanted):
        leaves = part.leaves(arrays, wanted)
        after = random.get_state()
        random.set_state(before)
        try:
            with recording(True):
                again = part.run(leaves)
        finally:
            random.set_state(after)
        all_leaves = [*leaves, *part.trained]
        targets = [leaf for leaf, need in zip(all_leaves, wanted) if need]
        found = iter(grad(again, targets, [g]))
        return [next(found).data if need else None for need in wanted]

    return value.data, derivatives
