"""The command line: every mistake is one sentence and exit code 2, Ctrl-C is 130."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from minift import hub
from minift.cli import main
from minift.data import WordPieceTokenizer
from minift.models import BertConfig, BertForMaskedLM, BertForSequenceClassification
from minift.quickstart import job

TEXT = "a small cat"
COMMANDS = (
    "quickstart", "pretrain", "finetune", "search", "evaluate", "predict", "embed", "generate",
    "fetch", "learn", "doctor", "bench", "profile", "gpu-check",
)  # fmt: skip


def run(capsys, *arguments):
    """(exit code, standard output, standard error)."""
    code = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def mistake(capsys, *arguments):
    """The one line of a mistake."""
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("minift: ")
    assert err.count("\n") == 1
    return err.removeprefix("minift: ").rstrip("\n")


@pytest.fixture(scope="module")
def tokenizer():
    return WordPieceTokenizer.train(["a small cat", "a big dog", "bread and soup"] * 2, 60)


@pytest.fixture
def model_folder(tmp_path, tokenizer):
    config = BertConfig(
        vocab_size=tokenizer.vocab_size, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=16, num_labels=2,
        id2label={0: "animal", 1: "food"}, classifier_pooling="mean",
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(tmp_path / "model", tokenizer)
    return tmp_path / "model"


# ---------------------------------------------------------------------------------------- help


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_is_readable(capsys, command):
    code, out, err = run(capsys, *command, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: {' '.join(['minift', *command])}")
    assert max(map(len, out.splitlines())) <= 100


def test_help_names_the_commands_and_version_the_version(capsys):
    from minift import __version__

    assert all(name in run(capsys, "--help")[1] for name in COMMANDS)
    assert run(capsys, "--version") == (0, f"minift {__version__}\n", "")


def test_quickstart_help_says_what_happens_to_its_folder(capsys):
    words = " ".join(run(capsys, "quickstart", "--help")[1].split())
    assert "an earlier quickstart there is replaced, a folder that holds anything else" in words


def test_help_needs_neither_matplotlib_nor_safetensors_and_the_module_runs():
    code = (
        "import sys, minift.cli; minift.cli.main(['--help']); "
        "heavy = {'matplotlib', 'safetensors', 'tqdm'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    said = subprocess.run([sys.executable, "-m", "minift", "--version"], capture_output=True)
    assert (said.returncode, said.stdout[:7]) == (0, b"minift ")


# ------------------------------------------------------------------------------ words misspelt


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["quikstart"], "unknown command 'quikstart'; did you mean 'quickstart'?"),
        (["dance"], "unknown command 'dance' (see minift --help)"),
        (["--quick"], "unknown option '--quick' (see minift --help)"),
        (["quickstart", "--stpes", "5"], "unknown option '--stpes'; did you mean '--steps'?"),
        (["quickstart", "--step=5"], "unknown option '--step=5'; did you mean '--steps'?"),
        (["quickstart", "now"], "unknown argument 'now' (see minift quickstart --help)"),
        (["predict", "--model", "m"],
         "one of the arguments --text --data is required (see minift predict --help)"),
    ],
)  # fmt: skip
def test_a_misspelt_word_is_named_with_the_one_that_was_meant(capsys, arguments, sentence):
    assert mistake(capsys, *arguments) == sentence


def test_no_word_at_all_gets_the_list_of_commands(capsys):
    assert mistake(capsys) == f"name a command: {', '.join(COMMANDS)} (see minift --help)"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--steps", "0"], "--steps: must be 1 or more, got 0"),
        (["--steps", "-3"], "--steps: must not be negative, got -3"),
        (["--steps", "many"], "--steps: must be a whole number, got 'many'"),
        (["--seeds", "0"], "--seeds: must be 1 or more, got 0"),
        (["--seed", "-1"], "--seed: must not be negative, got -1"),
        (["--labels-per-class", "8", "-2"], "--labels-per-class: must not be negative, got -2"),
        (["--labels-per-class", "0"], "--labels-per-class: must be 1 or more, got 0"),
        (["--labels-per-class"], "--labels-per-class: expected at least one argument"),
        (["--output", ""], "--output: must name a folder, got ''"),
        (["--device", "tpu"],
         "--device: invalid choice: 'tpu' (choose from 'auto', 'cpu', 'cuda')"),
    ],
)  # fmt: skip
def test_a_number_that_makes_no_run_is_refused(capsys, arguments, sentence):
    said = mistake(capsys, "quickstart", *arguments)
    said = said.replace("from auto, cpu, cuda)", "from 'auto', 'cpu', 'cuda')")  # Python 3.12+
    assert said == f"{sentence} (see minift quickstart --help)"


@pytest.mark.parametrize(
    "words",
    ["quickstart --output {0}", "predict --model {0} --text cat"],
    ids=lambda w: w.split()[0],
)
def test_a_command_on_a_gpu_that_cannot_be_used_says_why(capsys, tmp_path, monkeypatch, words):
    monkeypatch.setattr("minift.backend.cuda.why_not", lambda: "there is no GPU")
    command = words.format(tmp_path / "run").split()
    said = mistake(capsys, *command, "--device", "cuda")
    assert said == f'{command[0]}: device "cuda" cannot be used: there is no GPU'


# ---------------------------------------------------------------------------------- quickstart


def test_quickstart_refuses_before_any_work(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(job, "run", lambda *_: pytest.fail("the work began"))
    (tmp_path / "file").write_text("")
    said = mistake(capsys, "quickstart", "--output", tmp_path / "file" / "run")
    assert said == f"quickstart: {tmp_path}/file is a file, so it cannot hold the results"
    said = mistake(capsys, "quickstart", "--output", tmp_path)
    assert f"quickstart: {tmp_path} holds file, which no quickstart wrote" in said
    fine = tmp_path / "run"
    said = mistake(capsys, "quickstart", "--labels-per-class", "99999", "--output", fine)
    assert said.startswith("quickstart: labels per class: asked for 99999, but class '")


def test_quickstart_passes_on_what_was_asked(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(job, "prepare", lambda options: (None, "cpu"))
    monkeypatch.setattr(job, "run", lambda options, *_: asked.append(options))
    output = str(tmp_path / "run")
    words = "quickstart --steps 7 --seeds 2 --seed 4 --labels-per-class 9 3 9 --device cpu"
    assert main([*words.split(), "--output", output]) == 0
    assert main(["quickstart", "--quick", "--output", output]) == 0
    first, quick = asked
    assert (first.recipe.steps, first.seeds, first.seed) == (7, 2, 4)
    assert (first.labels_per_class, first.output) == ((3, 9), Path(output))
    assert (quick.seeds, quick.labels_per_class) == (1, (8,))
    assert quick.recipe.hidden_size < first.recipe.hidden_size


def test_a_full_disk_is_a_failure_that_says_what_is_there(capsys, tmp_path, monkeypatch):
    def fill(options, *_):
        (options.output / "train.jsonl").write_text("")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(job, "load_glosses", lambda: None)
    monkeypatch.setattr(job, "draw_labelled", lambda *_: None)
    monkeypatch.setattr(job, "run", fill)
    code, _, err = run(capsys, "quickstart", "--output", tmp_path)
    assert code == 1
    assert err.strip() == (
        f"minift: quickstart: [Errno 28] No space left on device; {tmp_path} holds: train.jsonl"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break in another way there")
def test_a_reader_that_leaves_gets_no_traceback():
    command = [sys.executable, "-m", "minift", "--help"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdout.close()
    with child.stderr as stream:
        assert stream.read() == b""
    child.wait()


ENDLESS_QUICKSTART = """
import sys
from minift.cli import main
from minift.data import WordPieceTokenizer
from minift.quickstart import job

