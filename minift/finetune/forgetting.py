"""Forgetting, measured: how well a fine-tuned body still does what it was pre-trained for.

    source = SourceTask.of("runs/quickstart/pretrained", texts)
    before, after = source.loss(), source.loss(model)

The body is put back below the head that it was pre-trained with, which stayed as it was, and both
guess the same hidden words of texts that are in nobody's training. Users notice catastrophic
forgetting (McCloskey & Cohen 1989) only afterwards, if nobody measures it.

Not here: what keeps a body from forgetting (`low_rank.py`, `l2_sp.py`, a smaller rate).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minift import hub
from minift.data import BucketSampler, TokenDataset, WordPieceTokenizer, mask_tokens
from minift.data.datasets import Batch
from minift.models import BertForMaskedLM
from minift.models.bert import BertPretrained
from minift.models.pretrained import made_for
from minift.objectives import MaskedLM
from minift.tape import no_grad
from minift.train.logs import mean_log, read_log

WITH_HEAD = ("BertForMaskedLM", "BertForPreTraining")
BATCH_TOKENS = 2048


class SourceTask:
    """Masked words of some texts, hidden once and for all, and the model that was trained on such.

    `seed` draws the words. What is measured is a body's state dict: merge LoRA's matrices before
    (`LoRA.merge`), or the weights below them are judged, which never moved.
    """

    def __init__(
        self,
        model: BertForMaskedLM,
        tokenizer: WordPieceTokenizer,
        texts: Sequence[str],
        seed: int = 0,
    ):
        self.model, self.body = model.eval(), model.bert.state_dict()  # copies
        dataset = tokenizer.dataset(list(texts), model.config.max_position_embeddings)
        self.batches = masked_batches(dataset, tokenizer, np.random.default_rng(seed))

    @classmethod
    def of(cls, folder: str | Path, texts: Sequence[str], seed: int = 0) -> SourceTask | None:
        """The task of a model folder; None if it holds no head for its pre-training objective.

        Raises FileNotFoundError or ValueError for a folder that is missing or damaged.
        """
        folder = hub.resolve(folder)
        if made_for(hub.read_config(folder)) not in WITH_HEAD:
            return None
        model = BertForMaskedLM.from_pretrained(folder)
        return cls(model, WordPieceTokenizer.from_pretrained(folder), texts, seed)

    @no_grad()
    def loss(self, model: BertPretrained | None = None) -> float:
        """-log p(hidden word | the rest) in nats, with the body of `model`, or the original one.

        Raises ValueError for a model whose body is of another kind.
        """
        state = dict(self.body)
        if model is not None:
            theirs = getattr(model, model.prefix).state_dict()
            state = {name: theirs[name] for name in state if name in theirs}
        self.model.bert.load_state_dict(state)
        objective = MaskedLM()
        logs = [objective(self.model, batch) for batch in self.batches]
        return mean_log([read_log({"loss": loss, **log}) for loss, log in logs])["loss"]


def masked_batches(
    dataset: TokenDataset, tokenizer: WordPieceTokenizer, rng: np.random.Generator
) -> list[Batch]:
    """Batches of texts with words hidden; those in which there is nothing to hide are left out."""
    longest = int(dataset.lengths.max(initial=1))
    batches = []
    for rows in BucketSampler(dataset.lengths, max(BATCH_TOKENS, longest)).batches(0):
        batch = dataset.padded(rows)
        ids, labels = mask_tokens(batch["input_ids"], tokenizer, rng=rng)
        if (labels != -100).any():
            batches.append(batch | {"input_ids": ids, "labels": labels})
    return batches
