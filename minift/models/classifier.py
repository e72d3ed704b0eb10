"""TextClassifier: from raw texts to labels and probabilities, for models with a tokenizer.

A text that holds nothing the model knows gets no label: an answer to it would be an answer to [CLS]
[SEP]. `problem` says in words what is wrong with it. Training is in `minift/train/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minift import ops
from minift.models.pretrained import PretrainedModel
from minift.tensor import no_grad


class TextClassifier(PretrainedModel):
    """A model whose forward gives scores (B, L) for tokenized texts."""

    def predict(
        self, texts: str | Sequence[str], batch_size: int = 64
    ) -> tuple[list[str | None], np.ndarray]:
        """Labels (names from `config.id2label`) and probabilities (N, L) of N texts, in eval mode.

        A text with a `problem` gets the label None and a row of NaN. Texts longer than the model
        can read are cut. Raises ValueError if the model has no tokenizer.
        """
        texts = [texts] if isinstance(texts, str) else list(texts)
        readable = [i for i, text in enumerate(texts) if self.problem(text) is None]
        probabilities = np.full((len(texts), self.config.num_labels), np.nan, np.float32)
        with self.evaluating():
            for start in range(0, len(readable), batch_size):
                chosen = readable[start : start + batch_size]
                probabilities[chosen] = self.probabilities_of([texts[i] for i in chosen])
        labels: list[str | None] = [None] * len(texts)
        for i in readable:
            labels[i] = self.config.id2label[int(probabilities[i].argmax())]
        return labels, probabilities

    @no_grad()
    def probabilities_of(self, texts: list[str]) -> np.ndarray:
        """Softmax of the scores of one batch, (N, L)."""
        limit = self.config.max_position_embeddings
        batch = self.own_tokenizer()(texts, max_length=limit, truncation=True)
        return ops.softmax(self(**batch), axis=-1).numpy()

    def problem(self, text: str) -> str | None:
        """Why `text` cannot be classified, as a sentence, or None if it can."""
        tokenizer = self.own_tokenizer()
        ids = tokenizer.encode(text)[1:-1]  # without [CLS] and [SEP]
        if not ids:
            return "the text is empty"
        if all(i == tokenizer.unk_id for i in ids):
            return f"no part of the text {text!r} is in the model's vocabulary"
        return None

    def own_tokenizer(self) -> Any:
        """The tokenizer. Raises ValueError if there is none."""
        if self.tokenizer is None:
            raise ValueError(
                f"this {type(self).__name__} has no tokenizer; load it with minift.load(folder) or "
                f"set model.tokenizer"
            )
        return self.tokenizer
