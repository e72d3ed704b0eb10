"""Forgetting: the source loss before and after, of the same hidden words."""

import numpy as np
import pytest
from finetune_cases import finetune, pretrained, reviews, sentences
from test_finetune_strategies import loaded

import minift as mf
from minift.data import WordPieceTokenizer
from minift.finetune import LoRA, SourceTask

TEXTS = [text for text, _ in sentences(60, seed=9)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return pretrained(tmp_path_factory.mktemp("source"))


def classifier(folder, **changes):
    return mf.models.AutoModelForSequenceClassification.from_pretrained(folder, **changes)


def test_a_body_that_did_not_move_forgot_nothing(folder):
    source = SourceTask.of(folder, TEXTS)
    before = source.loss()
    assert source.loss(classifier(folder)) == before
    assert source.loss(classifier(folder, classifier_pooling="mean")) == before  # has no pooler
    assert source.loss() == before  # nothing is left behind


def test_the_loss_is_that_of_the_head_on_the_other_body(folder):
    model = classifier(folder)
    rng = np.random.default_rng(0)
    for weight in model.bert.encoder.parameters():
        weight.data = weight.data + rng.normal(0, 0.3, weight.shape).astype(np.float32)
    source = SourceTask.of(folder, TEXTS)
    together = mf.models.BertForMaskedLM.from_pretrained(folder)
    state = {n: a for n, a in model.state_dict().items() if n.startswith("bert.encoder")}
    together.load_state_dict({**together.state_dict(), **state})
    words, total = 0, 0.0
    for batch in source.batches:
        inputs = {name: array for name, array in batch.items() if name != "labels"}
        hidden = batch["labels"] != -100
        with mf.no_grad():
            p = together(**inputs).log_softmax(axis=-1).numpy()[hidden]
        total -= p[np.arange(len(p)), batch["labels"][hidden]].sum()
        words += len(p)
    after = source.loss(model)
    assert after == pytest.approx(total / words, rel=1e-5)
    assert after != pytest.approx(source.loss(), rel=1e-3)


def test_a_merged_adapter_counts(folder):
    model, source = classifier(folder), SourceTask.of(folder, TEXTS)
    lora = LoRA(r=2)
    lora.apply(model)
    for name, weight in model.named_parameters():
        if name.endswith("lora_B"):
            weight.data = weight.data + 0.5
    lora.merge(model)
    assert source.loss(model) != source.loss()


def test_one_seed_hides_the_same_words_and_another_others(folder):
    losses = [SourceTask.of(folder, TEXTS, seed).loss() for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_a_model_without_the_head_of_its_pre_training_has_no_source_task(folder, tmp_path):
    model = classifier(folder)
    model.save_pretrained(tmp_path, WordPieceTokenizer.from_pretrained(folder))
    assert SourceTask.of(tmp_path, TEXTS) is None


def test_every_report_has_the_source_loss_before_and_after(capsys, tmp_path, folder):
    table = reviews(tmp_path / "reviews.csv")
    changes = {}
    for strategy in ("full", "head"):
        said = finetune(
            capsys, folder, table, tmp_path / strategy, "--strategy", strategy, "--lr", "0.02"
        )
        found = loaded(tmp_path / strategy / "metrics.json")["forgetting"]
        assert f"{found['before']:.3f} before, {found['after']:.3f} after" in said
        changes[strategy] = found["after"] - found["before"]
    assert changes["head"] == 0
    assert changes["full"] != 0


def test_a_report_says_why_there_is_none(capsys, tmp_path, folder):
    table = reviews(tmp_path / "reviews.csv")
    finetune(capsys, folder, table, tmp_path / "first")
    said = finetune(capsys, tmp_path / "first", table, tmp_path / "second")
    why = "the folder holds no head for its pre-training objective"
    assert loaded(tmp_path / "second" / "metrics.json")["forgetting"] == {"unknown": why}
    assert f"Forgetting: not measured, {why}" in said
