"""Every number of the quickstart that somebody chose, in one place.

The numbers were chosen on the development split of the glosses (`benchmarks/` has the script).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeVar

from minift.data import Glosses, WordPieceTokenizer
from minift.models import BertConfig, BertForMaskedLM, BertForSequenceClassification
from minift.nn import Module

Model = TypeVar("Model", BertForMaskedLM, BertForSequenceClassification)


@dataclass(frozen=True)
class FineTuning:
    """How one strategy trains: `steps` updates, but at least `min_epochs` passes over the labels.

    `batch_size` in glosses; `lr` is the head's peak rate, `decay` the factor from each layer to
    the one below it; `dropout` acts in the body and before the classifier. With gradual unfreezing
    a layer thaws every `thaw` (a share of the run).
    """

    lr: float
    steps: int = 250
    min_epochs: int = 15
    batch_size: int = 32
    decay: float = 1.0
    dropout: float = 0.3
    weight_decay: float = 0.01
    thaw: float = 0.1


def default_strategies() -> dict[str, FineTuning]:
    """The strategies of the comparison, in the order of the table."""
    return {
        "scratch": FineTuning(lr=1e-3),
        "head_only": FineTuning(lr=1e-2, steps=600, min_epochs=40, dropout=0.1),
        "gradual_unfreezing": FineTuning(lr=2e-3, decay=0.5),
        "discriminative": FineTuning(lr=2e-3, decay=0.5),
        "tiny": FineTuning(lr=4e-3, decay=0.7, steps=150, min_epochs=8),
    }


@dataclass(frozen=True)
class Recipe:
    """The model, its pre-training, and each strategy of fine-tuning."""

    vocabulary: int = 8000  # most words of a definition are one piece
    max_length: int = 64  # tokens; 99.9 % of the definitions are shorter
    with_examples: bool = False  # pre-train on the glosses' example sentences as well

    hidden_size: int = 128
    layers: int = 1  # leaves the plateau of word frequencies in half the tokens that 2 need
    heads: int = 2
    intermediate_size: int = 512
    initializer_range: float = 0.05  # about half of 1 / sqrt(hidden_size), as in bert-base
    value_gain: float = 2.5  # see `carry_more`

    steps: int = 2100
    batch_tokens: int = 2048  # about 120 glosses
    masked: float = 0.15
    lr: float = 3e-3
    betas: tuple[float, float] = (0.9, 0.98)  # a short memory for a short run
    warmup: float = 0.1  # of the steps
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    dropout: float = 0.0  # nothing is seen often enough to be learnt by heart

    strategies: dict[str, FineTuning] = field(default_factory=default_strategies)


@dataclass(frozen=True)
class Setup:
    """What all runs of one comparison share."""

    recipe: Recipe
    glosses: Glosses
    tokenizer: WordPieceTokenizer
    device: str = "cpu"

    def new_model(self, kind: type[Model], dropout: float) -> Model:
        """A model with fresh weights, for pre-training or from-scratch training."""
        model = kind(self.config(dropout))
        carry_more(model, self.recipe.value_gain)
        return model

    def config(self, dropout: float) -> BertConfig:
        """The model's configuration, for pre-training and fine-tuning alike."""
        return BertConfig(
            vocab_size=self.tokenizer.vocab_size,
            hidden_size=self.recipe.hidden_size,
            num_hidden_layers=self.recipe.layers,
            num_attention_heads=self.recipe.heads,
            intermediate_size=self.recipe.intermediate_size,
            max_position_embeddings=self.recipe.max_length,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            initializer_range=self.recipe.initializer_range,
            classifier_pooling="mean",  # masked words alone never train the [CLS] vector
            num_labels=len(self.glosses.classes),
            id2label=dict(enumerate(self.glosses.classes)),
        )


def carry_more(model: Module, gain: float) -> None:
    """What attention carries from word to word starts `gain` times as large as BERT has it.

    With the usual weights a [MASK] hardly hears its neighbours for hundreds of steps.
    """
    for name, parameter in model.named_parameters():
        if name.endswith(("self.value.weight", "attention.output.dense.weight")):
            parameter.data *= gain


DEFAULT = Recipe()


def quick(recipe: FineTuning) -> FineTuning:
    """The same strategy with few updates."""
    return replace(recipe, lr=2 * recipe.lr, steps=recipe.steps // 2, min_epochs=4)


QUICK = replace(
    DEFAULT,
    vocabulary=2000,
    hidden_size=64,
    intermediate_size=256,
    steps=240,
    lr=5e-3,
    strategies={name: quick(recipe) for name, recipe in DEFAULT.strategies.items()},
)
