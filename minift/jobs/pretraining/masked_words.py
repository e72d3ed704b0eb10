"""mlm: a BERT guesses hidden words (Devlin et al. 2019, section 3.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from minift import hub
from minift.data import DataLoader, MaskingCollator, TokenDataset
from minift.data.corpus import Rows
from minift.jobs.pretraining.probing import Numbers
from minift.jobs.pretraining.text_files import Document, Documents
from minift.jobs.pretraining.text_work import BertWork, hidden_nats, windows
from minift.jobs.pretraining.work import Ready
from minift.models import BertForMaskedLM
from minift.objectives import MaskedLM
from minift.ops import softmax
from minift.quickstart.pretraining import HELD_OUT_SEED, word_frequencies
from minift.tape import no_grad
from minift.train.trainer import Objective

SHOWN, GUESSES = 12, 3  # texts with a hidden word, and what is guessed for it


class MaskedWords(BertWork):
    """Masked language modelling. Accuracy stands beside that of the most frequent word."""

    architecture = BertForMaskedLM
    pooling: ClassVar[str] = "mean"  # hidden words alone never train the [CLS] vector

    def check(self) -> None:
        """Also that there are words to ask for in the held-out part."""
        super().check()
        self.held_out()

    def new_model(self) -> Any:
        model = super().new_model()
        self.start_at(model, self.frequencies)
        return model

    @cached_property
    def frequencies(self) -> np.ndarray:
        """The share of each piece among the tokens of the sample, (V,)."""
        return word_frequencies(self.dataset(self.corpus.sample).ids, self.tokenizer)

    def rows(self, documents: Iterable[Document]) -> Iterator[Rows]:
        return (windows(self.tokenizer, document, self.max_length) for document in documents)

    def dataset(self, documents: Documents) -> TokenDataset:
        """Raises ValueError if there is nothing in them that could be hidden."""
        rows = super().dataset(documents)
        if not len(rows):
            raise ValueError(
                f"{self.source}: no text of {sum(map(len, documents)):,} holds a word of the "
                f"vocabulary that could be hidden"
            )
        return rows

    def loader(self, seed: int) -> DataLoader:
        return self.masked(self.train_rows, seed)

    def masked(self, rows: TokenDataset, seed: int) -> DataLoader:
        """Batches with other words hidden each time they are drawn."""
        collate = MaskingCollator(self.tokenizer, seed=seed)
        return DataLoader(rows, sampler=self.sampler(rows, seed), collate_fn=collate)

    @cached_property
    def ready(self) -> Ready:
        return Ready(self.masked(self.dataset(self.corpus.held), HELD_OUT_SEED))

    def held_out(self) -> DataLoader:
        return self.ready

    def objective(self) -> Objective:
        return MaskedLM()

    def baselines(self, model: Any) -> Numbers:
        return {"unigram": hidden_nats(self.frequencies, self.ready)}

    def accuracy_baseline(self) -> tuple[str, float]:
        return self.most_frequent(self.frequencies, self.ready)

    def draw(self, model: Any, folder: Path, step: int) -> None:
        """Held-out texts with one word hidden, and what the model guesses."""
        hub.write(folder / f"fill_ins-{step:05}.txt", self.fill_ins(model).encode("utf-8"))

    @no_grad()
    def fill_ins(self, model: Any) -> str:
        """Lines of text, truth and guesses."""
        rng, special = np.random.default_rng(0), set(self.tokenizer.special_ids)
        lines = []
        for ids in self.tokenizer.encode_all(self.corpus.held_texts[:SHOWN], self.max_length, True):
            words = [place for place, token in enumerate(ids) if token not in special]
            if words:
                place = int(rng.choice(words))
                lines += self.filled(model, ids, place)
        return "\n".join(lines) + "\n"

    def filled(self, model: Any, ids: list[int], place: int) -> list[str]:
        """One text with the word at `place` hidden."""
        asked = [*ids[:place], self.tokenizer.mask_id, *ids[place + 1 :]]
        with model.evaluating():
            scores = model(np.array([asked]), positions=np.array([place]))  # (1, V)
        chances = softmax(scores, axis=-1).numpy()[0]
        best = np.argsort(-chances, kind="stable")[:GUESSES]
        pieces = self.tokenizer.pieces
        guesses = ", ".join(f"{pieces[i]} {chances[i]:.2f}" for i in best)
        shown = self.tokenizer.decode(asked[1:-1], skip_special_tokens=False)
        truth = pieces[ids[place]]
        return [shown, f"    {truth} {chances[ids[place]]:.2f}    guesses: {guesses}"]
