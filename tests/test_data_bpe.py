"""Byte-level BPE: the reference's ids, places, training and files; every text comes back."""

import json
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import oracle
from test_data_unicode import CHARACTERS, blocks
from test_data_wordpiece import DRAWN, FRAGMENTS, assert_same

from minift.data import AddedToken, BPETokenizer, load_glosses
from minift.data.bpe_files import END_OF_TEXT
from minift.data.bpe_training import learn_merges
from minift.data.bpe_words import BYTE_CHARACTERS, bytes_shown, show_bytes, word_spans, words_of

SCRIPTS = [
    "Ein Käse für Öl",
    "привет мир",
    "日本語の日本語",
    "한국어 한국",
    "नमस्ते भाषा",
    "👩🏽‍🚀👩🏽‍🚀 👍🏽",
] * 9


@pytest.fixture(scope="module")
def texts():
    return [*load_glosses().unlabelled[::40][:2000], *SCRIPTS]


@pytest.fixture(scope="module")
def tokenizer(texts):
    return BPETokenizer.train(texts, vocab_size=1200)


@pytest.fixture(scope="module")
def toy():
    return BPETokenizer.train(["low lower lowest low new newer"] * 2, 267)


# --- equal to the reference ---------------------------------------------------------------------


def reference(tokenizer, folder):
    tokenizer.save_pretrained(folder)
    return oracle("tokenizers").Tokenizer.from_file(str(folder / "tokenizer.json"))


@pytest.fixture(scope="module")
def other(tokenizer, tmp_path_factory):
    return reference(tokenizer, tmp_path_factory.mktemp("bpe"))


def test_every_character_is_of_the_references_kind():
    splitter = oracle("tokenizers").pre_tokenizers.ByteLevel(add_prefix_space=False)
    for i in range(0, len(CHARACTERS), 500):
        text = "".join(f"a{c}1{c} {c}!" for c in CHARACTERS[i : i + 500])
        assert word_spans(text) == [span for _, span in splitter.pre_tokenize_str(text)]


def test_a_ninth_of_all_characters_encodes_as_the_reference_does(tokenizer, other):
    assert_same(tokenizer, other, blocks(size=100)[::9])


def test_thousands_of_glosses_encode_as_the_reference_does(tokenizer, other):
    assert_same(tokenizer, other, [*load_glosses().dev[0][:2000], *SCRIPTS])


BPE_TEXT = st.one_of(
    DRAWN,
    st.text("aeo'stredlvm 12½²\t\n\r\x85\xa0\u3000!?.", max_size=30),
    st.sampled_from(["I'll've 'S", " \n \n  x", END_OF_TEXT, "a" * 500, "low" * 300]),
)


@settings(max_examples=500, deadline=None)
@given(st.lists(BPE_TEXT, max_size=4).map("".join))
def test_drawn_text_encodes_as_the_reference_does_and_comes_back(tokenizer, other, text):
    assert_same(tokenizer, other, [text])
    assert tokenizer.decode(tokenizer.encode(text), skip_special_tokens=False) == text


@settings(max_examples=100, deadline=None)
@given(BPE_TEXT, BPE_TEXT)
def test_drawn_pairs_encode_as_the_reference_does(tokenizer, other, a, b):
    assert_same(tokenizer, other, [a], [b])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 1199), max_size=12))
def test_drawn_ids_decode_as_the_reference_does(tokenizer, other, ids):
    for skip in (True, False):
        assert tokenizer.decode(ids, skip) == other.decode(ids, skip_special_tokens=skip)


ADDED = [
    AddedToken("<L>", lstrip=True, special=False),
    AddedToken("<R>", rstrip=True),
    AddedToken("<N>", normalized=True, special=False),
]


