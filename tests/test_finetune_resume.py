"""`minift finetune --resume DIR`: a killed run ends as the uninterrupted one, bit for bit."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from finetune_cases import finetune, mistake, pretrained, reviews, run, sentences, write_table

from minift.checkpoint import checkpoints_in
from minift.cli import main
from minift.jobs import finetuning
from minift.train import Trainer
from minift.train.records import read_records

pytestmark = pytest.mark.usefixtures("power_stays_on")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
MINIFT = [sys.executable, "-m", "minift"]
ALWAYS = ("--checkpoint-minutes", "0")  # a checkpoint after every step
FULL_DISK = OSError(28, "No space left on device")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """With dropout, so that the generators have something to forget."""
    return pretrained(tmp_path_factory.mktemp("pretrained"), hidden_dropout_prob=0.1)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reviews(tmp_path / "t.csv", 60)
    return tmp_path


def words(model, output="out", *more):
    """A run of at most 8 epochs of 2 steps each."""
    return ["finetune", "--model", model, "--data", "t.csv", "--text", "text", "--label", "label",
            "--output", output, "--lr", "1e-2", "--epochs", "8", "--device", "cpu", *ALWAYS,
            *more]  # fmt: skip


def outcome(folder):
    """All that a run leaves and that does not depend on the clock."""
    folder = Path(folder)
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    del metrics["seconds"]
    weights = (folder / "model" / "model.safetensors").read_bytes()
    texts = [(folder / name).read_bytes() for name in ("train.jsonl", "worst_mistakes.csv")]
    return metrics, weights, texts


def steps_of(folder):
    return sum("loss" in record for record in read_records(Path(folder) / "train.jsonl"))


def killed(arguments, lines, cwd, after=0.0):
    """Start, and kill -9 once the log of "out" has so many lines. Whether it was still running."""
    command = [*MINIFT, *map(str, arguments)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    log, deadline = cwd / "out" / "train.jsonl", time.monotonic() + 120
    with subprocess.Popen(command, cwd=cwd, env=ENVIRONMENT, **quiet) as child:
        while child.poll() is None and time.monotonic() < deadline:
            if lines == 0 or (log.exists() and log.read_bytes().count(b"\n") >= lines):
                break
            time.sleep(0.001)
        time.sleep(after)
        hit = child.poll() is None
        child.kill()
    return hit


def resumed(capsys, folder="out"):
    """What a successful --resume says."""
    code, out, err = run(capsys, "finetune", "--resume", folder)
    assert (code, err) == (0, "")
    return out


# ------------------------------------------------------------------------------------------ kill -9


@pytest.mark.parametrize("strategy", ["full", "gradual", "head"])
def test_a_run_that_is_killed_again_and_again_ends_as_the_uninterrupted_one(
    capsys, here, model, strategy
):
    """Gradual unfreezing thaws a layer every second epoch: the kills stand on both sides of it."""
    assert run(capsys, *words(model, "whole", "--strategy", strategy))[0] == 0
    arguments, hits = words(model, "out", "--strategy", strategy), 0
    for lines in (2, 7, 11):
        hits += killed(arguments, lines, here)
        arguments = ["finetune", "--resume", "out"]
    assert hits == 3
    assert "goes on after step " in resumed(capsys)
    assert outcome("out") == outcome("whole")
    record = json.loads(Path("out/run.json").read_text(encoding="utf-8"))
    assert len(record["resumed"]) == 3
    assert list(checkpoints_in(Path("out/checkpoints"))) == [steps_of("out")]


def test_a_run_that_is_killed_before_its_first_checkpoint_starts_anew(capsys, here, model):
    rare = ("--checkpoint-minutes", "60")
    assert run(capsys, *words(model, "whole", *rare))[0] == 0
    assert killed(words(model, "out", *rare), 3, here)
    assert "no checkpoint was saved yet: starts at its beginning" in resumed(capsys)
    assert outcome("out") == outcome("whole")


# ---------------------------------------------------------------- at chosen moments, in one process


def broken_off(monkeypatch, capsys, where, name, arguments, error=KeyboardInterrupt):
    """Run until `where.name` is called, which raises."""

    def fail(*_, **__):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(where, name, fail)
        code, _, err = run(capsys, *arguments)
    assert "Traceback" not in err
    return code, err


@pytest.mark.parametrize("name", ["train", "judge"])
def test_before_training_and_before_judging_a_run_may_end_too(
    capsys, here, model, monkeypatch, name
):
    assert run(capsys, *words(model, "whole"))[0] == 0
    code, err = broken_off(monkeypatch, capsys, finetuning, name, words(model))
    assert code == 130
    assert err.rstrip().endswith("go on with: minift finetune --resume out")
    said, steps = resumed(capsys), steps_of("whole")
    assert (f"goes on after step {steps} of {steps}\n" in said) == (name == "judge")
    assert outcome("out") == outcome("whole")


def test_a_full_disk_costs_nothing_but_the_wait(capsys, here, model, monkeypatch):
    assert run(capsys, *words(model, "whole"))[0] == 0
    from minift.jobs.classifiers import Classifier

    code, err = broken_off(monkeypatch, capsys, Classifier, "save", words(model), FULL_DISK)
    assert code == 1
    assert "No space left on device" in err
    resumed(capsys)
    assert outcome("out") == outcome("whole")


def test_after_early_stopping_a_resumed_run_trains_no_more(capsys, here, model, monkeypatch):
    """No epoch is better than the first at this rate: patience ends training after three more."""
    slow = ("--lr", "1e-12", "--epochs", "50")
    assert run(capsys, *words(model, "whole", *slow))[0] == 0
    broken_off(monkeypatch, capsys, finetuning, "judge", words(model, "out", *slow))
    steps = steps_of("out")
    assert steps < 100
    assert f"goes on after step {steps} of {steps}" in resumed(capsys)
    assert outcome("out") == outcome("whole")


def test_the_patience_that_was_used_up_is_not_given_back(capsys, here, model):
    slow = ("--lr", "1e-12", "--epochs", "50")
    assert run(capsys, *words(model, "whole", *slow))[0] == 0
    assert killed(words(model, "out", *slow), 6, here)
    resumed(capsys)
    assert outcome("out") == outcome("whole")


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_other_tasks_go_on_too(capsys, here, model, task):
    rows = [(text, 3.0 + y if task == "regression" else "a;b" if y else "a")
            for text, y in sentences(60)]  # fmt: skip
    write_table("t.csv", *rows)
    assert run(capsys, *words(model, "whole", "--task", task))[0] == 0
    assert killed(words(model, "out", "--task", task), 5, here)
    resumed(capsys)
    assert outcome("out") == outcome("whole")


def test_a_damaged_checkpoint_is_skipped_with_a_sentence(capsys, here, model, monkeypatch):
    assert run(capsys, *words(model, "whole"))[0] == 0
    broken_off(monkeypatch, capsys, finetuning, "judge", words(model))
    ((step, saved),) = checkpoints_in(Path("out/checkpoints")).items()
    arrays = saved / "arrays.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:-3])
    said = resumed(capsys)
    assert f"step-{step} is skipped, because {arrays} is damaged: its SHA-256 is not that" in said
    assert "no whole checkpoint is there: starts at its beginning" in said
    assert outcome("out") == outcome("whole")


# ------------------------------------------------------------------- what there is to go on with


def test_a_finished_run_says_so_and_stays_as_it_is(capsys, here, model):
    finetune(capsys, model, "t.csv", "out")
    before = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}
    assert resumed(capsys) == "out holds a finished run: its numbers are in metrics.json\n"
    assert before == {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}


def test_the_command_that_is_kept_makes_the_same_run(capsys, here, model):
    assert run(capsys, *words(model))[0] == 0
    first = outcome("out")
    record = json.loads(Path("out/run.json").read_text(encoding="utf-8"))
    assert record["directory"] == str(here)
    shutil.rmtree("out")
    assert shlex.split(shlex.join(record["command"]))[0] == "minift"
    assert main(record["command"][1:]) == 0
    capsys.readouterr()
    assert outcome("out") == first


def test_a_run_goes_on_from_another_working_folder(capsys, here, model, monkeypatch):
    assert run(capsys, *words(model, "whole"))[0] == 0
    assert killed(words(model), 5, here)
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    resumed(capsys, "../out")
    assert outcome("../out") == outcome("../whole")


def test_mistakes_are_sentences(capsys, here, model, monkeypatch):
    def told(*arguments):
        return mistake(capsys, "finetune", "--resume", *arguments).removeprefix("finetune: ")

    assert told("nowhere") == "there is no folder nowhere, so no run to go on with"
    (here / "empty").mkdir()
    no_run = "holds no run to go on with: it has no run.json of minift"
    assert told("empty") == f"empty {no_run}"
    (here / "empty" / "run.json").write_text("[1, 2]", encoding="utf-8")
    assert told("empty") == f"empty {no_run}"
    (here / "empty" / "run.json").write_text('{"minift": "0", "job": "pretrain"}', encoding="utf-8")
    assert told("empty") == "empty holds a run of minift pretrain, not of minift finetune"
    assert told("out", "--epochs", "3") == (
        "--resume goes on with the run as it was begun, so leave out --epochs"
    )
    assert mistake(capsys, "finetune", "--model", model) == (
        "the following arguments are required: --data, --output (see minift finetune --help)"
    )
    given = ("--model", model, "--data", "t.csv", "--output", here / "new")
    assert mistake(capsys, "finetune", *given) == (
        "--text COLUMN is required (see minift finetune --help)"
    )
    broken_off(monkeypatch, capsys, finetuning, "train", words(model))
    changed = "has changed since the run began (its SHA-256 is another), so the run cannot go on"
    reviews("t.csv", 61)
    assert told("out").startswith(f"{here / 't.csv'} {changed}")
    reviews("t.csv", 60)
    other = pretrained(here / "other")
    record = (here / "out" / "run.json").read_text(encoding="utf-8")
    moved = record.replace(json.dumps(str(model)), json.dumps(str(other)))
    (here / "out" / "run.json").write_text(moved, encoding="utf-8")
    assert told("out").startswith(f"{other} {changed}")


def test_a_table_from_standard_input_is_not_there_any_more(capsys, here, model, monkeypatch):
    broken_off(monkeypatch, capsys, finetuning, "train", words(model))
    file = here / "out" / "run.json"
    record = json.loads(file.read_text(encoding="utf-8"))
    for data, source in (("-", "standard input"), (None, "Python")):
        record["options"]["data"] = data
        file.write_text(json.dumps(record), encoding="utf-8")
        assert mistake(capsys, "finetune", "--resume", "out") == (
            f"finetune: the table of out came from {source}, so it is not there to go on with; "
            f"start anew from a file"
        )
    record["options"] = {"data": "t.csv", "dropout": 0.5}
    file.write_text(json.dumps(record), encoding="utf-8")
    assert mistake(capsys, "finetune", "--resume", "out") == (
        "finetune: out was made by minift 0.1.0 with options that this version does not have: "
        "dropout"
    )


def test_a_checkpoint_of_another_run_is_refused(capsys, here, model, monkeypatch):
    broken_off(monkeypatch, capsys, finetuning, "judge", words(model))
    order = Trainer.__init__

    def other(self, *arguments, **settings):
        order(self, *arguments, **settings)
        self.peak_rates[0] *= 2

    monkeypatch.setattr(Trainer, "__init__", other)
    code, _, err = run(capsys, "finetune", "--resume", "out")
    assert code == 1
    assert "the saved run cannot go on in this Trainer, because lr was [" in err
