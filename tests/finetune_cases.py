"""A small pre-trained model and small tables, for the tests of the commands on a user's data."""

import csv
import random
from pathlib import Path

from minift.backend.random import manual_seed
from minift.cli import main
from minift.data import WordPieceTokenizer
from minift.models import BertConfig, BertForMaskedLM

GOOD, BAD = ["good", "great", "lovely", "fine"], ["bad", "awful", "poor", "dull"]
WORDS = [
    "the", "film", "a", "plot", "was", "with", "music", "and", "actors", "but", "very", "end",
    "scene", "of", "it",
]  # fmt: skip
QUICK = ("--epochs", "2", "--lr", "3e-3", "--device", "cpu")


def sentences(n, seed=0):
    """(text, is good) pairs: one word of each tells."""
    rng = random.Random(seed)
    for _ in range(n):
        good = rng.random() < 0.5
        words = [rng.choice(WORDS) for _ in range(rng.randint(3, 9))]
        words.insert(rng.randint(0, len(words)), rng.choice(GOOD if good else BAD))
        yield " ".join(words), good


def write_table(file, *rows, header=("text", "label")):
    with Path(file).open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return Path(file)


def reviews(file, n=120, seed=0):
    """A table of sentences that are "good" or "bad"."""
    return write_table(file, *((text, "good" if y else "bad") for text, y in sentences(n, seed)))


def pretrained(folder, **changes):
    """A pre-trained model that knows the words of the sentences."""
    tokenizer = WordPieceTokenizer.train([text for text, _ in sentences(300)], 150)
    manual_seed(1)
    config = BertConfig(
        **{
            "vocab_size": tokenizer.vocab_size, "hidden_size": 16, "num_hidden_layers": 2,
            "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 24,
            "initializer_range": 0.2, "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            **changes,
        }
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(folder, tokenizer)
    return folder


def run(capsys, *arguments):
    """(exit code, standard output, standard error)."""
    code = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def finetune(capsys, model, data, output, *more):
    """A successful `minift finetune`; what it said."""
    code, out, err = run(
        capsys, "finetune", "--model", model, "--data", data, "--text", "text", "--label", "label",
        "--output", output, *QUICK, *more,
    )  # fmt: skip
    assert (code, err) == (0, "")
    return out


def mistake(capsys, *arguments):
    """The one line of a mistake."""
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("minift: ")
    assert err.count("\n") == 1
    return err.removeprefix("minift: ").rstrip("\n")
