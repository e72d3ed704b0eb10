"""Learning from the order of a text: does one segment follow the other? And BERT's two tasks.

Not here: how pairs are drawn (`data/sentence_pairs.py`). Read next: `sentences.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minift import ops
from minift.backend import to_device
from minift.nn import Module
from minift.objectives.classification import split_labels
from minift.objectives.language import hidden_words
from minift.objectives.numbers import Log, accuracy, number
from minift.tensor import Tensor

LABEL = "next_sentence_label"


class NextSentence:
    """−log p(label | pair), averaged over the pairs; label 0: the second follows, 1: it does not.

    Devlin et al. 2019, section 3.1. The model is a BertForPreTraining; the batch holds its inputs
    and `next_sentence_label` (B,). Hidden words, if any, are not asked for. The log holds loss,
    accuracy and count (pairs). Guessing pays log 2 and is right in half of the cases.
    """

    def __call__(self, model: Module, batch: dict[str, Any]) -> tuple[Tensor, Log]:
        """Raises ValueError for a batch without labels of pairs."""
        inputs, labels = split_pair_labels(batch)
        _, answers = model(**inputs, positions=np.zeros(0, np.int64))  # no words; (B, 2)
        target = to_device(labels, answers.device)
        loss = ops.cross_entropy(answers, target)
        right = accuracy(answers, target)
        return loss, {"loss": number(loss), "accuracy": right, "count": len(labels)}


class BertPreTraining:
    """BERT's loss: the mean over the hidden words plus the mean over the pairs.

    Devlin et al. 2019, appendix A.2. The batch holds the inputs of a BertForPreTraining, `labels`
    (B, T) as in MaskedLM and `next_sentence_label` (B,). The log holds loss, masked_loss,
    next_sentence_loss, accuracy (hidden words), next_sentence_accuracy and count (pairs).
    """

    def __call__(self, model: Module, batch: dict[str, Any]) -> tuple[Tensor, Log]:
        """Raises ValueError if no word is hidden, and for a batch without one of the labels."""
        inputs, pair_labels = split_pair_labels(batch)
        positions, hidden = hidden_words("BertPreTraining", split_labels(batch)[1])
        words, answers = model(**inputs, positions=positions)  # (n, V), (B, 2)
        word_target = to_device(hidden, words.device)
        pair_target = to_device(pair_labels, answers.device)
        masked = ops.cross_entropy(words, word_target)
        paired = ops.cross_entropy(answers, pair_target)
        loss = masked + paired
        return loss, {
            "loss": number(loss),
            "masked_loss": number(masked),
            "next_sentence_loss": number(paired),
            "accuracy": accuracy(words, word_target),
            "next_sentence_accuracy": accuracy(answers, pair_target),
            "count": len(pair_labels),
        }


def split_pair_labels(batch: dict[str, Any]) -> tuple[dict[str, Any], np.ndarray]:
    """What the model is given, by name, and the pairs' labels (B,)."""
    if LABEL not in batch:
        raise ValueError(f"the batch has no {LABEL}, only {', '.join(batch)}")
    inputs = {name: value for name, value in batch.items() if name not in (LABEL, "labels")}
    return inputs, np.asarray(batch[LABEL])
