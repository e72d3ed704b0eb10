"""`minift search` on images: the same methods, with the settings of `minift finetune` on images."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from finetune_cases import mistake, pretrained, reviews, run
from pretrain_cases import squares

import minift as mf
from minift.cli import main
from minift.jobs import image_finetuning, searching
from minift.jobs.parts import Parts, divide_into_folds
from minift.jobs.searching.objective import rows_to_learn
from minift.models import Autoencoder, AutoencoderConfig

SPACE = 'lr = { log_uniform = [1e-3, 1e-1] }\nstrategy = ["full", "head"]\n'


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A pre-trained autoencoder, images, a space, and a model of texts."""
    place = tmp_path_factory.mktemp("images")
    mf.manual_seed(0)
    sizes = AutoencoderConfig(image_size=6, hidden_sizes=(24, 12), code_size=4)
    Autoencoder(sizes).save_pretrained(place / "autoencoder")
    images, labels = squares(90)
    np.savez(place / "squares.npz", images=images, labels=labels)
    (place / "space.toml").write_text(SPACE, encoding="utf-8")
    pretrained(place / "bert")
    reviews(place / "t.csv", 40)
    return place


@pytest.fixture(autouse=True)
def here(place, monkeypatch):
    monkeypatch.chdir(place)


def words(output, *more, model="autoencoder", data="squares.npz"):
    return ["search", "--model", model, "--data", data, "--output", str(output), "--space",
            "space.toml", "--trials", "3", "--epochs", "1", "--device", "cpu", *more]  # fmt: skip


def searched(capsys, *arguments):
    code, out, err = run(capsys, *arguments)
    assert (code, err) == (0, "")
    return out


def loaded(file):
    return json.loads(Path(file).read_text(encoding="utf-8"))


def lines_of(file):
    return [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()][1:]


def options(**more):
    return image_finetuning.Options(
        data="squares.npz", model="autoencoder", output=Path("none"), epochs=1, device="cpu", **more
    )


def test_a_search_on_images_finds_settings_and_its_best_run_repeats(capsys, tmp_path):
    out = searched(capsys, *words(tmp_path / "out"))
    assert "squares.npz: 72 images to train, 9 to compare the trials; 9 test images are pu" in out
    metrics, trials = loaded(tmp_path / "out/metrics.json"), lines_of(tmp_path / "out/trials.jsonl")
    best = max(trials, key=lambda t: (t["score"], -t["number"]))
    assert len(trials) == 3
    assert metrics["task"] == "classification"
    assert (metrics["best"]["trial"], metrics["validation"]) == (best["number"], best["score"])
    final = loaded(tmp_path / "out/best/metrics.json")
    assert final["validation"]["accuracy"] == best["score"]
    assert metrics["test"] == final["test"]
    weights = (tmp_path / "out/best/model/model.safetensors").read_bytes()
    command = loaded(tmp_path / "out/best/run.json")["command"]
    assert main([*command[1:], "--overwrite"]) == 0
    assert (tmp_path / "out/best/model/model.safetensors").read_bytes() == weights


def test_a_killed_search_on_images_goes_on_and_other_images_are_refused(
    capsys, place, tmp_path, monkeypatch
):
    more = ("--folds", "2", "--outer-folds", "2", "--method", "grid", "--points", "2")
    train, calls, stops = image_finetuning.train, [], [15]

    def counted(plan):
        if len(calls) == stops[0]:
            raise KeyboardInterrupt
        calls.append(plan)
        return train(plan)

    searched(capsys, *words(tmp_path / "whole", *more))
    with monkeypatch.context() as patched:
        patched.setattr(image_finetuning, "train", counted)
        assert run(capsys, *words(tmp_path / "out", *more))[0] == 130
        images = (place / "squares.npz").read_bytes()
        np.savez(place / "squares.npz", images=squares(90, seed=1)[0], labels=squares(90)[1])
        said = mistake(capsys, "search", "--resume", tmp_path / "out")
        assert "squares.npz has changed since the run began" in said
        (place / "squares.npz").write_bytes(images)
        stops[0] = None
        searched(capsys, "search", "--resume", tmp_path / "out")
    assert len(calls) == 3 * 4 * 2 + 2  # best/ is trained by `run`
    whole, out = (loaded(tmp_path / name / "metrics.json") for name in ("whole", "out"))
    assert {**out, "seconds": 0} == {**whole, "seconds": 0}
    assert whole["nested"]["folds"] == 2


def test_a_fold_on_images_scores_as_a_separate_fine_tuning_on_its_rows(tmp_path):
    plan = searching.prepare(searching.Options(options(), {"lr": [1e-3, 1e-2]}, folds=3))
    base = plan.base
    rows = rows_to_learn(base.parts)
    divisions = divide_into_folds(base.targets[rows], base.images.groups[rows], 3, 0.1, seed=0)
    one = divisions[1]
    parts = Parts(rows[one.train], rows[one.validation], rows[one.test])
    told = replace(options(lr=1e-2), output=tmp_path / "by hand")
    by_hand = image_finetuning.prepare(told, parts)
    image_finetuning.train(by_hand)
    given = by_hand.classifier.scores(by_hand.images.images[parts.test]).argmax(axis=1)
    score = plan.objective({"lr": 1e-2}, None, 0, 1)
    assert score == np.mean(given == by_hand.targets[parts.test])
    assert sorted(np.concatenate([d.test for d in divisions]).tolist()) == [*range(81)]


def test_no_trial_is_given_a_test_image():
    plan = searching.prepare(searching.Options(options(), {"lr": [1e-3, 1e-2]}, outer_folds=3))
    images, parts = plan.base.images.images, plan.base.parts
    given = {image.tobytes() for image in plan.objective.options.data.images}
    test = {images[i].tobytes() for i in parts.test}
    assert len(test) == 9
    assert not given & test
    for number, search in enumerate(plan.outer.searches):
        inner = {image.tobytes() for image in search.options.data.images}
        judge = plan.outer.judge
        held = {judge.options.data.images[i].tobytes() for i in judge.divisions[number].test}
        assert len(held) == 27
        assert not inner & (held | test)
        assert inner | held == given


@pytest.mark.parametrize(
    ("words_of", "sentence"),
    [
        (("--text", "text"), "squares.npz holds images, for which there is no --text"),
        (("--label", "label"), "squares.npz holds images, for which there is no --label"),
        (("--task", "regression"), "squares.npz holds images, for which there is no --task"),
        (("--max-length", "9"), "squares.npz holds images, for which there is no --max-length"),
        (("--space", "pooling.toml"), "pooling.toml: 'pooling' is no setting to search over; kn"),
        (("--space", "clip.toml"), "clip.toml: lr must be above 0, got 0.0"),
        (("--folds", "60"), "the class '0' has 40 different images outside the test part, too few"),
        (("--model", "bert"), "bert holds a model of the type 'bert', no encoder of images"),
        (("--data", "t.csv"), "--text COLUMN is required (see minift search --help)"),
        (("--data", "t.csv", "--text", "text"), "--label COLUMN is required (see minift sear"),
    ],
)
def test_mistakes_are_one_sentence(capsys, tmp_path, place, words_of, sentence):
    (place / "pooling.toml").write_text('pooling = ["cls"]', encoding="utf-8")
    (place / "clip.toml").write_text("clip = [0.0, 1.0]\nlr = [0.0]", encoding="utf-8")
    said = mistake(capsys, *words(tmp_path / "out", *words_of))
    assert said.removeprefix("search: ").startswith(sentence)
    assert not (tmp_path / "out").exists()
