"""`minift finetune` with the strategies, losses and remedies that its options choose."""

import json

import numpy as np
import pytest
from finetune_cases import finetune, mistake, pretrained, reviews, sentences, write_table

import minift as mf
from minift.data import BPETokenizer
from minift.finetune import LoRA
from minift.jobs.classifiers import open_classifier
from minift.jobs.recipe import SCHEDULES
from minift.models import GPT2Config, GPT2LMHeadModel
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


# ------------------------------------------------------------------------------- uneven classes


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """A table in which one row of six is bad, and says so."""
    rows = [(text, "good" if y else "bad") for text, y in sentences(400, seed=2)]
    bad = [row for row in rows if row[1] == "bad"][:32]
    rows = [row for row in rows if row[1] == "good"][:160] + bad
    return write_table(tmp_path_factory.mktemp("uneven") / "uneven.csv", *rows)


def test_the_remedies_are_named_and_the_rare_class_has_its_curve(capsys, tmp_path, model, uneven):
    for name, options in {
        "focal": ["--loss", "focal"],
        "over": ["--oversample"],
        "moved": ["--move-threshold"],
        "all": ["--loss", "focal", "--class-weight", "balanced", "--move-threshold"],
    }.items():
        said = finetune(capsys, model, uneven, tmp_path / name, *options)
        assert "against uneven classes: " in said
        scores = loaded(tmp_path / name / "metrics.json")["test"]
        assert scores["rarest"] == "bad"
        low, high = scores["average_precision_interval"]
        assert 0 < low <= scores["average_precision"] <= high <= 1
        assert (tmp_path / name / "precision_recall.png").exists()


def test_oversampled_epochs_have_as_many_rows_of_each_class(capsys, tmp_path, model, uneven):
    for strategy in ("full", "head"):
        output = tmp_path / strategy
        finetune(capsys, model, uneven, output, "--oversample", "--strategy", strategy,
                 "--epochs", "1")  # fmt: skip
        shown = sum(r["count"] for r in read_records(output / "train.jsonl") if "count" in r)
        assert shown == 2 * 128  # of 160 and 32 rows four fifths train


def test_a_moved_threshold_is_a_part_of_the_model(capsys, tmp_path, model, uneven):
    """The same run without and with it: the scores differ by the offsets, nothing else does."""
    plain, moved = tmp_path / "plain", tmp_path / "moved"
    finetune(capsys, model, uneven, plain)
    finetune(capsys, model, uneven, moved, "--move-threshold")
    offsets = loaded(moved / "metrics.json")["moved_thresholds"]
    assert set(offsets) == {"bad", "good"}
    texts = [text for text, _ in sentences(40, seed=5)]
    outputs = [open_classifier(folder).outputs(texts) for folder in (plain, moved)]
    difference = np.array([offsets["bad"], offsets["good"]])
    np.testing.assert_allclose(outputs[1] - outputs[0], np.tile(difference, (40, 1)), atol=2e-4)
    assert loaded(moved / "model" / "minift.json")["moved_thresholds"] == offsets
    validation = [loaded(folder / "metrics.json")["validation"] for folder in (plain, moved)]
    assert validation[1]["macro_f1"] >= validation[0]["macro_f1"]


def test_the_test_part_has_no_say_in_the_threshold(capsys, tmp_path, model, uneven, monkeypatch):
    from minift.jobs.tasks import ClassificationTask

    seen, offsets = [], ClassificationTask.offsets

    def watched(self, targets, outputs):
        seen.append(len(targets))
        return offsets(self, targets, outputs)

    monkeypatch.setattr(ClassificationTask, "offsets", watched)
    finetune(capsys, model, uneven, tmp_path / "out", "--move-threshold", "--test-split", "0.3")
    rows = loaded(tmp_path / "out" / "metrics.json")["rows"]
    assert seen == [rows["validation"]] != [rows["test"]]


def test_thresholds_of_several_labels_move_each_for_itself(capsys, tmp_path, model):
    rows = [(text, "good;short" if y else "short") for text, y in sentences(120)]
    table = write_table(tmp_path / "labels.csv", *rows)
    finetune(capsys, model, table, tmp_path / "out", "--task", "multilabel", "--move-threshold")
    assert set(loaded(tmp_path / "out" / "metrics.json")["moved_thresholds"]) == {"good", "short"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--task", "regression", "--loss", "focal"],
         "--loss focal needs classes; this is a regression"),
        (["--task", "multilabel", "--loss", "focal"],
         "--loss focal needs one class a text; these have several labels"),
        (["--task", "regression", "--oversample"],
         "--oversample needs one class a text; this is a regression"),
        (["--task", "regression", "--move-threshold"],
         "--move-threshold needs classes; this is a regression"),
        (["--move-threshold", "--val-split", "0"],
         "--move-threshold is chosen on the validation part, which --val-split 0 leaves out"),
        (["--oversample", "--class-weight", "balanced"],
         "--oversample and --class-weight balanced do the same twice over; give one of them"),
    ],
)  # fmt: skip
def test_remedies_that_do_not_fit_are_refused(capsys, tmp_path, model, options, sentence):
    numbers = [(text, str(i % 7)) for i, (text, _) in enumerate(sentences(60))]
    table = write_table(tmp_path / "numbers.csv", *numbers)
    said = mistake(
        capsys, "finetune", "--model", model, "--data", table, "--text", "text", "--label", "label",
        "--output", tmp_path / "out", *options,
    )  # fmt: skip
    assert said == f"finetune: {sentence}"


