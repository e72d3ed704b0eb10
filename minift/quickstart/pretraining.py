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
    """Train by masked language modelling for `recipe.steps` updates and measure on development.

    The output bias starts at the logarithms of the words' frequencies, so that no step is spent on
    learning those.
    """
    recipe, tokenizer = setup.recipe, setup.tokenizer
    manual_seed(seed)
    model = setup.new_model(BertForMaskedLM, recipe.dropout)
    texts = tokenizer.dataset(unlabelled_texts(recipe, setup.glosses), recipe.max_length)
    frequencies = word_frequencies(texts.ids, tokenizer)
    model.cls.predictions.bias.data = np.log(frequencies, dtype=np.float32)
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
        optimizer=adamw(
            [{"params": model.parameters()}], recipe.lr, recipe.weight_decay, recipe.betas
        ),
        callbacks=callbacks,
    )
    trainer.fit()
    held_out = tokenizer.dataset(setup.glosses.dev[0], recipe.max_length)
    return Pretrained(model, measure(setup, trainer, frequencies, held_out))


def measure(
    setup: Setup, trainer: Trainer, frequencies: np.ndarray, held_out: TokenDataset
) -> Numbers:
    """The numbers of results.json: loss and accuracy on hidden words, and what is to be beaten.

    That is what frequencies alone say: -Σ log p(hidden) / n, and the most frequent word each time.
    """
    loader = masked_loader(setup, held_out, HELD_OUT_SEED)
    reached = trainer.evaluate(loader)
    again = masked_loader(setup, held_out, HELD_OUT_SEED)  # hides the same words
    hidden = hidden_words(again)
    return {
        "loss": reached["loss"],
        "unigram": float(-np.log(frequencies[hidden]).mean()),
        "masked_accuracy": reached["accuracy"],
        "most_frequent": float((hidden == frequencies.argmax()).mean()),
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


def word_frequencies(ids: np.ndarray, tokenizer: WordPieceTokenizer) -> np.ndarray:
    """The share of each piece among `ids`, (V,), sum 1; no piece has quite none of them.

    Special tokens, which are never hidden, count as if they had not been seen.
    """
    counts = np.bincount(ids, minlength=tokenizer.vocab_size)
    counts[tokenizer.special_ids] = 0
    return (counts + 1) / (counts + 1).sum()
