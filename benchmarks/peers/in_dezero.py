"""The workloads in DeZero, the framework of "Deep Learning from Scratch 3" (Saitoh 2020)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers import old_numpy

old_numpy.restore()

import dezero.functions as F
from dezero import Variable, optimizers
from dezero.models import MLP

from minift.bench import workloads as w
from minift.bench.workloads import Step


def mlp() -> Step:
    x, y = w.rows_of_pixels()
    model = MLP((256, 256, 10), activation=F.relu)
    optimizer = optimizers.Adam(alpha=1e-4).setup(model)

    def step() -> float:
        loss = F.softmax_cross_entropy(model(x), y)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        return float(loss.data)

    return step


def chain(op: Callable[[Any, Any], Any]) -> Callable[[], Step]:
    def build() -> Step:
        x, weight = Variable(np.zeros((4, 4), np.float32)), Variable(np.eye(4, dtype=np.float32))

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
    "W8-scale": chain(lambda x, _: x * np.float32(0.9)),
    "W8-tanh": chain(lambda x, _: F.tanh(x)),
    "W8-matmul": chain(lambda x, weight: F.matmul(x, weight)),
}
