"""The layers: weights plus one call of the op that uses them, in PyTorch's layouts and defaults.

Formulas live in `ops/`; a layer holds the parameters, checks the shape of what it is given in the
user's own words, and passes its mode (`training`) on. Attention has a file of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from minift import ops
from minift.nn import init
from minift.nn.module import Module, Parameter
from minift.tensor import Tensor


class ReLU(Module):
    """max(x, 0), elementwise."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.relu(x)


class Tanh(Module):
    """tanh(x), elementwise."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.tanh(x)


class GELU(Module):
    """x Φ(x), elementwise (Hendrycks & Gimpel 2016); "tanh" is their approximation."""

    def __init__(self, approximate: str = "none"):
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        return ops.gelu(x, approximate=self.approximate)


class Linear(Module):
    """y = x Wᵀ + b: (..., in_features) -> (..., out_features).

    `weight` is (out_features, in_features), `bias` (out_features,) or None; both start from
    U(-1/√in_features, 1/√in_features).
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        check_size("Linear", in_features=in_features, out_features=out_features)
        self.in_features = in_features
        self.weight = Parameter(init.fan_in_uniform((out_features, in_features), in_features))
        self.bias = Parameter(init.fan_in_uniform((out_features,), in_features)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        check_last_axis("Linear", "in_features", self.in_features, x)
        return ops.linear(x, self.weight, self.bias)


class Embedding(Module):
    """Rows of a table: integer ids (...) -> (..., dim). `weight` (num, dim) starts N(0, 1)."""

    def __init__(self, num: int, dim: int):
        check_size("Embedding", num=num, dim=dim)
        self.weight = Parameter(init.normal((num, dim)))

    def forward(self, ids: Any) -> Tensor:
        return ops.embedding(ids, self.weight)


class LayerNorm(Module):
    """Bring the last axis to mean 0 and variance 1, then scale and shift (Ba et al. 2016, eq. 4).

    (..., size) -> (..., size); `weight` starts at 1, `bias` at 0, both (size,).
    """

    def __init__(self, size: int, eps: float = 1e-5):
        check_size("LayerNorm", size=size)
        self.eps = eps
        self.weight = Parameter(init.ones((size,)))
        self.bias = Parameter(init.zeros((size,)))

    def forward(self, x: Tensor) -> Tensor:
        check_last_axis("LayerNorm", "size", self.weight.shape[0], x)
        return ops.layer_norm(x, self.weight, self.bias, eps=self.eps)


class Dropout(Module):
    """In training, zero each value with probability p and divide the rest by 1 - p; else nothing.

    Srivastava et al. 2014, in the "inverted" form: no scaling is left for evaluation.
    """

    def __init__(self, p: float = 0.5):
        if not 0 <= p < 1:
            raise ValueError(f"Dropout: p is the share of values to drop, in [0, 1); got {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return ops.dropout(x, p=self.p, training=self.training)


class ModuleList(Module):
    """A list of modules that is a module itself; inside another one a plain list does as well."""

    def __init__(self, modules: Iterable[Module] = ()):
        self.items = list(modules)

    def members(self) -> Iterable[tuple[str, Any]]:
        """The modules by number, so that paths read `layer.0`, not `layer.items.0`."""
        return ((str(index), module) for index, module in enumerate(self.items))

    def append(self, module: Module) -> None:
        """Add a module at the end."""
        self.items.append(module)

    def __getitem__(self, index: int) -> Module:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.items)


class Sequential(ModuleList):
    """Modules applied one after the other: Sequential(Linear(4, 8), ReLU(), Linear(8, 2))."""

    def __init__(self, *modules: Module):
        super().__init__(modules)

    def forward(self, x: Any) -> Any:
        for module in self.items:
            x = module(x)
        return x


def check_size(layer: str, **sizes: int) -> None:
    """Raise ValueError for a size that is not a positive whole number."""
    for name, size in sizes.items():
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"{layer}: {name} must be a whole number of at least 1, got {size!r}")


def check_last_axis(layer: str, name: str, size: int, x: Tensor) -> None:
    """Raise ValueError if the last axis of `x` is not `size` wide."""
    if x.ndim == 0 or x.shape[-1] != size:
        raise ValueError(
            f"{layer}: expected a last axis of {size} (its {name}), got a tensor of shape {x.shape}"
        )
