"""Models, one family a file, the configuration first.

Read `bert.py`, then `gpt2.py` and `vit.py` (what they change), then `resnet.py`.
Small networks for images: `mlp.py`, then `autoencoder.py`. How a model comes
from a folder and goes to one is in `pretrained.py`.
"""

from minift.models.auto import AutoModelForSequenceClassification, load
from minift.models.autoencoder import Autoencoder, AutoencoderConfig
from minift.models.bert import (
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
)
from minift.models.gan import GAN, GANConfig
from minift.models.gpt2 import GPT2Config, GPT2LMHeadModel, GPT2Model, KeyValueCache
from minift.models.gpt2_classifier import GPT2ForSequenceClassification
from minift.models.image_classifier import ImageClassifier, ImageClassifierConfig
from minift.models.mlp import MLP, MLPConfig
from minift.models.resnet import ResNetConfig, ResNetForImageClassification, ResNetModel
from minift.models.simclr import SimCLR, SimCLRConfig
from minift.models.vae import VAE, VAEConfig
from minift.models.vit import ViTConfig, ViTForImageClassification, ViTModel

ViT, ResNet = ViTForImageClassification, ResNetForImageClassification  # what people call them

__all__ = [
    "GAN",
    "MLP",
    "VAE",
    "AutoModelForSequenceClassification",
    "Autoencoder",
    "AutoencoderConfig",
    "BertConfig",
    "BertForMaskedLM",
    "BertForPreTraining",
    "BertForQuestionAnswering",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertModel",
    "GANConfig",
    "GPT2Config",
    "GPT2ForSequenceClassification",
    "GPT2LMHeadModel",
    "GPT2Model",
    "ImageClassifier",
    "ImageClassifierConfig",
    "KeyValueCache",
    "MLPConfig",
    "ResNet",
    "ResNetConfig",
    "ResNetForImageClassification",
    "ResNetModel",
    "SimCLR",
    "SimCLRConfig",
    "VAEConfig",
    "ViT",
    "ViTConfig",
    "ViTForImageClassification",
    "ViTModel",
    "load",
]
