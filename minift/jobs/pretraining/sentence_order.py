"""nsp and bert: does the second segment follow the first? Alone, or with hidden words as well.

Devlin et al. 2019, section 3.1. What it learns from are segments of other documents; at the end
the model is also asked for strangers of the same document, which is much harder.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from minift import hub
from minift.data import DataLoader, MaskingCollator, WindowSampler
from minift.data.corpus import Rows
from minift.data.sentence_pairs import (
    IS_NEXT,
    NEGATIVES,
    PairingCollator,
    Segments,
    cut,
    segment_size,
)
from minift.jobs.pretraining.probing import Numbers
from minift.jobs.pretraining.text_files import Document, Documents
from minift.jobs.pretraining.text_work import BertWork, hidden_nats
from minift.jobs.pretraining.texts import texts_of
from minift.jobs.pretraining.work import Ready
from minift.models import BertForPreTraining
from minift.objectives import BertPreTraining, NextSentence
from minift.objectives.next_sentence import LABEL
from minift.ops import softmax
from minift.quickstart.pretraining import HELD_OUT_SEED, word_frequencies
from minift.tape import no_grad
from minift.train.logs import mean_log, read_log
from minift.train.trainer import Objective

OTHERS, SAME = NEGATIVES
LONGEST_PAIR = 128  # tokens; e-mails in pairs of 256 were learnt no better, in twice the time
SHOWN = 8  # pairs of a picture


class SentenceOrder(BertWork):
    """Next-sentence prediction."""

    architecture = BertForPreTraining
    pooling: ClassVar[str] = "cls"
    hides_words: ClassVar[bool] = False

    def longest_row(self) -> int:
        """Tokens of a pair at most."""
        return min(LONGEST_PAIR, super().longest_row())

    def check(self) -> None:
        """Also that both parts have documents to draw strangers from."""
        super().check()
        for part in (self.sample_segments, self.held_segments):
            self.paired(part, OTHERS, 0)

    def rows(self, documents: Iterable[Document]) -> Iterator[Rows]:
        """The segments of each document that has two or more, as `Segments` cuts them."""
        size = segment_size(self.max_length)
        cuts = (cut(text, self.tokenizer, size) for text in map("\n".join, documents))
        return (segments if len(segments) > 1 else [] for segments in cuts)

    @cached_property
    def sample_segments(self) -> Segments:
        return self.cut(self.corpus.sample)

    @cached_property
    def held_segments(self) -> Segments:
        return self.cut(self.corpus.held)

    def cut(self, documents: Documents, least: int = 2) -> Segments:
        """Documents as segments. Raises ValueError if none of them has a second one."""
        return Segments(texts_of(documents), self.tokenizer, self.max_length, least)

    def paired(self, segments: Segments, negatives: str, seed: int) -> DataLoader:
        """Batches of pairs, drawn anew each time."""
        masking = MaskingCollator(self.tokenizer, seed=seed) if self.hides_words else None
        sampler = WindowSampler(len(segments), self.recipe.batch_size, seed=seed)
        collate = PairingCollator(segments, negatives, masking, seed, sampler.window)
        return DataLoader(segments, sampler=sampler, collate_fn=collate)

    def loader(self, seed: int) -> DataLoader:
        return self.paired(Segments.mapped(self.stored, self.tokenizer), OTHERS, seed)

    @cached_property
    def ready(self) -> Ready:
        return Ready(self.paired(self.held_segments, OTHERS, HELD_OUT_SEED))

    def held_out(self) -> DataLoader:
        return self.ready

    def objective(self) -> Objective:
        return NextSentence()

    def baselines(self, model: Any) -> Numbers:
        return {"chance": math.log(2)}

    def accuracy_baseline(self) -> tuple[str, float]:
        labels = np.concatenate([batch[LABEL] for batch in self.ready])
        share = float((labels == IS_NEXT).mean())
        return "the more frequent answer", max(share, 1 - share)

    def more(self, model: Any, held_out: Numbers) -> Numbers:
        """Accuracy where the stranger is of the same document, if there are long documents."""
        try:
            pairs = self.paired(self.cut(self.corpus.held, least=4), SAME, HELD_OUT_SEED)
        except ValueError:  # all are short
            return {}
        with no_grad(), model.evaluating():
            logs = [read_log(NextSentence()(model, batch)[1]) for batch in pairs]
        return {"accuracy_same_document": mean_log(logs)["accuracy"]}

    def draw(self, model: Any, folder: Path, step: int) -> None:
        """Held-out pairs and what the model says of them."""
        hub.write(folder / f"pairs-{step:05}.txt", self.pairs(model).encode("utf-8"))

    @no_grad()
    def pairs(self, model: Any) -> str:
        """Lines: both segments, the truth, the model's probability that the second follows."""
        batch = self.ready.dataset[0]
        inputs = ("input_ids", "attention_mask", "token_type_ids")
        few = {name: batch[name][:SHOWN] for name in inputs}
        with model.evaluating():
            _, answers = model(**few)
        follows = softmax(answers, axis=-1).numpy()[:, IS_NEXT]
        lines = []
        for ids, types, label, p in zip(
            few["input_ids"], few["token_type_ids"], batch[LABEL], follows
        ):
            first, second = (self.tokenizer.decode(ids[types == k]) for k in (0, 1))
            truth = "it follows" if label == IS_NEXT else "a stranger"
            lines += [first, f"  → {second}", f"    {truth}; says {p:.2f} that it follows", ""]
        return "\n".join(lines)


class BothTasks(SentenceOrder):
    """BERT's loss: hidden words and next sentences."""

    hides_words: ClassVar[bool] = True

    @cached_property
    def frequencies(self) -> np.ndarray:
        """The share of each piece among the tokens of the sample, (V,)."""
        ids = np.concatenate([np.array(segment) for segment in self.sample_segments.ids])
        return word_frequencies(ids, self.tokenizer)

    def new_model(self) -> Any:
        model = super().new_model()
        self.start_at(model, self.frequencies)
        return model

    def objective(self) -> Objective:
        return BertPreTraining()

    def baselines(self, model: Any) -> Numbers:
        return {"unigram and chance": hidden_nats(self.frequencies, self.ready) + math.log(2)}

    def accuracy_baseline(self) -> tuple[str, float]:
        return self.most_frequent(self.frequencies, self.ready)
