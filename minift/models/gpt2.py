"""GPT-2 (Radford et al. 2019), with the parameter names and layouts of Hugging Face transformers.

Reads from top to bottom: the configuration, attention that looks back only, the block, the stack,
and the language model whose output matrix is its word embedding. BERT's block (`bert.py`) with
three changes: a mask over the future, norms before the sub-layers instead of after, and weights
stored (in, out). It is *not* where tokens are drawn: that is `generation.py`.

Shapes: B texts, T tokens, C = n_embd, H heads, D = C / H, V words; S tokens in the cache.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from minift import nn, ops
from minift.backend import to_device, xp
from minift.models.attention import attend
from minift.models.config import ModelConfig
from minift.models.generation import Generator
from minift.models.inputs import check_length, integers, on_device, padding_mask
from minift.models.outputs import Seen, show_hidden
from minift.models.pretrained import PretrainedModel
from minift.models.renames import Rename
from minift.nn import init
from minift.nn.attention import merge_heads, split_heads
from minift.nn.layers import check_last_axis
from minift.tensor import Tensor


@dataclass
class GPT2Config(ModelConfig):
    """Sizes and rates, under transformers' names and with its defaults (the small GPT-2).

    `n_inner` None means 4 · n_embd. A special token beyond the vocabulary is no token: None.
    """

    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    n_inner: int | None = None
    activation_function: str = "gelu_new"  # GELU by tanh
    resid_pdrop: float = 0.1
    embd_pdrop: float = 0.1
    attn_pdrop: float = 0.1
    layer_norm_epsilon: float = 1e-5
    initializer_range: float = 0.02
    bos_token_id: int | None = 50256
    eos_token_id: int | None = 50256
    pad_token_id: int | None = None  # by which transformers finds the last token of a text

    model_types = ("gpt2",)
    fixed: ClassVar = {
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "reorder_and_upcast_attn": False,
        "add_cross_attention": False,
        "tie_word_embeddings": True,
    }

    def __post_init__(self) -> None:
        """Raises ValueError for settings that make no GPT-2."""
        self.check_sizes("vocab_size", "n_positions", "n_embd", "n_head")
        if self.n_inner is not None:
            self.check_sizes("n_inner")
        self.check_depth("n_layer")
        self.check_rates("resid_pdrop", "embd_pdrop", "attn_pdrop")
        self.check_positive("layer_norm_epsilon", "initializer_range")
        self.check_heads("n_embd", "n_head")
        activations = ("gelu_new", "gelu")
        self.check_choice("activation_function", self.activation_function, activations)
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            if getattr(self, name) not in range(self.vocab_size):
                setattr(self, name, None)
        super().__post_init__()

    # what other families call these, as transformers' attribute_map has it

    @property
    def max_position_embeddings(self) -> int:
        return self.n_positions

    @property
    def hidden_size(self) -> int:
        return self.n_embd

    @property
    def type_vocab_size(self) -> int:
        """A GPT-2 knows no segments."""
        return 1


# Masks that old files carry although they are constants. Bare files lack "transformer.".
RENAMES = (
    Rename("h.*.attn.bias"),
    Rename("h.*.attn.masked_bias"),
)


# ---------------------------------------------------------------------------------- the decoder


class Conv1D(nn.Module):
    """y = x W + b: a Linear whose weight is stored (in, out), as GPT-2's was from the start.

    transformers calls it Conv1D, a convolution over single positions. The layout is kept, so that
    weights and gradients are theirs entry by entry: a square matrix would load transposed as well,
    and only wrong results would tell.
    """

    def __init__(self, in_features: int, out_features: int):
        self.weight = nn.Parameter(init.normal((in_features, out_features), 0.02))
        self.bias = nn.Parameter(init.zeros((out_features,)))

    def forward(self, x: Tensor) -> Tensor:
        check_last_axis("Conv1D", "in_features", self.weight.shape[0], x)
        return ops.linear(x, self.weight.transpose(), self.bias)


class KeyValueCache:
    """The keys and values of the tokens that were read: what a new token needs of the old ones.

    One pair of (B, H, capacity, D) buffers a layer. `length` tokens are in; a model that has read
    on moves it. For generation only: nothing learns through it.
    """

    def __init__(self, capacity: int):
        self.capacity = capacity
        self.length = 0
        self.buffers: list[tuple[Tensor, Tensor]] = []

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store the keys and values of new tokens, (B, H, T, D) -> all so far, (B, H, S+T, D)."""
        if k.requires_grad:
            raise ValueError("a KeyValueCache keeps no graph; use it inside `with no_grad():`")
        B, H, T, D = k.shape
        end = self.length + T
        if end > self.capacity:
            raise ValueError(f"this KeyValueCache has room for {self.capacity} tokens, got {end}")
        if layer == len(self.buffers):
            empty = xp(k.data).empty((B, H, self.capacity, D), k.dtype)
            self.buffers.append((Tensor(empty), Tensor(empty)))
        keys, values = self.buffers[layer]
        keys.data[:, :, self.length : end] = k.data
        values.data[:, :, self.length : end] = v.data
        return keys[:, :, :end], values[:, :, :end]  # views: nothing is copied


