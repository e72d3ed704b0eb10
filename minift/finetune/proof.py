"""The proof that what was frozen stayed frozen: a callback that hashes and counts.

People freeze by hand, and doubt afterwards whether it worked, for good reason: a weight can be left
out of the optimizer and still be changed by an average of weights, or be thawed by whoever saved
the model last. So it is checked, for every fine-tuning that freezes anything.
"""

from __future__ import annotations

from typing import Any

from minift.finetune.fingerprint import fingerprint
from minift.nn import Module, Parameter
from minift.train import Callback, Trainer


class FrozenProof(Callback):
    """What of `model` is frozen from the first step to the last is bit for bit the same after it.

    `model` may be more than what trains: a head alone on features leaves its whole body frozen.
    Raises RuntimeError, after training, that names what changed, or what got a gradient.
    """

    def __init__(self, model: Module):
        self.model, self.steps = model, 0
        self.before: dict[str, str] | None = None  # the hash of each tensor that is frozen

    def on_fit_start(self, trainer: Trainer) -> None:
        if self.before is None:  # else the run goes on
            self.before = {n: hash_of(n, p) for n, p in self._frozen().items()}

    def on_step_end(self, trainer: Trainer) -> None:
        self.steps += 1
        graded = [name for name, p in self._frozen().items() if p.grad is not None]
        if graded:
            raise RuntimeError(f"{graded[0]} is frozen, and yet a gradient of it was computed")

    def on_fit_end(self, trainer: Trainer) -> None:
        before = self.before or {}
        changed = [n for n, p in self._still_frozen().items() if before[n] != hash_of(n, p)]
        if changed:
            raise RuntimeError(f"{changed[0]} was frozen, and yet training changed it")

    def _frozen(self) -> dict[str, Parameter]:
        return {n: p for n, p in self.model.named_parameters() if not p.requires_grad}

    def _still_frozen(self) -> dict[str, Parameter]:
        return {n: p for n, p in self._frozen().items() if n in (self.before or {})}

    @property
    def numbers(self) -> dict[str, Any]:
        """Numbers for a report, to be asked for before anything is thawed."""
        frozen = self._still_frozen()
        return {
            "tensors": len(frozen),
            "values": sum(p.size for p in frozen.values()),
            "of": sum(p.size for p in self.model.parameters()),
            "steps": self.steps,
            "sha256": fingerprint({name: p.numpy() for name, p in frozen.items()}),
        }

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "before": self.before}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps, self.before = state["steps"], state["before"]


def hash_of(name: str, parameter: Parameter) -> str:
    """SHA-256 of one weight."""
    return fingerprint({name: parameter.numpy()})