@pytest.mark.parametrize("prefix", [False, True])
def test_added_tokens_and_prefix_space_are_the_references(tokenizer, tmp_path, prefix):
    own = BPETokenizer(tokenizer.pieces, tokenizer.merges, ADDED, add_prefix_space=prefix)
    other = reference(own, tmp_path)
    pieces = st.one_of(FRAGMENTS, st.sampled_from(["<L>", "<R>", "<N>", " ", "é", END_OF_TEXT]))

    @settings(max_examples=200, deadline=None)
    @given(st.lists(pieces, max_size=7).map("".join))
    def check(text):
        assert_same(own, other, [text])

    check()


@pytest.mark.parametrize(("size", "minimum"), [(400, 2), (1200, 2), (5000, 1)])
def test_training_gives_the_references_vocabulary_and_merges(texts, size, minimum):
    assert_trained_alike(texts, size, minimum)


def assert_trained_alike(texts, size, minimum):
    own = BPETokenizer.train(texts, size, minimum)
    other = oracle("tokenizers").ByteLevelBPETokenizer()
    other.train_from_iterator(texts, size, minimum, False, [END_OF_TEXT])
    model = json.loads(other._tokenizer.to_str())["model"]
    assert own.id_of == model["vocab"]
    assert own.merges == [tuple(pair) for pair in model["merges"]]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text("abc é", max_size=30), max_size=8), st.integers(257, 300))
def test_ties_and_repeated_letters_are_trained_as_in_the_reference(texts, size):
    assert_trained_alike(texts, size, 1)


