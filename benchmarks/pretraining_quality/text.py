"""Text: WordNet's definitions and the chapters of Moby-Dick, which ship, and fetched e-mails.

Held-out text is the development definitions (hidden words), every tenth chapter, and one mail in
forty (`minift fetch spam`; chapters of one book are too much alike: .61); the classes of the test
definitions are asked for in `sentences` alone. Settings are first guesses, but for SimCSE's rate:
on development definitions 1e-4 and 3e-4 made the vectors worse.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pretraining_quality.features import neighbours, unit
from benchmarks.pretraining_quality.rows import Measurement, Values
from minift import load
from minift.backend.random import manual_seed
from minift.baselines import TfidfLogistic
from minift.baselines.ngrams import NGram, character_nats
from minift.data import (
    BPETokenizer,
    DataLoader,
    Glosses,
    PairingCollator,
    Segments,
    WordPieceTokenizer,
    draw_labelled,
    load_glosses,
    read_csv,
)
from minift.data.datasets import Batch
from minift.data.moby_dick import MobyDick, load_moby_dick
from minift.data.packing import Blocks, pack
from minift.data.sentence_pairs import IS_NEXT, IS_RANDOM
from minift.fetch import SHIPPED, data_file
from minift.models import BertForPreTraining, GPT2Config, GPT2LMHeadModel
from minift.objectives import CausalLM, NextSentence, SimCSE
from minift.quickstart import DEFAULT, pretrain
from minift.quickstart.pretraining import train_tokenizer
from minift.quickstart.recipe import Setup
from minift.train import TrainConfig, Trainer

TINY = SHIPPED["tiny"]
LABELS = (8, 32)  # a class
NSP_STEPS = 2500
STRANGERS = {"other mails": "other-documents", "the same mail": "same-document"}


@cache
def glosses() -> Glosses:
    return load_glosses()


@cache
def book() -> MobyDick:
    return load_moby_dick()


# ---- hidden words -------------------------------------------------------------------------------


def mlm(seed: int, pictures: Path | None) -> Values:
    """The quickstart's own pre-training: one layer, 2,100 steps."""
    setup = Setup(DEFAULT, glosses(), train_tokenizer(DEFAULT, glosses()))
    numbers = pretrain(setup, seed).numbers
    return {
        "masked accuracy": numbers["masked_accuracy"],
        "times the most frequent word's": numbers["masked_accuracy"] / numbers["most_frequent"],
        "the most frequent word": numbers["most_frequent"],
        "nats a hidden word": numbers["loss"],
        "nats by word frequencies": numbers["unigram"],
    }


# ---- next sentences -----------------------------------------------------------------------------


@cache
def mails(held: bool) -> Segments:
    """Segments of e-mails: of one mail in forty, or of all others."""
    texts = list(dict.fromkeys(read_csv(data_file("spam"))["text"]))
    chosen = [text for i, text in enumerate(texts) if (i % 40 == 0) == held]
    tokenizer = WordPieceTokenizer.from_pretrained(TINY)
    return Segments(chosen, tokenizer, max_length=128, least=4)


def nsp(seed: int, pictures: Path | None) -> Values:
    """Tell whether a segment of an e-mail follows another; `tiny` reads, its pooler is new.

    It learns from strangers of other mails, and is then asked about those and about strangers of
    the same mail.
    """
    manual_seed(seed)
    model = BertForPreTraining.from_pretrained(TINY)
    config = TrainConfig(steps=NSP_STEPS, lr=1e-3, seed=seed, device="cpu")
    pairs = PairingCollator(mails(held=False), seed=seed)
    loader = DataLoader(mails(held=False), 32, shuffle=True, seed=seed, collate_fn=pairs)
    trainer = Trainer(model, loader, objective=NextSentence(), config=config)
    trainer.fit()
    return {
        f"accuracy, strangers of {name}": trainer.evaluate(held_pairs(negatives))["accuracy"]
        for name, negatives in STRANGERS.items()
    }


def held_pairs(negatives: str) -> DataLoader:
    """Pairs of the mails held out, the same every time."""
    pairs = PairingCollator(mails(held=True), negatives, seed=0)
    return DataLoader(mails(held=True), 32, collate_fn=pairs)


def by_shared_words() -> Values:
    """Who counts pieces that both segments hold: as many as in half of the pairs, and they follow.

    The median is that of the pairs that are judged, which flatters it.
    """
    reached = {}
    for name, negatives in STRANGERS.items():
        found = [(shared(batch), batch["next_sentence_label"]) for batch in held_pairs(negatives)]
        counts, labels = map(np.concatenate, zip(*found))
        said = np.where(counts > np.median(counts), IS_NEXT, IS_RANDOM)
        reached[f"shared words, strangers of {name}"] = float((said == labels).mean())
    return reached


def shared(pairs: Batch) -> np.ndarray:
    """The share of each second segment's different pieces that the first holds, too, (B,)."""
    rows = zip(pairs["input_ids"], pairs["token_type_ids"], pairs["attention_mask"])
    parts = [({*ids[(kinds == 0) & (mask == 1)]}, {*ids[kinds == 1]}) for ids, kinds, mask in rows]
    return np.array([len(first & second) / len(second) for first, second in parts])


