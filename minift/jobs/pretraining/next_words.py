"""causal: a GPT-2 guesses the next word (Radford et al. 2019), beside n-grams of the same ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from minift import hub
from minift.baselines import NGram
from minift.data import BPETokenizer, BucketSampler, DataLoader, WindowSampler
from minift.data.bpe_files import END_OF_TEXT
from minift.data.corpus import Rows
from minift.data.packing import Blocks, document_ids, pack
from minift.jobs.pretraining.probing import Numbers
from minift.jobs.pretraining.text_files import Document
from minift.jobs.pretraining.text_work import TextWork
from minift.jobs.pretraining.texts import texts_of
from minift.jobs.pretraining.work import Ready
from minift.models import GPT2Config, GPT2LMHeadModel
from minift.models.bert import mean_over_tokens
from minift.objectives import CausalLM
from minift.tape import no_grad
from minift.train.trainer import Objective

ORDERS = {"unigram": 1, "bigram": 2, "trigram": 3}
COUNTED = 2_000_000  # tokens at most from which n-grams are counted
TEMPERATURES = (0.5, 0.8, 1.1)
PROMPT, WRITTEN = 8, 48  # tokens
BATCH_TOKENS = 4096  # of a batch without gradients


class NextWords(TextWork):
    """Causal language modelling; documents fill their rows end to end."""

    architecture = GPT2LMHeadModel
    tokenizer_class = BPETokenizer

    def positions(self, config: GPT2Config) -> int:
        return config.n_positions

    def own_config(self, vocabulary: int, width: int, layers: int, heads: int) -> GPT2Config:
        end = self.tokenizer.id_of[END_OF_TEXT]
        return GPT2Config(
            vocab_size=vocabulary,
            n_positions=self.max_length,
            n_embd=width,
            n_layer=layers,
            n_head=heads,
            bos_token_id=end,
            eos_token_id=end,
        )

    # -------------------------------------------------------------------------------- the rows

    def check(self) -> None:
        """Also that there is something to guess in the held-out part."""
        super().check()
        self.held_out()

    def rows(self, documents: Iterable[Document]) -> Iterator[Rows]:
        return (list(document_ids(texts_of([document]), self.tokenizer)) for document in documents)

    @cached_property
    def held_ids(self) -> np.ndarray:
        return pack(texts_of(self.corpus.held), self.tokenizer)

    def loader(self, seed: int) -> DataLoader:
        blocks = Blocks(self.stored.ids, self.max_length)
        sampler = WindowSampler(len(blocks), self.recipe.batch_size, seed=seed)
        return DataLoader(blocks, sampler=sampler)

    def held_out(self) -> DataLoader:
        blocks = Blocks(self.held_ids, self.max_length)
        return Ready(DataLoader(blocks, self.recipe.batch_size))

    def objective(self) -> Objective:
        return CausalLM()

    # --------------------------------------------------------------------------- how good it is

    def baselines(self, model: Any) -> Numbers:
        V, counted = self.tokenizer.vocab_size, self.stored.ids[:COUNTED]
        return {name: NGram(counted, V, n).nats(self.held_ids) for name, n in ORDERS.items()}

    def more(self, model: Any, held_out: Numbers) -> Numbers:
        """Nats a character, which do not depend on how long the pieces are."""
        characters = sum(map(len, texts_of(self.corpus.held)))
        return {"nats_a_character": held_out["loss"] * held_out["count"] / characters}

    @no_grad()
    def features(self, model: Any, part: str, rows: np.ndarray) -> np.ndarray:
        """The mean over a text's tokens of the last hidden states."""
        texts = self.labelled(part).texts
        limit = model.config.n_positions
        dataset = self.tokenizer.dataset([texts[i] or " " for i in rows], limit)
        features = np.zeros((len(rows), model.config.n_embd), np.float32)
        sampler = BucketSampler(dataset.lengths, max(BATCH_TOKENS, int(dataset.lengths.max())))
        with model.evaluating():
            for places in sampler.batches(0):
                batch = dataset.padded(places)
                mask = batch["attention_mask"]
                hidden = model.transformer(batch["input_ids"], mask)
                features[places] = mean_over_tokens(hidden, mask).numpy()
        return features

    def draw(self, model: Any, folder: Path, step: int) -> None:
        """How the model goes on with the beginning of a held-out text."""
        hub.write(folder / f"samples-{step:05}.txt", self.samples(model).encode("utf-8"))

    def samples(self, model: Any) -> str:
        """The same beginning at three temperatures."""
        prompt = self.held_ids[: min(PROMPT, len(self.held_ids), self.max_length - 1)]
        count = min(WRITTEN, model.config.n_positions - len(prompt))
        lines = []
        for temperature in TEMPERATURES:
            ids = model.generate(prompt, count, temperature=temperature, seed=0)
            lines += [f"temperature {temperature}:", f"  {self.tokenizer.decode(ids)}", ""]
        return "\n".join(lines)
