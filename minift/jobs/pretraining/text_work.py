"""Pre-training on text: what every objective shares: tokenizer, model, sentence vectors, TF-IDF.

    objective   where              model              what stands beside its loss
    mlm         masked_words.py    BertForMaskedLM    unigram: words guessed by their frequency
    nsp, bert   sentence_order.py  BertForPreTraining chance; chance and unigram
    simcse      sentence_twins.py  BertModel          chance: any other view is as likely the twin
    causal      next_words.py      GPT2LMHeadModel    unigram, bigram, trigram

Numbers that were chosen stand in `recipes.py`. `BertWork` is what those with a BERT share. Read
next: `masked_words.py`.
"""

from __future__ import annotations

import json
import tempfile
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from minift import hub
from minift.baselines import TfidfLogistic
from minift.data import TokenDataset, TokenWindowSampler, WordPieceTokenizer, open_corpus
from minift.data.corpus import Corpus as Stored
from minift.data.corpus import Rows
from minift.data.tables import count
from minift.jobs import folder as run_folder
from minift.jobs.classifiers import quiet
from minift.jobs.pretraining.probing import Numbers, about_labels, draw_sample, nearest
from minift.jobs.pretraining.recipes import MAX_LENGTH, SIZES, TEXT_SIZES, VOCABULARY, Recipe
from minift.jobs.pretraining.text_files import Document, Documents
from minift.jobs.pretraining.texts import Corpus, Labelled
from minift.jobs.pretraining.work import Ready, Work
from minift.models import BertConfig
from minift.models.pretrained import PretrainedModel
from minift.quickstart.pretraining import hidden_words
from minift.quickstart.recipe import DEFAULT, carry_more

LONGEST = 256  # tokens a row of a model that can read more


