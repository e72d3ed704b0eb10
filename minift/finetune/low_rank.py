"""LoRA: learn a change of low rank beside frozen matrices (Hu et al. 2021, arXiv:2106.09685).

    lora = LoRA(r=8, alpha=16)
    lora.apply(model)          # W becomes W + (alpha / r) B A; all but A, B and the head is frozen
    ...                        # train
    lora.save(model, "adapter")
    lora.merge(model)          # the change is written into W: an ordinary model again

The product B A is added to W before W is used, instead of taking x through A and B: at the widths
of a BERT that costs next to nothing, every op that reads a weight (fused ones too) goes on working,
and a merged model gives the very numbers of the adapted one.

Not here: the strategy for a Trainer (`strategies.py`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from minift import hub, ops
from minift.backend import Array, to_device
from minift.finetune.fingerprint import fingerprint
from minift.finetune.layers import layers_of, train_only
from minift.nn import Linear, Module, ModuleList, Parameter, init
from minift.nn.layers import check_last_axis, check_size
from minift.nn.module import members_of, nothing_matches, walk
from minift.tape import no_grad
from minift.tensor import Tensor

WEIGHTS, SETTINGS = "adapter.safetensors", "adapter.json"


class LoRALinear(Module):
    """y = x (W + (alpha / r) B A)ᵀ + b in the place of a Linear, whose W and b it keeps.

    `lora_A` (r, in_features) starts as loralib draws it, from U(-1/√in, 1/√in), `lora_B`
    (out_features, r) from 0, so that nothing changes before the first step. `weight` is the sum:
    whoever reads it gets the adapted matrix. In a state dict `weight` is W alone, or, once merged,
    the sum, and A and B are gone.
    """

    def __init__(self, linear: Linear, r: int, alpha: float):
        self.in_features, self.scale = linear.in_features, alpha / r
        self.base, self.bias = linear.weight, linear.bias
        out_features, device = linear.weight.shape[0], linear.weight.device
        a = init.fan_in_uniform((r, self.in_features), self.in_features)
        self.lora_A = Parameter(to_device(a.astype(self.base.dtype, copy=False), device))
        b = init.zeros((out_features, r))
        self.lora_B = Parameter(to_device(b.astype(self.base.dtype, copy=False), device))
        self.before: Array | None = None  # W as it was, while the sum stands in its place

    def members(self) -> list[tuple[str, Any]]:
        """The names of a Linear, and of the adapter while there is one."""
        adapter = [("lora_A", self.lora_A), ("lora_B", self.lora_B)] if self.before is None else []
        return [("weight", self.base), ("bias", self.bias), *adapter]

    @property
    def weight(self) -> Tensor:
        """The matrix that is used, (out_features, in_features)."""
        if self.before is not None:
            return self.base
        return self.base + (self.lora_B @ self.lora_A) * self.scale

    def forward(self, x: Tensor) -> Tensor:
        check_last_axis("LoRALinear", "in_features", self.in_features, x)
        return ops.linear(x, self.weight, self.bias)

    @no_grad()
    def merge(self) -> None:
        """Write the sum into W."""
        merged, self.before = self.weight.data, self.base.data.copy()
        self.base.data = merged  # in place

    def unmerge(self) -> None:
        """Put back W as it was, bit for bit: the sum minus B A would be off by roundings."""
        assert self.before is not None
        device = self.base.device
        self.base.data, self.before = to_device(self.before, device), None
        for part in (self.lora_A, self.lora_B):
            part.data = to_device(part.data, device)


@dataclass(frozen=True)
class LoRA:
    """Adapters of rank `r`, scaled by `alpha` / r, beside the Linear layers of these patterns.

    A pattern may name alternatives, with a | between them. The default adapts the query and value
    projections of every attention layer, as the paper does (section 4.2, table 5), in BERT's names
    or in ViT's. Raises ValueError for a rank or scale that makes no adapter.
    """

    r: int = 8
    alpha: float = 16.0
    patterns: tuple[str, ...] = ("*.query|*.q_proj", "*.value|*.v_proj")

    def __post_init__(self) -> None:
        check_size("LoRA", r=self.r)
        if not 0 < self.alpha < float("inf"):
            raise ValueError(f"LoRA: alpha must be a number above 0, got {self.alpha}")

    def apply(self, model: Module) -> list[str]:
        """Put adapters beside the layers and freeze all but them and the head; returns the paths.

        Raises ValueError for a pattern that names no Linear layer, for a model that has adapters
        already, and for a matrix that stands in two places (a tied one), which would stop to agree.
        """
        check_no_adapters(model)
        head = layers_of(model)[-1]  # is trained whole
        linears = {
            path: module
            for path, module in walk(model)
            if isinstance(module, Linear) and f"{path}.weight" not in head
        }
        paths = [path for path in linears if any(matches(path, one) for one in self.patterns)]
        for one in self.patterns:
            if not any(matches(path, one) for path in paths):
                raise ValueError(nothing_matches(type(model).__name__, one, linears, "Linear"))
        places = [id(tensor) for tensor in model.named_tensors().values()]
        for path in paths:
            if places.count(id(linears[path].weight)) > 1:
                raise ValueError(f"LoRA: {path} shares its matrix with another layer")
        for path in paths:
            replace(model, path, LoRALinear(linears[path], self.r, self.alpha))
        train_only(model, [*adapter_names(model), *head])
        return paths

    def merge(self, model: Module) -> list[str]:
        """Write every change into its matrix; returns the paths. Forward stays the same.

        The model is then saved and loaded as if it had been trained whole.
        """
        layers = self._layers(model, merged=False)
        for _, layer in layers:
            layer.merge()
        return [path for path, _ in layers]

    def unmerge(self, model: Module) -> list[str]:
        """Undo `merge`: the frozen matrices are again what they were, bit for bit."""
        layers = self._layers(model, merged=True)
        for _, layer in layers:
            layer.unmerge()
        return [path for path, _ in layers]

    def _layers(self, model: Module, merged: bool) -> list[tuple[str, LoRALinear]]:
        """The adapted layers. Raises ValueError if they are not in the state that is needed."""
        layers = adapters(model)
        if not layers:
            raise ValueError(f"{type(model).__name__} has no adapters; lora.apply(model) adds them")
        if any((layer.before is not None) is not merged for _, layer in layers):
            state = "not merged" if merged else "merged already"
            raise ValueError(f"the adapters of this {type(model).__name__} are {state}")
        return layers

    # --------------------------------------------------------------------------- save and load

    def save(self, model: Module, folder: str | Path) -> None:
        """Write what was trained: adapter.safetensors, and adapter.json about it.

        That is the adapters and the head: without its head an adapter is of no use. adapter.json
        has the settings and the SHA-256 of the frozen weights to which the adapter belongs.
        """
        self._layers(model, merged=False)
        state, head = model.state_dict(), layers_of(model)[-1]
        names = [*adapter_names(model), *head]
        hub.write_arrays(Path(folder) / WEIGHTS, {name: state[name] for name in names})
        settings = {"kind": "LoRA", **asdict(self), "head": head}
        settings["base_sha256"] = fingerprint(state, names)
        text = json.dumps(settings, indent=1, ensure_ascii=False)
        hub.write(Path(folder) / SETTINGS, (text + "\n").encode("utf-8"))

    @classmethod
    def load(cls, model: Module, folder: str | Path) -> LoRA:
        """Apply the adapter of a folder to the model that it was trained on, its head included.

        Raises FileNotFoundError or ValueError for files that are missing or damaged, an adapter
        without its head, and a model whose other weights are not those of its training.
        """
        folder = Path(folder)
        settings = hub.read_json(hub.existing(folder / SETTINGS))
        arrays = hub.read_arrays(folder / WEIGHTS)
        lora, head, base = read_settings(cls, settings, folder / SETTINGS)
        check_no_adapters(model)
        state = model.state_dict()
        check_adapter(state, arrays, head, folder / WEIGHTS)
        if fingerprint(state, head) != base:
            raise ValueError(
                f"the adapter in {folder} was trained on other weights than this "
                f"{type(model).__name__} has; open the model that it was trained on"
            )
        lora.apply(model)
        model.load_state_dict({**state, **arrays})
        return lora


# ------------------------------------------------------------------------------ parts of a model


def adapters(model: Module) -> list[tuple[str, LoRALinear]]:
    """The adapted layers of a model by their paths."""
    return [(path, module) for path, module in walk(model) if isinstance(module, LoRALinear)]


def adapter_names(model: Module) -> list[str]:
    """The paths of all A and B."""
    return [f"{path}.{part}" for path, _ in adapters(model) for part in ("lora_A", "lora_B")]


def matches(path: str, pattern: str) -> bool:
    """Whether a path fits one of the alternatives of a pattern."""
    return any(fnmatchcase(path, one) for one in pattern.split("|"))


def check_no_adapters(model: Module) -> None:
    """Raise ValueError if the model has some."""
    if adapters(model):
        raise ValueError(f"this {type(model).__name__} has adapters already; start from the base")


def replace(model: Module, path: str, layer: Module) -> None:
    """Put `layer` where `path` leads."""
    *above, name = path.split(".")
    place: Any = model
    for part in above:
        place = dict(members_of(place))[part]
    place = place.items if isinstance(place, ModuleList) else place
    if isinstance(place, Module):
        setattr(place, name, layer)
    else:
        place[int(name) if isinstance(place, list) else name] = layer


# ------------------------------------------------------------------------------ parts of a file


def read_settings(
    cls: type[LoRA], settings: dict[str, Any], file: Path
) -> tuple[LoRA, list[str], str]:
    """The adapter, the names of its head and the hash of its base. Raises ValueError."""
    try:
        lora = cls(int(settings["r"]), float(settings["alpha"]), tuple(settings["patterns"]))
        return lora, [str(name) for name in settings["head"]], str(settings["base_sha256"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{file} does not describe a LoRA adapter ({error}); copy it again"
        ) from None


def check_adapter(
    state: dict[str, np.ndarray], arrays: dict[str, np.ndarray], head: list[str], file: Path
) -> None:
    """Raise ValueError for an adapter without its head, or with one for another model."""
    absent = [name for name in head if name not in arrays]
    if absent:
        raise ValueError(
            f"{file} holds no {absent[0]}: an adapter without its head is of no use, because a "
            f"new head would answer at random; save it with LoRA.save"
        )
    for name in head:
        ours = state[name].shape if name in state else "none"
        if ours != arrays[name].shape:
            raise ValueError(
                f"{file}: its {name} is {arrays[name].shape}, the model's {ours}; open the base "
                f"model with as many labels"
            )
