"""BERT (Devlin et al. 2019), with the parameter names of Hugging Face transformers.

Reads from top to bottom: the configuration, the parts in the order in which a token meets them, the
encoder, then one model per task. Weights saved here open in transformers and the other way round.
It is *not* where files are read (`pretrained.py`) or losses defined (`minift/objectives/`).

Shapes: B texts, T tokens, C = hidden_size, H heads, V words, L labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from minift import nn, ops
from minift.backend import to_device
from minift.models.attention import attend, project
from minift.models.classifier import TextClassifier
from minift.models.config import ModelConfig
from minift.models.inputs import (
    check_length,
    flat_positions,
    integers,
    on_device,
    padding_mask,
    segments,
)
from minift.models.outputs import Seen, show_hidden
from minift.models.pretrained import PretrainedModel
from minift.models.renames import Rename
from minift.nn import init
from minift.tensor import Tensor

# transformers picks a class by model_type: an unknown one makes it refuse a mean-pooling folder
MEAN_POOLING_TYPE = "minift-mean-pooling-bert"


@dataclass
class BertConfig(ModelConfig):
    """Sizes and rates, under transformers' names and with its defaults (bert-base).

    `classifier_pooling` is ours: "cls" reads the text off the first token through the pooler, as
    BERT does; "mean" averages the real tokens, for models that were never trained to use [CLS].
    """

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0
    classifier_dropout: float | None = None  # None: hidden_dropout_prob
    classifier_pooling: str = "cls"

    model_types = ("bert", MEAN_POOLING_TYPE)
    fixed: ClassVar = {
        "position_embedding_type": "absolute",
        "is_decoder": False,
        "add_cross_attention": False,
    }

    def __post_init__(self) -> None:
        """Raises ValueError for settings that make no BERT."""
        self.check_sizes(*SIZES)
        self.check_depth("num_hidden_layers")
        self.check_rates("hidden_dropout_prob", "attention_probs_dropout_prob")
        self.check_rates("classifier_dropout")
        self.check_positive("layer_norm_eps", "initializer_range")
        self.check_heads("hidden_size", "num_attention_heads")
        self.check_choice("hidden_act", self.hidden_act, ("gelu",))
        self.check_choice("classifier_pooling", self.classifier_pooling, ("cls", "mean"))
        super().__post_init__()


SIZES = (
    "vocab_size", "hidden_size", "num_attention_heads", "intermediate_size",
    "max_position_embeddings", "type_vocab_size",
)  # fmt: skip

# The names of the first checkpoints, converted from TensorFlow; position_ids counts 0, 1, 2, …
RENAMES = (
    Rename("*.LayerNorm.gamma", "*.LayerNorm.weight"),
    Rename("*.LayerNorm.beta", "*.LayerNorm.bias"),
    Rename("embeddings.position_ids"),
)


# -------------------------------------------------------------------------------- the encoder


class BertEmbeddings(nn.Module):
    """Word + position + segment vectors, normalised."""

    def __init__(self, config: BertConfig):
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids: Any, token_type_ids: Any = None) -> Tensor:
        T = input_ids.shape[1]
        place = self.position_embeddings.weight[:T]  # (T, C)
        if token_type_ids is None:
            place = place + self.token_type_embeddings.weight[0]  # (T, C)
        else:
            place = place + self.token_type_embeddings(token_type_ids)  # (B, T, C)
        return self.dropout(self.LayerNorm(self.word_embeddings(input_ids) + place))


class BertSelfAttention(nn.Module):
    """Every token asks all real tokens of its text: softmax(Q Kᵀ / √D) V in H heads."""

    def __init__(self, config: BertConfig):
        self.heads = config.num_attention_heads
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = nn.Dropout(config.attention_probs_dropout_prob)

    def forward(self, x: Tensor, mask: Any = None, seen: Seen | None = None) -> Tensor:
        qkv = project(x, self.query, self.key, self.value)  # (B, T, 3C)
        p = self.dropout.p if self.training else 0.0
        return attend(qkv, self.heads, mask=mask, dropout=p, seen=seen)  # (B, T, C)


class BertSelfOutput(nn.Module):
    """Mix the heads, add the residual, normalise."""

    def __init__(self, config: BertConfig):
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        return self.LayerNorm(residual + self.dropout(self.dense(x)))


class BertAttention(nn.Module):
    """The attention sub-layer; its first part is called `self` in every published checkpoint."""

    def __init__(self, config: BertConfig):
        self.self = BertSelfAttention(config)
        self.output = BertSelfOutput(config)

    def forward(self, x: Tensor, mask: Any = None, seen: Seen | None = None) -> Tensor:
        return self.output(self.self(x, mask, seen), x)


class BertIntermediate(nn.Module):
    """The wide half of the network at each position: (B, T, C) -> (B, T, 4C, usually)."""

    def __init__(self, config: BertConfig):
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)

    def forward(self, x: Tensor) -> Tensor:
        return ops.linear_gelu(x, self.dense.weight, self.dense.bias)


class BertOutput(nn.Module):
    """The narrow half: back to C, add the residual, normalise."""

    def __init__(self, config: BertConfig):
        self.dense = nn.Linear(config.intermediate_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        return self.LayerNorm(residual + self.dropout(self.dense(x)))


class BertLayer(nn.Module):
    """Attention between positions, then a network at each position."""

    def __init__(self, config: BertConfig):
        self.attention = BertAttention(config)
        self.intermediate = BertIntermediate(config)
        self.output = BertOutput(config)

    def forward(self, x: Tensor, mask: Any = None, seen: Seen | None = None) -> Tensor:
        x = self.attention(x, mask, seen)
        return self.output(self.intermediate(x), x)


class BertEncoder(nn.Module):
    """The layers one after the other."""

    def __init__(self, config: BertConfig):
        self.layer = [BertLayer(config) for _ in range(config.num_hidden_layers)]

    def forward(self, x: Tensor, mask: Any = None, seen: Seen | None = None) -> Tensor:
        show_hidden(seen, x)
        for layer in self.layer:
            x = layer(x, mask, seen)
            show_hidden(seen, x)
        return x


class BertPooler(nn.Module):
    """The text as one vector: a tanh layer on the first token, (B, T, C) -> (B, C)."""

    def __init__(self, config: BertConfig):
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        return ops.tanh(self.dense(hidden[:, 0]))


class BertPretrained(PretrainedModel):
    """What the models below share: their configuration and the names of their weights."""

    config_class = BertConfig
    prefix = "bert"
    renames = RENAMES
    config: BertConfig

    def embed(self, texts: str | Sequence[str]) -> np.ndarray:
        """Sentence vectors (N, C) of length 1, NaN for an empty text: see `embedding.py`."""
        from minift.models import embedding  # on use: it reads from this file

        dataset, _ = embedding.sentence_dataset(self, texts)
        return embedding.sentence_vectors(self, dataset)


class BertModel(BertPretrained):
    """The bare encoder: token ids (B, T) -> hidden states (B, T, C)."""

    head = "pooler"

    def __init__(self, config: BertConfig, add_pooling_layer: bool = True):
        super().__init__(config)
        self.embeddings = BertEmbeddings(config)
        self.encoder = BertEncoder(config)
        self.pooler = BertPooler(config) if add_pooling_layer else None
        self.draw_weights()

    def forward(
        self,
        input_ids: Any,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        seen: Seen | None = None,
    ) -> Tensor:
        """`attention_mask` (B, T) is 1 for real tokens; None means that all are real.

        `token_type_ids` (B, T) numbers the segments; None means all 0. Raises ValueError for ids
        that are not (B, T) or longer than max_position_embeddings, and for masks of another shape.
        """
        device = self.embeddings.word_embeddings.weight.device
        ids = integers("input_ids", input_ids)
        check_length(ids, self.config.max_position_embeddings)
        types = segments(token_type_ids, ids.shape)
        mask = padding_mask(attention_mask, ids.shape)
        x = self.embeddings(to_device(ids, device), on_device(types, device))
        return self.encoder(x, on_device(mask, device), seen)


# ---------------------------------------------------------------------------- masked words


class BertPredictionHeadTransform(nn.Module):
    """One more layer between the encoder and the output words."""

    def __init__(self, config: BertConfig):
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        return self.LayerNorm(ops.gelu(self.dense(x)))


class BertLMPredictionHead(nn.Module):
    """Scores of all words. The output matrix *is* the word embedding (Press & Wolf 2017)."""

    def __init__(self, config: BertConfig, words: nn.Parameter):
        self.bias = nn.Parameter(init.zeros((config.vocab_size,)))
        self.transform = BertPredictionHeadTransform(config)
        self.decoder = {"weight": words, "bias": self.bias}  # the names that checkpoints may use

    def forward(self, x: Tensor) -> Tensor:
        return ops.linear(self.transform(x), self.decoder["weight"], self.bias)


class BertOnlyMLMHead(nn.Module):
    """A level of naming that checkpoints have: `cls.predictions`."""

    def __init__(self, config: BertConfig, words: nn.Parameter):
        self.predictions = BertLMPredictionHead(config, words)

    def forward(self, x: Tensor) -> Tensor:
        return self.predictions(x)


class BertForMaskedLM(BertPretrained):
    """Guess hidden words: token ids (B, T) -> scores (B, T, V)."""

    head = "masked-word head"
    same_head = ("BertForPreTraining",)

    def __init__(self, config: BertConfig):
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=False)
        self.cls = BertOnlyMLMHead(config, self.bert.embeddings.word_embeddings.weight)
        self.draw_weights()

    def forward(
        self,
        input_ids: Any,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        positions: Any = None,
        seen: Seen | None = None,
    ) -> Tensor:
        """With `positions`, flat indices into B·T, only those pass the output layer: (n, V).

        That is most of the work of a small BERT: 15 % of the tokens are masked, V is large.
        """
        hidden = self.bert(input_ids, attention_mask, token_type_ids, seen=seen)
        return self.cls(hidden if positions is None else rows_at(hidden, positions))


def rows_at(hidden: Tensor, positions: Any) -> Tensor:
    """The hidden states at flat positions: (B, T, C) -> (n, C)."""
    B, T, C = hidden.shape
    rows = to_device(flat_positions(positions, B * T), hidden.device)  # (n,)
    return ops.embedding(rows, hidden.reshape(B * T, C))  # picks rows


class BertPreTrainingHeads(nn.Module):
    """Scores of all words, and of "the second segment follows the first" against "it does not"."""

    def __init__(self, config: BertConfig, words: nn.Parameter):
        self.predictions = BertLMPredictionHead(config, words)
        self.seq_relationship = nn.Linear(config.hidden_size, 2)


class BertForPreTraining(BertPretrained):
    """Both tasks of Devlin et al. 2019, section 3.1: hidden words and next sentences.

    Token ids (B, T) -> scores of words (B, T, V) and of the two answers (B, 2): column 0 says that
    the second segment is the next sentence, column 1 that it is a random one.
    """

    head = "pre-training head"
    same_head = ("BertForMaskedLM",)

    def __init__(self, config: BertConfig):
        super().__init__(config)
        self.bert = BertModel(config)
        self.cls = BertPreTrainingHeads(config, self.bert.embeddings.word_embeddings.weight)
        self.draw_weights()

    def forward(
        self,
        input_ids: Any,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        positions: Any = None,
        seen: Seen | None = None,
    ) -> tuple[Tensor, Tensor]:
        """`positions` as in BertForMaskedLM."""
        hidden = self.bert(input_ids, attention_mask, token_type_ids, seen=seen)
        words = self.cls.predictions(hidden if positions is None else rows_at(hidden, positions))
        assert self.bert.pooler is not None
        return words, self.cls.seq_relationship(self.bert.pooler(hidden))


# --------------------------------------------------------------- labels of texts and of tokens


class BertForSequenceClassification(BertPretrained, TextClassifier):
    """Classify whole texts: token ids (B, T) -> scores (B, L)."""

    head = "classification head"

    def __init__(self, config: BertConfig):
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=config.classifier_pooling == "cls")
        self.dropout = nn.Dropout(head_dropout(config))
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.draw_weights()

    def forward(
        self,
        input_ids: Any,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        seen: Seen | None = None,
    ) -> Tensor:
        hidden = self.bert(input_ids, attention_mask, token_type_ids, seen=seen)
        return self.classifier(self.dropout(self.pool(hidden, attention_mask)))

    def pool(self, hidden: Tensor, attention_mask: Any) -> Tensor:
        """(B, T, C) -> (B, C), by `config.classifier_pooling`."""
        if self.bert.pooler is not None:
            return self.bert.pooler(hidden)
        return mean_over_tokens(hidden, attention_mask)

    @property
    def architecture(self) -> str:
        """A name of our own for mean pooling, so that nobody opens it and gets other scores."""
        own = "MiniftMeanPooling" if self.config.classifier_pooling == "mean" else ""
        return own + type(self).__name__

    @property
    def model_type(self) -> str:
        return MEAN_POOLING_TYPE if self.config.classifier_pooling == "mean" else "bert"


def head_dropout(config: BertConfig) -> float:
    rate = config.classifier_dropout
    return config.hidden_dropout_prob if rate is None else rate


def mean_over_tokens(hidden: Tensor, attention_mask: Any) -> Tensor:
    """Average of the real tokens of each text, (B, T, C) -> (B, C); of a text without any, 0."""
    B, T, C = hidden.shape
    if attention_mask is None:
        return hidden.mean(axis=1)  # (B, C)
    real = integers("attention_mask", attention_mask, (B, T)) != 0
    share = real / np.maximum(real.sum(axis=1, keepdims=True), 1)  # (B, T), each row sums to 1
    weights = Tensor(share[:, None, :], dtype=hidden.dtype, device=hidden.device)  # (B, 1, T)
    return (weights @ hidden).reshape(B, C)  # (B, C)


class BertForTokenClassification(BertPretrained):
    """A label for every token (names, parts of speech): token ids (B, T) -> scores (B, T, L)."""

    head = "token classification head"

    def __init__(self, config: BertConfig):
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=False)
        self.dropout = nn.Dropout(head_dropout(config))
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.draw_weights()

    def forward(
        self,
        input_ids: Any,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        seen: Seen | None = None,
    ) -> Tensor:
        hidden = self.bert(input_ids, attention_mask, token_type_ids, seen=seen)
        return self.classifier(self.dropout(hidden))


class BertForQuestionAnswering(BertPretrained):
    """Where in the text the answer begins and where it ends (Devlin et al. 2019, section 4.2).

    Token ids (B, T) -> scores of each token as the answer's first and as its last, (B, T) each.
    """

    head = "question answering head"

    def __init__(self, config: BertConfig):
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=False)
        self.qa_outputs = nn.Linear(config.hidden_size, 2)
        self.draw_weights()

    def forward(
        self,
        input_ids: Any,
        attention_mask: Any = None,
        token_type_ids: Any = None,
        seen: Seen | None = None,
    ) -> tuple[Tensor, Tensor]:
        scores = self.qa_outputs(self.bert(input_ids, attention_mask, token_type_ids, seen=seen))
        return scores[:, :, 0], scores[:, :, 1]  # (B, T) each