def test_saved_folder_opens_in_transformers(tokenizer, texts, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    other = oracle("transformers").AutoTokenizer.from_pretrained(tmp_path)
    sample = [*texts[:50], *SCRIPTS, "", f"a{END_OF_TEXT}b"]
    assert tokenizer(sample, padding=False)["input_ids"] == other(sample).input_ids
    assert other.eos_token_id == tokenizer.pad_id == 0


def test_folder_saved_by_transformers_is_read(tokenizer, tmp_path):
    gpt = oracle("transformers").GPT2Tokenizer
    other = gpt(vocab=tokenizer.id_of, merges=list(tokenizer.merges), add_prefix_space=True)
    other.save_pretrained(tmp_path)
    own = BPETokenizer.from_pretrained(tmp_path)
    for text in ("low lower", f" a{END_OF_TEXT} b"):
        assert own.encode(text) == other(text).input_ids


# --- words and bytes ----------------------------------------------------------------------------


def test_words_take_one_space_along_and_split_contractions():
    assert words_of("I'll  don't 'S\n\n x2!? \t") == [
        *("I", "'ll", " ", " don", "'t", " '", "S", "\n\n", " x", "2", "!?", " \t")
    ]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_words_joined_are_the_text(text):
    assert "".join(words_of(text)) == text


def test_bytes_are_shown_as_256_different_characters_and_read_back():
    assert len(set(BYTE_CHARACTERS)) == 256
    assert show_bytes("é \n") == "Ã©ĠĊ"
    assert bytes_shown("Ã©ĠĊ") == "é \n".encode()
    assert not any(character.isspace() for character in BYTE_CHARACTERS)


# --- text to ids --------------------------------------------------------------------------------


def test_earliest_merge_is_applied_first(toy):
    assert toy.merges[:3] == [("l", "o"), ("lo", "w"), ("Ġ", "low")]
    assert toy.tokenize("low lowish") == ["low", "Ġlow", "i", "s", "h"]


def naive_cut(tokenizer, word):
    """The algorithm without its bookkeeping: look at all pairs anew for every join."""
    rank = {pair: i for i, pair in enumerate(tokenizer.merges)}
    parts = list(show_bytes(word))
    while len(parts) > 1:
        best, i = min((rank.get(pair, 1e9), i) for i, pair in enumerate(pairwise(parts)))
        if best == 1e9:
            break
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    return parts


MERGES = st.lists(st.tuples(st.text("ab", min_size=1, max_size=3), st.text("ab", min_size=1)))


@settings(deadline=None)
@given(MERGES, st.text("ab", max_size=30))
def test_heap_joins_like_looking_at_all_pairs_anew(merges, word):
    pieces = dict.fromkeys([*"ab", *(p for a, b in merges for p in (a, b, a + b))])
    tokenizer = BPETokenizer(list(pieces), merges)
    assert tokenizer._cut(word) == naive_cut(tokenizer, word)


def test_word_of_a_hundred_thousand_letters_is_cut_in_time(toy):
    assert len(toy.tokenize("low" * 30_000)) == 30_000


def test_empty_text_is_an_empty_row(toy):
    assert toy("")["input_ids"].shape == (1, 0)


def test_batch_is_padded_with_end_of_text_and_no_attention(toy):
    batch = toy(["low", "low low low"])
    assert batch["input_ids"].tolist() == [[258, 0, 0], [258, 259, 259]]
    assert batch["attention_mask"].tolist() == [[1, 0, 0], [1, 1, 1]]
    assert batch["token_type_ids"].tolist() == [[0] * 3] * 2
    data = toy.dataset(["low low", "low"], 1, labels=np.array([0, 1]))
    assert data.__getitems__(np.array([1, 0]))["input_ids"].tolist() == [[258], [258]]


def test_places_of_pieces_that_share_a_character_overlap(toy):
    places = toy("é low", return_offsets_mapping=True)["offset_mapping"][0]
    assert places.tolist() == [[0, 1], [0, 1], [1, 5]]


def test_special_token_in_the_text_is_the_token(toy):
    assert toy.encode(f"low{END_OF_TEXT}low") == [258, 0, 258]
    assert toy.decode([258, 0, 258]) == "lowlow"
    assert toy.decode([258, 0, 258], skip_special_tokens=False) == f"low{END_OF_TEXT}low"


def test_explain_shows_each_stage(toy):
    assert toy.explain(f"low é{END_OF_TEXT}!").splitlines() == [
        f"text    low é{END_OF_TEXT}!",
        f"words   low | ␣é | {END_OF_TEXT} | !",
        f"bytes   low | ĠÃ© | {END_OF_TEXT} | !",
        f"pieces  low | Ġ Ã © | {END_OF_TEXT} | !",
        "ids     258 | 221 128 103 | 0 | 1",
    ]


def test_wrong_calls_are_refused(toy):
    with pytest.raises(ValueError, match="max_length must be 1 or more, for one token; got 0"):
        toy("a", max_length=0, truncation=True)
    with pytest.raises(ValueError, match="lone surrogate"):
        toy("a\ud800")
    with pytest.raises(ValueError, match="id 267 is outside the vocabulary of 267 pieces"):
        toy.decode([267])
    with pytest.raises(ValueError, match="vocab_size=256 is too small for 256 bytes and 1 special"):
        BPETokenizer.train(["a"], 256)
    with pytest.raises(ValueError, match="the vocabulary has no piece for the byte 0xC3"):
        BPETokenizer(["a"], []).encode("aé")


def test_rare_pairs_are_left_out():
    pieces, merges = learn_merges({"ab": 1, "cd": 2}, [], 1000, min_frequency=2)
    assert (len(pieces), merges) == (257, [("c", "d")])


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("left_out", ["tokenizer.json", "vocab.json"])
def test_saved_tokenizer_comes_back_the_same(toy, tmp_path, left_out):
    first = BPETokenizer(toy.pieces, toy.merges, add_prefix_space=True)
    first.save_pretrained(tmp_path)
    (tmp_path / left_out).unlink()
    second = BPETokenizer.from_pretrained(tmp_path)
    assert (second.pieces, second.merges) == (first.pieces, first.merges)
    assert second.encode(f"low{END_OF_TEXT} é") == first.encode(f"low{END_OF_TEXT} é")


def test_merges_of_number_signs_are_merges(tmp_path):
    pieces = {"#": 0, "##": 1, "#version": 2, ":": 3, "#version:": 4}
    (tmp_path / "vocab.json").write_text(json.dumps(pieces), encoding="utf-8")
    (tmp_path / "merges.txt").write_bytes(b"#version: 0.2\r\n# #\r\n#version :\r\n\r\n")
    tokenizer = BPETokenizer.from_pretrained(tmp_path)
    assert tokenizer.merges == [("#", "#"), ("#version", ":")]
    assert tokenizer.encode("##") == [1]


def test_missing_files_are_named(toy, tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(f"no vocab.json in {tmp_path}, and no")):
        BPETokenizer.from_pretrained(tmp_path)
    toy.save_pretrained(tmp_path)
    for name in ("tokenizer.json", "merges.txt"):
        (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(f"no merges.txt in {tmp_path}")):
        BPETokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vocab.json", b"{", r"vocab\.json is not JSON"),
        ("vocab.json", b"", r"vocab\.json is not JSON"),
        ("vocab.json", b"[]", r"vocab\.json holds no JSON object"),
        ("vocab.json", b"{}", r"vocab\.json holds no vocabulary"),
        ("vocab.json", b'{"a": 1, "b": 2}', "should be 0 to 1, each once, but 'a' has 1 in place"),
        ("vocab.json", b'{"l": 0, "o": 1}', "merge 0 joins 'l' and 'o', but 'lo' is not in the"),
        ("vocab.json", b'{"\xff": 0}', r"vocab\.json is not UTF-8"),
        ("merges.txt", b"l o w\n", r"merges\.txt: merge 0 should be two pieces, got 'l o w'"),
        ("merges.txt", b"l o\nlo", "merge 1 should be two pieces, got 'lo'"),
        ("merges.txt", b"l o\nx yz\n", "merge 1 joins 'x' and 'yz', but 'yz' is not in the vocab"),
        ("merges.txt", b"\xff", r"merges\.txt is not UTF-8"),
    ],
)
def test_broken_vocabulary_gets_one_clear_sentence(tmp_path, toy, name, content, message):
    toy.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        BPETokenizer.from_pretrained(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"type": "Unigram"}}, "holds a Unigram model, and BPETokenizer reads BPE"),
        ({"model": {"type": "WordPiece"}}, "holds a WordPiece model, and BPETokenizer reads BPE"),
        ({"model.merges": None}, "holds no list of merges"),
        ({"model.merges": [["a"]]}, r"merge 0 should be two pieces, got \['a'\]"),
        ({"model.merges": [["a", "zz"]]}, "merge 0 joins 'a' and 'zz', but 'zz' is not in the voc"),
        ({"model.dropout": 0.1}, r"model\.dropout is 0\.1; minift supports null"),
        ({"model.byte_fallback": True}, r"model\.byte_fallback is true; minift supports false"),
        ({"normalizer": {"type": "NFC"}}, r'normalizer\.type is "NFC"; minift supports null'),
        ({"pre_tokenizer": None}, r'pre_tokenizer\.type is null; minift supports "ByteLevel"'),
        ({"pre_tokenizer.use_regex": False}, r"pre_tokenizer\.use_regex is false"),
        ({"post_processor.trim_offsets": True}, r"post_processor\.trim_offsets is true"),
        ({"post_processor.type": "RobertaProcessing"}, 'type is "RobertaProcessing"; minift'),
        (
            {"post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {}}]}},
            "puts special tokens around a text; GPT-2's puts none",
        ),
    ],
)
def test_broken_tokenizer_file_gets_one_clear_sentence(tmp_path, toy, changes, message):
    toy.save_pretrained(tmp_path)
    file = tmp_path / "tokenizer.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    for path, value in changes.items():
        section, _, key = path.rpartition(".")
        (content[section] if section else content)[key] = value
    file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        BPETokenizer.from_pretrained(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(file))


def test_older_and_newer_ways_to_write_merges_are_read(tmp_path, toy):
    toy.save_pretrained(tmp_path)
    file = tmp_path / "tokenizer.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    assert content["model"]["merges"][0] == "l o"
    content["model"]["merges"] = [merge.split() for merge in content["model"]["merges"]]
    del content["model"]["type"]  # as in old files
    file.write_text(json.dumps(content), encoding="utf-8")
    assert BPETokenizer.from_pretrained(tmp_path).merges == toy.merges
