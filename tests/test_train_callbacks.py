"""Callbacks: known points only, in list order; progress in words or as a bar; a whole log."""

import io
import json

import numpy as np
import pytest

from minift import nn, ops
from minift.data import ArrayDataset
from minift.tensor import Tensor
from minift.train import Callback, JsonLog, Progress, TrainConfig, Trainer, choose_device
from minift.train.progress import duration, size_of
from minift.train.records import append_record, read_records


def squared_error(model, batch):
    loss = ops.mse_loss(model(Tensor(batch["x"])), Tensor(batch["y"]))
    return loss, {"loss": loss.item(), "count": len(batch["x"])}


def trainer(*callbacks, **config):
    x = np.arange(12, dtype=np.float32).reshape(6, 2) / 10
    data = ArrayDataset(x=x, y=x[:, :1] * 2)
    settings = TrainConfig(**{"epochs": 2, "batch_size": 3, "device": "cpu", **config})
    return Trainer(nn.Linear(2, 1), data, objective=squared_error, config=settings,
                   callbacks=callbacks)  # fmt: skip


class Recorder(Callback):
    def __init__(self, name, calls):
        self.name, self.calls = name, calls

    def on_fit_start(self, trainer):
        self.calls.append((self.name, "fit start", trainer.step))

    def on_epoch_start(self, trainer):
        self.calls.append((self.name, "epoch start", trainer.epoch))

    def on_step_end(self, trainer):
        self.calls.append((self.name, "step", trainer.step))

    def on_epoch_end(self, trainer):
        self.calls.append((self.name, "epoch end", trainer.epoch))

    def on_fit_end(self, trainer):
        self.calls.append((self.name, "fit end", trainer.step))


# ------------------------------------------------------------------------------------- points


def test_a_misspelt_point_raises_and_names_the_close_one():
    with pytest.raises(TypeError, match=r"Mine\.on_step_ends .*did you mean on_step_end\?"):
        type("Mine", (Callback,), {"on_step_ends": lambda self, trainer: None})


def test_a_public_method_of_another_name_lists_the_points():
    with pytest.raises(TypeError, match=r"Mine\.greet .*the points are on_fit_start, .*start with"):
        type("Mine", (Callback,), {"greet": lambda self: None})


def test_private_methods_and_attributes_are_free():
    mine = type("Mine", (Callback,), {"_greet": lambda self: "hello", "limit": 3})
    assert mine()._greet() == "hello"


def test_callbacks_are_called_in_list_order_at_each_point():
    calls = []
    trainer(Recorder("a", calls), Recorder("b", calls), steps=3, epochs=None).fit()
    assert [call[1:] for call in calls if call[0] == "a"] == [
        ("fit start", 0),
        ("epoch start", 0),
        ("step", 1),
        ("step", 2),
        ("epoch end", 1),
        ("epoch start", 1),
        ("step", 3),
        ("epoch end", 1),
        ("fit end", 3),
    ]
    assert [name for name, *_ in calls] == ["a", "b"] * 9


def test_an_interrupt_passes_at_once_and_ends_the_callbacks():
    calls = []

    class Interrupt(Callback):
        def on_step_end(self, trainer):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer(Recorder("a", calls), Interrupt()).fit()
    assert calls[-2:] == [("a", "step", 1), ("a", "fit end", 1)]


# ----------------------------------------------------------------------------------- progress


def test_progress_in_a_pipe_is_plain_lines(capsys):
    trainer(Progress("toy", seconds=0)).fit()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("toy: step 1 of 4, loss ")
    assert lines[0].endswith(" left")
    assert " examples/s, " in lines[3]


def test_progress_in_a_pipe_waits_between_lines_but_says_the_last(capsys):
    trainer(Progress("toy", seconds=1000)).fit()
    assert capsys.readouterr().out.count("step 4 of 4") == 1
    trainer(Progress("toy", seconds=1000, keep=False)).fit()
    assert capsys.readouterr().out == ""


def test_progress_on_a_terminal_is_one_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdout", terminal := Terminal())
    trainer(Progress("toy")).fit()
    said = terminal.getvalue()
    assert "step 4 of 4, loss " in said
    assert " examples/s, " in said
    assert said.count("\n") == 1  # the bar is redrawn on one line


def test_size_of_counts_real_tokens_or_examples():
    assert size_of({"attention_mask": np.array([[1, 1, 0], [1, 0, 0]])}) == (3, "tokens")
    assert size_of({"x": np.zeros((5, 2))}) == (5, "examples")
    assert size_of((np.zeros((4, 2)), np.zeros(4))) == (4, "examples")


@pytest.mark.parametrize(
    ("seconds", "words"), [(7.6, "8 s"), (125, "2 min 05 s"), (4320, "1 h 12 min")]
)
def test_duration_in_words(seconds, words):
    assert duration(seconds) == words


# ---------------------------------------------------------------------------------------- log


def test_log_has_a_line_per_step_as_soon_as_it_is_done(tmp_path):
    file = tmp_path / "deep" / "train.jsonl"
    seen = []

    class Reader(Callback):
        def on_step_end(self, trainer):
            seen.append(len(read_records(file)))

    trainer(JsonLog(file, run="toy"), Reader()).fit()
    assert seen == [1, 2, 3, 4]
    first = json.loads(file.read_text().splitlines()[0])
    assert first["run"] == "toy"
    assert first["step"] == 1
    assert set(first) == {"run", "step", "loss", "count", "grad_norm", "lr_factor"}


def test_log_every_few_steps_holds_the_last_step_too(tmp_path):
    file = tmp_path / "train.jsonl"
    trainer(JsonLog(file, every=3)).fit()
    assert [record["step"] for record in read_records(file)] == [3, 4]
    with pytest.raises(ValueError, match="every must be 1 or more steps, got 0"):
        JsonLog(file, every=0)


def test_config_output_logs_there(tmp_path):
    trainer(output=tmp_path).fit()
    assert len(read_records(tmp_path / "train.jsonl")) == 4


def test_a_broken_line_is_named(tmp_path):
    append_record(tmp_path / "log", {"a": 1})
    with (tmp_path / "log").open("a") as stream:
        stream.write('{"a":')
    with pytest.raises(ValueError, match="log, line 2 is not JSON"):
        read_records(tmp_path / "log")


def test_a_record_that_is_no_number_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        append_record(tmp_path / "log", {"loss": float("nan")})
    assert not (tmp_path / "log").exists()


# ------------------------------------------------------------------------------------- device


def test_cuda_is_refused_with_the_reason_and_auto_is_silent(monkeypatch):
    monkeypatch.setattr("minift.backend.cuda.why_not", lambda: "there is no GPU")
    assert choose_device("auto") == "cpu"
    assert choose_device("cpu") == "cpu"
    with pytest.raises(RuntimeError, match='"cuda" cannot be used: there is no GPU'):
        choose_device("cuda")
    with pytest.raises(ValueError, match="one of auto, cpu, cuda, got 'tpu'"):
        choose_device("tpu")


def test_auto_takes_the_gpu_that_works(monkeypatch):
    monkeypatch.setattr("minift.backend.cuda.why_not", lambda: None)
    assert choose_device("auto") == "cuda"