class GPT2Attention(nn.Module):
    """Every token asks itself and the tokens before it, in H heads."""

    def __init__(self, config: GPT2Config, layer: int):
        self.heads, self.layer = config.n_head, layer
        self.c_attn = Conv1D(config.n_embd, 3 * config.n_embd)  # queries, keys, values
        self.c_proj = Conv1D(config.n_embd, config.n_embd)
        self.attn_dropout = nn.Dropout(config.attn_pdrop)
        self.resid_dropout = nn.Dropout(config.resid_pdrop)

    def forward(
        self,
        x: Tensor,
        mask: Any = None,
        cache: KeyValueCache | None = None,
        seen: Seen | None = None,
    ) -> Tensor:
        qkv = self.c_attn(x)  # (B, T, 3C)
        if cache is None:
            p = self.attn_dropout.p if self.training else 0.0
            y = attend(qkv, self.heads, mask=mask, causal=True, dropout=p, seen=seen)
        else:
            y = self.attend_to_past(qkv, cache)
        return self.resid_dropout(self.c_proj(y))

    def attend_to_past(self, qkv: Tensor, cache: KeyValueCache) -> Tensor:
        """The new tokens alone ask; the cache and they themselves answer."""
        S, T = cache.length, qkv.shape[1]
        q, k, v = (split_heads(part, self.heads) for part in ops.split(qkv, qkv.shape[-1] // 3, -1))
        k, v = cache.extend(self.layer, k, v)  # (B, H, S+T, D)
        past = None if T == 1 else to_device(np.tri(T, S + T, S, dtype=bool), qkv.device)
        return merge_heads(ops.scaled_dot_product_attention(q, k, v, mask=past))  # (B, T, C)


class GPT2MLP(nn.Module):
    """A network at each position: (B, T, C) -> (B, T, 4C, usually) -> (B, T, C)."""

    def __init__(self, config: GPT2Config):
        inner = config.n_inner or 4 * config.n_embd
        self.c_fc = Conv1D(config.n_embd, inner)
        self.c_proj = Conv1D(inner, config.n_embd)
        self.approximate = "tanh" if config.activation_function == "gelu_new" else "none"
        self.dropout = nn.Dropout(config.resid_pdrop)

    def forward(self, x: Tensor) -> Tensor:
        hidden = ops.gelu(self.c_fc(x), approximate=self.approximate)
        return self.dropout(self.c_proj(hidden))


class GPT2Block(nn.Module):
    """Attention, then the network, each on a normalised copy and added to what came in."""

    def __init__(self, config: GPT2Config, layer: int):
        self.ln_1 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.attn = GPT2Attention(config, layer)
        self.ln_2 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.mlp = GPT2MLP(config)

    def forward(
        self,
        x: Tensor,
        mask: Any = None,
        cache: KeyValueCache | None = None,
        seen: Seen | None = None,
    ) -> Tensor:
        x = x + self.attn(self.ln_1(x), mask, cache, seen)
        return x + self.mlp(self.ln_2(x))


class GPT2Pretrained(PretrainedModel):
    """What the models below share: their configuration, names and starting weights."""

    config_class = GPT2Config
    prefix = "transformer"
    renames = RENAMES
    config: GPT2Config

    def initial_std(self, name: str) -> float:
        """What is added to the residual stream starts smaller, by √(2 n_layer): the root of the
        number of such sums (Radford et al. 2019, section 2.3)."""
        shrink = math.sqrt(2 * self.config.n_layer) if "c_proj" in name else 1.0
        return self.config.initializer_range / shrink


class GPT2Model(GPT2Pretrained):
    """The bare decoder: token ids (B, T) -> hidden states (B, T, C)."""

    def __init__(self, config: GPT2Config):
        super().__init__(config)
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.n_positions, config.n_embd)
        self.drop = nn.Dropout(config.embd_pdrop)
        self.h = [GPT2Block(config, layer) for layer in range(config.n_layer)]
        self.ln_f = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.draw_weights()

    def forward(
        self,
        input_ids: Any,
        attention_mask: Any = None,
        cache: KeyValueCache | None = None,
        seen: Seen | None = None,
    ) -> Tensor:
        """`attention_mask` (B, T) is 1 for real tokens, padding on the right; None: all are real.

        With a `cache`, the ids go on where it ends, and it takes them in. Raises ValueError for
        ids that are not (B, T) or lead beyond n_positions, and for a mask or a look inside
        together with a cache.
        """
        if cache is not None and (attention_mask is not None or seen is not None):
            raise ValueError("a cache goes with no attention_mask and shows nothing inside")
        device, start = self.wte.weight.device, 0 if cache is None else cache.length
        ids = integers("input_ids", input_ids)
        check_length(ids, self.config.n_positions - start)
        mask = on_device(padding_mask(attention_mask, ids.shape), device)
        place = self.wpe.weight[start : start + ids.shape[1]]  # (T, C)
        x = self.drop(self.wte(to_device(ids, device)) + place)  # (B, T, C)
        for block in self.h:
            show_hidden(seen, x)
            x = block(x, mask, cache, seen)
        if cache is not None:
            cache.length += ids.shape[1]
        x = self.ln_f(x)
        show_hidden(seen, x)
        return x


class GPT2LMHeadModel(GPT2Pretrained, Generator):
    """Guess the next token: token ids (B, T) -> scores (B, T, V); row t is about token t + 1."""

    head = "language-model head"

    def __init__(self, config: GPT2Config):
        super().__init__(config)
        self.transformer = GPT2Model(config)
        self.lm_head = {"weight": self.transformer.wte.weight}  # tied (Press & Wolf 2017)
        self.draw_weights()

    def forward(
        self,
        input_ids: Any,
        attention_mask: Any = None,
        cache: KeyValueCache | None = None,
        seen: Seen | None = None,
    ) -> Tensor:
        """Arguments as in GPT2Model."""
        hidden = self.transformer(input_ids, attention_mask, cache, seen=seen)
        return ops.linear(hidden, self.lm_head["weight"])

    def next_scores(self, ids: np.ndarray, cache: KeyValueCache | None) -> Tensor:
        """Scores of the token that follows, (B, T) -> (B, V): the last row alone is computed."""
        hidden = self.transformer(ids, cache=cache)
        return ops.linear(hidden[:, -1], self.lm_head["weight"])

    def new_cache(self, capacity: int) -> KeyValueCache:
        return KeyValueCache(capacity)
