"""The whole way in miniature: its files, its numbers, that it repeats, what it refuses."""

import json
from dataclasses import replace

import numpy as np
import pytest

from minift import models, quickstart
from minift.backend.random import manual_seed
from minift.data import Glosses, WordPieceTokenizer
from minift.quickstart import job, report
from minift.quickstart.pretraining import masked_loader, word_frequencies
from minift.quickstart.recipe import Setup
from minift.train.records import read_records

WORDS = {
    "animal": "cat dog horse bird fur tail wild small",
    "food": "bread cheese soup sweet salt baked dish sauce",
    "time": "day year hour month period long past season",
}
STRATEGIES = ["scratch", "head_only", "gradual_unfreezing", "discriminative", "tiny"]
BASELINES = ["naive_bayes", "tfidf_logistic"]
TINY = replace(
    quickstart.QUICK,
    vocabulary=60,
    hidden_size=8,
    intermediate_size=16,
    max_length=12,
    steps=6,
    batch_tokens=120,
    strategies={
        name: replace(recipe, steps=4, min_epochs=2)
        for name, recipe in quickstart.DEFAULT.strategies.items()
    },
)


def sentences(n, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % len(WORDS)
    of = [words.split() for words in WORDS.values()]
    return [" ".join(["a", *rng.choice(of[label], 5)]) for label in labels], labels


@pytest.fixture
def glosses(monkeypatch):
    train = sentences(36, 0)
    made = Glosses(
        unlabelled=train[0] + sentences(60, 1)[0],
        examples=["a cat on bread"],
        train=train,
        dev=sentences(15, 2),
        test=sentences(18, 3),
        classes=list(WORDS),
    )
    monkeypatch.setattr(job, "load_glosses", lambda: made)
    return made


def go(folder, **changes):
    settings = {"recipe": TINY, "labels_per_class": (2, 4), "seeds": 2, "device": "cpu"}
    options = quickstart.Options(output=folder, **{**settings, **changes})
    return quickstart.run(options, *quickstart.prepare(options))


def without_times(results):
    runs = [{k: v for k, v in run.items() if k != "seconds"} for run in results["finetuning"]]
    return {**results, "machine": None, "finetuning": runs}


# ---------------------------------------------------------------------------------- the whole way


def test_the_whole_way_writes_what_it_promises(tmp_path, glosses, capsys):
    returned = go(tmp_path / "deep" / "run", seed=5)
    folder = tmp_path / "deep" / "run"
    names = ["model", "pretrained", "report.png", "results.json", "train.jsonl"]
    assert sorted(path.name for path in folder.iterdir()) == names
    for name in ("config.json", "model.safetensors", "vocab.txt"):
        assert (folder / "model" / name).is_file()

    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert results == returned
    assert list(results) == ["seed", "steps", "machine", "pretraining", "finetuning"]
    assert (results["seed"], results["steps"]) == (5, 6)
    assert list(results["pretraining"]) == ["loss", "unigram", "masked_accuracy", "most_frequent"]
    runs = results["finetuning"]
    fields = ["labels_per_class", "strategy", "seed", "accuracy", "macro_f1", "seconds"]
    assert all(list(run) == fields for run in runs)
    found = {(run["labels_per_class"], run["strategy"], run["seed"]) for run in runs}
    everything = {(k, s, n) for k in (2, 4) for s in STRATEGIES + BASELINES for n in (5, 6)}
    assert found == everything
    assert len(runs) == len(everything)

    log = read_records(folder / "train.jsonl")
    assert [r["step"] for r in log if r["run"] == "pre-training" and "step" in r] == [*range(1, 7)]
    said = capsys.readouterr().out
    assert len(said.split("pre-training: step")[0].splitlines()) == 2
    assert "masked-LM loss" in said
    assert "In accuracy, pre-training " in said
    assert "points at 2 labels a class" in said
    ours = [np.mean(report.values(results, k, "tiny", "accuracy")) for k in (2, 4)]
    sentence = "The checkpoint that ships, pre-trained beforehand, reaches {} at 2 and {} at 4."
    assert sentence.format(*map(report.share, ours)) in " ".join(said.split())


def test_two_runs_with_one_seed_are_identical_and_replace_each_other(tmp_path, glosses):
    first = go(tmp_path)
    (tmp_path / "report.png").write_bytes(b"old")
    again = go(tmp_path)
    assert without_times(first) == without_times(again)
    assert (tmp_path / "report.png").read_bytes()[:4] == b"\x89PNG"
    other = go(tmp_path / "b", seed=1)
    assert without_times(other)["pretraining"] != without_times(first)["pretraining"]


def test_every_device_comes_to_the_same_numbers(tmp_path, glosses, device):
    here = without_times(go(tmp_path / "cpu", seeds=1))
    there = without_times(go(tmp_path / device, seeds=1, device=device))
    expected = here.pop("pretraining")
    assert there.pop("pretraining") == pytest.approx(expected, abs=1e-5)
    assert there == here
    losses = [
        [r["loss"] for r in read_records(tmp_path / place / "train.jsonl") if "loss" in r]
        for place in ("cpu", device)
    ]
    assert len(losses[0]) > 10
    np.testing.assert_allclose(losses[1], losses[0], rtol=0, atol=1e-5)


def test_the_saved_model_is_pretrained_had_most_labels_and_won_on_development(tmp_path, glosses):
    go(tmp_path)
    model = models.load(tmp_path / "model")
    assert model.config.id2label == {0: "animal", 1: "food", 2: "time"}
    said, _ = model.predict(glosses.dev[0])
    accuracy = np.mean([name == glosses.classes[i] for name, i in zip(said, glosses.dev[1])])
    log = read_records(tmp_path / "train.jsonl")
    runs = [r for r in log if "development" in r and r["labels_per_class"] == 4]
    best = max(r["development"]["accuracy"] for r in runs if r["strategy"] in STRATEGIES[1:4])
    assert accuracy == pytest.approx(best)


# --------------------------------------------------------------------------------------- its parts


@pytest.fixture
def setup(glosses):
    return Setup(TINY, glosses, WordPieceTokenizer.train(glosses.unlabelled, TINY.vocabulary))


def test_pretraining_reads_neither_development_nor_test(setup):
    setup.glosses.dev[0][:] = ["soup"] * 15  # as if they said something else
    numbers = quickstart.pretrain(setup, 0).numbers
    weights = quickstart.pretrain(setup, 0).model.state_dict()
    setup.glosses.dev[0][:] = ["year"] * 15
    again = quickstart.pretrain(setup, 0)
    assert again.numbers != numbers
    for name, value in again.model.state_dict().items():
        np.testing.assert_array_equal(value, weights[name])


def test_unigram_numbers_by_hand(setup):
    ids = np.array([setup.tokenizer.id_of[word] for word in ("a", "a", "b")])
    frequencies = word_frequencies(np.append(ids, setup.tokenizer.pad_id), setup.tokenizer)
    V = setup.tokenizer.vocab_size
    assert frequencies[ids[0]] == pytest.approx(3 / (V + 3))
    assert frequencies[ids[2]] == pytest.approx(2 / (V + 3))
    assert frequencies[setup.tokenizer.pad_id] == pytest.approx(1 / (V + 3))


def test_pretraining_starts_from_the_frequencies_of_words(setup):
    frequencies = word_frequencies(
        setup.tokenizer.dataset(setup.glosses.unlabelled, TINY.max_length).ids, setup.tokenizer
    )
    still = replace(setup, recipe=replace(TINY, lr=0.0, steps=1))
    bias = quickstart.pretrain(still, 0).model.cls.predictions.bias.numpy()
    np.testing.assert_allclose(bias, np.log(frequencies), rtol=1e-5)


def test_measuring_hides_the_same_words_each_time(setup):
    held_out = setup.tokenizer.dataset(setup.glosses.dev[0], TINY.max_length)
    first, second = (next(iter(masked_loader(setup, held_out, 0))) for _ in range(2))
    np.testing.assert_array_equal(first["labels"], second["labels"])


def test_head_only_leaves_the_pretrained_body_bit_for_bit(setup):
    body = quickstart.pretrain(setup, 0).model.state_dict()
    outcome = quickstart.finetune_once(setup, body, "head_only", 2, seed=0)
    kept = outcome.model.state_dict()
    for name, value in body.items():
        if name.startswith("bert."):
            np.testing.assert_array_equal(kept[name], value)
    assert outcome.model.classifier.weight.numpy().std() > 0.02  # the head did move


def test_scratch_ignores_the_pretrained_body(setup):
    body = quickstart.pretrain(setup, 0).model.state_dict()
    with_body = quickstart.finetune_once(setup, body, "scratch", 2, seed=0)
    without = quickstart.finetune_once(setup, None, "scratch", 2, seed=0)
    for name, value in with_body.model.state_dict().items():
        np.testing.assert_array_equal(value, without.model.state_dict()[name])


def test_tiny_starts_from_the_weights_that_ship_whatever_was_pretrained_here(setup):
    still = {"tiny": replace(TINY.strategies["tiny"], lr=1e-30)}
    setup = replace(setup, recipe=replace(TINY, strategies=still))
    model = quickstart.finetune_once(setup, None, "tiny", 2, seed=0).model
    shipped = models.BertForMaskedLM.from_pretrained("tiny").state_dict()
    for name, value in model.state_dict().items():
        if name.startswith("bert."):
            np.testing.assert_allclose(value, shipped[name], rtol=0, atol=1e-20)
    assert model.classifier.weight.shape == (3, model.config.hidden_size)


def test_a_folder_called_tiny_is_not_what_ships(setup, tmp_path, monkeypatch):
    (tmp_path / "tiny").mkdir()
    monkeypatch.chdir(tmp_path)
    assert quickstart.finetune_once(setup, None, "tiny", 2, seed=0).strategy == "tiny"


def test_a_run_depends_on_its_seed_and_on_nothing_drawn_before(setup):
    def weights(seed):
        outcome = quickstart.finetune_once(setup, None, "scratch", 2, seed)
        return outcome.model.classifier.weight.numpy()

    first = weights(seed=1)
    manual_seed(99)
    np.testing.assert_array_equal(weights(seed=1), first)
    assert not np.array_equal(weights(seed=2), first)


def test_test_is_read_only_when_asked(setup):
    outcome = quickstart.finetune_once(setup, None, "scratch", 2, seed=0)
    assert list(outcome.predictions) == ["dev"]
    with pytest.raises(KeyError, match="test"):
        outcome.scores(setup.glosses, "test")


def test_an_unknown_strategy_and_a_missing_body_are_refused(setup):
    with pytest.raises(ValueError, match=r"strategy must be one of scratch, .*, got 'magic'"):
        quickstart.finetune_once(setup, None, "magic", 2, seed=0)
    with pytest.raises(ValueError, match="discriminative starts from a pre-trained body"):
        quickstart.finetune_once(setup, None, "discriminative", 2, seed=0)


# -------------------------------------------------------------------------------------- in words


def results(**accuracies):
    """Two seeds of each strategy at 8 labels."""
    return {
        "finetuning": [
            {"labels_per_class": 8, "strategy": s, "seed": i, "accuracy": a, "macro_f1": 0.5,
             "seconds": 1.0}
            for s, pair in accuracies.items()
            for i, a in enumerate(pair)
        ]
    }  # fmt: skip


def test_the_sentence_says_the_paired_gain_and_who_won():
    found = results(
        scratch=(0.20, 0.22),
        head_only=(0.27, 0.31),
        naive_bayes=(0.2, 0.2),
        tfidf_logistic=(0.28, 0.28),
    )
    said = report.closing_sentence(found, {8: "head_only"})
    # d = 7 and 9 points: mean 8, t(1 degree) 12.7062 x standard error 1
    assert said == (
        "In accuracy, pre-training bought +8.0 points at 8 labels a class (head only, frozen body "
        "against from scratch, 95 % interval over 2 seeds: -4.7 to +20.7); it also beats the best "
        "simple baseline, TF-IDF + logistic regression at 8 (.280 against .290)."
    )
    found = results(
        scratch=(0.25, 0.25),
        head_only=(0.2, 0.2),
        naive_bayes=(0.21, 0.23),
        tfidf_logistic=(0.2, 0.2),
    )
    said = report.closing_sentence(found, {8: "head_only"})
    assert "pre-training made a difference of -5.0 points at 8" in said
    assert said.endswith("a simple baseline still wins: naive Bayes at 8 (.220 against .200).")


def test_the_table_has_a_line_each_with_the_spread_over_seeds():
    lines = report.table(results(scratch=(0.20, 0.22), naive_bayes=(0.3, 0.3))).splitlines()
    assert lines[0].split() == ["labels", "strategy", "accuracy", "macro-F1", "seconds"]
    assert " ".join(lines[2].split()) == "8 from scratch .210 ± .014 .500 ± .000 1.0"
    assert " ".join(lines[3].split()) == "8 naive Bayes .300 ± .000 .500 ± .000 1.0"


# -------------------------------------------------------------------------------- what it refuses


def test_more_labels_than_a_class_has_is_refused_before_the_work(tmp_path, glosses):
    with pytest.raises(ValueError, match="asked for 13, but class 'animal' has only 12"):
        go(tmp_path, labels_per_class=(2, 13))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_anything_else_is_refused_and_left_alone(tmp_path, glosses):
    (tmp_path / "thesis.txt").write_text("precious")
    (tmp_path / "results.json").write_text("old")
    with pytest.raises(ValueError, match=r"holds thesis\.txt, which no quickstart wrote"):
        go(tmp_path)
    assert (tmp_path / "results.json").read_text() == "old"


def test_a_file_in_the_way_is_refused(tmp_path, glosses):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "deep" / "er"):
        with pytest.raises(ValueError, match="file is a file, so it cannot hold the results"):
            go(folder)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, glosses, monkeypatch):
    def no(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(job.tempfile, "TemporaryFile", no)
    with pytest.raises(OSError, match="cannot be written: Permission denied"):
        go(tmp_path)


def test_what_a_killed_run_left_half_written_is_ours(tmp_path, glosses):
    (tmp_path / ".results.json.0a1b").write_text("{")
    go(tmp_path, labels_per_class=(2,), seeds=1)
    assert not (tmp_path / ".results.json.0a1b").exists()
