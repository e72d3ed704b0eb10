"""A small run in a process of its own, to be killed: `python interrupted.py FOLDER [POINT]`.

It starts, or goes on if there is a checkpoint, prints "running" at its first step and the SHA-256
of its weights and of its history at the end. With POINT = n it is killed (-9) at the n-th call that
touches the disk while a checkpoint is written. It has all that a run can forget: dropout, shuffled
data, masks drawn by a generator of their own, gradual unfreezing, a schedule, the best evaluation.
"""

import hashlib
import json
import os
import signal
import sys
from pathlib import Path

import numpy as np

from minift import checkpoint, nn, ops
from minift.backend.random import manual_seed
from minift.data import ArrayDataset, DataLoader
from minift.finetune import gradual_unfreezing
from minift.nn import Module
from minift.tensor import Tensor
from minift.train import Callback, Checkpoint, JsonLog, TrainConfig, Trainer, adamw


class Net(Module):
    """Three layers in a stack, and a head."""

    def __init__(self):
        self.layer = [nn.Linear(6, 6) for _ in range(3)]
        self.dropout, self.head = nn.Dropout(0.3), nn.Linear(6, 2)

    def forward(self, x):
        for layer in self.layer:
            x = self.dropout(ops.tanh(layer(x)))
        return self.head(x)


def objective(model, batch):
    x = Tensor(batch["x"], device=model.head.weight.device)
    loss = ops.cross_entropy(model(x), batch["labels"].tolist())
    return loss, {"loss": loss.item(), "count": len(batch["labels"])}


class Noise:
    """A collate function that draws, as masking does."""

    def __init__(self):
        self.rng = np.random.default_rng(9)

    def __call__(self, batch):
        noise = self.rng.normal(scale=0.1, size=batch["x"].shape).astype(np.float32)
        return {**batch, "x": batch["x"] + noise}

    def state_dict(self):
        return {"rng": self.rng.bit_generator.state}

    def load_state_dict(self, state):
        self.rng.bit_generator.state = state["rng"]


class Average(Callback):
    """A callback whose state is an array."""

    def __init__(self):
        self.mean = np.zeros((2, 6))

    def on_step_end(self, trainer):
        self.mean = 0.9 * self.mean + 0.1 * trainer.model.head.weight.numpy()

    def on_fit_end(self, trainer):
        if trainer.step == trainer.total_steps:
            average = {"head.weight": np.float32(self.mean)}
            trainer.model.load_state_dict(average, strict=False)

    def state_dict(self):
        return {"mean": self.mean}

    def load_state_dict(self, state):
        self.mean = state["mean"]


def build(folder, device="cpu", every=3, epochs=6, **settings):
    """The run: 48 steps in 6 epochs, one layer more unfrozen every second epoch."""
    manual_seed(4)
    rng = np.random.default_rng(2)
    x = rng.normal(size=(64, 6)).astype(np.float32)
    data = ArrayDataset(x=x, labels=(x[:, 0] * x[:, 1] > 0).astype(np.int64))
    model = Net()
    strategy = gradual_unfreezing(model, lr=0.02, decay=0.8, epochs_per_layer=2)
    loader = DataLoader(data, batch_size=8, shuffle=True, seed=5, collate_fn=Noise())
    log = JsonLog(Path(folder) / "train.jsonl")
    return Trainer(
        model, loader, ArrayDataset(x=x[:20], labels=np.arange(20) % 2),
        objective=objective, optimizer=adamw(strategy.param_groups, 0.02, 0.01),
        config=TrainConfig(epochs=epochs, device=device, evaluate_every=5, **settings),
        callbacks=[*strategy.callbacks, Checkpoint(folder, every), log, Average()],
    )  # fmt: skip


def digest(trainer):
    """SHA-256 of all final weights and of the history, bit for bit."""
    found = hashlib.sha256(json.dumps(vars(trainer.history)).encode())
    for name, value in trainer.model.state_dict().items():
        found.update(name.encode() + value.tobytes())
    return found.hexdigest()


def die_at(point):
    """Kill this process at the n-th call by which a checkpoint touches the disk."""
    calls = iter(range(1, point + 1))

    def counted(original):
        def call(*arguments, **settings):
            if next(calls, point) == point:
                os.kill(
                    os.getpid(), getattr(signal, "SIGKILL", 15)
                )  # Windows ends it at once by any
            return original(*arguments, **settings)

        return call

    checkpoint.os.fsync = counted(os.fsync)
    checkpoint.Path.rename = counted(Path.rename)
    checkpoint.Path.mkdir = counted(Path.mkdir)
    checkpoint.shutil.rmtree = counted(checkpoint.shutil.rmtree)
    checkpoint.safetensors = counted_pieces(checkpoint.safetensors, counted(lambda x: x))


def counted_pieces(original, call):
    def pieces(arrays):
        return (call(piece) for piece in original(arrays))

    return pieces


class Say(Callback):
    """Tells who waits with a kill that the run goes."""

    _said = False

    def on_step_end(self, trainer):
        if not self._said:
            print("running", flush=True)
        self._said = True


def main(folder, point=0):
    trainer = build(folder)
    trainer.callbacks.append(Say())
    if checkpoint.checkpoints_in(Path(folder) / "checkpoints"):
        trainer.resume(folder)
    if point:
        die_at(point)
    trainer.fit()
    print(digest(trainer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