class TextWork(Work):
    """A corpus and a model. `model` is "small", "base", a config.json or a model's folder."""

    raw_name = "TF-IDF"
    stored: Stored  # the ids to learn from, once `store` was called
    architecture: ClassVar[type[PretrainedModel]]
    tokenizer_class: ClassVar[type[Any]]

    def __init__(self, name: str, recipe: Recipe, corpus: Corpus, model: str, seed: int):
        self.name, self.recipe, self.corpus, self.model = name, recipe, corpus, model
        self.source = corpus.source
        self.starts_fresh = model in SIZES or Path(model).suffix == ".json"
        labelled, judged = corpus.labelled, corpus.judged
        self.sample = draw_sample(
            None if labelled is None else labelled.labels,
            None if judged is None else judged.labels,
            seed,
        )
        self.saved = self.saved_config()
        self.tokenizer = self.find_tokenizer()
        self.max_length = self.longest_row()

    def describe(self) -> list[str]:
        held, train = len(self.corpus.held_texts), self.corpus.size
        return [
            f"{self.source}: {count(held + train, 'text')}; {train:,} to learn from, {held:,} held "
            f"out",
            f"{self.tokenizer.vocab_size:,} pieces of words, rows of at most {self.max_length} "
            f"tokens",
        ]

    def digest(self) -> str:
        return self.corpus.sha256

    def remarks(self) -> list[str]:
        return about_labels(self.corpus.classes, self.sample)

    # ------------------------------------------------------------------- tokenizer and model

    def saved_config(self) -> dict[str, Any] | None:
        """What the config.json says that was named, or that of the folder; None for our sizes."""
        if self.model in SIZES:
            return None
        file = Path(self.model) if self.starts_fresh else hub.resolve(self.model) / hub.CONFIG
        return hub.read_json(hub.existing(file))

    def find_tokenizer(self) -> Any:
        """Trained on the corpus, or that of the folder."""
        if not self.starts_fresh:
            return self.tokenizer_class.from_pretrained(hub.resolve(self.model))
        size = VOCABULARY[self.name][self.model] if self.saved is None else self.size_of(self.saved)
        return self.tokenizer_class.train(self.sample_texts, size)

    def size_of(self, saved: dict[str, Any]) -> int:
        """Pieces of the vocabulary that a config.json asks for."""
        config: Any = self.architecture.config_class.from_dict(saved)
        return config.vocab_size

    def longest_row(self) -> int:
        """Tokens of a row at most."""
        if self.saved is None:
            return MAX_LENGTH[self.model]
        return min(LONGEST, self.positions(self.architecture.config_class.from_dict(self.saved)))

    @abstractmethod
    def positions(self, config: Any) -> int:
        """Tokens that a model can read."""

    def new_model(self) -> Any:
        if self.starts_fresh:
            model: Any = self.architecture(self.config())
        else:
            with quiet():
                model = self.architecture.from_pretrained(hub.resolve(self.model))
            if model.config.vocab_size < self.tokenizer.vocab_size:
                raise ValueError(
                    f"the vocabulary in {self.model} holds {self.tokenizer.vocab_size:,} pieces, "
                    f"the model only {model.config.vocab_size:,}; one of them is another model's"
                )
        model.tokenizer = self.tokenizer
        return model

    def config(self) -> Any:
        """The configuration that was asked for, for this vocabulary."""
        vocabulary = self.tokenizer.vocab_size
        if self.saved is None:
            return self.own_config(vocabulary, *TEXT_SIZES[self.name][self.model])
        return self.architecture.config_class.from_dict({**self.saved, "vocab_size": vocabulary})

    @abstractmethod
    def own_config(self, vocabulary: int, width: int, layers: int, heads: int) -> Any:
        """The configuration of one of our sizes."""

    # ---------------------------------------------------------------------------- texts to ids

    @property
    def sample_texts(self) -> list[str]:
        """What fits into memory of the texts to learn from: all of a list, some of a file."""
        return [text for document in self.corpus.sample for text in document]

    @abstractmethod
    def rows(self, documents: Iterable[Document]) -> Iterator[Rows]:
        """What the model reads of each document: rows of ids."""

    def dataset(self, documents: Documents) -> TokenDataset:
        """The rows of a few documents, in memory."""
        rows: list[Any] = [row for of_one in self.rows(documents) for row in of_one]
        return TokenDataset.from_lists(rows, self.tokenizer.pad_id)

    def store(self, output: Path) -> None:
        """Tokenise all there is to learn from into the run's folder, or find it there."""
        with tempfile.TemporaryDirectory() as own:
            self.tokenizer.save_pretrained(own)
            vocabulary = run_folder.fingerprint_of_folder(Path(own))["sha256"]
        key = json.dumps([self.name, self.max_length, vocabulary, self.corpus.sha256])
        documents = shown(self.rows(self.corpus.train))
        self.stored = open_corpus(
            output / run_folder.CORPUS, key, documents, self.tokenizer.vocab_size
        )

    # ----------------------------------------------------------------------- how good it is

    def labelled(self, part: str) -> Labelled:
        """The labelled texts of a part."""
        found = self.corpus.labelled if part == "train" else self.corpus.judged
        assert found is not None
        return found

    def features(self, model: Any, part: str, rows: np.ndarray) -> np.ndarray:
        """Sentence vectors: the mean over a text's tokens."""
        texts = self.labelled(part).texts
        return np.nan_to_num(model.embed([texts[i] for i in rows]))

    def raw_scores(self) -> Numbers:
        """What counting words gives with the same labels."""
        if self.sample is None:
            return {}
        train, held = self.labelled("train"), self.labelled("held")
        judged = [held.texts[i] for i in self.sample.judged]
        counted = TfidfLogistic(self.sample_texts)

        def regression(draw: np.ndarray) -> np.ndarray:
            texts = [train.texts[i] for i in draw]
            return counted.fit(texts, train.labels[draw]).predict(judged)

        def neighbours(draw: np.ndarray) -> np.ndarray:
            texts = [train.texts[i] for i in draw]
            rows, asked = dense(counted, texts, judged)
            return nearest(rows, train.labels[draw], asked)

        accuracy = self.sample.accuracy
        return {"probe": accuracy(regression), "neighbours": accuracy(neighbours)}

    def save(self, model: Any, folder: Path) -> None:
        model.save_pretrained(folder, self.tokenizer)


