"""A run that was killed and resumed is the uninterrupted run, bit for bit.

The threads whose bugs are tested here: nanoGPT #467, transformers #11323 and #17032, Lightning
#17543 (resumed is not uninterrupted), Lightning #21901 (frozen again after a resume).
"""

import json
import os
import random as dice
import subprocess
import sys
import time
from pathlib import Path

import interrupted
import numpy as np
import pytest

from minift import checkpoint, nn
from minift.backend import random
from minift.data import ArrayDataset, DataLoader
from minift.optim import schedules
from minift.tensor import Tensor
from minift.train import Callback, Checkpoint, TrainConfig, Trainer

pytestmark = pytest.mark.usefixtures("power_stays_on")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
KILLS = int(os.environ.get("MINIFT_KILLS", "50"))


class Nursery:
    """Runs in processes of their own; see `interrupted.nursery`."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, interrupted.__file__],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT,
        )  # fmt: skip

    def killed(self, folder, seconds, point=0):
        """Start or go on, and kill -9 after so many seconds. Whether it was killed in time."""
        print(json.dumps([str(folder), seconds, point]), file=self.process.stdin, flush=True)
        code = int(self.process.stdout.readline())
        assert code != 1, "the run broke off by itself; its traceback stands above"
        return code != 0

    def finished(self, folder):
        """Start or go on, to the end: the digest of weights and history."""
        assert not self.killed(folder, seconds=None)
        return (folder / "digest").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def nursery():
    made = Nursery()
    with made.process:
        yield made
        made.process.stdin.close()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, nursery):
    """(digest, seconds, log) of the run that nobody disturbs."""
    folder = tmp_path_factory.mktemp("whole")
    digest = interrupted.digest(fitted(interrupted.build(folder)))
    started = time.perf_counter()
    assert nursery.finished(folder / "again") == digest  # in another process, too
    seconds = time.perf_counter() - started
    return digest, seconds, (folder / "train.jsonl").read_text()


def fitted(trainer):
    trainer.fit()
    return trainer


# ------------------------------------------------------------------------------------------ kill -9


def test_a_run_that_is_killed_at_random_moments_ends_with_the_same_weights(
    tmp_path, nursery, uninterrupted
):
    """Up to three kills a run: of its start, of going on, of steps, of writing a checkpoint."""
    expected, seconds, log = uninterrupted
    rng, kills, runs = dice.Random(1), 0, 0
    while kills < KILLS:
        folder = tmp_path / f"run-{runs}"
        for _ in range(3):
            killed = nursery.killed(folder, rng.uniform(0, seconds))
            kills += killed
            if not killed or kills == KILLS:
                break
        assert nursery.finished(folder) == expected, f"run {runs} after {kills} kills"
        assert (folder / "train.jsonl").read_text() == log
        runs += 1


@pytest.mark.parametrize("point", [1, 2, 4, 6, 9, 14, 27, 51, 90])
def test_a_run_that_is_killed_while_it_writes_a_checkpoint_loses_nothing_else(
    tmp_path, nursery, uninterrupted, point
):
    assert nursery.killed(tmp_path, None, point)
    left = tmp_path / "checkpoints"
    assert all(checkpoint.load(path) for path in checkpoint.checkpoints_in(left).values())
    assert nursery.finished(tmp_path) == uninterrupted[0]
    assert not list(left.glob(".part-*"))


# ---------------------------------------------------------------- at every step, in one process


class CrashError(Exception):
    """What ends a run in these tests."""


class CrashAt(Callback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, trainer):
        if trainer.step == self.step:
            raise CrashError


def crashed(folder, step, **settings):
    trainer = interrupted.build(folder, **settings)
    trainer.callbacks.append(CrashAt(step))
    with pytest.raises(CrashError):
        trainer.fit()


def resumed(folder, **settings):
    trainer = interrupted.build(folder, **settings)
    trainer.callbacks.append(CrashAt(None))
    return trainer.resume(folder)


def test_a_run_that_ends_at_any_step_goes_on_bit_for_bit_across_every_unfreezing(
    tmp_path, uninterrupted
):
    """Every second epoch, of 8 steps, unfreezes a layer: at steps 17 and 33."""
    for step in (1, 8, 16, 17, 32, 33, 47):
        folder = tmp_path / str(step)
        crashed(folder, step, every=1)
        trainer = resumed(folder, every=1)
        assert trainer.step == step - 1
        assert interrupted.digest(fitted(trainer)) == uninterrupted[0]
        assert (folder / "train.jsonl").read_text() == uninterrupted[2]


@pytest.mark.parametrize(
    "settings",
    [{"accumulate": 3}, {"schedule": schedules.one_cycle, "warmup": 0.3}, {"max_grad_norm": None}],
)
def test_with_other_settings_a_resumed_run_is_the_uninterrupted_one_too(tmp_path, settings):
    """Three batches a step: an epoch of 8 has steps of 3, 3 and 2."""
    whole = interrupted.digest(fitted(interrupted.build(tmp_path / "whole", **settings)))
    for step in (2, 8, 17):
        crashed(tmp_path / str(step), step, **settings)
        trainer = resumed(tmp_path / str(step), **settings)
        assert interrupted.digest(fitted(trainer)) == whole


def test_validation_batches_that_are_shuffled_come_in_the_order_of_the_uninterrupted_run(tmp_path):
    """The order changes the last digit of a mean over batches."""

    def build(folder, step=None):
        trainer = interrupted.build(folder, every=1)
        x = np.random.default_rng(3).normal(size=(23, 6)).astype(np.float32)
        held = ArrayDataset(x=x, labels=(x[:, 0] > 0).astype(np.int64))
        trainer.validation = DataLoader(held, batch_size=2, shuffle=True, seed=1)
        trainer.callbacks.append(CrashAt(step))
        return trainer

    whole = interrupted.digest(fitted(build(tmp_path / "whole")))
    with pytest.raises(CrashError):
        build(tmp_path / "run", step=22).fit()
    assert interrupted.digest(fitted(build(tmp_path / "run").resume(tmp_path / "run"))) == whole


def test_on_every_device_a_resumed_run_is_the_uninterrupted_one(tmp_path, device):
    whole = interrupted.digest(fitted(interrupted.build(tmp_path / "whole", device)))
    for step in (2, 17):
        crashed(tmp_path / str(step), step, device=device)
        trainer = resumed(tmp_path / str(step), device=device)
        assert trainer.model.head.weight.device == device.replace("strict", "cuda")
        assert interrupted.digest(fitted(trainer)) == whole


def test_a_finished_run_says_so_by_its_steps_and_trains_no_more(tmp_path, uninterrupted):
    fitted(interrupted.build(tmp_path))
    again = interrupted.build(tmp_path).resume(tmp_path)
    assert again.step == again.total_steps == 48
    assert interrupted.digest(fitted(again)) == uninterrupted[0]


def test_after_a_resume_the_frozen_rests_and_the_unfrozen_moves_in_one_step(tmp_path):
    crashed(tmp_path, 18, every=17)
    trainer = resumed(tmp_path, every=17)
    before = trainer.model.state_dict()
    rested = [n for n, p in trainer.model.named_parameters() if not p.requires_grad]
    assert rested == ["layer.0.weight", "layer.0.bias", "layer.1.weight", "layer.1.bias"]
    trainer.model.train()
    trainer.train_step(next(iter(trainer.loader)))
    moved = {n for n, w in trainer.model.state_dict().items() if (w != before[n]).any()}
    assert moved == {"layer.2.weight", "layer.2.bias", "head.weight", "head.bias"}


# --------------------------------------------------------------------------- what is kept, and when


def steps_in(folder):
    return list(checkpoint.checkpoints_in(folder / "checkpoints"))


def small(folder, scores=(), steps=10, callbacks=(), **settings):
    """Ten steps whose validation loss is what `scores` says."""
    random.manual_seed(0)
    left = iter(scores)

    def objective(model, batch):
        loss = model(Tensor(batch["x"])).mean()
        return loss, {"loss": loss.item() if model.training else next(left), "count": 4}

    data = ArrayDataset(x=np.ones((4, 2), np.float32))
    config = TrainConfig(steps=steps, batch_size=4, evaluate_every=1, device="cpu", lr=1e-3)
    return Trainer(
        nn.Linear(2, 1), data, data if scores else None, objective=objective, config=config,
        callbacks=[Checkpoint(folder, **{"every": 1, **settings}), *callbacks],
    )  # fmt: skip


def test_the_last_checkpoints_stay_and_the_best_one(tmp_path):
    small(tmp_path, [9, 5, 3, 6, 7, 3, 8, 8, 8, 8], keep=2).fit()
    assert steps_in(tmp_path) == [3, 9, 10]  # of equals the first


def test_the_best_is_saved_even_between_two_intervals_and_without_validation_there_is_none(
    tmp_path,
):
    small(tmp_path / "a", [9, 5, 3, 6, 7, 3, 8, 8, 8, 8], keep=1, every=4).fit()
    assert steps_in(tmp_path / "a") == [3, 10]
    small(tmp_path / "b", keep=1, every=4).fit()
    assert steps_in(tmp_path / "b") == [10]


def test_nan_never_counts_as_the_best_not_even_at_first(tmp_path):
    nan = float("nan")
    higher = {"metric": "validation_loss", "higher_is_better": True}
    small(tmp_path / "a", [nan, nan, 4, nan, 9, nan, nan, 8, 8, 8], keep=1).fit()
    assert steps_in(tmp_path / "a") == [3, 10]
    small(tmp_path / "b", [nan, 4, nan, 9, nan, nan, 9, 8, 8, 8], keep=1, **higher).fit()
    assert steps_in(tmp_path / "b") == [4, 10]


def test_a_full_disk_ends_training_with_a_sentence_and_the_run_goes_on_later(
    tmp_path, monkeypatch, uninterrupted
):
    trainer = interrupted.build(tmp_path)
    trainer.callbacks.append(CrashAt(None))

    def full(descriptor):
        if trainer.step >= 20:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint.os, "fsync", full)
        with pytest.raises(
            OSError, match=r"of step 20 could not be written .* step-18 is still th"
        ):
            trainer.fit()
    assert interrupted.digest(fitted(resumed(tmp_path))) == uninterrupted[0]


def test_a_damaged_checkpoint_costs_a_few_steps_and_is_replaced(tmp_path, uninterrupted):
    crashed(tmp_path, 23)
    newest = tmp_path / "checkpoints" / "step-21" / "arrays.safetensors"
    newest.write_bytes(newest.read_bytes()[:-9])
    with pytest.warns(UserWarning, match="step-21 is skipped, because .*arrays.safetensors is dam"):
        trainer = resumed(tmp_path)
    assert trainer.step == 20
    assert interrupted.digest(fitted(trainer)) == uninterrupted[0]


def test_a_damaged_later_checkpoint_does_not_push_out_a_good_one(tmp_path):
    small(tmp_path, callbacks=[CrashAt(None)], steps=10).fit()
    (tmp_path / "checkpoints" / "step-10" / "SHA256SUMS").unlink()
    trainer = small(tmp_path, callbacks=[CrashAt(10)], keep=1)
    with pytest.warns(UserWarning, match="step-10 is skipped"):
        trainer.resume(tmp_path)
    with pytest.raises(CrashError):
        trainer.fit()
    assert steps_in(tmp_path) == [9]


# ----------------------------------------------------------------------------------------- mistakes


def test_weights_that_are_no_longer_finite_do_not_replace_the_last_good_checkpoint(tmp_path):
    class Spoil(Callback):
        def on_step_end(self, trainer):
            if trainer.step == 4:
                trainer.model.weight.data[0, 0] = np.inf

    with pytest.raises(FloatingPointError, match="step 4: weight is no longer finite, so that no "):
        small(tmp_path, callbacks=[Spoil()]).fit()
    assert steps_in(tmp_path) == [2, 3]


def test_a_new_run_in_the_folder_of_an_old_one_is_refused(tmp_path):
    small(tmp_path).fit()
    with pytest.raises(
        ValueError, match=r"holds step-10 of an earlier run; go on with it by train"
    ):
        small(tmp_path).fit()
    assert steps_in(tmp_path) == [9, 10]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 7}, "because epochs was 6 and is 7; make the Trainer as it was, or start"),
        ({"seed": 1}, "because seed was 0 and is 1"),
        ({"accumulate": 2}, "because accumulate was 1 and is 2"),
        ({"schedule": schedules.cosine}, "because schedule was linear and is cosine"),
    ],
)
def test_a_run_goes_on_only_as_it_was(tmp_path, change, message):
    crashed(tmp_path, 5)
    other = interrupted.build(tmp_path, **change)
    before = other.model.state_dict()
    with pytest.raises(ValueError, match=message):
        other.resume(tmp_path)
    for name, weight in other.model.state_dict().items():
        np.testing.assert_array_equal(weight, before[name])


def test_other_data_other_rates_and_other_callbacks_are_refused(tmp_path):
    crashed(tmp_path, 5)
    with pytest.raises(ValueError, match="the saved run had 5 callbacks, this Trainer has 4; give"):
        interrupted.build(tmp_path).resume(tmp_path)
    trainer = interrupted.build(tmp_path)
    trainer.callbacks.append(CrashAt(None))
    trainer.loader.sampler.seed = 6
    with pytest.raises(ValueError, match="because the data, their batch size or their seed differ"):
        trainer.resume(tmp_path)
    trainer.loader.sampler.seed = 5
    trainer.peak_rates[0] = 1.0
    with pytest.raises(ValueError, match=r"because lr was \[0.02, .* and is \[1.0, "):
        trainer.resume(tmp_path)


def test_without_a_checkpoint_there_is_nothing_to_resume(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"checkpoints holds no checkpoint to go on from"):
        interrupted.build(tmp_path).resume(tmp_path)


def test_by_the_clock_only_the_last_checkpoint_is_sure_to_be_there(tmp_path, monkeypatch):
    from minift.train import checkpoints

    clock = iter(range(0, 10_000, 50))  # seconds; it is read once a step and once a checkpoint
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: next(clock))
    saved = []
    monkeypatch.setattr(checkpoints.checkpoint, "save", lambda _, step, state: saved.append(step))
    small(tmp_path, [9, 5, 3, 6, 7, 3, 8, 8, 8, 8], every=None, minutes=2, metric=None).fit()
    assert saved == [3, 6, 9, 10]


@pytest.mark.parametrize("settings", [{}, {"every": 1, "minutes": 1}, {"minutes": -1}])
def test_steps_or_minutes_are_asked_for(tmp_path, settings):
    with pytest.raises(ValueError, match=r"Checkpoint: give every \(steps\) or minutes \(0 or"):
        Checkpoint(tmp_path, **settings)


@pytest.mark.parametrize("settings", [{"every": 0}, {"every": 1, "keep": 0}])
def test_intervals_and_numbers_below_1_are_refused(tmp_path, settings):
    with pytest.raises(ValueError, match="Checkpoint: every and keep must be 1 or more, got every"):
        Checkpoint(tmp_path, **settings)


def test_points_of_a_resumed_epoch_are_not_called_twice(tmp_path):
    calls = []

    class Watch(Callback):
        def on_epoch_start(self, trainer):
            calls.append(("start", trainer.epoch))

        def on_epoch_end(self, trainer):
            calls.append(("end", trainer.epoch))

    def build():
        trainer = interrupted.build(tmp_path, every=1, epochs=3)
        trainer.callbacks += [Watch(), crash]
        return trainer

    crash = CrashAt(12)
    with pytest.raises(CrashError):
        build().fit()
    crash.step = None
    build().resume(tmp_path).fit()
    assert calls == [("start", 0), ("end", 1), ("start", 1), ("end", 2), ("start", 2), ("end", 3)]