# ---------------------------------------------------------------------- features that are frozen


def test_a_second_run_reads_the_features_of_the_first(capsys, tmp_path, model, table, monkeypatch):
    from minift.models import BertModel

    cache, read = tmp_path / "cache", []
    forward = BertModel.forward

    def counting(self, input_ids, *rest, **named):
        read.append(len(input_ids))
        return forward(self, input_ids, *rest, **named)

    monkeypatch.setattr(BertModel, "forward", counting)
    counts, results = [], []
    for name in ("one", "two"):
        read.clear()
        finetune(capsys, model, table, tmp_path / name, "--strategy", "head",
                 "--feature-cache", cache)  # fmt: skip
        counts.append(sum(read))
        results.append(loaded(tmp_path / name / "metrics.json")["test"])
    assert counts[0] - counts[1] == 96 + 12 + 12  # train, validation and test are in the cache
    assert results[0] == results[1]


def test_other_heads_on_the_same_features_stand_beside_the_trained_one(
    capsys, tmp_path, model, table
):
    said = finetune(capsys, model, table, tmp_path / "out", "--strategy", "head")
    beside = loaded(tmp_path / "out" / "metrics.json")["baselines"]
    assert {"linear_probe", "nearest_neighbours", "prototypes"} < set(beside)
    for name in ("linear probe", "5 neighbours", "prototypes"):
        assert f"\n{name}" in said


def test_the_mean_of_all_tokens_is_saved_with_the_model(capsys, tmp_path, model, table):
    said = finetune(
        capsys, model, table, tmp_path / "out", "--strategy", "head", "--pooling", "mean"
    )
    assert (
        "the text is the mean of its tokens: minift opens the model, transformers refuses" in said
    )
    saved = open_classifier(tmp_path / "out").model
    assert saved.config.classifier_pooling == "mean"
    assert saved.bert.pooler is None
    again = finetune(capsys, tmp_path / "out", table, tmp_path / "again")  # as the folder says
    assert "its head is kept" in again
    assert open_classifier(tmp_path / "again").model.config.classifier_pooling == "mean"
    other = finetune(capsys, tmp_path / "out", table, tmp_path / "cls", "--pooling", "cls")
    assert "its head is kept" not in other


def test_who_trains_a_head_on_the_first_token_is_told_of_the_mean(capsys, tmp_path, model, table):
    said = finetune(capsys, model, table, tmp_path / "out", "--strategy", "head")
    assert "is better read with --pooling mean" in said


def test_a_cache_for_a_body_that_moves_is_refused(capsys, tmp_path, model, table):
    said = mistake(
        capsys, "finetune", "--model", model, "--data", table, "--text", "text", "--label", "label",
        "--output", tmp_path / "out", "--feature-cache", tmp_path / "cache",
    )  # fmt: skip
    assert said == (
        "finetune: --feature-cache keeps what --strategy head reads; --strategy full changes it in "
        "every step: leave it out"
    )


@pytest.mark.parametrize(
    "option",
    [["--pooling", "mean"], ["--feature-cache", "cache"], ["--task", "regression"],
     ["--max-length", "9"], ["--text-pair", "b"], ["--text", "a"], ["--label", "y"]],
)  # fmt: skip
def test_what_only_texts_have_is_refused_for_images(capsys, tmp_path, model, option):
    np.savez(tmp_path / "images.npz", images=np.zeros((4, 8, 8), np.uint8), labels=[0, 1, 0, 1])
    images = tmp_path / "images.npz"
    said = mistake(
        capsys,
        "finetune",
        "--model",
        model,
        "--data",
        images,
        "--output",
        tmp_path / "out",
        *option,
    )
    assert said == f"finetune: {images} holds images, for which there is no {option[0]}"


# --------------------------------------------------------------------------------------- GPT-2


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpt2")
    tokenizer = BPETokenizer.train([text for text, _ in sentences(100)], 300)
    mf.manual_seed(0)
    config = GPT2Config(
        vocab_size=tokenizer.vocab_size, n_embd=8, n_layer=2, n_head=2, n_positions=48
    )
    GPT2LMHeadModel(config).save_pretrained(folder, tokenizer)
    return folder


@pytest.mark.parametrize(
    "options",
    [["--strategy", "head"], ["--strategy", "gradual"],
     ["--loss", "focal", "--oversample", "--l2-sp", "0.1"]],
)  # fmt: skip
def test_a_decoder_is_fine_tuned_too(capsys, tmp_path, decoder, table, options):
    said = finetune(capsys, decoder, table, tmp_path / "out", "--epochs", "1", *options)
    assert "Forgetting: not measured" in said
    assert "--pooling" not in said


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--strategy", "lora"], "whose attention is one fused matrix: no --strategy lora"),
        (["--move-threshold"], "whose head has no bias to shift: no --move-threshold"),
        (["--strategy", "head", "--feature-cache", "c"],
         "whose features are not kept: no --feature-cache"),
    ],
)  # fmt: skip
def test_what_a_decoder_cannot_do_is_refused(capsys, tmp_path, decoder, table, options, reason):
    said = mistake(
        capsys, "finetune", "--model", decoder, "--data", table, "--text", "text", "--label",
        "label", "--output", tmp_path / "out", *options,
    )  # fmt: skip
    assert said == f"finetune: {decoder} holds a GPT2ForSequenceClassification, {reason}"