class BertWork(TextWork):
    """What the objectives with a BERT share; `pooling` is what a classifier should read."""

    tokenizer_class = WordPieceTokenizer
    pooling: ClassVar[str]  # "mean", or "cls" where that token is trained

    def positions(self, config: BertConfig) -> int:
        return config.max_position_embeddings

    def new_model(self) -> Any:
        model = super().new_model()
        if self.saved is None:
            carry_more(model, DEFAULT.value_gain)
        return model

    def start_at(self, model: Any, frequencies: np.ndarray) -> None:
        """A new head starts from the words' frequencies: no step is spent on learning those."""
        if self.starts_fresh or model.load_report.notes:
            bias = np.log(frequencies, dtype=np.float32)
            model.cls.predictions.bias.data[: len(bias)] = bias

    def most_frequent(self, frequencies: np.ndarray, ready: Ready) -> tuple[str, float]:
        """How often the hidden word is the most frequent one."""
        share = (hidden_words(ready) == frequencies.argmax()).mean()
        return "most frequent word", float(share)

    def own_config(self, vocabulary: int, width: int, layers: int, heads: int) -> BertConfig:
        return BertConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * width,
            max_position_embeddings=self.max_length,
            hidden_dropout_prob=DEFAULT.dropout,
            attention_probs_dropout_prob=DEFAULT.dropout,
            initializer_range=DEFAULT.initializer_range,
            classifier_pooling=self.pooling,
        )

    @property
    def train_rows(self) -> TokenDataset:
        """All rows to learn from, which stay on disk."""
        return TokenDataset(self.stored.ids, self.stored.offsets, self.tokenizer.pad_id)

    def sampler(self, dataset: TokenDataset, seed: int) -> TokenWindowSampler:
        """Batches of rows of about one length, of as many tokens as `batch_size` rows have."""
        return TokenWindowSampler(dataset.offsets, self.recipe.batch_size, seed=seed)


def shown(documents: Iterator[Rows]) -> Iterator[Rows]:
    """The same, counted on a terminal while somebody waits for them."""
    from tqdm import tqdm

    yield from tqdm(documents, "tokenising", unit=" documents", leave=False, disable=None)


def hidden_nats(frequencies: np.ndarray, ready: Ready) -> float:
    """−log p of the hidden words, guessed by their frequencies; the mean."""
    return float(-np.log(frequencies[hidden_words(ready)]).mean())


def dense(
    counted: TfidfLogistic, texts: Sequence[str], judged: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """TF-IDF rows of both over the words of `texts`: others add nothing to a product."""
    rows, asked = counted.rows(texts), counted.rows(judged)
    used = np.unique(rows.columns)
    onto = np.zeros((rows.width, len(used)))
    onto[used, np.arange(len(used))] = 1
    return rows @ onto, asked @ onto


def windows(tokenizer: Any, texts: Iterable[str], max_length: int) -> list[list[int]]:
    """Texts as rows [CLS] … [SEP] of at most `max_length` tokens; a longer text becomes several.

    Rows of special tokens alone are left out: nothing in them could be hidden.
    """
    first, last = list(tokenizer.frame.first), list(tokenizer.frame.last)
    room = max_length - len(first) - len(last)
    special = set(tokenizer.special_ids)
    rows = []
    for text in texts:
        ids = tokenizer.plain_ids(text)
        parts = (ids[start : start + room] for start in range(0, len(ids), room))
        rows += [[*first, *part, *last] for part in parts if not special.issuperset(part)]
    return rows
