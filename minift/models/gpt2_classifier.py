"""GPT2ForSequenceClassification: classify texts by the last token, which has read all others.

Parameter names are transformers'. The head has no bias, as there. Not here: the decoder itself
(`gpt2.py`).

Shapes: B texts, T tokens, C = n_embd, L labels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minift import nn, ops
from minift.backend import to_device
from minift.models.classifier import TextClassifier
from minift.models.gpt2 import GPT2Config, GPT2Model, GPT2Pretrained
from minift.models.inputs import integers
from minift.models.outputs import Seen
from minift.tensor import Tensor


class GPT2ForSequenceClassification(GPT2Pretrained, TextClassifier):
    """Classify whole texts: token ids (B, T) -> scores (B, L)."""

    head = "classification head"

    def __init__(self, config: GPT2Config):
        super().__init__(config)
        self.transformer = GPT2Model(config)
        self.score = nn.Linear(config.n_embd, config.num_labels, bias=False)
        self.draw_weights()

    @property
    def classifier(self) -> nn.Linear:
        """The last layer, which other families call so."""
        return self.score

    def forward(
        self,
        input_ids: Any,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        seen: Seen | None = None,
    ) -> Tensor:
        """`attention_mask` (B, T) is 1 for real tokens, padding on the right; None: all are real.

        `token_type_ids` are not looked at: a GPT-2 knows no segments.
        """
        hidden = self.transformer(input_ids, attention_mask, seen=seen)  # (B, T, C)
        return self.score(last_of(hidden, attention_mask))


def last_of(hidden: Tensor, attention_mask: Any) -> Tensor:
    """The hidden state of each text's last real token, (B, T, C) -> (B, C); of none the first."""
    B, T, C = hidden.shape
    if attention_mask is None:
        return hidden[:, -1]
    real = integers("attention_mask", attention_mask, (B, T)) != 0
    last = np.maximum(real.sum(axis=1) - 1, 0)  # (B,)
    rows = to_device(np.arange(B) * T + last, hidden.device)
    return ops.embedding(rows, hidden.reshape(B * T, C))  # picks rows
