"""Sentence vectors: from Python, and `minift embed`."""

import numpy as np
import pytest
from oracle import minilm, oracle

import minift as mf
from minift.cli import main
from minift.data import WordPieceTokenizer
from minift.models import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertModel
from minift.models.embedding import unit_rows

TEXTS = ["a small cat", "", "a big dog and a cat and bread", " \t", "soup", "bread and soup"]


@pytest.fixture(scope="module")
def tokenizer():
    return WordPieceTokenizer.train(["a small cat", "a big dog", "bread and soup"] * 2, 60)


def model_of(kind, tokenizer, positions=16):
    mf.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.vocab_size, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=positions, initializer_range=0.5,
    )  # fmt: skip
    model = kind(config)
    model.tokenizer = tokenizer
    return model


def by_hand(body, tokenizer, text):
    """One text alone, without padding."""
    with mf.no_grad():
        (hidden,) = body(tokenizer(text)["input_ids"]).numpy()  # (T, C)
    mean = hidden.mean(axis=0)
    return mean / np.sqrt((mean**2).sum())


@pytest.mark.parametrize("kind", [BertModel, BertForMaskedLM, BertForSequenceClassification])
def test_a_vector_is_the_mean_over_the_real_tokens_with_length_1_in_order(kind, tokenizer):
    model = model_of(kind, tokenizer)
    vectors = model.embed(TEXTS)
    body = model.eval() if kind is BertModel else model.bert.eval()
    assert vectors.dtype == np.float32
    for text, vector in zip(TEXTS, vectors):
        if text.strip():
            np.testing.assert_allclose(vector, by_hand(body, tokenizer, text), atol=1e-6)
        else:
            assert np.isnan(vector).all()
    np.testing.assert_allclose(model.embed("soup")[0], vectors[4], atol=1e-6)


def test_embedding_leaves_the_mode_as_it_was_and_drops_nothing(tokenizer):
    model = model_of(BertModel, tokenizer).train()
    np.testing.assert_array_equal(model.embed(TEXTS), model.embed(TEXTS))
    assert model.training
    assert model.embeddings.dropout.training


def test_a_long_text_is_cut_to_what_the_model_can_read(tokenizer):
    model = model_of(BertModel, tokenizer, positions=6)
    long = model.embed("a small cat and soup and bread")
    ids = [tokenizer.id_of[piece] for piece in ("a", "small", "cat", "and")]
    assert tokenizer.encode("a small cat and soup and bread")[1:5] == ids
    np.testing.assert_allclose(long, model.embed("a small cat and"), atol=1e-6)


def test_nothing_to_embed_is_no_vectors(tokenizer):
    model = model_of(BertModel, tokenizer)
    assert model.embed([]).shape == (0, 8)
    assert np.isnan(model.embed([""])).all()


def test_what_cannot_be_embedded_is_refused(tokenizer):
    model = model_of(BertModel, tokenizer)
    with pytest.raises(TypeError, match=r"^text 1 is 3; the tokenizer takes a str or several$"):
        model.embed(["a", 3])
    model.tokenizer = None
    with pytest.raises(ValueError, match=r"^this BertModel has no tokenizer; load it with"):
        model.embed("a")


def test_the_real_minilm_gives_the_published_cosine_and_the_vectors_of_transformers():
    folder = minilm()
    torch, transformers = oracle("torch"), oracle("transformers")
    texts = ["A man is eating food.", "A man is eating a piece of bread.", "Naïve — ¿qué? 日本"]
    vectors = mf.load(folder).embed(texts)
    assert vectors[0] @ vectors[1] == pytest.approx(0.7553, abs=5e-5)
    model = transformers.BertModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for text, vector in zip(texts, vectors):
        with torch.no_grad():
            hidden = model(**tokenizer(text, return_tensors="pt")).last_hidden_state  # (1, T, C)
        expected = torch.nn.functional.normalize(hidden.mean(1))[0].numpy()
        np.testing.assert_allclose(vector, expected, atol=2e-6)


