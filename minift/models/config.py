"""ModelConfig: what the configurations of all families share, and the checks of their values.

A configuration is a dataclass with transformers' field names and defaults, so that its `to_dict` is
a config.json that transformers reads, and the other way round. Sizes, rates and choices are checked
when it is made: a wrong value is one sentence here, not an odd shape somewhere below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, TypeVar

from minift.nn.layers import check_size

C = TypeVar("C", bound="ModelConfig")

MOST_LAYERS = 1000  # more is a damaged file, which would fill the memory layer by layer
ONE_LABEL, SEVERAL_LABELS, NUMBERS = (
    "single_label_classification",
    "multi_label_classification",
    "regression",
)


@dataclass
class ModelConfig:
    """The labels of a model with a classification head; every family adds its own fields.

    `problem_type` says what the scores mean: one class of several, any number of classes, or the
    numbers themselves. None means the first, or for a single label the last, as in transformers.
    """

    num_labels: int = 2
    id2label: dict[int, str] | None = None  # None: LABEL_0, LABEL_1, …
    problem_type: str | None = None

    model_types: ClassVar[tuple[str, ...]] = ()  # what config.json may say in "model_type"
    fixed: ClassVar[Mapping[str, Any]] = {}  # settings of transformers that have one value here

    def __post_init__(self) -> None:
        """Raises ValueError for settings that make no model."""
        self.check_sizes("num_labels")
        known = (None, ONE_LABEL, SEVERAL_LABELS, NUMBERS)
        self.check_choice("problem_type", self.problem_type, known)
        self.name_labels()

    def name_labels(self) -> None:
        """Give every label a name; keys from JSON are strings."""
        if self.id2label is None:
            self.id2label = {i: f"LABEL_{i}" for i in range(self.num_labels)}
        try:
            self.id2label = {int(i): str(name) for i, name in self.id2label.items()}
        except (AttributeError, ValueError):
            raise self.wrong("id2label", "a mapping from numbers to names", self.id2label) from None
        if sorted(self.id2label) != list(range(self.num_labels)):
            raise ValueError(
                f"{type(self).__name__}: id2label must name the labels 0 to {self.num_labels - 1} "
                f"(num_labels is {self.num_labels}), got the keys {sorted(self.id2label)}"
            )

    @property
    def scores_are(self) -> str:
        """The problem type, with None resolved."""
        return self.problem_type or (NUMBERS if self.num_labels == 1 else ONE_LABEL)

    @classmethod
    def from_dict(cls: type[C], saved: dict[str, Any], **changes: Any) -> C:
        """From a config.json, with `changes`; what transformers writes beyond our fields is left.

        A new `num_labels` drops the saved names of labels, new names set it. Raises ValueError if
        the file describes another kind of model, or for a change that is no field.
        """
        known = {field.name for field in fields(cls)}
        for name in changes.keys() - known:
            listed = ", ".join(sorted(known))
            raise ValueError(f"{cls.__name__} has no field {name!r}; it has {listed}")
        cls.check_choice("model_type", saved.get("model_type", cls.model_types[0]), cls.model_types)
        for name, value in cls.fixed.items():
            cls.check_choice(name, saved.get(name, value), (value,))
        values = {name: value for name, value in saved.items() if name in known}
        for source in (values, changes):  # transformers leaves num_labels out
            if isinstance(source.get("id2label"), dict) and source["id2label"]:
                source.setdefault("num_labels", len(source["id2label"]))
        if changes.get("num_labels", values.get("num_labels")) != values.get("num_labels"):
            values.pop("id2label", None)
        return cls(**{**values, **changes})

    def to_dict(self) -> dict[str, Any]:
        """For config.json, where the length of `id2label` stands for `num_labels`."""
        saved = asdict(self)
        assert self.id2label is not None
        del saved["num_labels"]
        return {**saved, "label2id": {name: i for i, name in self.id2label.items()}}

    # ------------------------------------------------------------------------------ checks

    def check_sizes(self, *names: str) -> None:
        """Raise ValueError unless these fields are whole numbers of at least 1."""
        check_size(type(self).__name__, **{name: getattr(self, name) for name in names})

    def check_depth(self, name: str) -> None:
        """Raise ValueError unless this field is a number of layers that a model may have."""
        self.check_sizes(name)
        if getattr(self, name) > MOST_LAYERS:
            raise self.wrong(name, f"at most {MOST_LAYERS}", getattr(self, name))

    def check_rates(self, *names: str) -> None:
        """Raise ValueError unless these fields are rates of dropout, or None."""
        for name in names:
            rate = getattr(self, name)
            if rate is not None and not (is_number(rate) and 0 <= rate < 1):
                raise ValueError(f"{type(self).__name__}: {name} must lie in [0, 1), got {rate!r}")

    def check_positive(self, *names: str) -> None:
        """Raise ValueError unless these fields are numbers above 0."""
        for name in names:
            value = getattr(self, name)
            if not (is_number(value) and 0 < value < float("inf")):
                raise self.wrong(name, "a number above 0", value)

    def check_heads(self, width: str, heads: str) -> None:
        """Raise ValueError unless one field is a multiple of the other."""
        if getattr(self, width) % getattr(self, heads):
            raise ValueError(
                f"{type(self).__name__}: {width} ({getattr(self, width)}) must be a multiple of "
                f"{heads} ({getattr(self, heads)})"
            )

    @classmethod
    def check_choice(cls, name: str, value: Any, choices: tuple[Any, ...]) -> None:
        if not any(value == choice and type(value) is type(choice) for choice in choices):
            raise cls.wrong(name, " or ".join(map(str, choices)), value)

    @classmethod
    def wrong(cls, name: str, expected: str, value: Any) -> ValueError:
        return ValueError(f"{cls.__name__}: {name} must be {expected}, got {value!r}")


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
