"""Which class a folder needs: the architecture that its config.json names decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minift import hub
from minift.models import (
    autoencoder,
    bert,
    gan,
    gpt2,
    gpt2_classifier,
    image_classifier,
    mlp,
    resnet,
    simclr,
    vae,
    vit,
)
from minift.models.pretrained import PretrainedModel, made_for

ARCHITECTURES: dict[str, type[PretrainedModel]] = {
    "BertModel": bert.BertModel,
    "BertForMaskedLM": bert.BertForMaskedLM,
    "BertForPreTraining": bert.BertForPreTraining,
    "BertForSequenceClassification": bert.BertForSequenceClassification,
    "BertForTokenClassification": bert.BertForTokenClassification,
    "BertForQuestionAnswering": bert.BertForQuestionAnswering,
    "GPT2Model": gpt2.GPT2Model,
    "GPT2LMHeadModel": gpt2.GPT2LMHeadModel,
    "GPT2ForSequenceClassification": gpt2_classifier.GPT2ForSequenceClassification,
    "ViTModel": vit.ViTModel,
    "ViTForImageClassification": vit.ViTForImageClassification,
    "ResNetModel": resnet.ResNetModel,
    "ResNetForImageClassification": resnet.ResNetForImageClassification,
    "MLP": mlp.MLP,
    "Autoencoder": autoencoder.Autoencoder,
    "VAE": vae.VAE,
    "GAN": gan.GAN,
    "SimCLR": simclr.SimCLR,
    "ImageClassifier": image_classifier.ImageClassifier,
    "MiniftMeanPoolingBertForSequenceClassification": bert.BertForSequenceClassification,
}


class AutoModelForSequenceClassification:
    """A classifier on the encoder that a folder holds, whatever it was trained for."""

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, num_labels: int | None = None, **changes: Any
    ) -> Any:
        """Load the encoder, and the head if the folder holds one for as many labels.

        A GPT-2's classifier reads the last token, a BERT's the first. The head is new otherwise.
        `num_labels` defaults to the folder's; `changes` replace fields of the config, for example
        `classifier_pooling="mean"`. Errors as in `from_pretrained`.
        """
        if num_labels is not None:
            changes["num_labels"] = num_labels
        kind: Any = bert.BertForSequenceClassification
        if hub.read_config(hub.resolve(folder)).get("model_type") == "gpt2":
            kind = gpt2_classifier.GPT2ForSequenceClassification
        return kind.from_pretrained(folder, **changes)


def load(folder: str | Path) -> PretrainedModel:
    """The model that `folder` holds, in evaluation mode, with its tokenizer: ready to `predict`.

    Raises FileNotFoundError for a missing folder or file, ValueError for a damaged one, for a
    vocabulary of another size, and for an architecture that is not built here.
    """
    folder = hub.resolve(folder)
    name = made_for(hub.read_config(folder))
    if name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ValueError(f"{folder} holds the architecture {name}; minift can load {known}")
    tokenizer = tokenizer_for(ARCHITECTURES[name], folder)
    model = ARCHITECTURES[name].from_pretrained(folder)
    if tokenizer is not None and tokenizer.vocab_size != model.config.vocab_size:
        raise ValueError(
            f"the vocabulary in {folder} holds {tokenizer.vocab_size:,} pieces, the model needs "
            f"{model.config.vocab_size:,}; copy it again"
        )
    model.tokenizer = tokenizer
    return model


def tokenizer_for(kind: type[PretrainedModel], folder: Path) -> Any:
    """What turns texts into ids for this kind of model: none for images."""
    from minift import data

    if kind.prefix == bert.BertModel.prefix:
        return data.WordPieceTokenizer.from_pretrained(folder)
    if kind.prefix == gpt2.GPT2Model.prefix:
        return data.BPETokenizer.from_pretrained(folder)
    return None
