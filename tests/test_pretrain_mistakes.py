"""`minift pretrain`: each mistake is one sentence and exit code 2, and leaves nothing behind."""

import numpy as np
import pytest
from finetune_cases import mistake, pretrained, reviews, write_table
from matplotlib.image import imsave
from pretrain_cases import BERT, book, config, npz, pretrain, squares


def told(capsys, tmp_path, objective, data, *more):
    """The sentence; nothing was written."""
    data = data if isinstance(data, list) else [data]
    said = mistake(
        capsys, "pretrain", "--objective", objective, "--data", *data, "--output",
        tmp_path / "out", "--device", "cpu", *more,
    )  # fmt: skip
    assert not (tmp_path / "out").exists()
    assert said.startswith("pretrain: ")
    return said.removeprefix("pretrain: ")


@pytest.mark.parametrize(
    ("content", "holds"),
    [("", "holds no text"), (" \n\n \n", "holds no text"), ("one line\n", "holds 1 text")],
)
def test_a_corpus_of_less_than_two_texts(capsys, tmp_path, content, holds):
    file = tmp_path / "c.txt"
    file.write_text(content, encoding="utf-8")
    assert told(capsys, tmp_path, "mlm", file) == (
        f"{file} {holds}; pre-training needs two or more, one to learn from and one held out"
    )


def test_a_vocabulary_smaller_than_the_alphabet(capsys, tmp_path):
    model = config(tmp_path / "c.json", **{**BERT, "vocab_size": 20})
    said = told(capsys, tmp_path, "mlm", book(tmp_path / "b.txt"), "--model", model)
    assert said.startswith("vocab_size leaves room for 15 pieces, but the text's single characters")


def test_nothing_that_could_be_hidden(capsys, tmp_path):
    pretrained(tmp_path / "m")
    file = tmp_path / "c.txt"
    file.write_text("日本\n中文\n", encoding="utf-8")
    assert told(capsys, tmp_path, "mlm", file, "--model", tmp_path / "m") == (
        f"{file}: no text of 1 holds a word of the vocabulary that could be hidden"
    )


def test_documents_without_a_second_segment(capsys, tmp_path):
    said = told(capsys, tmp_path, "nsp", reviews(tmp_path / "r.csv"))
    assert said.startswith("Segments: of 114 documents none holds 2 segments of 30 tokens")


def test_images_of_mixed_sizes(capsys, tmp_path):
    for name, size in (("a", 6), ("b", 8)):
        imsave(tmp_path / f"{name}.png", squares(1, size=size)[0][0], cmap="gray")
    a, b = tmp_path / "a.png", tmp_path / "b.png"
    assert told(capsys, tmp_path, "autoencoder", tmp_path) == (
        f"images must be of one size, but {a} is 3 × 6 × 6 and {b} is 3 × 8 × 8 (channels × "
        f"height × width); crop or scale them first"
    )
    ragged = np.empty(2, object)
    ragged[:] = [squares(1, size=6)[0][0], squares(1, size=8)[0][0]]
    np.savez(tmp_path / "r.npz", images=ragged)
    assert told(capsys, tmp_path, "autoencoder", tmp_path / "r.npz") == (
        f"{tmp_path / 'r.npz'}: an array of objects, as images of mixed sizes are; crop or scale "
        f"them to one size"
    )


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"pictures": np.zeros((3, 6, 6))}, "must hold an array called images, got pictures"),
        (
            {"images": np.zeros((3, 6, 5))},
            "images must be (n, H, W), (n, H, W, 3) or (n, c, H, W), square, with 1 or 3 channels, "
            "got shape (3, 1, 6, 5)",
        ),
        (
            {"images": np.full((3, 6, 6), 7.0)},
            "pixels must be bytes, or floats from 0 to 1, got float64 from 7 to 7",
        ),
        (
            {"images": np.zeros((3, 6, 6)), "labels": np.zeros(2)},
            "holds 3 images, but labels of shape (2,)",
        ),
        ({"images": np.zeros((1, 6, 6))}, "holds 1 image; pre-training needs two or more"),
    ],
)
def test_arrays_that_are_no_images(capsys, tmp_path, arrays, sentence):
    file = tmp_path / "a.npz"
    np.savez(file, **arrays)
    said = told(capsys, tmp_path, "autoencoder", file)
    assert said.removeprefix(f"{file}").removeprefix(":").strip() == sentence