def train_in_no_time(recipe, glosses):
    return WordPieceTokenizer.train(glosses.unlabelled[:1000], 400)

job.train_tokenizer = train_in_no_time
words = "quickstart --quick --steps 100000 --device cpu --output".split()
sys.exit(main([*words, sys.argv[1]]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are not Ctrl-C there")
def test_ctrl_c_ends_at_once_keeps_whole_files_and_says_where(tmp_path):
    folder = tmp_path / "run"
    child = subprocess.Popen(
        [sys.executable, "-c", ENDLESS_QUICKSTART, str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    log = folder / "train.jsonl"
    deadline = time.monotonic() + 120
    while not (log.exists() and log.stat().st_size > 200):
        assert child.poll() is None, child.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    interrupted = time.monotonic()
    _, err = child.communicate(timeout=30)
    assert time.monotonic() - interrupted < 5
    assert child.returncode == 130
    assert err.strip() == f"minift: interrupted; {folder} holds: train.jsonl"
    assert all(json.loads(line)["run"] == "pre-training" for line in log.read_text().splitlines())


# ------------------------------------------------------------------------------------- predict


def test_predict_prints_one_line_of_json(capsys, model_folder):
    code, out, err = run(capsys, "predict", "--model", model_folder, "--text", TEXT)
    assert (code, err, out.count("\n")) == (0, "", 1)
    said = json.loads(out)
    assert list(said) == ["label", "probabilities"]
    ranked = list(said["probabilities"])
    assert ranked[0] == said["label"]
    assert set(ranked) == {"animal", "food"}
    assert sum(said["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_predict_answers_the_same_on_every_device(capsys, model_folder, device):
    words = ["predict", "--model", model_folder, "--text", TEXT]
    on = lambda place: json.loads(run(capsys, *words, "--device", place)[1])
    here, there = on("cpu"), on(device)
    assert there["label"] == here["label"]
    assert there["probabilities"] == pytest.approx(here["probabilities"], abs=2e-4)


def test_predict_takes_a_runs_folder_too(capsys, model_folder):
    inner = run(capsys, "predict", "--model", model_folder, "--text", TEXT)
    assert run(capsys, "predict", "--model", model_folder.parent, "--text", TEXT) == inner


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.txt"])
def test_a_model_folder_that_lacks_a_file_is_refused(capsys, model_folder, name):
    (model_folder / name).unlink()
    if name == "vocab.txt":
        (model_folder / "tokenizer.json").unlink()  # either of the two will do
    said = mistake(capsys, "predict", "--model", model_folder, "--text", TEXT)
    assert name in said
    assert said.startswith("predict: ")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.txt"])
@pytest.mark.parametrize("keep", [0.0, 0.5])
def test_a_truncated_file_is_refused(capsys, model_folder, name, keep):
    content = (model_folder / name).read_bytes()
    (model_folder / name).write_bytes(content[: int(keep * len(content))])
    said = mistake(capsys, "predict", "--model", model_folder, "--text", TEXT)
    assert name.split(".")[0] in said or "vocabulary" in said


def test_garbage_is_refused(capsys, model_folder):
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        content = (model_folder / name).read_bytes()
        (model_folder / name).write_bytes(b"\xff\xfe\x00garbage" * 50)
        assert mistake(capsys, "predict", "--model", model_folder, "--text", TEXT)
        (model_folder / name).write_bytes(content)


def test_a_weight_of_another_shape_is_refused(capsys, model_folder):
    file = model_folder / "model.safetensors"
    arrays = hub.read_arrays(file)
    hub.write_arrays(file, {**arrays, "classifier.weight": np.zeros((3, 8), np.float32)})
    said = mistake(capsys, "predict", "--model", model_folder, "--text", TEXT)
    assert "do not fit BertForSequenceClassification: mismatched: classifier.weight" in said


def test_a_long_list_of_what_is_wrong_is_cut(capsys, model_folder):
    hub.write_arrays(model_folder / "model.safetensors", {"bert.a": np.zeros(1, np.float32)})
    said = mistake(capsys, "predict", "--model", model_folder, "--text", TEXT)
    assert re.search(r"missing: bert\.embeddings.* … and \d+ more$", said)


def test_a_model_that_does_not_classify_is_refused(capsys, tmp_path, tokenizer):
    config = BertConfig(
        vocab_size=tokenizer.vocab_size, hidden_size=8, num_hidden_layers=1, num_attention_heads=2
    )
    BertForMaskedLM(config).save_pretrained(tmp_path, tokenizer)
    said = mistake(capsys, "predict", "--model", tmp_path, "--text", TEXT)
    assert said == f"predict: {tmp_path} holds a BertForMaskedLM, which does not classify"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "predict: the text is empty"),
        (" \t\n", "predict: the text is empty"),
        ("貓 犬", "predict: no part of the text '貓 犬' is in the model's vocabulary"),
    ],
)
def test_a_text_that_says_nothing_is_refused(capsys, model_folder, text, sentence):
    assert mistake(capsys, "predict", "--model", model_folder, "--text", text) == sentence


def test_a_folder_that_is_not_there_is_refused(capsys, tmp_path):
    said = mistake(capsys, "predict", "--model", tmp_path / "nowhere", "--text", TEXT)
    assert f"{tmp_path}/nowhere" in said
