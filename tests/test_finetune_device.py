"""Fine-tuning a table on every device: each task and strategy, and answers as on the CPU."""

import json

import pytest
from finetune_cases import mistake, pretrained, reviews, run, sentences, write_table


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return pretrained(tmp_path_factory.mktemp("pretrained"))


LABELS = {
    "classification": lambda good: "good" if good else "bad",
    "multilabel": lambda good: "good;film" if good else "film|dull",
    "regression": lambda good: 200 + 50 * good,
}


@pytest.mark.parametrize(
    ("task", "strategy"),
    [("classification", "full"), ("classification", "head"), ("multilabel", "gradual"),
     ("regression", "full"), ("regression", "head")],
)  # fmt: skip
def test_a_run_on_a_device_answers_as_on_the_cpu(capsys, tmp_path, model, device, task, strategy):
    rows = [(text, LABELS[task](good)) for text, good in sentences(40)]
    data = write_table(tmp_path / "t.csv", *rows)
    code, _, err = run(
        capsys, "finetune", "--model", model, "--data", data, "--text", "text", "--label", "label",
        "--task", task, "--strategy", strategy, "--output", tmp_path / "out", "--epochs", "2",
        "--lr", "3e-3", "--device", device,
    )  # fmt: skip
    assert (code, err) == (0, "")
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert record["machine"]["device"] == device
    said = {}
    for where in ("cpu", device):
        words = ("predict", "--model", tmp_path / "out", "--data", data, "--device", where)
        said[where] = [json.loads(line) for line in run(capsys, *words)[1].splitlines()]
    assert len(said["cpu"]) == 40
    for here, there in zip(said["cpu"], said[device]):
        if task == "regression":
            assert there["label"] == pytest.approx(here["label"], rel=1e-4)
        else:
            assert there["probabilities"] == pytest.approx(here["probabilities"], abs=3e-4)


def test_a_gpu_that_is_not_there_is_a_mistake(capsys, tmp_path, model, monkeypatch):
    from minift.backend import cuda

    monkeypatch.setattr(cuda, "why_not", lambda: "no GPU here")
    monkeypatch.setattr(cuda, "module", lambda: (_ for _ in ()).throw(RuntimeError("no GPU here")))
    data = reviews(tmp_path / "t.csv", 40)
    for command in ("finetune", "evaluate"):
        words = (command, "--model", model, "--data", data, "--text", "text", "--label", "label")
        words += ("--output", tmp_path / "out", "--device", "cuda")
        assert mistake(capsys, *words) == f"{command}: no GPU here"
    assert not (tmp_path / "out").exists()
