"""`minift evaluate` and `minift predict` with what `minift finetune` leaves of images."""

import csv
import json

import numpy as np
import pytest
from finetune_cases import mistake, pretrained, reviews, run, write_table
from pretrain_cases import npz, pngs, squares

from minift.cli import main
from minift.data import load_digits
from minift.models import Autoencoder, AutoencoderConfig, ImageClassifier, ImageClassifierConfig


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on squares that stand left or right, as PNGs: made once."""
    folder = tmp_path_factory.mktemp("trained")
    config = AutoencoderConfig(image_size=6, num_channels=3, hidden_sizes=(24,), code_size=4)
    Autoencoder(config).save_pretrained(folder / "pretrained")
    pictures = pngs(folder / "pictures", 80)
    words = f"finetune --model {folder / 'pretrained'} --data {pictures} --epochs 12 --lr 5e-3"
    assert main([*words.split(), "--output", str(folder / "out"), "--device", "cpu"]) == 0
    return folder / "out"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def classifier(folder, labels, **sizes):
    """An untrained classifier of images."""
    names = {"num_labels": len(labels), "id2label": dict(enumerate(labels))}
    config = ImageClassifierConfig(**sizes, hidden_sizes=(8,), code_size=2, **names)
    ImageClassifier(config).save_pretrained(folder)
    return folder


def predictions(capsys, *arguments):
    code, out, err = run(capsys, "predict", *arguments)
    assert (code, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


# -------------------------------------------------------------------------------------- evaluate


def test_evaluate_prints_and_writes_the_numbers_of_labelled_images(capsys, here, trained):
    pngs(here / "new", 40)
    code, out, err = run(
        capsys, "evaluate", "--model", trained, "--data", "new", "--output", "ev"
    )  # fmt: skip
    assert (code, err) == (0, "")
    metrics = metrics_of(here / "ev")
    assert metrics["rows"] == {"judged": 40}
    assert metrics["accuracy"] == 1.0  # left or right: one layer is enough
    assert set(metrics["per_class"]) == {"left", "right"}
    assert f"{trained} on new:\n40 images\n" in out
    assert "left       1.000   1.000  1.000     20\n" in out
    assert {path.name for path in (here / "ev").iterdir()} == {
        "metrics.json", "run.json", "confusion.png", "precision_recall.png", "reliability.png",
        "worst_mistakes.csv",
    }  # fmt: skip


def test_worst_mistakes_name_their_files(capsys, here, trained):
    pictures = pngs(here / "new", 20)
    (pictures / "left" / "000.png").rename(pictures / "right" / "wrong.png")
    run(capsys, "evaluate", "--model", trained, "--data", "new", "--output", "ev")
    with (here / "ev" / "worst_mistakes.csv").open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["image"], row["label"], row["predicted"]) == ("right/wrong.png", "right", "left")
    assert (here / "ev" / "worst_mistakes.png").read_bytes().startswith(b"\x89PNG")


def test_of_the_digits_their_own_test_part_is_judged(capsys, here):
    names = [str(i) for i in reversed(range(10))]  # the model's order is not the data's
    model = classifier(here / "model", names, image_size=8)
    out = run(capsys, "evaluate", "--model", model, "--data", "digits", "--output", "ev")[1]
    assert "on digits, its test part:\n500 images\n" in out
    labels = load_digits().test[1]
    support = {name: row["support"] for name, row in metrics_of(here / "ev")["per_class"].items()}
    assert support == {name: int((labels == int(name)).sum()) for name in names}


# --------------------------------------------------------------------------------------- predict


def test_a_line_of_json_for_each_file_and_evaluate_agrees(capsys, here, trained):
    pngs(here / "new", 20)
    answers = predictions(capsys, "--model", trained, "--data", "new")
    assert [answer["image"] for answer in answers[:2]] == ["left/000.png", "left/002.png"]
    assert [answer["label"] for answer in answers] == ["left"] * 10 + ["right"] * 10
    for answer in answers:
        assert next(iter(answer["probabilities"])) == answer["label"]
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=2e-4)


def test_images_in_one_piece_are_numbered_and_need_no_labels(capsys, here):
    model = classifier(here / "model", ["left", "right"], image_size=6)
    answers = predictions(
        capsys, "--model", model, "--data", npz(here / "a.npz", 601, labelled=False)
    )
    assert [answer["image"] for answer in answers] == list(range(601))
    images, _ = squares(601)
    scores = ImageClassifier.from_pretrained(model)(images[:, None]).numpy()
    said = [["left", "right"].index(answer["label"]) for answer in answers]
    np.testing.assert_array_equal(said, scores.argmax(axis=1))


# --------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize("option", ["--text", "--label", "--text-pair"])
def test_evaluate_refuses_what_only_texts_have(capsys, here, trained, option):
    pngs(here / "new", 4)
    said = mistake(capsys, "evaluate", "--model", trained, "--data", "new", option, "a")
    assert said == f"evaluate: {trained} reads images, for which there is no {option}"


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["--text", "a"], "--text"),
        (["--data", "new", "--text-column", "a"], "--text-column"),
        (["--data", "new", "--text-pair-column", "a"], "--text-pair-column"),
    ],
)
def test_predict_refuses_what_only_texts_have(capsys, trained, arguments, option):
    said = mistake(capsys, "predict", "--model", trained, *arguments)
    assert said == f"predict: {trained} reads images, for which there is no {option}"


def test_a_model_of_images_refuses_a_table_and_one_of_texts_refuses_images(capsys, here, trained):
    table, texts = reviews(here / "r.csv", 4), pretrained(here / "texts")
    for command in ("evaluate", "predict"):
        assert mistake(capsys, command, "--model", trained, "--data", table) == (
            f"{command}: {table} holds no images; give an .npz (images, labels), a folder of PNGs, "
            f"or one of digits, fashion-mnist, mnist"
        )
        assert mistake(capsys, command, "--model", texts, "--data", "digits") == (
            f"{command}: {texts} reads texts, but digits is no table of them; give CSV, TSV or "
            f"JSON lines"
        )


@pytest.mark.parametrize("option", ["--text", "--label"])
def test_evaluate_needs_both_columns_of_a_table(capsys, here, option):
    table, texts = write_table(here / "t.csv", ("a", "b")), pretrained(here / "texts")
    given = "--label" if option == "--text" else "--text"
    said = mistake(capsys, "evaluate", "--model", texts, "--data", table, given, "text")
    assert said == f"{option} COLUMN is required (see minift evaluate --help)"


def test_images_that_cannot_be_judged(capsys, here, trained):
    np.savez(here / "plain.npz", images=np.zeros((4, 3, 6, 6), np.float32))
    said = mistake(capsys, "evaluate", "--model", trained, "--data", "plain.npz")
    assert said == (
        "evaluate: plain.npz has no labels to judge by; put images into one sub-folder a class, or "
        "labels beside images in the .npz"
    )
    labels = ["left", "up", "left", "right"]
    np.savez(here / "up.npz", images=np.zeros((4, 3, 6, 6), np.float32), labels=labels)
    said = mistake(capsys, "evaluate", "--model", trained, "--data", "up.npz")
    assert said == (
        "evaluate: up.npz has images of the class 'up', but the model knows only 'left', 'right'"
    )
    for command in ("evaluate", "predict"):
        said = mistake(capsys, command, "--model", trained, "--data", "digits")
        assert said == (
            f"{command}: the images of digits are 1 × 8 × 8 (channels × height × width), but "
            f"{trained} is for 3 × 6 × 6; scale them first, or let its preprocessor_config.json "
            f"say do_resize"
        )
    assert not (here / "runs").exists()
