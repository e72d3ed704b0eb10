"""A small run in a process of its own, to be killed; `python interrupted.py` starts such processes.

A run starts, or goes on if there is a checkpoint, and at its end writes the SHA-256 of its weights
and of its history to the file "digest". It has all that a run can forget: dropout, shuffled data,
masks drawn by a generator of their own, gradual unfreezing, a schedule, the best evaluation, an
average of the weights.

Most of the time of a small run goes by until Python has imported everything. So the runs are forks
of a process that has: a kill costs a fraction of a second (`nursery`).
"""

import hashlib
import json
import multiprocessing
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
from minift.train import AverageWeights, Checkpoint, JsonLog, TrainConfig, Trainer, adamw


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
        callbacks=[*strategy.callbacks, Checkpoint(folder, every), log, AverageWeights(0.9)],
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
                # Windows ends it at once by any signal
                os.kill(os.getpid(), getattr(signal, "SIGKILL", 15))
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


def main(folder, point=0):
    """Start, or go on.

    With `point` = n it is killed (-9) at the n-th call that touches the disk while a checkpoint is
    written. Otherwise it does not wait for the disk: kill -9 takes nothing from the system's cache.
    """
    trainer = build(folder)
    if checkpoint.checkpoints_in(Path(folder) / "checkpoints"):
        trainer.resume(folder)
    if point:
        die_at(point)
    else:
        os.fsync = lambda descriptor: None
    trainer.fit()
    (Path(folder) / "digest").write_text(digest(trainer), encoding="utf-8")


def nursery():
    """A run for each line [FOLDER, SECONDS, POINT] of the input; its exit code goes to the output.

    It is killed (-9) after so many seconds if it still lives; null: never.
    """
    forks = "fork" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if forks else "spawn")
    for line in sys.stdin:
        folder, seconds, point = json.loads(line)
        run = context.Process(target=main, args=(folder, point))
        run.start()
        run.join(seconds)
        run.kill()
        run.join()
        print(run.exitcode, flush=True)


if __name__ == "__main__":
    nursery()
