"""ViT (Dosovitskiy et al. 2021), with the parameter names of Hugging Face transformers.

An image is cut into patches, each patch is a token, and the rest is a transformer encoder. Reads
from top to bottom: the configuration, the names that other files use, patches, the block (BERT's
with the norms before the sub-layers), the encoder, the classifier.

Shapes: B images, N patches, T = N + 1 tokens with the class token, C = hidden_size, L labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from minift import nn, ops
from minift.models.attention import attend, project
from minift.models.config import ModelConfig
from minift.models.images import pixels
from minift.models.outputs import Seen, show_hidden
from minift.models.pretrained import PretrainedModel
from minift.models.renames import Rename
from minift.nn import init
from minift.tensor import Tensor


@dataclass
class ViTConfig(ModelConfig):
    """Sizes and rates, under transformers' names and with its defaults (ViT-B/16)."""

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    image_size: int = 224
    patch_size: int = 16
    num_channels: int = 3
    qkv_bias: bool = True
    pooler_output_size: int | None = None  # None: hidden_size

    model_types = ("vit",)
    fixed: ClassVar = {"pooler_act": "tanh"}

    def __post_init__(self) -> None:
        """Raises ValueError for settings that make no ViT."""
        self.check_sizes("hidden_size", "num_attention_heads", "intermediate_size")
        self.check_sizes("image_size", "patch_size", "num_channels")
        if self.pooler_output_size is None:
            self.pooler_output_size = self.hidden_size
        self.check_sizes("pooler_output_size")
        self.check_depth("num_hidden_layers")
        self.check_rates("hidden_dropout_prob", "attention_probs_dropout_prob")
        self.check_positive("layer_norm_eps", "initializer_range")
        self.check_heads("hidden_size", "num_attention_heads")
        self.check_heads("image_size", "patch_size")
        self.check_choice("hidden_act", self.hidden_act, ("gelu",))
        self.check_choice("qkv_bias", self.qkv_bias, (True, False))
        super().__post_init__()


RENAMES = (
    # published checkpoints, which transformers 5 renames as well
    Rename("encoder.layer.*.attention.attention.query.*", "layers.*.attention.q_proj.*", True),
    Rename("encoder.layer.*.attention.attention.key.*", "layers.*.attention.k_proj.*", True),
    Rename("encoder.layer.*.attention.attention.value.*", "layers.*.attention.v_proj.*", True),
    Rename("encoder.layer.*.attention.output.dense.*", "layers.*.attention.o_proj.*", True),
    Rename("encoder.layer.*.intermediate.dense.*", "layers.*.mlp.fc1.*", True),
    Rename("encoder.layer.*.output.dense.*", "layers.*.mlp.fc2.*", True),
    Rename("encoder.layer.*.layernorm_before.*", "layers.*.layernorm_before.*", True),
    Rename("encoder.layer.*.layernorm_after.*", "layers.*.layernorm_after.*", True),
    Rename("embeddings.mask_token"),  # stands for hidden patches, which are not learnt here
    # torchvision, whose projections are fused
    Rename("class_token", "embeddings.cls_token"),
    Rename("encoder.pos_embedding", "embeddings.position_embeddings"),
    Rename("conv_proj.*", "embeddings.patch_embeddings.projection.*"),
    Rename("encoder.layers.encoder_layer_*.ln_1.*", "layers.*.layernorm_before.*"),
    Rename(
        "encoder.layers.encoder_layer_*.self_attention.in_proj_*",
        (
            "layers.*.attention.q_proj.*",
            "layers.*.attention.k_proj.*",
            "layers.*.attention.v_proj.*",
        ),
    ),
    Rename(
        "encoder.layers.encoder_layer_*.self_attention.out_proj.*", "layers.*.attention.o_proj.*"
    ),
    Rename("encoder.layers.encoder_layer_*.ln_2.*", "layers.*.layernorm_after.*"),
    Rename("encoder.layers.encoder_layer_*.mlp.0.*", "layers.*.mlp.fc1.*"),
    Rename("encoder.layers.encoder_layer_*.mlp.3.*", "layers.*.mlp.fc2.*"),
    Rename("encoder.ln.*", "layernorm.*"),
    Rename("heads.head.*", "classifier.*"),
)


# -------------------------------------------------------------------------------- the encoder


class ViTPatchEmbeddings(nn.Module):
    """Each patch as a vector: a convolution whose stride is its size, (B, c, H, W) -> (B, N, C)."""

    def __init__(self, config: ViTConfig):
        self.size, self.channels = config.image_size, config.num_channels
        patch = config.patch_size
        self.projection = nn.Conv2d(config.num_channels, config.hidden_size, patch, stride=patch)

    def forward(self, pixel_values: Any) -> Tensor:
        x = pixels(pixel_values, self.channels, self.projection.weight)
        if x.shape[2:] != (self.size, self.size):
            raise ValueError(
                f"pixel_values must be {self.size} × {self.size} (image_size), got "
                f"{x.shape[2]} × {x.shape[3]}"
            )
        return ops.flatten(self.projection(x), 2).swapaxes(1, 2)  # (B, N, C)


