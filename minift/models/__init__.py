"""Models, one family a file, the configuration first.

Read `bert.py`, then `gpt2.py` and `vit.py` (what they change), then `resnet.py`. How a model comes
from a folder and goes to one is in `pretrained.py`.
"""

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
from minift.models.gpt2 import GPT2Config, GPT2LMHeadModel, GPT2Model, KeyValueCache
from minift.models.resnet import ResNetConfig, ResNetForImageClassification, ResNetModel
from minift.models.vit import ViTConfig, ViTForImageClassification, ViTModel

ViT, ResNet = ViTForImageClassification, ResNetForImageClassification  # what people call them

__all__ = [
    "AutoModelForSequenceClassification",
    "BertConfig",
    "BertForMaskedLM",
    "BertForPreTraining",
    "BertForQuestionAnswering",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertModel",
    "GPT2Config",
    "GPT2LMHeadModel",
    "GPT2Model",
    "KeyValueCache",
    "ResNet",
    "ResNetConfig",
    "ResNetForImageClassification",
    "ResNetModel",
    "ViT",
    "ViTConfig",
    "ViTForImageClassification",
    "ViTModel",
    "load",
]
