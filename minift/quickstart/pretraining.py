"""First half: learn language from definitions that nobody labelled.

A small BERT guesses hidden words (Devlin et al. 2019). What it reaches on held-out definitions is
set beside what one reaches without reading the context: guessing words by their frequency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minift.backend.random import manual_seed
from minift.data import (
    BucketSampler,
    DataLoader,
    Glosses,
    MaskingCollator,
    TokenDataset,
    WordPieceTokenizer,
)
from minift.models import BertForMaskedLM
from minift.objectives import MaskedLM
from minift.quickstart.recipe import Recipe, Setup
from minift.train import Callback, TrainConfig, Trainer, adamw

Numbers = dict[str, float]
HELD_OUT_SEED = 0  # one set of hidden words for every run that is compared


@dataclass
class Pretrained:
    """The model, and its `numbers` on held-out text: those of results.json."""

    model: BertForMaskedLM
    numbers: Numbers


def train_tokenizer(recipe: Recipe, glosses: Glosses) -> WordPieceTokenizer:
    """The vocabulary of the unlabelled text (about 5 s)."""
    return WordPieceTokenizer.train(unlabelled_texts(recipe, glosses), recipe.vocabulary)


def unlabelled_texts(recipe: Recipe, glosses: Glosses) -> list[str]:
    """What the model may read before it sees a label."""
    return glosses.unlabelled + (glosses.examples if recipe.with_examples else [])


def pretrain(setup: Setup, seed: int, callbacks: Sequence[Callback] = ()) -> Pretrained:
    """Train by masked language modelling for `recipe.steps` updates and measure on development."""
    recipe, tokenizer = setup.recipe, setup.tokenizer
    manual_seed(seed)
    model = BertForMaskedLM(setup.config(recipe.dropout))
    texts = tokenizer.dataset(unlabelled_texts(recipe, setup.glosses), recipe.max_length)
    trainer = Trainer(
        model,
        masked_loader(setup, texts, seed),
        objective=MaskedLM(),
        config=TrainConfig(
            steps=recipe.steps,
            warmup=recipe.warmup,
            max_grad_norm=recipe.max_grad_norm,
            seed=seed,
            device=setup.device,
        ),
        optimizer=adamw([{"params": model.parameters()}], recipe.lr, recipe.weight_decay),
        callbacks=callbacks,
    )
    trainer.fit()
    held_out = tokenizer.dataset(setup.glosses.dev[0], recipe.max_length)
    return Pretrained(model, measure(setup, trainer, texts.ids, held_out))


def measure(setup: Setup, trainer: Trainer, read: np.ndarray, held_out: TokenDataset) -> Numbers:
    """The numbers of results.json: loss and accuracy on hidden words, and what is to be beaten."""
    loader = masked_loader(setup, held_out, HELD_OUT_SEED)
    reached = trainer.evaluate(loader)
    again = masked_loader(setup, held_out, HELD_OUT_SEED)  # hides the same words
    unigram, most_frequent = frequency_baseline(read, hidden_words(again), setup.tokenizer)
    return {
        "loss": reached["loss"],
        "unigram": unigram,
        "masked_accuracy": reached["accuracy"],
        "most_frequent": most_frequent,
    }


def masked_loader(setup: Setup, texts: TokenDataset, seed: int) -> DataLoader:
    """Batches of texts of about one length, with other words hidden each time they are drawn."""
    return DataLoader(
        texts,
        sampler=BucketSampler(texts.lengths, setup.recipe.batch_tokens, seed=seed),
        collate_fn=MaskingCollator(setup.tokenizer, setup.recipe.masked, seed=seed),
    )


def hidden_words(loader: DataLoader) -> np.ndarray:
    """Ids of the words that one pass hides, (n,)."""
    labels = np.concatenate([batch["labels"].reshape(-1) for batch in loader])
    return labels[labels != -100]


def frequency_baseline(
    read: np.ndarray, hidden: np.ndarray, tokenizer: WordPieceTokenizer
) -> tuple[float, float]:
    """What one who knows only how often each word was `read` says about the `hidden` ones.

    The unigram loss, -Σ log p(hidden) / n in nats (every count raised by one), and the share of
    the hidden words that are the most frequent one.
    """
    counts = np.bincount(read, minlength=tokenizer.vocab_size) + 1.0
    counts[tokenizer.special_ids] = 0  # these are never hidden
    surprise = -np.log(counts[hidden] / counts.sum())
    return float(surprise.mean()), float((hidden == counts.argmax()).mean())
