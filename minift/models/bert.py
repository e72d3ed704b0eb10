"""BERT (Devlin et al. 2019), with the parameter names of Hugging Face transformers.

Reads from top to bottom: the configuration, the parts in the order in which a token meets them, the
encoder, then one model per task. Weights saved here open in transformers and the other way round.
It is *not* where files are read (`pretrained.py`) or losses defined (`minift/objectives/`).

Shapes: B texts, T tokens, C = hidden_size, H heads, V words, L labels.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from minift import nn, ops
from minift.backend import to_device
from minift.models.classifier import TextClassifier
from minift.models.inputs import (
    check_length,
    flat_positions,
    integers,
    on_device,
    padding_mask,
    segments,
)
from minift.models.pretrained import PretrainedModel
from minift.nn import init
from minift.nn.layers import check_size
from minift.tensor import Tensor


@dataclass
class BertConfig:
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
    num_labels: int = 2
    id2label: dict[int, str] | None = None  # None: LABEL_0, LABEL_1, …

    def __post_init__(self) -> None:
        """Raises ValueError for settings that make no BERT."""
        for name in SIZES:
            check_size("BertConfig", **{name: getattr(self, name)})
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"):
            check_rate(name, getattr(self, name))
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"BertConfig: hidden_size ({self.hidden_size}) must be a multiple of "
                f"num_attention_heads ({self.num_attention_heads})"
            )
        check_choice("hidden_act", self.hidden_act, ("gelu",))
        check_choice("classifier_pooling", self.classifier_pooling, ("cls", "mean"))
        self.name_labels()

    def name_labels(self) -> None:
        """Give every label a name; keys from JSON are strings."""
        if self.id2label is None:
            self.id2label = {i: f"LABEL_{i}" for i in range(self.num_labels)}
        self.id2label = {int(i): str(name) for i, name in self.id2label.items()}
        if sorted(self.id2label) != list(range(self.num_labels)):
            raise ValueError(
                f"BertConfig: id2label must name the labels 0 to {self.num_labels - 1} "
                f"(num_labels is {self.num_labels}), got the keys {sorted(self.id2label)}"
            )

    @classmethod
    def from_dict(cls, saved: dict[str, Any], **changes: Any) -> BertConfig:
        """From a config.json, with `changes`; what transformers writes beyond our fields is left.

        A new `num_labels` drops the saved names of labels, new names set it. Raises ValueError if
        the file describes another kind of model, or for a change that is no field.
        """
        known = {field.name for field in fields(cls)}
        for name in changes.keys() - known:
            raise ValueError(f"BertConfig has no field {name!r}; it has {', '.join(sorted(known))}")
        check_choice("model_type", saved.get("model_type", "bert"), ("bert", MEAN_POOLING_TYPE))
        positions = saved.get("position_embedding_type", "absolute")
        check_choice("position_embedding_type", positions, ("absolute",))
        values = {name: value for name, value in saved.items() if name in known}
        for source in (values, changes):  # transformers leaves num_labels out
            if source.get("id2label"):
                source.setdefault("num_labels", len(source["id2label"]))
        if changes.get("num_labels", values.get("num_labels")) != values.get("num_labels"):
            values.pop("id2label", None)
        return cls(**{**values, **changes})

    def to_dict(self) -> dict[str, Any]:
        """For config.json, where the length of `id2label` stands for `num_labels`."""
        saved = asdict(self)
        assert self.id2label is not None
        del saved["num_labels"]
        return {**saved, "label2id": {name: i for i, name in self.id2label.items()}}


SIZES = (
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
    "max_position_embeddings", "type_vocab_size", "num_labels",
)  # fmt: skip

# transformers picks a class by model_type: an unknown one makes it refuse a mean-pooling folder
MEAN_POOLING_TYPE = "minift-mean-pooling-bert"


def check_rate(name: str, rate: float | None) -> None:
    if rate is not None and not 0 <= rate < 1:
        raise ValueError(f"BertConfig: {name} must lie in [0, 1), got {rate}")


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"BertConfig: {name} must be {' or '.join(choices)}, got {value!r}")


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

    def forward(self, x: Tensor, mask: Any = None) -> Tensor:
        parts = (self.query, self.key, self.value)  # three names, one matrix product
        weight = ops.concatenate([part.weight for part in parts], axis=0)  # (3C, C)
        bias = ops.concatenate([part.bias for part in parts], axis=0)  # (3C,)
        qkv = ops.linear(x, weight, bias)  # (B, T, 3C)
        p = self.dropout.p if self.training else 0.0
        return ops.self_attention(qkv, heads=self.heads, mask=mask, dropout=p)  # (B, T, C)


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

    def forward(self, x: Tensor, mask: Any = None) -> Tensor:
        return self.output(self.self(x, mask), x)


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

    def forward(self, x: Tensor, mask: Any = None) -> Tensor:
        x = self.attention(x, mask)
        return self.output(self.intermediate(x), x)


class BertEncoder(nn.Module):
    """The layers one after the other."""

    def __init__(self, config: BertConfig):
        self.layer = [BertLayer(config) for _ in range(config.num_hidden_layers)]

    def forward(self, x: Tensor, mask: Any = None) -> Tensor:
        for layer in self.layer:
            x = layer(x, mask)
        return x


class BertPooler(nn.Module):
    """The text as one vector: a tanh layer on the first token, (B, T, C) -> (B, C)."""

    def __init__(self, config: BertConfig):
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        return ops.tanh(self.dense(hidden[:, 0]))


class BertPretrained(PretrainedModel):
    """What the models below share: their configuration, and N(0, initializer_range) weights."""

    config_class = BertConfig
    prefix = "bert"
    config: BertConfig

    def draw_weights(self) -> None:
        """Matrices from N(0, initializer_range²), biases 0, as Devlin et al. did."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                shape, std = module.weight.shape, self.config.initializer_range
                module.weight.data = init.normal(shape, std)
            if isinstance(module, nn.Linear) and module.bias is not None:
                module.bias.data = init.zeros(module.bias.shape)


