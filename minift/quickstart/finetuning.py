"""Second half: learn 24 classes from few labelled definitions, five ways, and two baselines."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from minift import finetune, hub, nn
from minift.backend.random import manual_seed
from minift.baselines import NaiveBayes, TfidfLogistic
from minift.data import (
    ArrayDataset,
    BucketSampler,
    DataLoader,
    Glosses,
    TokenDataset,
    WordPieceTokenizer,
    draw_labelled,
)
from minift.fetch import SHIPPED
from minift.metrics import accuracy, macro_f1
from minift.models import BertConfig, BertForSequenceClassification
from minift.objectives import Classification
from minift.quickstart.recipe import FineTuning, Setup
from minift.tape import no_grad
from minift.train import Callback, TrainConfig, Trainer, adamw

Weights = dict[str, np.ndarray]
PRETRAINED = ("head_only", "gradual_unfreezing", "discriminative")
BEFOREHAND = "tiny"  # gradual unfreezing of the checkpoint that ships
BASELINES = ("naive_bayes", "tfidf_logistic")


@dataclass
class Outcome:
    """One run of one strategy: its model (None for a baseline) and the seconds of its training.

    `predictions`: the classes that it gives to the texts of each split that was asked for.
    """

    strategy: str
    labels_per_class: int
    seed: int
    seconds: float
    predictions: dict[str, np.ndarray]
    model: BertForSequenceClassification | None = None

    def scores(self, glosses: Glosses, split: str) -> dict[str, float]:
        """Accuracy and macro-F1 on that split."""
        right, said = getattr(glosses, split)[1], self.predictions[split]
        return {"accuracy": accuracy(right, said), "macro_f1": macro_f1(right, said)}


# ------------------------------------------------------------------------------ the strategies


def finetune_once(
    setup: Setup,
    body: Weights | None,
    strategy: str,
    labels_per_class: int,
    seed: int,
    splits: Sequence[str] = ("dev",),
    callbacks: Sequence[Callback] = (),
) -> Outcome:
    """Fine-tune by `strategy` on that many labels, drawn by `seed`; predict the `splits`.

    `body`: the weights of a pre-trained model under their names (`model.state_dict()`), which
    "scratch" and "tiny" do not look at. Raises ValueError for an unknown strategy, a missing body,
    or more labels than some class has.
    """
    recipe = setup.recipe.strategies.get(strategy)
    if recipe is None:
        known = ", ".join(setup.recipe.strategies)
        raise ValueError(f"strategy must be one of {known}, got {strategy!r}")
    texts, labels = draw_labelled(setup.glosses, labels_per_class, seed)
    if body is None and strategy in PRETRAINED:
        raise ValueError(f"{strategy} starts from a pre-trained body; give its weights")
    started = time.perf_counter()
    model = starting_model(setup, body, strategy, recipe.dropout, seed)
    dataset = tokenized(setup, model, texts, labels=labels)
    config = TrainConfig(
        epochs=epochs_of(recipe, len(dataset)),
        batch_size=recipe.batch_size,
        seed=seed,
        device=setup.device,
    )
    train = train_head if strategy == "head_only" else train_model
    train(model, dataset, strategy, recipe, config, callbacks)
    seconds = time.perf_counter() - started
    texts_of = {split: getattr(setup.glosses, split)[0] for split in splits}
    said = {
        split: predict(model, tokenized(setup, model, texts)) for split, texts in texts_of.items()
    }
    return Outcome(strategy, labels_per_class, seed, seconds, said, model)


def tokenized(
    setup: Setup, model: BertForSequenceClassification, texts: list[str], **targets: np.ndarray
) -> TokenDataset:
    """Texts as the model reads them."""
    return model.tokenizer.dataset(texts, setup.recipe.max_length, **targets)


def starting_model(
    setup: Setup, body: Weights | None, strategy: str, dropout: float, seed: int
) -> BertForSequenceClassification:
    """What a strategy starts from: nothing, the pre-trained body, or the checkpoint that ships."""
    if strategy == BEFOREHAND:
        return shipped_classifier(setup, dropout, seed)
    return new_classifier(setup, body if strategy in PRETRAINED else None, dropout, seed)


def new_classifier(
    setup: Setup, body: Weights | None, dropout: float, seed: int
) -> BertForSequenceClassification:
    """A classifier whose head is fresh, and whose body too unless pre-trained weights are given."""
    manual_seed(seed)
    model = setup.new_model(BertForSequenceClassification, dropout)
    if body is not None:
        load_body(model, body)
    model.tokenizer = setup.tokenizer
    return model


def shipped_classifier(setup: Setup, dropout: float, seed: int) -> BertForSequenceClassification:
    """A classifier with a fresh head on the checkpoint that ships, and its tokenizer.

    A folder of the user's that is called `tiny` is not looked at.
    """
    manual_seed(seed)
    folder = SHIPPED[BEFOREHAND]
    config = BertConfig.from_dict(
        hub.read_config(folder),
        num_labels=len(setup.glosses.classes),
        id2label=dict(enumerate(setup.glosses.classes)),
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    model = BertForSequenceClassification(config)
    load_body(model, hub.read_model(folder))
    model.tokenizer = WordPieceTokenizer.from_pretrained(folder)
    return model


def load_body(model: BertForSequenceClassification, weights: Weights) -> None:
    """Give the model the encoder that is among the weights; its head stays."""
    body = {name: array for name, array in weights.items() if name.startswith("bert.")}
    report = model.load_state_dict(body, strict=False)
    assert report.missing == ["classifier.weight", "classifier.bias"], report


def train_model(
    model: BertForSequenceClassification,
    dataset: TokenDataset,
    strategy: str,
    recipe: FineTuning,
    config: TrainConfig,
    callbacks: Sequence[Callback],
) -> None:
    """Train the model on the labelled texts, moving what the strategy moves."""
    chosen = choose_strategy(model, strategy, recipe, epochs_of(recipe, len(dataset)))
    batch_tokens = max(recipe.batch_size * int(dataset.lengths.mean()), int(dataset.lengths.max()))
    sampler = BucketSampler(dataset.lengths, batch_tokens, seed=config.seed)
    Trainer(
        model,
        DataLoader(dataset, sampler=sampler),
        objective=Classification(),
        config=config,
        optimizer=adamw(chosen.param_groups, recipe.lr, recipe.weight_decay),
        callbacks=[*chosen.callbacks, *callbacks],
    ).fit()


def choose_strategy(
    model: nn.Module, strategy: str, recipe: FineTuning, epochs: int
) -> finetune.Strategy:
    """Parameter groups and callbacks of a strategy by its name in results.json."""
    if strategy == "scratch":
        return finetune.full(model, recipe.lr)
    if strategy == "discriminative":
        return finetune.discriminative(model, recipe.lr, recipe.decay)
    epochs_per_layer = max(1, round(recipe.thaw * epochs))
    return finetune.gradual_unfreezing(model, recipe.lr, recipe.decay, epochs_per_layer)


def epochs_of(recipe: FineTuning, examples: int) -> int:
    """Passes over the labels that make about `steps` updates, and at least `min_epochs`."""
    steps_per_epoch = ceil(examples / recipe.batch_size)
    return max(recipe.min_epochs, round(recipe.steps / steps_per_epoch))


def train_head(
    model: BertForSequenceClassification,
    dataset: TokenDataset,
    strategy: str,
    recipe: FineTuning,
    config: TrainConfig,
    callbacks: Sequence[Callback],
) -> None:
    """Train the classifier alone. The frozen body reads each text once (`extract_features`)."""
    chosen = finetune.head_only(model.to(config.device), recipe.lr)
    features = finetune.extract_features(model, dataset)
    Trainer(
        finetune.Head(model),
        ArrayDataset(features=features, labels=dataset.targets["labels"]),
        objective=Classification(),
        config=config,
        optimizer=adamw(chosen.param_groups, recipe.lr, recipe.weight_decay),
        callbacks=callbacks,
    ).fit()


@no_grad()
def predict(
    model: BertForSequenceClassification, dataset: TokenDataset, batch_tokens: int = 4096
) -> np.ndarray:
    """The most probable class of each text, (n,), in the order of the data set."""
    model.eval()
    classes = np.empty(len(dataset), np.int64)
    for rows in BucketSampler(dataset.lengths, batch_tokens).batches(0):
        classes[rows] = model(**dataset.padded(rows)).argmax(axis=-1).numpy()
    return classes


# ------------------------------------------------------------------------------- the baselines


def baseline(
    setup: Setup,
    classifier: NaiveBayes | TfidfLogistic,
    strategy: str,
    labels_per_class: int,
    seed: int,
    splits: Sequence[str] = ("dev",),
) -> Outcome:
    """Fit a baseline on the very labels that the strategies get."""
    texts, labels = draw_labelled(setup.glosses, labels_per_class, seed)
    started = time.perf_counter()
    classifier.fit(texts, labels)
    seconds = time.perf_counter() - started
    said = {split: classifier.predict(getattr(setup.glosses, split)[0]) for split in splits}
    return Outcome(strategy, labels_per_class, seed, seconds, said)
