"""`minift finetune` with the strategies, losses and remedies that its options choose."""

import json

import numpy as np
import pytest
from finetune_cases import finetune, mistake, pretrained, reviews, sentences

import minift as mf
from minift.finetune import LoRA
from minift.jobs.classifiers import open_classifier
from minift.jobs.recipe import SCHEDULES
from minift.train.records import read_records


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return pretrained(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return reviews(tmp_path_factory.mktemp("data") / "reviews.csv")


def loaded(file):
    return json.loads(file.read_text(encoding="utf-8"))


# ------------------------------------------------------------------------------------------ LoRA


def test_lora_leaves_a_merged_model_and_an_adapter_that_gives_the_same(
    capsys, tmp_path, model, table
):
    finetune(capsys, model, table, tmp_path / "out", "--strategy", "lora", "--epochs", "4")
    merged = open_classifier(tmp_path / "out").model
    base = mf.models.AutoModelForSequenceClassification.from_pretrained(model, num_labels=2)
    before = base.state_dict()
    moved = {n for n, a in merged.state_dict().items() if not np.array_equal(a, before[n])}
    body = {name for name in moved if name.startswith(("bert.encoder", "bert.embeddings"))}
    assert body == {
        f"bert.encoder.layer.{i}.attention.self.{part}.weight"
        for i in (0, 1)
        for part in ("query", "value")
    }
    LoRA.load(base, tmp_path / "out" / "adapter")
    batch = merged.tokenizer([text for text, _ in sentences(8)])
    with mf.no_grad():
        np.testing.assert_array_equal(base(**batch).numpy(), merged(**batch).numpy())


# ----------------------------------------------------------------------------------------- L2-SP


def test_l2_sp_keeps_the_body_near_its_start(capsys, tmp_path, model, table):
    before = mf.models.AutoModelForSequenceClassification.from_pretrained(model).state_dict()
    distance = {}
    for strength in ("0.001", "10"):
        output = tmp_path / strength
        finetune(capsys, model, table, output, "--l2-sp", strength, "--epochs", "4")
        after = open_classifier(output).model.state_dict()
        names = [n for n in after if n.startswith(("bert.encoder", "bert.embeddings"))]
        distance[strength] = sum(float(((after[n] - before[n]) ** 2).sum()) for n in names)
        assert loaded(output / "run.json")["options"]["l2_sp"] == float(strength)
    assert 0 < distance["10"] < 0.2 * distance["0.001"]


@pytest.mark.parametrize("strategy", ["head", "lora"])
def test_a_body_that_never_moves_cannot_be_pulled(capsys, tmp_path, model, table, strategy):
    said = mistake(
        capsys, "finetune", "--model", model, "--data", table, "--text", "text", "--label", "label",
        "--output", tmp_path / "out", "--l2-sp", "0.1", "--strategy", strategy,
    )  # fmt: skip
    assert said == (
        f"finetune: --l2-sp pulls the body back, which --strategy {strategy} never moves; leave "
        f"it out"
    )


# ---------------------------------------------------------------------- schedules and unfreezing


@pytest.mark.parametrize(
    ("name", "peak_at"), [("one_cycle", 0.3), ("slanted_triangular", 0.1), ("cosine", 0.1)]
)
def test_the_schedule_sets_the_rate_of_every_step(capsys, tmp_path, model, table, name, peak_at):
    finetune(capsys, model, table, tmp_path / "out", "--schedule", name)
    factors = [
        r["lr_factor"] for r in read_records(tmp_path / "out" / "train.jsonl") if "lr_factor" in r
    ]
    schedule, share = SCHEDULES[name]
    total = len(factors)
    assert factors == [schedule(step, total, int(share * total)) for step in range(total)]
    assert np.argmax(factors) == pytest.approx(peak_at * total, abs=1)


def test_gradual_unfreezing_may_wait_for_a_stall(capsys, tmp_path, model, table):
    finetune(
        capsys, model, table, tmp_path / "out", "--strategy", "gradual", "--unfreeze", "stall",
        "--epochs", "12",
    )  # fmt: skip
    assert loaded(tmp_path / "out" / "run.json")["recipe"]["unfreeze"] == "stall"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--strategy", "full"], "--unfreeze says when --strategy gradual thaws a layer, "
         "--strategy full never does; leave it out"),
        (["--strategy", "gradual", "--val-split", "0"],
         "--unfreeze stall waits for the validation, which --val-split 0 leaves out"),
    ],
)  # fmt: skip
def test_a_stall_that_can_never_be_seen_is_refused(
    capsys, tmp_path, model, table, options, sentence
):
    said = mistake(
        capsys, "finetune", "--model", model, "--data", table, "--text", "text", "--label", "label",
        "--output", tmp_path / "out", "--unfreeze", "stall", *options,
    )  # fmt: skip
    assert said == f"finetune: {sentence}"