def test_files_that_are_no_images(capsys, tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 no more")
    assert "a.npz is not a whole .npz" in told(capsys, tmp_path, "vae", tmp_path / "a.npz")
    inner = tmp_path / "folder"
    inner.mkdir()
    assert told(capsys, tmp_path, "vae", inner) == (
        f"{inner} holds no PNG, nor do its sub-folders (one a class)"
    )
    (inner / "x.png").write_bytes(b"\x89PNG no more")
    assert told(capsys, tmp_path, "vae", inner).startswith(f"{inner / 'x.png'} is not a whole PNG")


def test_text_for_images_and_images_for_text(capsys, tmp_path):
    table, images = reviews(tmp_path / "r.csv"), npz(tmp_path / "s.npz")
    assert told(capsys, tmp_path, "vae", table) == f"{table} holds text; vae learns from images"
    assert told(capsys, tmp_path, "mlm", images) == (
        f"{images} holds images; this objective learns from text"
    )
    assert told(capsys, tmp_path, "vae", [images, images]) == (
        "images come from one place, but --data names 2"
    )
    assert told(capsys, tmp_path, "vae", "movie-reviews")  # text, fetched or not


def test_what_is_not_there(capsys, tmp_path):
    assert told(capsys, tmp_path, "mlm", "nowhere.csv") == "there is no file nowhere.csv"
    table = write_table(tmp_path / "t.csv", ("a", "b"), ("c", "d"), header=("one", "two"))
    assert told(capsys, tmp_path, "mlm", table) == (
        f"{table} has no column 'text'; it has 'one', 'two'"
    )
    assert told(capsys, tmp_path, "mlm", table, "--text", "one", "--model", "nothing").startswith(
        "there is no folder nothing"
    )


def test_a_contrastive_loss_needs_two_and_a_temperature(capsys, tmp_path):
    data = npz(tmp_path / "s.npz")
    assert told(capsys, tmp_path, "simclr", data, "--batch-size", "1") == (
        "simclr compares the examples of a batch, so a batch of one has nothing to learn from; "
        "give --batch-size 2 or more"
    )
    assert told(capsys, tmp_path, "simclr", data, "--temperature", "0") == (
        "simclr: the temperature must be above 0, got 0.0"
    )
    assert told(capsys, tmp_path, "vae", data, "--temperature", "1") == (
        "--temperature is for contrastive losses, not for vae"
    )
    assert told(capsys, tmp_path, "simclr", npz(tmp_path / "few.npz", n=8)) == (
        f"simclr compares images: {tmp_path / 'few.npz'} must hold two or more in each part, got 1"
    )


def test_twins_need_dropout_to_differ(capsys, tmp_path):
    model = config(tmp_path / "c.json", **BERT)
    said = told(capsys, tmp_path, "simcse", book(tmp_path / "b.txt"), "--model", model)
    assert said == (
        f"simcse tells the two views of a text apart by dropout, but {model} has a "
        f"hidden_dropout_prob of 0.0; set it to 0.1 in its config.json"
    )


def test_two_lengths(capsys, tmp_path):
    data = npz(tmp_path / "s.npz")
    assert told(capsys, tmp_path, "vae", data, "--steps", "3", "--minutes", "1") == (
        "give one of --steps, --epochs and --minutes, not 2"
    )


def test_a_model_for_something_else(capsys, tmp_path):
    data = npz(tmp_path / "s.npz")
    pretrain(capsys, "vae", data, tmp_path / "vae")
    assert told(capsys, tmp_path, "gan", data, "--model", tmp_path / "vae") == (
        f"{tmp_path / 'vae'} holds a VAE; gan needs a GAN"
    )
    other = npz(tmp_path / "8.npz", size=8)
    assert told(capsys, tmp_path, "vae", other, "--model", tmp_path / "vae") == (
        f"the images of {other} are 1 × 8 × 8 (channels × height × width), but {tmp_path / 'vae'} "
        f"is for 1 × 6 × 6"
    )
    said = mistake(capsys, "pretrain", "--objective", "vae", "--data", data, "--model",
                   tmp_path / "vae", "--output", tmp_path / "vae", "--overwrite")  # fmt: skip
    assert said == (
        f"pretrain: --output {tmp_path / 'vae'} holds the model that training starts from; name "
        f"another folder"
    )


def test_a_rate_that_is_too_high_is_said_with_the_step(capsys, tmp_path):
    from finetune_cases import run

    code, _, err = run(
        capsys, "pretrain", "--objective", "vae", "--data", npz(tmp_path / "s.npz"), "--output",
        tmp_path / "out", "--steps", "50", "--lr", "1e30", "--device", "cpu",
    )  # fmt: skip
    assert code == 1
    assert "pretrain: training broke off at step " in err
    assert "try a smaller --lr" in err
