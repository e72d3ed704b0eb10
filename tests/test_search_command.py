"""`minift search`: settings compared on validation rows, the best judged once on the test rows."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from finetune_cases import mistake, pretrained, reviews, run, write_table

from minift.cli import finetune, main
from minift.cli.arguments import Parser
from minift.jobs import finetuning, searching
from minift.jobs.searching.running import finetune_command
from minift.search import LeakError, Sealed

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
SPACE = 'lr = { log_uniform = [1e-4, 1e-2] }\nstrategy = ["full", "head"]\nbatch-size = 16\n'


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return pretrained(tmp_path_factory.mktemp("pretrained"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reviews(tmp_path / "t.csv", 80)
    (tmp_path / "space.toml").write_text(SPACE, encoding="utf-8")
    return tmp_path


def words(model, *more, output="out"):
    return ["search", "--space", "space.toml", "--model", str(model), "--data", "t.csv", "--text",
            "text", "--label", "label", "--output", output, "--trials", "3", "--epochs", "2",
            "--device", "cpu", *more]  # fmt: skip


def loaded(file):
    return json.loads(Path(file).read_text(encoding="utf-8"))


def trials_of(folder="out"):
    lines = (Path(folder) / "trials.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[1:]]


def scores_of(folder="out"):
    return {t["number"]: (t["settings"], t["score"]) for t in trials_of(folder)}


def searched(capsys, *arguments):
    code, out, err = run(capsys, *arguments)
    assert (code, err) == (0, "")
    return out


def test_a_search_leaves_its_trials_its_picture_and_the_best_run(capsys, here, model):
    out = searched(capsys, *words(model, "--trials", "4"))
    assert {path.name for path in Path("out").iterdir()} == {
        "run.json", "trials.jsonl", "search.png", "metrics.json", "best",
    }  # fmt: skip
    assert "64 rows to train, 8 to compare the trials; 8 test rows are put aside until" in out
    assert "random search, 4 trials over lr, strategy, batch_size, by accuracy, 1 at a time" in out
    metrics, trials = loaded("out/metrics.json"), trials_of()
    best = max(trials, key=lambda t: (t["score"], -t["number"]))
    assert metrics["best"] == {
        "trial": best["number"], "settings": best["settings"], "epochs": None,
    }  # fmt: skip
    assert metrics["validation"] == best["score"]
    final = loaded("out/best/metrics.json")
    assert metrics["test"] == final["test"]
    assert final["validation"]["accuracy"] == best["score"]  # the trial's rows and the run's agree
    assert all(t["settings"]["batch_size"] == 16 for t in trials)
    assert Path("out/search.png").read_bytes().startswith(b"\x89PNG")
    assert run(capsys, "predict", "--model", "out/best", "--text", "a great film")[0] == 0


def test_the_commands_of_the_search_and_of_its_best_run_repeat_them(capsys, here, model):
    searched(capsys, *words(model))
    first, weights = scores_of(), Path("out/best/model/model.safetensors").read_bytes()
    command = loaded("out/run.json")["command"]
    assert main([*command[1:], "--overwrite"]) == 0
    assert scores_of() == first
    best = loaded("out/best/run.json")["command"]
    assert best[:2] == ["minift", "finetune"]
    assert main([*best[1:], "--overwrite"]) == 0
    assert Path("out/best/model/model.safetensors").read_bytes() == weights


def test_the_command_of_the_best_run_has_the_words_of_the_command_line(model):
    options = finetuning.Options(
        data="t.csv", text="text", label="label", model=model, output=Path("o"), focal=True,
        balanced=True, recompute=True, freeze=["a*", "b*"], lr=1e-3,
    )  # fmt: skip
    said = finetune_command(options)
    assert said[:2] == ["minift", "finetune"]
    pairs = [f"{a} {b}" for a, b in pairwise(said)]
    wanted = {"--loss focal", "--class-weight balanced", "--freeze a*", "--freeze b*", "--lr 0.001"}
    assert wanted <= set(pairs)
    assert "--recompute" in said
    parser = Parser()
    finetune.add(parser.add_subparsers())
    parsed = parser.parse_args(said[1:])
    assert finetune.told(parsed, finetuning.Options)["freeze"] == ["a*", "b*"]
    assert "--freeze" not in finetune_command(replace(options, freeze=[]))


def test_processes_find_what_one_process_finds(capsys, here, model):
    searched(capsys, *words(model))
    searched(capsys, *words(model, "--jobs", "2", output="two"))
    assert scores_of("two") == scores_of("out")


def test_halving_grows_the_epochs_and_a_grid_takes_all(capsys, here, model):
    searched(capsys, *words(model, "--method", "halving", "--trials", "3", "--epochs", "3"))
    assert [t["budget"] for t in trials_of()] == [1, 1, 1, 3]
    assert loaded("out/metrics.json")["best"]["epochs"] == 3
    assert loaded("out/best/run.json")["options"]["epochs"] == 3
    Path("space.toml").write_text('lr = [1e-3, 1e-2]\nstrategy = ["head"]', encoding="utf-8")
    out = searched(capsys, *words(model, "--method", "grid", "--metric", "auc", output="grid"))
    assert "grid search, 2 trials over lr, strategy, by auc" in out
    assert sorted(t["settings"]["lr"] for t in trials_of("grid")) == [1e-3, 1e-2]
    assert loaded("grid/metrics.json")["metric"] == "auc"


def test_errors_are_recorded_and_smaller_errors_win(capsys, here, model):
    rows = [(f"{'good ' * (i % 5)}film", float(i % 5)) for i in range(60)]
    write_table("t.csv", *((f"{text} {i}", y) for i, (text, y) in enumerate(rows)))
    Path("space.toml").write_text(
        'lr = [1e-9, 1e-2]\nunfreeze = ["epoch", "stall"]', encoding="utf-8"
    )
    more = ("--task", "regression", "--metric", "mean_absolute_error", "--method", "grid")
    out = searched(capsys, *words(model, *more))
    assert "unfreeze stall: ValueError: --unfreeze says when --strategy gradual thaws a la" in out
    assert "2 of 4 trials failed" in out
    metrics = loaded("out/metrics.json")
    assert metrics["failed"] == 2
    assert metrics["validation"] == min(t["score"] for t in trials_of() if t["score"] is not None)


# -------------------------------------------------------------------------------- the test rows


def test_no_trial_is_given_a_test_row(here, model):
    base = finetuning.Options(data="t.csv", text="text", label="label", model=model,
                              output=Path("out"), epochs=1, device="cpu")  # fmt: skip
    plan = searching.prepare(searching.Options(base, {"lr": [1e-3]}))
    whole = plan.base.examples
    test = {whole.texts[i] for i in plan.base.parts.test}
    given = plan.objective.options.data
    assert len(test) == 8
    assert not test & set(given["text"])
    assert len(given) == 72
    for part, rows in (
        ("train", plan.base.parts.train),
        ("validation", plan.base.parts.validation),
    ):
        mine = getattr(plan.objective.divisions[0], part)
        assert [given["text"][i] for i in mine] == [whole.texts[i] for i in rows]
    scored = plan.objective.divisions[0].test
    assert scored.tolist() == plan.objective.divisions[0].validation.tolist()


def test_an_objective_that_opens_the_test_part_ends_the_search(here, model, monkeypatch):
    base = finetuning.Options(data="t.csv", text="text", label="label", model=model,
                              output=Path("out"), epochs=1, device="cpu")  # fmt: skip
    test = Sealed(["a film"], [1])
    monkeypatch.setattr(finetuning, "train", lambda plan: test.open())
    with pytest.raises(LeakError, match="was opened inside a search"):
        searching.run(searching.prepare(searching.Options(base, {"lr": [1e-3]})))


# ------------------------------------------------------------------------------------- going on


def test_a_killed_search_goes_on_with_what_is_missing(capsys, here, model):
    searched(capsys, *words(model, output="whole"))
    command = [sys.executable, "-m", "minift", *words(model)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    file, deadline = Path("out/trials.jsonl"), time.monotonic() + 120
    with subprocess.Popen(command, env=ENVIRONMENT, **quiet) as child:
        while not file.exists() and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        child.kill()
    done = len(trials_of())
    assert 1 <= done < 3
    out = searched(capsys, "search", "--resume", "out")
    assert out.count("\ntrial ") == 3 - done + 1  # and the head of the table
    assert scores_of("out") == scores_of("whole")
    assert loaded("out/metrics.json")["test"] == loaded("whole/metrics.json")["test"]
    assert searched(capsys, "search", "--resume", "out") == (
        "out holds a finished run: its numbers are in metrics.json\n"
    )


def test_a_search_that_ends_in_its_last_run_goes_on_there(capsys, here, model, monkeypatch):
    searched(capsys, *words(model, output="whole"))

    def fail(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(finetuning, "judge", fail)
        code, _, err = run(capsys, *words(model))
    holds = ", ".join(sorted(path.name for path in Path("out").iterdir()))
    go_on = "go on with: minift search --resume out"
    assert (code, err) == (130, f"\nminift: interrupted; out holds: {holds}; {go_on}\n")
    out = searched(capsys, "search", "--resume", "out")
    assert "goes on after step " in out
    assert loaded("out/metrics.json")["test"] == loaded("whole/metrics.json")["test"]


# ----------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("space", "sentence"),
    [
        ("lr = [", "space.toml is not TOML: "),
        ("", "space.toml names no setting; a line of it is lr = [1e-5, 1e-4]"),
        ("learning_rate = [1]", "space.toml: 'learning_rate' is no setting to search over; known "),
        ("epoch = [1]", "space.toml: 'epoch' is no setting to search over; did you mean 'epochs'?"),
        ("seed = [1]", "space.toml: 'seed' is no setting to search over; "),
        ("lr = { log = [1, 2] }", "space.toml: a range of lr is written { log_uniform = [low, hig"),
        ("lr = { uniform = [2, 1] }", "space.toml: lr: uniform: needs two finite numbers, the low"),
        ("lr = { uniform = ['a', 1] }", "space.toml: lr: "),
        ("lr = ['fast']", "space.toml: lr must be of type float, got 'fast'"),
        ("lr = [0.0]", "space.toml: lr must be above 0, got 0.0"),
        ("epochs = { uniform = [1, 3] }", "space.toml: epochs must be of type int, got 1.0"),
        ("freeze = ['*bias']", "space.toml: 'freeze' is no setting to search over; known are "),
        ("clip = [-1.0]", "space.toml: clip must not be negative, got -1.0"),
        ("epochs = true", "space.toml: epochs must be of type int, got True"),
        ("balanced = [1]", "space.toml: balanced must be of type bool, got 1"),
        ("strategy = ['all']", "space.toml: strategy must be one of full, head, gradual, "),
        ("lr = []", "choice: give at least one value"),
    ],
)
def test_a_space_that_is_none_is_one_sentence(capsys, here, model, space, sentence):
    Path("space.toml").write_text(space, encoding="utf-8")
    assert mistake(capsys, *words(model)).removeprefix("search: ").startswith(sentence)
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--space", "no.toml"], "there is no file no.toml"),
        (["--test-split", "0"], "a search scores its trials on the validation part and the best "),
        (["--metric", "loss"], "--metric must be one of accuracy, macro_f1, auc, "),
        (["--data", "no.csv"], "there is no file no.csv"),
    ],
)
def test_other_mistakes_are_one_sentence(capsys, here, model, more, sentence):
    assert mistake(capsys, *words(model, *more)).removeprefix("search: ").startswith(sentence)


def test_halving_needs_its_epochs_and_sets_them_itself(capsys, here, model):
    halving = words(model, "--method", "halving")
    Path("space.toml").write_text("epochs = [1, 2]", encoding="utf-8")
    assert "sets the epochs itself; leave them out" in mistake(capsys, *halving)
    place = halving.index("--epochs")
    said = mistake(capsys, *halving[:place], *halving[place + 2 :])
    assert said == "search: --method halving needs --epochs N, with which its last trials train"


def test_if_every_trial_fails_the_first_reason_is_told(capsys, here, model):
    Path("space.toml").write_text("unfreeze = ['stall']\nlr = {uniform = [1, 2]}", encoding="utf-8")
    code, _, err = run(capsys, *words(model))
    assert code == 1
    assert "all 3 trials failed; the first: ValueError: --unfreeze says when" in err
    assert np.all([trial["score"] is None for trial in trials_of()])


def test_a_folder_of_a_fine_tuning_is_no_search(capsys, here, model):
    searched(capsys, *words(model))
    assert mistake(capsys, "search", "--resume", "out/best") == (
        "search: out/best holds a run of minift finetune, not of minift search"
    )
    assert mistake(capsys, *words(model)).startswith("search: out already holds a run (run.json")
