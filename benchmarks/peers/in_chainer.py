"""The workloads in Chainer 7, the first framework that recorded as it ran (Tokui et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers import old_numpy

old_numpy.restore()

import chainer
import chainer.functions as F
import chainer.links as L

from minift.bench import workloads as w
from minift.bench.workloads import Step

chainer.global_config.type_check = False  # its own advice for speed


def gelu(x: Any) -> Any:
    return 0.5 * x * (1 + F.erf(x * 0.5**0.5))


class Mlp(chainer.ChainList):
    def __init__(self) -> None:
        super().__init__(L.Linear(784, 256), L.Linear(256, 256), L.Linear(256, 10))

    def forward(self, x: Any) -> Any:
        first, second, last = self
        return last(F.relu(second(F.relu(first(x)))))


class Layer(chainer.Chain):
    """A transformer layer, norms after the residuals as in BERT."""

    def __init__(self, width: int, heads: int, wide: int):
        super().__init__()
        with self.init_scope():
            self.qkv, self.mix = L.Linear(width, 3 * width), L.Linear(width, width)
            self.up, self.down = L.Linear(width, wide), L.Linear(wide, width)
            self.norm1, self.norm2 = L.LayerNormalization(width), L.LayerNormalization(width)
        self.heads = heads

    def forward(self, x: Any, B: int, T: int) -> Any:
        N, C = x.shape  # N = B T: Chainer's Linear takes rows
        H, D = self.heads, C // self.heads
        qkv = F.transpose(F.reshape(self.qkv(x), (B, T, 3, H, D)), (2, 0, 3, 1, 4))
        q, k, v = (F.reshape(part, (B * H, T, D)) for part in F.separate(qkv))
        p = F.softmax(F.matmul(q, k, transb=True) * D**-0.5, axis=2)
        y = F.reshape(F.matmul(p, v), (B, H, T, D))
        y = F.reshape(F.transpose(y, (0, 2, 1, 3)), (N, C))
        x = self.norm1(x + self.mix(y))
        return self.norm2(x + self.down(gelu(self.up(x))))


class MaskedWords(chainer.Chain):
    """Scores of all words at the masked positions; the output matrix is the embedding."""

    def __init__(self, sizes: dict[str, int]):
        super().__init__()
        C, H = sizes["width"], sizes["heads"]
        normal = chainer.initializers.Normal(0.02)
        with self.init_scope():
            self.words = L.EmbedID(sizes["words"], C, initialW=normal)
            self.places = L.EmbedID(sizes["length"], C, initialW=normal)
            self.norm, self.dense, self.head_norm = (
                L.LayerNormalization(C), L.Linear(C, C), L.LayerNormalization(C)
            )  # fmt: skip
            self.layers = chainer.ChainList(
                *(Layer(C, H, sizes["wide"]) for _ in range(sizes["layers"]))
            )
            self.bias = L.Bias(shape=(sizes["words"],))

    def forward(self, ids: np.ndarray, positions: np.ndarray) -> Any:
        B, T = ids.shape
        x = self.words(ids)  # (B, T, C)
        x = x + F.broadcast_to(self.places.W[None, :T], x.shape)
        x = self.norm(F.reshape(x, (B * T, -1)))
        for layer in self.layers:
            x = layer(x, B, T)
        hidden = self.head_norm(gelu(self.dense(F.get_item(x, positions))))
        return self.bias(F.matmul(hidden, self.words.W, transb=True))


def training(model: Any, scores_of: Step, y: np.ndarray) -> Step:
    optimizer = chainer.optimizers.Adam(alpha=1e-4).setup(model)
    classes = y.astype(np.int32)

    def step() -> float:
        loss = F.softmax_cross_entropy(scores_of(), classes)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        return float(loss.array)

    return step


def mlp() -> Step:
    x, y = w.rows_of_pixels()
    model = Mlp()
    return training(model, lambda: model(x), y)


def masked_words() -> Step:
    ids, positions, words = w.masked_text()
    model = MaskedWords(w.SMALL)
    return training(model, lambda: model(ids.astype(np.int32), positions), words)


def chain(op: Callable[[Any, Any], Any]) -> Callable[[], Step]:
    def build() -> Step:
        x = chainer.Variable(np.zeros((4, 4), np.float32))
        weight = np.eye(4, dtype=np.float32)

        def step() -> None:
            y = x
            for _ in range(100):
                y = op(y, weight)
            x.cleargrad()
            y.grad = weight
            y.backward()

        return step

    return build


BUILDERS = {
    "W1": mlp,
    "W2": masked_words,
    "W8-scale": chain(lambda x, _: x * 0.9),
    "W8-tanh": chain(lambda x, _: F.tanh(x)),
    "W8-matmul": chain(lambda x, weight: F.matmul(x, weight)),
}
