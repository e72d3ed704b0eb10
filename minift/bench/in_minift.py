"""The workloads in minift, as one writes them with it.

Read `in_torch.py` beside it, which writes the same in the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import minift as mf
from minift import functional as F
from minift import nn
from minift.bench import workloads as w
from minift.bench.workloads import InParts, Step
from minift.finetune import Head
from minift.models.bert import mean_over_tokens
from minift.train import backward_in_parts


def config(sizes: dict[str, int], dropout: float) -> mf.models.BertConfig:
    return mf.models.BertConfig(
        vocab_size=sizes["words"],
        hidden_size=sizes["width"],
        num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["heads"],
        intermediate_size=sizes["wide"],
        max_position_embeddings=sizes["length"],
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )


class Residual(nn.Module):
    """ReLU(x + two convolutions with batch norm)."""

    def __init__(self, channels: int):
        conv = lambda: nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.body = nn.Sequential(
            conv(), nn.BatchNorm2d(channels), nn.ReLU(), conv(), nn.BatchNorm2d(channels)
        )

    def forward(self, x: mf.Tensor) -> mf.Tensor:
        return F.relu(x + self.body(x))


def training(model: nn.Module, loss_of: Callable[[], mf.Tensor], decay: bool = False) -> Step:
    """One step of Adam, or AdamW with `decay`, over what is not frozen."""
    moved = [p for p in model.parameters() if p.requires_grad]
    optimizer = (mf.optim.AdamW if decay else mf.optim.Adam)(moved, lr=1e-4)
    model.train()

    def step() -> float:
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def training_in_parts(
    model: nn.Module,
    loss_of: Callable[[slice], tuple[mf.Tensor, dict[str, float]]],
    rows: int,
    count: int,
    decay: bool = False,
) -> Step:
    """The same where each thread takes some rows of the batch, as `TrainConfig(split_batch=True)`
    does: `loss_of` gives their mean loss and how many of the `count` examples it is of."""
    optimizer = (mf.optim.AdamW if decay else mf.optim.Adam)(model.parameters(), lr=1e-4)
    model.train()

    def step() -> float:
        optimizer.zero_grad()
        logs = backward_in_parts(loss_of, rows, count)
        optimizer.step()
        return sum(log["loss"].item() * log["count"] for log in logs) / count

    return step


def mlp() -> Step:
    mf.set_num_threads(mf.get_num_threads(), blas_alone=True)  # for steps of a millisecond
    rows, y = w.rows_of_pixels()
    x, relu = mf.Tensor(rows), nn.ReLU()
    model = nn.Sequential(nn.Linear(784, 256), relu, nn.Linear(256, 256), relu, nn.Linear(256, 10))
    return training(model, lambda: F.cross_entropy(model(x), y))


def masked_words(dropout: float = 0.0) -> Step:
    ids, positions, words = w.masked_text()
    model = mf.models.BertForMaskedLM(config(w.SMALL, dropout))

    def loss_of(rows: slice) -> tuple[mf.Tensor, dict[str, float]]:
        first, last = rows.start * ids.shape[1], rows.stop * ids.shape[1]
        own = slice(*np.searchsorted(positions, (first, last)))
        scores = model(ids[rows], positions=positions[own] - first)
        return F.cross_entropy(scores, words[own]), {"count": own.stop - own.start}

    return training_in_parts(model, loss_of, len(ids), len(words))


def classification(dropout: float = 0.0, frozen: bool = False) -> Step:
    ids, classes = w.labelled_text()
    model = mf.models.BertForSequenceClassification(config(w.MINILM, dropout))
    if frozen:
        model.freeze("bert.*")
        loss_of = lambda rows: (F.cross_entropy(model(ids[rows]), classes[rows]), rows_in(rows))
        return training_in_parts(model, loss_of, len(ids), len(ids), decay=True)
    return training(model, lambda: F.cross_entropy(model(ids), classes), decay=True)


def rows_in(part: slice) -> dict[str, float]:
    return {"count": part.stop - part.start}


def cached_features() -> Step:
    """What is left of the frozen step when the body's features are kept."""
    x, classes = w.features()
    head = Head(mf.models.BertForSequenceClassification(config(w.MINILM, 0.0)))
    return training(head, lambda: F.cross_entropy(head(x), classes), decay=True)


def autoencoder() -> Step:
    x = mf.Tensor(w.images()[0])
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(32, 3, 3, padding=1),
    )  # fmt: skip
    return training(model, lambda: F.mse_loss(model(x), x))


def resnet() -> Step:
    x, y = w.images()
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), Residual(32),
        nn.Conv2d(32, 64, 3, stride=2, padding=1), Residual(64),
        nn.AvgPool2d(16), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    return training(model, lambda: F.cross_entropy(model(x), y))


def sentence_vectors() -> Step:
    encoder = mf.models.BertModel(config(w.MINILM, 0.0), add_pooling_layer=False).eval()

    @mf.no_grad()
    def read(batches: list[tuple[np.ndarray, np.ndarray]]) -> float:
        for ids, mask in batches:
            vectors = mean_over_tokens(encoder(ids, mask), mask)
        return float(vectors.numpy()[0, 0])

    batches = w.buckets_of_text()
    return InParts([partial(read, batches[i :: w.PARTS]) for i in range(w.PARTS)])


def generation() -> Step:
    model = mf.models.GPT2LMHeadModel(
        mf.models.GPT2Config(
            vocab_size=w.GPT["words"], n_positions=w.GPT["length"], n_embd=w.GPT["width"],
            n_layer=w.GPT["layers"], n_head=w.GPT["heads"], n_inner=w.GPT["wide"],
            activation_function="gelu", bos_token_id=None, eos_token_id=None,
        )
    )  # fmt: skip
    return lambda: model.generate(w.prompt(), 256, temperature=0)


def attention(tokens: int) -> Callable[[], Step]:
    def build() -> Step:
        *inputs, gradient = (mf.Tensor(x, requires_grad=True) for x in w.attention_inputs(tokens))

        def step() -> float:
            y = F.scaled_dot_product_attention(*inputs)
            return float(mf.grad(y, inputs, gradient.detach())[0].numpy()[0, 0, 0, 0])

        return step

    return build


def chain(op: Callable[[Any, Any], Any]) -> Callable[[], Step]:
    def build() -> Step:
        x, weight = mf.zeros(4, 4, requires_grad=True), mf.Tensor(np.eye(4, dtype=np.float32))

        def step() -> None:
            y = x
            for _ in range(100):
                y = op(y, weight)
            y.backward(weight)

        return step

    return build


BUILDERS: dict[str, Callable[[], Step]] = {
    "W1": mlp,
    "W2": masked_words,
    "W2-dropout": partial(masked_words, dropout=0.1),
    "W3": classification,
    "W3-dropout": partial(classification, dropout=0.1),
    "W3-frozen": partial(classification, frozen=True),
    "W3-cached": cached_features,
    "W4-autoencoder": autoencoder,
    "W4-resnet": resnet,
    "W5": sentence_vectors,
    **{f"W6-{T}": attention(T) for T in (256, 512, 1024, 2048, 4096)},
    "W7": generation,
    "W8-scale": chain(lambda x, _: x * 0.9),
    "W8-tanh": chain(lambda x, _: x.tanh()),
    "W8-matmul": chain(lambda x, weight: x @ weight),
}