# ---- next words ---------------------------------------------------------------------------------

PIECES, CONTEXT = 2000, 64


@cache
def packed() -> tuple[BPETokenizer, np.ndarray, np.ndarray]:
    """The tokenizer, and the ids of the chapters to learn from and to test on."""
    tokenizer = BPETokenizer.train(book().train, PIECES)
    return tokenizer, pack(book().train, tokenizer), pack(book().held_out, tokenizer)


def causal(seed: int, pictures: Path | None) -> Values:
    """Guess the next piece of Moby-Dick; what it writes goes to a file beside the pictures."""
    tokenizer, train, held = packed()
    manual_seed(seed)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=tokenizer.vocab_size, n_positions=CONTEXT, n_embd=128, n_layer=2, n_head=4
        )
    )
    loader = DataLoader(Blocks(train, CONTEXT), 32, shuffle=True, seed=seed)
    config = TrainConfig(steps=2500, lr=2e-3, weight_decay=0.1, seed=seed, device="cpu")
    trainer = Trainer(model, loader, objective=CausalLM(), config=config)
    trainer.fit()
    numbers = trainer.evaluate(DataLoader(Blocks(held, CONTEXT), 32))
    if pictures:
        said = (model.generate(held[:8], 48, temperature=t, seed=0) for t in (0.5, 0.8, 1.1))
        (pictures / "moby_dick.txt").write_text("\n\n".join(map(tokenizer.decode, said)))
    return {"nats a character": numbers["loss"] * numbers["count"] / held_characters()}


def held_characters() -> int:
    return sum(map(len, book().held_out))


def counted() -> Values:
    """n-grams of characters and of pieces, nats a character of the held-out chapters."""
    texts = ["\n".join(part) for part in (book().train, book().held_out)]
    reached = {f"{n}-gram of characters": character_nats(*texts, n) for n in (1, 2, 3, 5)}
    tokenizer, train, held = packed()
    for n in (1, 2, 3):
        nats = NGram(train, tokenizer.vocab_size, n).nats(held)
        reached[f"{n}-gram of pieces"] = nats * len(held) / held_characters()
    return reached


# ---- what sentences mean ------------------------------------------------------------------------


def sentences(seed: int, pictures: Path | None) -> Values:
    """5-NN of test definitions among few labelled ones, by the averages of hidden states.

    As `tiny` gives them after guessing hidden words alone, and after SimCSE on top of it. The seed
    draws the labels, too.
    """
    reached = {}
    model: Any = load(TINY)
    for name in ("tiny", "tiny, then SimCSE"):
        vectors = model.embed
        for count in LABELS:
            reached[f"5-NN at {count} labels a class, {name}"] = near(vectors, count, seed)
        if name == "tiny":
            compare_sentences(model, seed)
    return reached


def compare_sentences(model: Any, seed: int, steps: int = 300, lr: float = 3e-5) -> None:
    """SimCSE on definitions, in place."""
    manual_seed(seed)
    texts = model.tokenizer.dataset(glosses().unlabelled, 64)
    config = TrainConfig(steps=steps, batch_size=64, lr=lr, seed=seed, device="cpu")
    Trainer(model, texts, objective=SimCSE(), config=config).fit()


def near(vectors: Any, labels_per_class: int, seed: int, split: str = "test") -> float:
    """Accuracy of 5-NN on centred vectors of length 1."""
    texts, labels = draw_labelled(glosses(), labels_per_class, seed)
    asked, truth = getattr(glosses(), split)
    known, unknown = vectors(texts), vectors(asked)
    mean = known.mean(0)
    return neighbours((unit(known - mean), labels), (unit(unknown - mean), truth))


def tfidf_neighbours() -> Values:
    """The same 5-NN among TF-IDF rows, the mean over the labels of seeds 0 to 2."""
    reached = {}
    for count in LABELS:
        each = [tfidf_near(count, seed) for seed in range(3)]
        reached[f"5-NN at {count} labels a class, TF-IDF"] = float(np.mean(each))
    return reached


def tfidf_near(labels_per_class: int, seed: int) -> float:
    weights = TfidfLogistic(glosses().unlabelled)
    texts, labels = draw_labelled(glosses(), labels_per_class, seed)
    known, asked = (weights.rows(part) for part in (texts, glosses().test[0]))
    dense = np.zeros((len(texts), known.width), np.float32)
    dense[known.rows, known.columns] = known.values
    near_ones = np.argsort(-(asked @ dense.T), axis=1, kind="stable")[:, :5]  # cosines
    votes = np.zeros((len(near_ones), labels.max() + 1))
    for place in range(5):  # of classes with as many votes, that with the nearest row wins
        np.add.at(votes, (np.arange(len(votes)), labels[near_ones[:, place]]), 1 + 2.0**-place / 32)
    return float((votes.argmax(1) == glosses().test[1]).mean())


TEXT = {
    "mlm": Measurement("5 times the most frequent word's accuracy", mlm, dict),
    "nsp": Measurement(".75 against other mails, near chance within one", nsp, by_shared_words),
    "causal": Measurement("below the 3-gram's nats a character", causal, counted),
    "sentences": Measurement("above TF-IDF's 5-NN", sentences, tfidf_neighbours),
}
