"""PretrainedModel: models that come from a folder and go to one, in the layout of Hugging Face.

The body of a model (the encoder) is loaded strictly: each of its weights must be there and fit.
The head is loaded if the folder was made for the same task, and starts fresh if it was not. What
was done stands in `model.load_report`. Reading bytes is `minift/hub.py`; what a BERT is, `bert.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np

from minift import hub
from minift.nn import LoadReport, Module

P = TypeVar("P", bound="PretrainedModel")
Arrays = dict[str, np.ndarray]


class PretrainedModel(Module):
    """A model with a `config` that can be saved to a folder and loaded from it.

    A subclass names its `config_class` (a dataclass with `from_dict` and `to_dict`), its
    `model_type`, and `prefix`: the attribute that holds the body.
    """

    config_class: ClassVar[Any]
    prefix: ClassVar[str]
    config: Any
    tokenizer: Any = None
    load_report: LoadReport | None = None

    def __init__(self, config: Any):
        self.config = config

    @property
    def architecture(self) -> str:
        """The name under which config.json knows this kind of model."""
        return type(self).__name__

    @property
    def model_type(self) -> str:
        """The name by which config.json chooses a family of models."""
        return self.prefix

    @classmethod
    def from_pretrained(cls: type[P], folder: str | Path, **changes: Any) -> P:
        """Load a model folder, in evaluation mode. `changes` replace fields of its config.

        Raises FileNotFoundError for a missing folder or file, ValueError for a damaged file, a
        config that describes another model, or a body that does not fit.
        """
        saved = hub.read_config(folder)
        config = cls.config_class.from_dict(saved, **changes)
        arrays = hub.read_arrays(Path(folder) / hub.WEIGHTS)
        model = cls(config)
        same_task = (
            saved.get("architectures") == [model.architecture]
            and cls.config_class.from_dict(saved).num_labels == config.num_labels
        )
        model.load_report = load_body(model, arrays, same_task, f"{folder}")
        return model.eval()

    def save_pretrained(self, folder: str | Path, tokenizer: Any = None) -> None:
        """Write config.json and model.safetensors, and the tokenizer's files if there is one.

        transformers opens the folder, but for an architecture of our own. `tokenizer` defaults to
        the one that the model was loaded with.
        """
        hub.write_arrays(Path(folder) / hub.WEIGHTS, self.state_dict())
        kind = {"architectures": [self.architecture], "model_type": self.model_type}
        dtype = {"dtype": str(self.parameters()[0].dtype)}
        hub.write_config(folder, {**self.config.to_dict(), **kind, **dtype})
        tokenizer = tokenizer or self.tokenizer
        if tokenizer is not None:
            tokenizer.save_pretrained(folder)


def load_body(model: PretrainedModel, arrays: Arrays, same_task: bool, folder: str) -> LoadReport:
    """Load all of the body, and the head if it was made for the same task."""
    body, head, renamed = split_names(arrays, model)
    report = model.load_state_dict({**body, **head} if same_task else body, strict=False)
    strict = report if same_task else report.about(lambda name: must_fit(name, model))
    if strict.problems():
        lines = "\n  ".join(strict.problems())
        raise ValueError(f"the weights in {folder} do not fit {type(model).__name__}:\n  {lines}")
    report.unexpected += [] if same_task else list(head)
    report.renamed = renamed + report.renamed
    return report


def must_fit(name: str, model: PretrainedModel) -> bool:
    """Whether a weight belongs to the body proper. Its pooler belongs to a task, like a head."""
    in_body = name.startswith(f"{model.prefix}.") or is_bare(model)
    return in_body and "pooler" not in name.split(".")


def is_bare(model: PretrainedModel) -> bool:
    """Whether the model is nothing but the body, whose weights then have no prefix."""
    return not hasattr(model, model.prefix)


def split_names(
    arrays: Arrays, model: PretrainedModel
) -> tuple[Arrays, Arrays, list[tuple[str, str]]]:
    """Weights of the body and of the head under this model's names, and which names changed.

    Bare encoders are saved without the prefix, models with a head with it; the first checkpoints
    called a norm's weight gamma and its bias beta; position_ids is a constant, not a weight.
    """
    dot = f"{model.prefix}."
    prefixed = any(name.startswith(dot) for name in arrays)
    body, head, renamed = {}, {}, []
    for old, array in arrays.items():
        new = old.replace("LayerNorm.gamma", "LayerNorm.weight")
        new = new.replace("LayerNorm.beta", "LayerNorm.bias")
        if prefixed and not old.startswith(dot):
            head[new] = array
        elif not old.endswith("embeddings.position_ids"):
            new = new.removeprefix(dot) if is_bare(model) else dot + new.removeprefix(dot)
            body[new] = array
        renamed += [(old, new)] if new != old else []
    return body, head, renamed