class BertModel(BertPretrained):
    """The bare encoder: token ids (B, T) -> hidden states (B, T, C)."""

    def __init__(self, config: BertConfig, add_pooling_layer: bool = True):
        super().__init__(config)
        self.embeddings = BertEmbeddings(config)
        self.encoder = BertEncoder(config)
        self.pooler = BertPooler(config) if add_pooling_layer else None
        self.draw_weights()

    def forward(
        self, input_ids: Any, attention_mask: Any = None, token_type_ids: Any = None
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
        return self.encoder(x, on_device(mask, device))


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
    ) -> Tensor:
        """With `positions`, flat indices into B·T, only those pass the output layer: (n, V).

        That is most of the work of a small BERT: 15 % of the tokens are masked, V is large.
        """
        hidden = self.bert(input_ids, attention_mask, token_type_ids)
        if positions is None:
            return self.cls(hidden)
        B, T, C = hidden.shape
        rows = to_device(flat_positions(positions, B * T), hidden.device)  # (n,)
        return self.cls(ops.embedding(rows, hidden.reshape(B * T, C)))  # picks rows: (n, C)


# -------------------------------------------------------------------------- classification


class BertForSequenceClassification(BertPretrained, TextClassifier):
    """Classify whole texts: token ids (B, T) -> scores (B, L)."""

    def __init__(self, config: BertConfig):
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=config.classifier_pooling == "cls")
        rate = config.classifier_dropout
        self.dropout = nn.Dropout(config.hidden_dropout_prob if rate is None else rate)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.draw_weights()

    def forward(
        self, input_ids: Any, attention_mask: Any = None, token_type_ids: Any = None
    ) -> Tensor:
        hidden = self.bert(input_ids, attention_mask, token_type_ids)
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


def mean_over_tokens(hidden: Tensor, attention_mask: Any) -> Tensor:
    """Average of the real tokens of each text, (B, T, C) -> (B, C)."""
    B, T, C = hidden.shape
    if attention_mask is None:
        return hidden.mean(axis=1)  # (B, C)
    real = integers("attention_mask", attention_mask, (B, T)) != 0
    share = real / real.sum(axis=1, keepdims=True)  # (B, T), each row sums to 1
    weights = Tensor(share[:, None, :], dtype=hidden.dtype, device=hidden.device)  # (B, 1, T)
    return (weights @ hidden).reshape(B, C)  # (B, C)
