"""Optimizer: what all update rules share. Parameter groups, the loop over them, saving.

The rules themselves are in `rules.py`: read that first.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from minift.backend import Array, to_device, xp
from minift.kernels import updates
from minift.tensor import Tensor

Group = dict[str, Any]
MASTER = "master"  # name of the state array that holds a float16 parameter in float32


class Optimizer:
    """Groups of parameters with their settings, and one update rule.

    `params`: tensors, or dicts such as {"params": [...], "lr": 1e-4} whose settings replace the
    optimizer's own. A step skips parameters that are frozen or have no gradient; their state and
    their count of steps stand still, so that one unfrozen later starts its own bias correction.
    Subclasses name their state arrays in `slots` and define `update`.

    Of a float16 parameter the state holds a float32 master, which takes the steps that would
    vanish in float16 (Micikevicius et al. 2018, section 3.1); the parameter is its copy.
    """

    def __init__(self, params: Iterable[Any], **settings: Any):
        self.defaults = settings
        self.param_groups: list[Group] = []
        self.state: list[dict[str, Any]] = []  # one entry a parameter, in the order of the groups
        given = as_list(params, type(self).__name__)
        if not given:
            raise ValueError(f"{type(self).__name__}: got no parameters to train")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    def add_param_group(self, group: Group) -> None:
        """Train more parameters, with settings of their own where the group has some.

        Raises ValueError for a setting that is unknown or out of range and for a parameter that is
        trained already, TypeError for what is no tensor.
        """
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(f'a parameter group is a dict with "params", got {group!r}')
        self.check_names(group)
        params = as_list(group["params"], type(self).__name__)
        complete = {**self.defaults, **group, "params": params}
        self.check(complete)
        self.check_params(params)
        self.param_groups.append(complete)
        self.state += [{} for _ in params]

    def step(self, scale: float = 1.0) -> None:
        """Update every parameter that has a gradient and is not frozen, in place.

        Gradients count `scale` times: clipping and loss scaling need no pass of their own.
        """
        states = iter(self.state)
        due = [
            (parameter, group, state)
            for group in self.param_groups
            for parameter, state in zip(group["params"], states)
            if parameter.grad is not None and parameter.requires_grad
        ]
        updates.apply([self.update_of(*one) for one in due], scale)
        for parameter, _, _ in due:
            parameter.data = parameter.data  # tells the tape that the values were written

    def update_of(self, parameter: Tensor, group: Group, state: dict[str, Any]) -> updates.Update:
        """The next step of one parameter; makes its state if there is none."""
        assert parameter.grad is not None
        weight, slots = parameter.data, self.slots(group)
        copy = weight if weight.dtype == np.float16 else None
        if copy is not None:
            if MASTER not in state:
                state[MASTER] = copy.astype(np.float32)
            weight = state[MASTER]
        state["step"] = state.get("step", 0) + 1
        state.update({slot: xp(weight).zeros_like(weight) for slot in slots if slot not in state})
        settings = {k: v for k, v in group.items() if k != "params"} | {"step": state["step"]}
        arrays = [state[slot] for slot in slots]
        return updates.Update(self.update, weight, parameter.grad.data, arrays, settings, copy)

    def slots(self, group: Group) -> tuple[str, ...]:
        """Names of the arrays that are kept for each parameter of this group."""
        raise NotImplementedError

    def update(self, p: Array, g: Array, *slots: Array, **settings: Any) -> None:
        """Write the new values into `p` and the state arrays; `g` is only read."""
        raise NotImplementedError

    def zero_grad(self) -> None:
        """Forget all gradients; backward adds to what is there."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    # --------------------------------------------------------------------------- save and load

    def state_dict(self) -> dict[str, Any]:
        """Settings and state as plain values and NumPy copies, parameters by their position."""
        positions = iter(range(len(self.state)))
        groups = [
            {**group, "params": [next(positions) for _ in group["params"]]}
            for group in self.param_groups
        ]
        stepped = {i: state for i, state in enumerate(self.state) if "step" in state}
        state = {i: {k: saved(v) for k, v in s.items()} for i, s in stepped.items()}
        return {"state": state, "param_groups": copy.deepcopy(groups)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned, for the same parameters in the same groups.

        Raises ValueError, before anything is written, if sizes, shapes or settings differ.
        """
        groups, arrays = state["param_groups"], {int(i): s for i, s in state["state"].items()}
        ours = [len(group["params"]) for group in self.param_groups]
        theirs = [len(group["params"]) for group in groups]
        if ours != theirs:
            raise ValueError(
                f"the saved optimizer has groups of {theirs} parameters, this one of {ours}"
            )
        for group in groups:
            self.check_names(group)
            self.check({**self.defaults, **group})
        loaded = [
            self.restored(i, parameter, self.slots(group), arrays.get(i, {}))
            for i, (parameter, group) in enumerate(self.with_groups(groups))
        ]
        self.state = loaded
        for group, theirs_ in zip(self.param_groups, groups):
            group.update(copy.deepcopy({k: v for k, v in theirs_.items() if k != "params"}))

    def with_groups(self, groups: list[Group]) -> list[tuple[Tensor, Group]]:
        """Every parameter beside the settings that `groups` hold for it."""
        pairs = zip(self.param_groups, groups)
        return [(parameter, theirs) for ours, theirs in pairs for parameter in ours["params"]]

    def restored(
        self, index: int, parameter: Tensor, slots: tuple[str, ...], state: dict[str, Any]
    ) -> dict[str, Any]:
        """Saved state of one parameter, checked against it and put on its device."""
        if not state:
            return {}
        slots += (MASTER,) if MASTER in state else ()
        shapes = {k: np.shape(v) for k, v in state.items()}
        if shapes != {"step": (), **dict.fromkeys(slots, parameter.shape)}:
            raise ValueError(
                f"the saved state of parameter {index} is {shapes}; {type(self).__name__} needs a "
                f"step and {slots or 'no arrays'} of shape {parameter.shape}"
            )
        dtype = np.promote_types(parameter.dtype, np.float32)
        arrays = {slot: np.array(state[slot], dtype) for slot in slots}
        moved = {slot: to_device(array, parameter.device) for slot, array in arrays.items()}
        return {"step": int(state["step"]), **moved}

    # -------------------------------------------------------------------------------- checking

    def check(self, group: Group) -> None:
        """Raise ValueError for a setting out of range; subclasses add their own."""
        for name in ("lr", "weight_decay", "eps"):
            if name in group and not 0 <= group[name] < math.inf:
                raise ValueError(
                    f"{type(self).__name__}: {name} must be a finite number of at least 0, "
                    f"got {group[name]}"
                )
        for name in ("momentum", "alpha"):
            if name in group and not 0 <= group[name] < 1:
                raise ValueError(
                    f"{type(self).__name__}: {name} must lie in [0, 1), got {group[name]}"
                )

    def check_names(self, group: Group) -> None:
        """Raise ValueError for a setting that this optimizer does not have."""
        for name in group:
            if name != "params" and name not in self.defaults:
                raise ValueError(
                    f"{type(self).__name__} has no setting {name!r}; it has "
                    f"{', '.join(self.defaults)}"
                )

    def check_params(self, params: list[Tensor]) -> None:
        """Raise for what is no tensor, or is trained already."""
        known = {id(p) for group in self.param_groups for p in group["params"]}
        for parameter in params:
            if not isinstance(parameter, Tensor):
                raise TypeError(
                    f"{type(self).__name__} trains Tensors, got {type(parameter).__name__}; "
                    f"pass module.parameters()"
                )
            if id(parameter) in known:
                raise ValueError(
                    f"{type(self).__name__}: a parameter of shape {parameter.shape} was given twice"
                )
            known.add(id(parameter))


def saved(value: Any) -> Any:
    """A state entry for a file: arrays as NumPy copies, numbers as they are."""
    return value if isinstance(value, int) else np.array(to_device(value, "cpu"))


def as_list(params: Any, who: str) -> list[Any]:
    """Parameters as a list; a single tensor would otherwise be taken apart row by row."""
    if isinstance(params, Tensor):
        raise TypeError(f"{who}: params must be a list of Tensors, got one Tensor; write [tensor]")
    return list(params)
