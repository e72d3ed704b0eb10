"""`minift generate`, on a small GPT-2 with random weights and a tokenizer trained here."""

import json

import numpy as np
import pytest

import minift as mf
from minift.cli import main
from minift.data import BPETokenizer, WordPieceTokenizer
from minift.models import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel


@pytest.fixture
def folder(tmp_path):
    tokenizer = BPETokenizer.train(["low lower lowest, new newer naïve"] * 3, 290)
    mf.manual_seed(0)
    end = tokenizer.id_of["<|endoftext|>"]
    config = GPT2Config(
        vocab_size=tokenizer.vocab_size, n_positions=24, n_embd=16, n_layer=2, n_head=2,
        bos_token_id=end, eos_token_id=end, initializer_range=0.6,
    )  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt", tokenizer)
    return tmp_path / "gpt"


def said(capsysbinary, *words):
    code = main(["generate", *map(str, words)])
    captured = capsysbinary.readouterr()
    return code, captured.out.decode("utf-8"), captured.err.decode("utf-8")


def by_hand(folder, prompt, **settings):
    model = mf.load(folder)
    ids = model.generate(np.array(model.tokenizer.encode(prompt)), **settings)
    return model.tokenizer.decode(ids) + "\n"


def test_the_text_begins_with_the_prompt_and_goes_on_as_in_python(capsysbinary, folder):
    code, out, err = said(capsysbinary, "--model", folder, "--prompt", "new naïve",
                          "--max-new-tokens", "8", "--temperature", "0.7", "--top-k", "20",
                          "--top-p", "0.9", "--seed", "5")  # fmt: skip
    assert (code, err) == (0, "")
    assert out.startswith("new naïve")
    settings = {"max_new_tokens": 8, "temperature": 0.7, "top_k": 20, "top_p": 0.9, "seed": 5}
    assert out == by_hand(folder, "new naïve", **settings)


def test_one_seed_one_text_and_no_heat_no_seed(capsysbinary, folder):
    def text(*words):
        more = ["--model", folder, "--prompt", "low", "--max-new-tokens", "12", *words]
        return said(capsysbinary, *more)[1]

    assert text() == text("--seed", "0") == by_hand(folder, "low", max_new_tokens=12, seed=0)
    assert text("--seed", "1") != text()
    assert text("--temperature", "0", "--seed", "1") == text("--temperature", "0")


def test_an_empty_prompt_begins_a_text(capsysbinary, folder):
    code, out, _ = said(capsysbinary, "--model", folder, "--prompt", "", "--max-new-tokens", "5")
    assert code == 0
    model = mf.load(folder)
    ids = model.generate([model.config.bos_token_id], max_new_tokens=5, seed=0)
    assert out == model.tokenizer.decode(ids) + "\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--max-new-tokens", "0"], "--max-new-tokens: must be 1 or more, got 0 (see "),
        (["--max-new-tokens", "99"], "generate: a prompt of 1 tokens leaves room for 23 new ones "),
        (["--temperature", "-1"], "generate: temperature must be 0 or more, got -1.0"),
        (["--top-p", "1.5"], "generate: top_p must lie in (0, 1], got 1.5"),
        (
            ["--model", "tweets"],
            "generate: tweets is data, not a model; the models are tiny, minilm",
        ),
    ],
)
def test_what_makes_no_text_is_one_sentence(capsysbinary, folder, words, sentence):
    code, out, err = said(capsysbinary, "--model", folder, "--prompt", "low", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"minift: {sentence}")


def test_a_gpt_without_a_tokenizer_is_refused(capsysbinary, folder):
    for name in ("tokenizer.json", "vocab.json", "merges.txt"):
        (folder / name).unlink()
    code, _, err = said(capsysbinary, "--model", folder, "--prompt", "low")
    assert code == 2
    assert err == f"minift: generate: no vocab.json in {folder}, and no tokenizer.json\n"


def test_a_model_that_makes_no_text_or_has_no_beginning_is_named(capsysbinary, folder, tmp_path):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "bos_token_id": None}))
    err = said(capsysbinary, "--model", folder, "--prompt", "")[2]
    assert "the prompt is empty, and this model has no token that begins a text" in err
    tokenizer = WordPieceTokenizer.train(["a cat"] * 2, 20)
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    bert = BertModel(BertConfig(vocab_size=tokenizer.vocab_size, **small))
    bert.save_pretrained(tmp_path / "bert", tokenizer)
    err = said(capsysbinary, "--model", tmp_path / "bert", "--prompt", "a")[2]
    assert err == f"minift: generate: {tmp_path}/bert holds a BertModel, which makes no text\n"
