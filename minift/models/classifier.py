"""TextClassifier: from raw texts to labels and probabilities, for models with a tokenizer.

A text that holds nothing the model knows gets no label: an answer to it would be an answer to [CLS]
[SEP]. `problem` says in words what is wrong with it. Training is in `minift/train/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minift import ops
from minift.models.config import NUMBERS, SEVERAL_LABELS
from minift.models.pretrained import PretrainedModel
from minift.tensor import Tensor, no_grad


class TextClassifier(PretrainedModel):
    """A model whose forward gives scores (B, L) for tokenized texts."""

    def predict(
        self, texts: str | Sequence[str], batch_size: int = 64
    ) -> tuple[list[Any], np.ndarray]:
        """Labels and probabilities (N, L) of N texts, in evaluation mode.

        What a label is depends on `config.problem_type`: the name (in `config.id2label`) of the
        likeliest class; the list of all names with a probability above ½ (multi-label); for
        regression the number itself, or a list of several, and the scores stand for probabilities.
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
        labels: list[Any] = [None] * len(texts)
        for i in readable:
            labels[i] = self.label_of(probabilities[i])
        return labels, probabilities

    @no_grad()
    def probabilities_of(self, texts: list[str]) -> np.ndarray:
        """What the scores of one batch say of each label, (N, L)."""
        limit = self.config.max_position_embeddings
        batch = self.own_tokenizer()(texts, max_length=limit, truncation=True)
        return self.likely(self(**batch)).numpy()

    def likely(self, scores: Tensor) -> Tensor:
        """Scores (B, L) as probabilities; the scores of a regression are the answer."""
        kind = self.config.scores_are
        if kind == NUMBERS:
            return scores
        return ops.sigmoid(scores) if kind == SEVERAL_LABELS else ops.softmax(scores, axis=-1)

    def label_of(self, probabilities: np.ndarray) -> Any:
        """The answer for one text, (L,) -> a name, a list of names, a number or a list of them."""
        names, kind = self.config.id2label, self.config.scores_are
        if kind == NUMBERS:
            numbers = probabilities.tolist()
            return numbers[0] if len(numbers) == 1 else numbers
        if kind == SEVERAL_LABELS:
            return [names[int(i)] for i in np.flatnonzero(probabilities > 0.5)]
        return names[int(probabilities.argmax())]

    def problem(self, text: str) -> str | None:
        """Why `text` cannot be classified, as a sentence, or None if it can."""
        tokenizer = self.own_tokenizer()
        first, _, last = tokenizer.frame  # [CLS] and [SEP], if any
        ids = tokenizer.encode(text)
        ids = ids[len(first) : len(ids) - len(last)]
        if not ids:
            return "the text is empty"
        unknown = getattr(tokenizer, "unk_id", None)  # bytes know every text
        if all(i == unknown for i in ids):
            return f"no part of the text {text!r} is in the model's vocabulary"
        return None