# --------------------------------------------------------------------------- the command line


@pytest.fixture
def world(tmp_path, monkeypatch, tokenizer):
    """A model folder and files, in an empty working directory."""
    monkeypatch.setenv("MINIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    model_of(BertModel, tokenizer).save_pretrained("encoder", tokenizer)
    (tmp_path / "lines.txt").write_text("\ufeff" + "\r\n".join(TEXTS) + "\r\n", encoding="utf-8")
    rows = [f'{i};"{text}"' for i, text in enumerate(TEXTS)]
    (tmp_path / "rows.csv").write_text("id;text\n" + "\n".join(rows), encoding="utf-8")
    return tmp_path


def said(capsys, *words):
    code = main(["embed", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def mistake(capsys, *words):
    code, out, err = said(capsys, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    return err.removeprefix("minift: ").rstrip("\n")


@pytest.mark.parametrize("file", ["lines.txt", "rows.csv"])
def test_a_file_becomes_an_npy_with_a_row_a_text(capsys, world, tokenizer, file):
    code, out, err = said(capsys, "--model", "encoder", "--data", file)
    name = file.partition(".")[0] + ".npy"
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "2 of 6 texts are empty: their rows are NaN",
        f"{name}: 6 vectors of 8, float32",
    ]
    expected = mf.load("encoder").embed(TEXTS)
    np.testing.assert_array_equal(np.load(name), expected)


def test_embed_says_how_many_texts_were_cut(capsys, world):
    (world / "long.txt").write_text("a cat\n" + "soup " * 40 + "\n")
    out = said(capsys, "--model", "encoder", "--data", "long.txt", "--output", "x.npy")[1]
    assert out.startswith("1 of 2 texts were cut to the model's 16 tokens\nx.npy: 2 vectors")


def test_an_npy_that_is_there_is_replaced_only_if_asked(capsys, world):
    (world / "lines.npy").write_bytes(b"precious")
    words = ["--model", "encoder", "--data", "lines.txt"]
    sentence = "embed: lines.npy is there already; pass --overwrite or another --output"
    assert mistake(capsys, *words) == sentence
    assert (world / "lines.npy").read_bytes() == b"precious"
    assert said(capsys, *words, "--overwrite")[0] == 0
    assert np.load("lines.npy").shape == (6, 8)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--model", "minilm", "--data", "lines.txt"],
         "minilm is not here yet; bring it with: minift fetch minilm"),
        (["--model", "encoder", "--data", "tweets"],
         "tweets is not here yet; bring it with: minift fetch tweets"),
        (["--model", "encoder", "--data", "no.csv"], "there is no file no.csv"),
        (["--model", "encoder", "--data", "rows.csv", "--text-column", "txt"],
         "rows.csv has no column 'txt'; did you mean 'text'?"),
        (["--model", "encoder", "--data", "lines.txt", "--text-column", "text"],
         "lines.txt is a .txt, a text a line; it has no column 'text'"),
        (["--model", "encoder", "--data", "lines.txt", "--output", "vectors"],
         "--output must name a file that ends in .npy, got vectors"),
        (["--model", "encoder", "--data", "empty.txt"], "empty.txt holds no text"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_and_writes_nothing(capsys, world, words, sentence):
    (world / "empty.txt").write_text("")
    assert mistake(capsys, *words) == f"embed: {sentence}"
    assert not list(world.glob("*.npy"))


def test_a_column_of_another_name_may_be_the_only_one(capsys, world):
    (world / "one.csv").write_text("sentence\na cat\nsoup\n")
    assert said(capsys, "--model", "encoder", "--data", "one.csv")[0] == 0
    np.testing.assert_array_equal(np.load("one.npy"), mf.load("encoder").embed(["a cat", "soup"]))


def test_a_vector_of_zeros_stays_one_without_a_warning():
    rows = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0]], rtol=1e-6)