class ViTEmbeddings(nn.Module):
    """The class token before the patches, and where each one was: (B, c, H, W) -> (B, T, C)."""

    def __init__(self, config: ViTConfig):
        C, patches = config.hidden_size, (config.image_size // config.patch_size) ** 2
        self.cls_token = nn.Parameter(init.normal((1, 1, C)))
        self.position_embeddings = nn.Parameter(init.normal((1, patches + 1, C)))
        self.patch_embeddings = ViTPatchEmbeddings(config)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, pixel_values: Any) -> Tensor:
        patches = self.patch_embeddings(pixel_values)  # (B, N, C)
        first = ops.expand(self.cls_token, (patches.shape[0], 1, patches.shape[2]))  # (B, 1, C)
        tokens = ops.concatenate([first, patches], axis=1)  # (B, T, C)
        return self.dropout(tokens + self.position_embeddings)


class ViTAttention(nn.Module):
    """Every token asks all others, in H heads."""

    def __init__(self, config: ViTConfig):
        C = config.hidden_size
        self.heads = config.num_attention_heads
        self.q_proj = nn.Linear(C, C, bias=config.qkv_bias)
        self.k_proj = nn.Linear(C, C, bias=config.qkv_bias)
        self.v_proj = nn.Linear(C, C, bias=config.qkv_bias)
        self.o_proj = nn.Linear(C, C)
        self.dropout = nn.Dropout(config.attention_probs_dropout_prob)

    def forward(self, x: Tensor, seen: Seen | None = None) -> Tensor:
        qkv = project(x, self.q_proj, self.k_proj, self.v_proj)  # (B, T, 3C)
        p = self.dropout.p if self.training else 0.0
        return self.o_proj(attend(qkv, self.heads, dropout=p, seen=seen))  # (B, T, C)


class ViTMLP(nn.Module):
    """A network at each position."""

    def __init__(self, config: ViTConfig):
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(ops.gelu(self.fc1(x)))


class ViTLayer(nn.Module):
    """Attention, then the network, each on a normalised copy and added to what came in."""

    def __init__(self, config: ViTConfig):
        self.attention = ViTAttention(config)
        self.layernorm_before = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.layernorm_after = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = ViTMLP(config)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, x: Tensor, seen: Seen | None = None) -> Tensor:
        x = x + self.dropout(self.attention(self.layernorm_before(x), seen))
        return x + self.dropout(self.mlp(self.layernorm_after(x)))


class ViTPooler(nn.Module):
    """The image as one vector: a tanh layer on the class token, (B, T, C) -> (B, pooled)."""

    def __init__(self, config: ViTConfig):
        assert config.pooler_output_size is not None
        self.dense = nn.Linear(config.hidden_size, config.pooler_output_size)

    def forward(self, hidden: Tensor) -> Tensor:
        return ops.tanh(self.dense(hidden[:, 0]))


class ViTPretrained(PretrainedModel):
    """What the models below share: their configuration and the names of their weights."""

    config_class = ViTConfig
    prefix = "vit"
    renames = RENAMES
    config: ViTConfig


class ViTModel(ViTPretrained):
    """The bare encoder: images (B, c, H, W) -> hidden states (B, T, C), the class token first."""

    head = "pooler"

    def __init__(self, config: ViTConfig, add_pooling_layer: bool = True):
        super().__init__(config)
        self.embeddings = ViTEmbeddings(config)
        self.layers = [ViTLayer(config) for _ in range(config.num_hidden_layers)]
        self.layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.pooler = ViTPooler(config) if add_pooling_layer else None
        self.draw_weights()

    def forward(self, pixel_values: Any, seen: Seen | None = None) -> Tensor:
        """`pixel_values` are floats of the size that the config says, or a ValueError."""
        return self.layernorm(self.blocks(pixel_values, seen))

    def blocks(self, pixel_values: Any, seen: Seen | None = None) -> Tensor:
        """The hidden states (B, T, C) before the last norm."""
        x = self.embeddings(pixel_values)
        show_hidden(seen, x)
        for layer in self.layers:
            x = layer(x, seen)
            show_hidden(seen, x)
        return x


class ViTForImageClassification(ViTPretrained):
    """Classify images by their class token: (B, c, H, W) -> scores (B, L)."""

    head = "classification head"

    def __init__(self, config: ViTConfig):
        super().__init__(config)
        self.vit = ViTModel(config, add_pooling_layer=False)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.draw_weights()

    def forward(self, pixel_values: Any, seen: Seen | None = None) -> Tensor:
        return self.classify(self.features(pixel_values, seen))

    def features(self, pixel_values: Any, seen: Seen | None = None) -> Tensor:
        """What the head reads, (B, C): the class token before the last norm, which is its own."""
        return self.vit.blocks(pixel_values, seen)[:, 0]

    def classify(self, features: Tensor) -> Tensor:
        """The head: (B, C) -> scores (B, L)."""
        return self.classifier(self.vit.layernorm(features))
