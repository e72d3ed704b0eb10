"""PretrainedModel: models that come from a folder and go to one, in the layout of Hugging Face.

The body of a model (the encoder) is loaded strictly: each of its weights must be there and fit.
The head is loaded if the folder was made for the same task, and starts fresh if it was not. What
was done stands in `model.load_report`. Reading bytes is `minift/hub.py`; other files' names are
`renames.py`; what a BERT is, `bert.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np

from minift import hub
from minift.models.config import ModelConfig
from minift.models.outputs import Seen
from minift.models.renames import Arrays, Rename, read_names, write_names
from minift.nn import LoadReport, Module, init

P = TypeVar("P", bound="PretrainedModel")
log = logging.getLogger("minift")


class PretrainedModel(Module):
    """A model with a `config` that can be saved to a folder and loaded from it.

    A subclass names its `config_class` and the `prefix` under which models with a head hold the
    body. Where there are any: the `renames` by which it reads the files of others, the `head` in
    words, and `same_head`: architectures with the same head weights.
    """

    config_class: ClassVar[type[ModelConfig]]
    prefix: ClassVar[str]
    renames: ClassVar[tuple[Rename, ...]] = ()
    head: ClassVar[str] = "head"
    same_head: ClassVar[tuple[str, ...]] = ()
    config: Any
    tokenizer: Any = None
    load_report: LoadReport | None = None

    def __init__(self, config: Any):
        self.config = config

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What forward gives, or for `output_attentions=True` or `output_hidden_states=True` a
        ModelOutput with it."""
        asked = [kwargs.pop(name, False) for name in ("output_attentions", "output_hidden_states")]
        if not any(asked):
            return super().__call__(*args, **kwargs)
        seen = Seen(*asked)
        return seen.output(self.forward(*args, seen=seen, **kwargs), is_bare(self))

    @property
    def architecture(self) -> str:
        """The name under which config.json knows this kind of model."""
        return type(self).__name__

    @property
    def model_type(self) -> str:
        """The name by which config.json chooses a family of models."""
        return self.config.model_types[0]

    def initial(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """From where a weight starts: matrices N(0, initial_std²), biases 0, norms 1."""
        if name.endswith("bias"):
            return init.zeros(shape)
        if len(shape) == 1:
            return init.ones(shape)
        return init.normal(shape, self.initial_std(name))

    def initial_std(self, name: str) -> float:
        """The standard deviation from which a matrix is drawn."""
        return self.config.initializer_range

    def draw_weights(self, names: Collection[str] | None = None) -> None:
        """Start these weights afresh, or all of them."""
        for name, parameter in self.named_parameters():
            if names is None or name in names:
                parameter.data = self.initial(name, parameter.shape)

    @classmethod
    def from_pretrained(
        cls: type[P], folder: str | Path, partial: bool = False, **changes: Any
    ) -> P:
        """Load a model folder, in evaluation mode. `changes` replace fields of its config.

        With `partial`, weights of the body may be missing or of another shape: they start afresh.
        Raises FileNotFoundError for a missing folder or file, ValueError for a damaged file, a
        config that describes another model, or a body that does not fit.
        """
        folder = hub.resolve(folder)
        saved = hub.read_config(folder)
        config = cls.config_class.from_dict(saved, **changes)
        arrays = hub.read_model(folder)
        model = undrawn(cls, config, f"{folder}")
        same_labels = cls.config_class.from_dict(saved).num_labels == config.num_labels
        task = made_for(saved) if same_labels else "other labels"
        model.load_report = load_folder(model, arrays, task, partial, f"{folder}")
        return model.eval()

    def own_tokenizer(self) -> Any:
        """The tokenizer. Raises ValueError if there is none."""
        if self.tokenizer is None:
            raise ValueError(
                f"this {type(self).__name__} has no tokenizer; load it with minift.load(folder) or "
                f"set model.tokenizer"
            )
        return self.tokenizer

    def save_pretrained(self, folder: str | Path, tokenizer: Any = None) -> None:
        """Write config.json and model.safetensors, and the tokenizer's files if there is one.

        transformers opens the folder, but for an architecture of our own. `tokenizer` defaults to
        the one that the model was loaded with.
        """
        arrays = write_names(self.state_dict(), self.renames, self.prefix)
        hub.write_arrays(Path(folder) / hub.WEIGHTS, arrays)
        kind = {"architectures": [self.architecture], "model_type": self.model_type}
        dtype = {"dtype": str(self.parameters()[0].dtype)}
        hub.write_config(folder, {**self.config.to_dict(), **kind, **dtype})
        tokenizer = tokenizer or self.tokenizer
        if tokenizer is not None:
            tokenizer.save_pretrained(folder)


def made_for(saved: dict[str, Any]) -> str:
    """The architecture that a config.json names."""
    names = saved.get("architectures")
    return str(names[0]) if isinstance(names, list) and names else "none"


def undrawn(cls: type[P], config: ModelConfig, folder: str) -> P:
    """The model with weights still to come: what a file brings need not be drawn first."""
    try:
        with init.undrawn():
            return cls(config)
    except MemoryError:
        raise ValueError(
            f"{folder}/{hub.CONFIG} describes a model that does not fit into memory"
        ) from None


def load_folder(
    model: PretrainedModel, arrays: Arrays, task: str, partial: bool, folder: str
) -> LoadReport:
    """Load all of the body, and what fits of the head if `task` is an architecture with this head.

    Raises ValueError for a body, or a head of this very architecture, that does not fit.
    """
    named, renamed = read_names(arrays, model.renames, model.prefix, model.named_tensors())
    check_finite(named, folder)
    same_task = task == model.architecture
    take_head = same_task or task in model.same_head
    taken = {name: a for name, a in named.items() if take_head or in_body(name, model)}
    report = model.load_state_dict(taken, strict=False)
    report.unexpected += [name for name in named if name not in taken]
    report.renamed = renamed + report.renamed
    strict = report.about(lambda name: must_fit(name, model, same_task))
    if strict.problems() and not partial:
        lines = "\n  ".join(strict.problems())
        raise ValueError(f"the weights in {folder} do not fit {type(model).__name__}:\n  {lines}")
    model.draw_weights(afresh := fresh_names(report))
    if afresh:
        report.notes.append(about_new_weights(model, afresh))
        log.warning("%s: %s", folder, report.notes[0])
    return report


def check_finite(arrays: Arrays, folder: str) -> None:
    """Raise ValueError for weights that are no numbers: every result would be NaN."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(
                f"{name} in {folder} holds NaN or infinite values; the file is damaged, or its "
                f"training diverged"
            )


def fresh_names(report: LoadReport) -> list[str]:
    """The weights that no file brought."""
    return report.missing + [name for name, _ in report.mismatched]


def about_new_weights(model: PretrainedModel, names: list[str]) -> str:
    """One line that says which weights are new, and whether that is as it should be."""
    body = [name for name in names if must_fit(name, model, False)]
    listed = ", ".join(names if len(names) < 7 else [*names[:6], f"and {len(names) - 6} more"])
    if body:
        return f"{len(body)} weights of the body are new, as partial=True allows: {listed}"
    return f"the {model.head} is new ({listed}): this is expected, it is still to be trained"


def must_fit(name: str, model: PretrainedModel, same_task: bool) -> bool:
    """Whether a weight that was not loaded is a mistake.

    So it is in the body, and in a head that was made for this very task. The body's pooler belongs
    to a task, like a head. Heads of other tasks may lie in the file, but no other bodies.
    """
    proper = in_body(name, model) and "pooler" not in name.split(".")
    return proper or (same_task and name in model.named_tensors())


def in_body(name: str, model: PretrainedModel) -> bool:
    """Whether a name, with or without the prefix, is about something below the body."""
    if name.startswith(f"{model.prefix}."):
        return True
    body = model if is_bare(model) else getattr(model, model.prefix)
    return name.split(".")[0] in vars(body)


def is_bare(model: PretrainedModel) -> bool:
    """Whether the model is nothing but the body, whose weights then have no prefix."""
    return not hasattr(model, model.prefix)
