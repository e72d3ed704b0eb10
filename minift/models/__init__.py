"""Models, one idea a file, the configuration first. Read `bert.py`, then `pretrained.py`."""

from minift.models.auto import AutoModelForSequenceClassification, load
from minift.models.bert import (
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
)

__all__ = [
    "AutoModelForSequenceClassification",
    "BertConfig",
    "BertForMaskedLM",
    "BertForPreTraining",
    "BertForQuestionAnswering",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertModel",
    "load",
]
