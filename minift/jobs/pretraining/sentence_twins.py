"""simcse: a sentence is its own twin, seen through dropout (Gao et al. 2021, section 3)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from minift import plot
from minift.data import DataLoader, TokenDataset, WindowSampler
from minift.data.corpus import Rows
from minift.jobs.pretraining.probing import Numbers
from minift.jobs.pretraining.text_files import Document
from minift.jobs.pretraining.text_work import BertWork
from minift.jobs.pretraining.work import Ready
from minift.models import BertConfig, BertModel
from minift.objectives.sentences import SimCSE
from minift.train.trainer import Objective

DROPOUT = 0.1  # the only thing that tells the two views of a sentence apart
COMPARED = 32  # sentences of a picture


class SentenceTwins(BertWork):
    """Contrastive learning of sentence vectors. A long text counts with its beginning."""

    architecture = BertModel
    pooling: ClassVar[str] = "mean"

    def check(self) -> None:
        """Also that there are sentences to compare, and that views can differ."""
        super().check()
        least = min(self.corpus.size, len(self.corpus.held_texts))
        if least < 2:
            raise ValueError(
                f"simcse compares texts: {self.source} must hold two or more in each part, got "
                f"{least}"
            )
        rate = self.config_now().hidden_dropout_prob
        if not rate:
            raise ValueError(
                f"simcse tells the two views of a text apart by dropout, but {self.model} has a "
                f"hidden_dropout_prob of {rate}; set it to {DROPOUT} in its config.json"
            )

    def remarks(self) -> list[str]:
        """Also that from scratch little is learnt."""
        fresh = (
            "simcse sharpens what a model knows; from scratch it learns next to nothing: try "
            "--model tiny, or what --objective mlm leaves"
        )
        return [*super().remarks(), *([fresh] if self.starts_fresh else [])]

    def config_now(self) -> BertConfig:
        """The configuration that training starts with."""
        return self.config() if self.starts_fresh else BertConfig.from_dict(self.saved or {})

    def own_config(self, vocabulary: int, width: int, layers: int, heads: int) -> BertConfig:
        config = super().own_config(vocabulary, width, layers, heads)
        config.hidden_dropout_prob = config.attention_probs_dropout_prob = DROPOUT
        return config

    def rows(self, documents: Iterable[Document]) -> Iterator[Rows]:
        """A text is a row, cut at `max_length` tokens."""
        return (self.tokenizer.encode_all(texts, self.max_length, True) for texts in documents)

    def batches(self, rows: TokenDataset, seed: int) -> DataLoader:
        """Full batches: the last sentence alone would have nothing to be compared with."""
        size = min(self.recipe.batch_size, len(rows))
        sampler = WindowSampler(len(rows), size, seed=seed, drop_last=True)
        return DataLoader(rows, sampler=sampler)

    def loader(self, seed: int) -> DataLoader:
        return self.batches(self.train_rows, seed)

    @cached_property
    def ready(self) -> Ready:
        return Ready(self.batches(self.dataset(self.corpus.held), 0))

    def held_out(self) -> DataLoader:
        return self.ready

    def objective(self) -> Objective:
        # temperature alone; and a BERT is what it is given
        return SimCSE(**self.recipe.settings)  # type: ignore[arg-type, return-value]

    def baselines(self, model: Any) -> Numbers:
        size = min(self.recipe.batch_size, len(self.corpus.held_texts))
        return {"chance": math.log(2 * size - 1)}

    def draw(self, model: Any, folder: Path, step: int) -> None:
        """Cosines between held-out texts, those of one class side by side."""
        judged = self.corpus.judged
        texts = self.corpus.held_texts[:COMPARED]
        if judged is not None:
            order = np.argsort(judged.labels[:COMPARED], kind="stable")
            texts = [judged.texts[i] for i in order]
        vectors = np.nan_to_num(model.embed(texts))
        file = folder / f"similarities-{step:05}.png"
        plot.similarity(vectors @ vectors.T, "texts", "texts", file)
