"""WordPiece: the reference algorithm id for id, a repeatable trainer, files that others open."""

import json
import re
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import oracle
from test_data_unicode import blocks

from minift.data.added_tokens import AddedToken
from minift.data.basic_words import BasicWords
from minift.data.glosses import load_glosses
from minift.data.wordpiece import SPECIAL_TOKENS, WordPieceTokenizer
from minift.data.wordpiece_training import PairMerges, learn_pieces

GLOSSES = 4000


@pytest.fixture(scope="module")
def texts():
    return load_glosses().unlabelled[::20][:GLOSSES]


@pytest.fixture(scope="module")
def tokenizer(texts):
    return WordPieceTokenizer.train(texts, vocab_size=1500)


@pytest.fixture(scope="module")
def toy():
    pieces = "a cat s ##s ##at c ##a ##t em ##bed ##ding . , ! e ##e cafe 中".split()  # noqa: SIM905
    return WordPieceTokenizer([*SPECIAL_TOKENS, *pieces])


# --- equal to the reference ---------------------------------------------------------------------


def reference(tokenizer):
    """Hugging Face's tokenizer around the same vocabulary."""
    hf = oracle("tokenizers")
    model = hf.models.WordPiece(
        tokenizer._vocabulary, unk_token="[UNK]", max_input_chars_per_word=100
    )
    other = hf.Tokenizer(model)
    other.normalizer = hf.normalizers.BertNormalizer(
        lowercase=tokenizer.lowercase, strip_accents=tokenizer.strip_accents
    )
    other.pre_tokenizer = hf.pre_tokenizers.BertPreTokenizer()
    for token in tokenizer.added_tokens.values():
        settings = token.to_json()
        add = other.add_special_tokens if token.special else other.add_tokens
        add([hf.AddedToken(settings.pop("content"), **settings)])
    other.post_processor = hf.processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", tokenizer.cls_id), ("[SEP]", tokenizer.sep_id)],
    )
    return other


def assert_same(tokenizer, other, texts, pairs=None, **settings):
    """Ids, types and places of each row."""
    ours = tokenizer(texts, pairs, padding=False, return_offsets_mapping=True, **settings)
    inputs = texts if pairs is None else list(zip(texts, pairs))
    for i, theirs in enumerate(other.encode_batch(inputs)):
        assert ours["input_ids"][i] == theirs.ids, inputs[i]
        assert ours["token_type_ids"][i] == theirs.type_ids, inputs[i]
        assert ours["offset_mapping"][i] == theirs.offsets, inputs[i]
    assert tokenizer.encode_all(texts, pairs=pairs, **settings) == ours["input_ids"]


@pytest.fixture(scope="module")
def unicode_tokenizer(texts):
    """A vocabulary that also knows single characters of many scripts."""
    letters = "".join(chr(code) for code in range(0x3000) if chr(code).isalpha())
    return WordPieceTokenizer.train([*texts[:1000], " ".join(letters[::3])], 3000, True, 1, 3000)


@pytest.fixture(scope="module")
def unicode_reference(unicode_tokenizer):
    return reference(unicode_tokenizer)


def test_thousands_of_glosses_encode_as_the_reference_does(tokenizer):
    glosses = load_glosses()
    assert_same(tokenizer, reference(tokenizer), [*glosses.dev[0], *glosses.examples[:2000]])


@pytest.mark.parametrize(
    ("every", "kind"), [(1, {}), (9, {"lowercase": False}), (9, {"strip_accents": False})]
)
def test_every_character_stands_where_the_reference_says(every, kind):
    tokenizer = WordPieceTokenizer([*SPECIAL_TOKENS, *"aAbB"], **kind)
    assert_same(tokenizer, reference(tokenizer), blocks(size=200)[::every])


MARKS = st.characters(categories=["Mn", "Mc", "Me"])
ANY = st.characters(exclude_categories=["Cs"])
FRAGMENTS = st.one_of(
    st.text(ANY, max_size=8),
    st.text(st.one_of(st.sampled_from("aeonAİ한가"), MARKS), max_size=6),
    st.text(st.characters(categories=["Cc", "Cf", "Zs", "Zl", "Zp"]), max_size=3),
    st.sampled_from([*SPECIAL_TOKENS, "x" * 101, "naïve", "İstanbul", "ΟΔΟΣ", "don't", "[mask]"]),
    st.sampled_from(["👩🏽‍🚀", "🏳️‍🌈", "🇩🇪", "1️⃣", "\u200b", "\u200d", "\ufeff", "\u2028"]),
    st.sampled_from(
        [" ", "  ", "\n", "\x0b", "\x1f", "\x85", "\u3000", "한국어", "日本語", "भाषा"]
    ),
    st.text("abcdefgh ABC.,;é中\t\n\u200b\x00", max_size=20),
)
DRAWN = st.lists(FRAGMENTS, max_size=6).map("".join)


@settings(max_examples=500, deadline=None)
@given(DRAWN)
def test_drawn_text_encodes_as_the_reference_does(unicode_tokenizer, unicode_reference, text):
    assert_same(unicode_tokenizer, unicode_reference, [text])


@settings(max_examples=200, deadline=None)
@given(DRAWN, DRAWN)
def test_drawn_pairs_encode_as_the_reference_does(unicode_tokenizer, unicode_reference, a, b):
    assert_same(unicode_tokenizer, unicode_reference, [a], [b])


ADDED = [
    AddedToken("[MASK]", lstrip=True),
    AddedToken("<L>", lstrip=True, special=False),
    AddedToken("<R>", rstrip=True),
    AddedToken("<L><R>", lstrip=True, rstrip=True),
    AddedToken("Covid-19", normalized=True, special=False),
    AddedToken("new york", normalized=True, special=False, lstrip=True),
    AddedToken("中国", normalized=True, special=False),
]
WITH_ADDED = st.one_of(
    FRAGMENTS,
    st.sampled_from([token.content for token in ADDED]),
    st.sampled_from(["COVID-19", "New York", "néw york", " ", "\u3000", "<r>"]),
)


@pytest.mark.parametrize("added", [ADDED, ADDED[:4]], ids=["all", "not normalised"])
def test_added_tokens_are_found_as_the_reference_does(unicode_tokenizer, added):
    tokenizer = WordPieceTokenizer(unicode_tokenizer.pieces, added_tokens=added)
    other = reference(tokenizer)
    assert tokenizer.vocab_size == unicode_tokenizer.vocab_size + len(added) - 1

    @settings(max_examples=300, deadline=None)
    @given(st.lists(WITH_ADDED, max_size=7).map("".join))
    def check(text):
        assert_same(tokenizer, other, [text])

    check()


@pytest.mark.parametrize("strategy", ["longest_first", "only_first", "only_second"])
@pytest.mark.parametrize("max_length", [3, 4, 5, 8, 11])
def test_pairs_are_truncated_as_the_reference_does(toy, strategy, max_length):
    other = reference(toy)
    other.enable_truncation(max_length, strategy=strategy)
    for n, m in product(range(8), range(8)):
        a, b = " ".join("a" * n), " ".join(["cat"] * m)
        try:
            expected = other.encode(a, b)
        except Exception:  # the reference raises nothing narrower
            with pytest.raises(ValueError, match="raise max_length or use"):
                toy(a, b, max_length=max_length, truncation=strategy)
            continue
        ours = toy(a, b, max_length=max_length, truncation=strategy)
        assert ours["input_ids"][0].tolist() == expected.ids
        assert ours["token_type_ids"][0].tolist() == expected.type_ids


@pytest.mark.parametrize("strip_accents", [None, True, False])
@pytest.mark.parametrize("lowercase", [True, False])
def test_cased_and_accented_settings_encode_as_the_reference_does(lowercase, strip_accents):
    pieces = [*SPECIAL_TOKENS, *"aAeEéÉ", *("##" + c for c in "aAeEéÉ")]
    tokenizer = WordPieceTokenizer(pieces, lowercase, strip_accents)
    for text in ("aAeE", "éÉ aé", "Ée\u0301"):
        assert tokenizer.encode(text) == reference(tokenizer).encode(text).ids


def test_saved_folder_opens_in_transformers(tokenizer, texts, tmp_path):
    transformers = oracle("transformers")
    tokenizer.save_pretrained(tmp_path)
    other = transformers.AutoTokenizer.from_pretrained(tmp_path)
    sample = [*texts[:50], "", "Crème BRÛLÉE [MASK]"]
    ours = tokenizer(sample, max_length=12, truncation=True)
    theirs = other(sample, max_length=12, truncation=True, padding=True, return_tensors="np")
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        assert np.array_equal(ours[name], theirs[name]), name


def test_saved_added_tokens_open_in_transformers_and_in_the_reference(toy, tmp_path):
    added = WordPieceTokenizer(toy.pieces, added_tokens=ADDED)
    added.save_pretrained(tmp_path)
    text = "a <L><R> cat New York [MASK] COVID-19 [PAD]"
    expected = added.encode(text)
    assert (
        oracle("transformers").AutoTokenizer.from_pretrained(tmp_path)(text).input_ids == expected
    )
    file = str(tmp_path / "tokenizer.json")
    assert_same(added, oracle("tokenizers").Tokenizer.from_file(file), [text])
    again = WordPieceTokenizer.from_pretrained(tmp_path)
    assert (again.encode(text), again.added_tokens) == (expected, added.added_tokens)


def test_folder_saved_by_transformers_is_read(toy, tmp_path):
    other = oracle("transformers").BertTokenizer(vocab=toy.id_of, do_lower_case=False)
    other.add_tokens(["Covid"])
    other.add_special_tokens({"additional_special_tokens": ["<NEW>"]})
    other.save_pretrained(tmp_path)
    tokenizer = WordPieceTokenizer.from_pretrained(tmp_path)
    for text in ("a cat", "Covid covid<NEW>e [MASK]", "A CAT"):
        assert tokenizer.encode(text) == other(text).input_ids


def test_trained_vocabulary_is_almost_the_reference_trainers(texts):
    other = oracle("tokenizers").BertWordPieceTokenizer()
    other.train_from_iterator(texts, vocab_size=800, show_progress=False)
    shared = set(WordPieceTokenizer.train(texts, 800).pieces) & set(other.get_vocab())
    assert len(shared) >= 0.98 * 800  # ties are broken differently


# --- text to ids --------------------------------------------------------------------------------


def test_longest_piece_is_taken_first(toy):
    assert toy.tokenize("cats embedding") == ["cat", "##s", "em", "##bed", "##ding"]


def test_word_with_one_unknown_part_is_unknown_as_a_whole(toy):
    assert toy.tokenize("catx cat") == ["[UNK]", "cat"]


def test_explain_shows_each_stage(toy):
    assert toy.explain("Cats\x00 [MASK] é!").splitlines() == [
        "text        Cats\x00 [MASK] é!",
        "normalized  cats [MASK] e!",
        "words       cats | [MASK] | e | !",
        "pieces      cat ##s | [MASK] | e | !",
        "ids         2 | 6 8 | 4 | 19 | 18 | 3",
    ]


def test_pair_is_two_texts_with_types_0_and_1(toy):
    batch = toy(["a", "a cat"], ["cat", ""])
    assert batch["input_ids"].tolist() == [[2, 5, 3, 6, 3], [2, 5, 6, 3, 3]]
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 1, 1], [0, 0, 0, 0, 1]]
    assert batch["attention_mask"].all()


def test_padding_is_of_type_0(toy):
    batch = toy(["a", "a cat"], ["cat", "cat cat"])
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1, 1]]


def test_dataset_of_pairs_keeps_the_types(toy):
    data = toy.dataset(["a", "a cat"], 5, pairs=["cat", "cat"], labels=np.array([0, 1]))
    batch = data.__getitems__(np.array([1, 0]))
    assert batch["input_ids"].tolist() == [[2, 5, 3, 6, 3]] * 2
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 1, 1]] * 2


def test_places_are_characters_of_the_text(toy):
    batch = toy(["a\u0301 CATS", "a"], return_offsets_mapping=True)
    assert batch["offset_mapping"].shape == (2, 5, 2)
    assert batch["offset_mapping"][0].tolist() == [[0, 0], [0, 1], [3, 6], [6, 7], [0, 0]]
    assert batch["offset_mapping"][1, 3:].tolist() == [[0, 0], [0, 0]]


def test_text_of_only_unknown_characters_is_unk(toy):
    assert toy.encode("☃") == [toy.cls_id, toy.unk_id, toy.sep_id]


@pytest.mark.parametrize(("length", "expected"), [(100, 100), (101, 1)])
def test_word_of_more_than_100_characters_is_unknown(toy, length, expected):
    assert len(toy.tokenize("a" * length)) == expected
    assert (toy.tokenize("a" * length)[0] == "[UNK]") == (length > 100)


def test_basic_words_lower_strip_and_split():
    words = BasicWords()
    assert words("Café-au-LAIT,\t中国\x00!") == [
        "cafe",
        "-",
        "au",
        "-",
        "lait",
        ",",
        "中",
        "国",
        "!",
    ]
    assert words("a\x0bb c\x1cd") == ["ab", "cd"]  # dropped, not cut at
    assert words("1$+2 \u200bΟΔΟΣ") == ["1", "$", "+", "2", "οδοσ"]
    assert words("") == []


def test_special_token_in_the_text_is_the_token(toy):
    assert toy.tokenize("a [MASK].") == ["a", "[MASK]", "."]
    assert toy.tokenize("a [mask].") == ["a", "[UNK]", "[UNK]", "[UNK]", "."]


def test_batch_is_padded_int64(toy):
    batch = toy(["a cat", ""])
    assert batch["input_ids"].tolist() == [[2, 5, 6, 3], [2, 3, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert batch["token_type_ids"].tolist() == [[0] * 4] * 2
    assert {array.dtype for array in batch.values()} == {np.dtype(np.int64)}


def test_one_text_is_a_batch_of_one(toy):
    assert toy("a cat")["input_ids"].tolist() == [[2, 5, 6, 3]]


def test_empty_text_is_cls_sep_and_no_text_is_no_row(toy):
    assert toy("")["input_ids"].tolist() == [[toy.cls_id, toy.sep_id]]
    assert toy([])["input_ids"].shape == (0, 0)


def test_truncation_keeps_cls_and_sep(toy):
    batch = toy(["a cat a cat", "a"], max_length=4, truncation=True)
    assert batch["input_ids"].tolist() == [[2, 5, 6, 3], [2, 5, 3, 0]]
    assert toy("a cat", max_length=2, truncation=True)["input_ids"].tolist() == [[2, 3]]


def test_padding_to_max_length_and_none(toy):
    assert toy(["a"], max_length=5, padding="max_length")["input_ids"].tolist() == [[2, 5, 3, 0, 0]]
    assert toy(["a", "a cat"], padding=False) == {
        "input_ids": [[2, 5, 3], [2, 5, 6, 3]],
        "attention_mask": [[1, 1, 1], [1, 1, 1, 1]],
        "token_type_ids": [[0, 0, 0], [0, 0, 0, 0]],
    }


def test_dataset_holds_the_same_ids_flat(toy):
    data = toy.dataset(["a cat", "", "cats embedding"], max_length=4, labels=[1, 0, 2])
    assert data.ids.dtype == np.int32
    assert data.lengths.tolist() == [4, 2, 4]
    batch = data.__getitems__(np.array([2, 1]))
    assert batch["input_ids"].tolist() == [[2, 6, 8, 3], [2, 3, 0, 0]]
    assert batch["labels"].tolist() == [2, 0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda t: t(["a", 3.5]), TypeError, "text 1 is 3.5; the tokenizer takes a str"),
        (lambda t: t("a cat", max_length=3), ValueError, "text 0 has 4 tokens, more than max_len"),
        (lambda t: t("a", max_length=1, truncation=True), ValueError, "must be 2 or more.* got 1"),
        (lambda t: t("a", truncation=True), ValueError, "need a max_length"),
        (lambda t: t("a", padding="max_length"), ValueError, "need a max_length"),
        (lambda t: t("a", padding="left"), ValueError, "padding is True, False.* got 'left'"),
        (lambda t: t("a", max_length=9, truncation="last"), ValueError, "truncation is.* 'last'"),
        (lambda t: t("a", max_length=9, truncation="only_second"), ValueError, "needs pairs"),
        (lambda t: t(["a", "a"], ["a"]), ValueError, "2 texts but 1 pairs"),
        (lambda t: t("a", 7 * [3.5]), ValueError, "1 texts but 7 pairs"),
        (lambda t: t("a", [3.5]), TypeError, "pair 0 is 3.5; the tokenizer takes a str"),
        (lambda t: t("a", "a", max_length=2, truncation=True), ValueError, "must be 3 or more"),
        (
            lambda t: t(["a", "a\udc80"]),
            ValueError,
            "text 1 holds a lone surrogate, U\\+DC80 at ch",
        ),
        (lambda t: t.tokenize("\ud800"), ValueError, "the text holds a lone surrogate"),
        (lambda t: t.explain("\ud800"), ValueError, "the text holds a lone surrogate"),
        (lambda t: t.decode([99]), ValueError, "id 99 is outside the vocabulary of 23 pieces"),
        (lambda t: t.decode([-1]), ValueError, "id -1 is outside"),
    ],
)
def test_wrong_calls_are_refused(toy, call, error, message):
    with pytest.raises(error, match=message):
        call(toy)


# --- ids to text --------------------------------------------------------------------------------


def test_decode_gives_back_the_words(tokenizer, texts):
    words = BasicWords()
    for text in texts[:500]:
        assert tokenizer.decode(tokenizer.encode(text)) == " ".join(words(text))


def test_decode_can_show_special_tokens(toy):
    assert toy.decode([2, 6, 8, 4, 3]) == "cats"
    assert toy.decode([2, 6, 8, 4, 3], skip_special_tokens=False) == "[CLS] cats [MASK] [SEP]"


# --- training -----------------------------------------------------------------------------------


def test_special_tokens_have_ids_0_to_4(tokenizer):
    assert tokenizer.special_ids == [0, 1, 2, 3, 4]
    assert (tokenizer.pad_id, tokenizer.unk_id, tokenizer.cls_id) == (0, 1, 2)
    assert (tokenizer.sep_id, tokenizer.mask_id) == (3, 4)
    assert tokenizer.vocab_size == len(tokenizer.pieces) == 1500


def test_training_is_repeatable_and_ignores_the_order_of_texts(texts):
    first, second = (WordPieceTokenizer.train(t, 600).pieces for t in (texts, texts[::-1]))
    assert first == second


def test_pairs_join_by_frequency_then_alphabetically():
    counts = {"abab": 3, "cd": 3, "ef": 2, "gh": 1}
    pieces = learn_pieces(counts, 100, min_frequency=2, alphabet_limit=1000)
    # (##a, ##b), (##b, ##a), (a, ##b), (c, ##d): 3 each; (##a, ##b) sorts first.
    assert pieces[pieces.index("##h") + 1 :] == ["##ab", "##bab", "abab", "cd", "ef"]


def naive_merges(word_counts, number):
    """The algorithm without its bookkeeping: count all pairs anew for every join."""
    words = {word: [word[0], *("##" + c for c in word[1:])] for word in word_counts}
    joined = []
    for _ in range(number):
        counts = {}
        for word, pieces in words.items():
            for pair in pairwise(pieces):
                counts[pair] = counts.get(pair, 0) + word_counts[word]
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        joined.append(best[0] + best[1][2:])
        for pieces in words.values():
            i = 0
            while i < len(pieces) - 1:
                if (pieces[i], pieces[i + 1]) == best:
                    pieces[i : i + 2] = [joined[-1]]
                i += 1
    return joined


@settings(deadline=None)
@given(st.dictionaries(st.text("abc", min_size=1, max_size=9), st.integers(1, 9), max_size=12))
def test_incremental_counts_join_like_counting_anew(word_counts):
    merges, joined = PairMerges(word_counts), []
    while (pair := merges.most_frequent(1)) is not None and len(joined) < 15:
        joined.append(merges.join(pair))
    assert joined == naive_merges(word_counts, 15)


def test_rare_pairs_and_rare_characters_are_left_out():
    pieces = learn_pieces({"ab": 1, "cd": 2, "z": 1}, 100, min_frequency=2, alphabet_limit=4)
    assert "cd" in pieces
    assert not {"ab", "z"} & set(pieces)


@pytest.mark.parametrize(
    ("texts", "size", "message"),
    [
        (["", " \n"], 100, "the texts hold no word to learn from"),
        (["abc def"], 10, "room for 5 pieces, but .* characters alone need 10"),
    ],
)
def test_training_says_what_it_lacks(texts, size, message):
    with pytest.raises(ValueError, match=message):
        WordPieceTokenizer.train(texts, size)


# --- files --------------------------------------------------------------------------------------


def test_saved_tokenizer_comes_back_the_same(tmp_path):
    first = WordPieceTokenizer([*SPECIAL_TOKENS, "\u2028", "A", "##é"], lowercase=False)
    first.save_pretrained(tmp_path / "new" / "folder")
    second = WordPieceTokenizer.from_pretrained(tmp_path / "new" / "folder")
    assert second.pieces == first.pieces
    assert second.encode("Aé") == first.encode("Aé") == [2, 6, 7, 3]


def test_vocabulary_with_windows_line_ends_is_read(tmp_path):
    (tmp_path / "vocab.txt").write_bytes("\r\n".join([*SPECIAL_TOKENS, "cat", ""]).encode())
    assert WordPieceTokenizer.from_pretrained(tmp_path).pieces[-1] == "cat"


def test_missing_vocabulary_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(f"no vocab.txt in {tmp_path}")):
        WordPieceTokenizer.from_pretrained(tmp_path)


SPECIALS = "\n".join(SPECIAL_TOKENS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "vocab.txt is empty"),
        (b"cat\n[PAD]\n[UNK]\n[SEP]\n", r"vocab.txt: .*lacks the special tokens \[CLS\], \[MASK\]"),
        (f"{SPECIALS}\ncat\ndog\ncat\n".encode(), "holds 1 pieces twice, the first 'cat'"),
        (f"{SPECIALS}\n\ncat\n".encode(), "has an empty piece, number 5"),
        (f"{SPECIALS}\ncaf\xe9\n".encode("latin-1"), "vocab.txt is not UTF-8 text"),
    ],
)
def test_broken_vocabulary_gets_one_clear_sentence(tmp_path, content, message):
    (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        WordPieceTokenizer.from_pretrained(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "tokenizer_config.json is not JSON"),
        ("[]", "tokenizer_config.json holds no JSON object"),
        (json.dumps({"tokenize_chinese_chars": False}), "tokenize_chinese_chars=false is not supp"),
        (
            json.dumps({"unk_token": "<unk>"}),
            r"unk_token is '<unk>'; .* knows BERT's \[UNK\] alone",
        ),
    ],
)
def test_config_that_cannot_be_followed_is_refused(tmp_path, toy, content, message):
    toy.save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        WordPieceTokenizer.from_pretrained(tmp_path)


def test_added_tokens_beside_a_vocabulary_are_read(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join([*SPECIAL_TOKENS, "a"]), encoding="utf-8")
    entries = {"4": {"content": "[MASK]", "lstrip": True}, "6": {"content": "<E>"}}
    config = json.dumps({"added_tokens_decoder": entries, "do_lower_case": False})
    (tmp_path / "tokenizer_config.json").write_text(config, encoding="utf-8")
    tokenizer = WordPieceTokenizer.from_pretrained(tmp_path)
    assert tokenizer.tokenize("a<E> [MASK]") == ["a", "<E>", "[MASK]"]
    assert tokenizer.added_tokens["[MASK]"].lstrip
    assert tokenizer.decode([5, 6]) == "a"


def test_older_list_of_added_tokens_is_read(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join([*SPECIAL_TOKENS, "a"]), encoding="utf-8")
    (tmp_path / "added_tokens.json").write_text('{"New": 6, "<S>": 7}', encoding="utf-8")
    specials = json.dumps({"additional_special_tokens": ["<S>"]})
    (tmp_path / "special_tokens_map.json").write_text(specials, encoding="utf-8")
    tokenizer = WordPieceTokenizer.from_pretrained(tmp_path)
    assert tokenizer.tokenize("a NEW<S><s>") == ["a", "New", "<S>", "[UNK]", "[UNK]", "[UNK]"]
    assert tokenizer.decode([5, 6, 7]) == "a New"


def test_two_vocabularies_that_differ_are_refused(toy, tmp_path):
    toy.save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(toy.pieces[:-1]), encoding="utf-8")
    with pytest.raises(ValueError, match=r"vocab\.txt and tokenizer\.json hold different"):
        WordPieceTokenizer.from_pretrained(tmp_path)


def test_letters_follow_the_config_before_the_tokenizer_file(toy, tmp_path):
    toy.save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}', encoding="utf-8")
    assert not WordPieceTokenizer.from_pretrained(tmp_path).lowercase
    (tmp_path / "tokenizer_config.json").unlink()
    assert WordPieceTokenizer.from_pretrained(tmp_path).lowercase


BROKEN_JSON = [
    ({"model": None}, "tokenizer.json holds no model, and WordPieceTokenizer reads WordPiece"),
    ({"model": {"type": "Unigram"}}, "holds a Unigram model, and .*; minift knows WordPiece"),
    ({"model": {"type": "BPE"}}, "holds a BPE model, and WordPieceTokenizer reads WordPiece"),
    ({"model.vocab": None}, "holds no vocabulary"),
    ({"model.vocab": {"[PAD]": "0"}}, r"the id of '\[PAD\]' is '0', not an integer"),
    ({"model.vocab": {"[PAD]": 0, "a": 2}}, "should be 0 to 1, each once, but 'a' has 2"),
    ({"model.vocab": {"a": 0}, "added_tokens": []}, r"lacks the special tokens \[PAD\], \[UNK\]"),
    ({"model.unk_token": "<unk>"}, 'model.unk_token is "<unk>"; minift supports "\\[UNK\\]"'),
    ({"model.max_input_chars_per_word": 9}, "max_input_chars_per_word is 9; minift supports 100"),
    ({"normalizer": None}, 'normalizer.type is null; minift supports "BertNormalizer"'),
    ({"normalizer": []}, "normalizer.type is null"),
    ({"normalizer": [1]}, r"normalizer should be an object, got \[1\]"),
    ({"normalizer.clean_text": False}, "normalizer.clean_text is false; minift supports true"),
    ({"pre_tokenizer.type": "Whitespace"}, 'pre_tokenizer.type is "Whitespace"'),
    ({"post_processor": None}, r"should put \[CLS\] a \[SEP\] b \[SEP\] .* it is missing"),
    ({"added_tokens": {}}, None),
    ({"added_tokens": [3]}, "added_tokens should be a list of objects"),
    ({"added_tokens": [{"content": "x"}]}, "an added token lacks its id"),
    ({"added_tokens": [{"id": 23}]}, "should be an object with a content"),
    ({"added_tokens": [{"id": 23, "content": ""}]}, "an added token is empty"),
    ({"added_tokens": [{"id": 99, "content": "x"}]}, "'x' has the id 99 instead of 23"),
    ({"added_tokens": [{"id": 4, "content": "x", "single_word": True}]}, "single_word=true"),
]


@pytest.mark.parametrize(("changes", "message"), BROKEN_JSON)
def test_broken_tokenizer_file_gets_one_clear_sentence(tmp_path, toy, changes, message):
    toy.save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").unlink()
    file = tmp_path / "tokenizer.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    for path, value in changes.items():
        section, _, key = path.rpartition(".")
        (content[section] if section else content)[key] = value
    file.write_text(json.dumps(content), encoding="utf-8")
    if message is None:
        assert WordPieceTokenizer.from_pretrained(tmp_path).pieces == toy.pieces
        return
    with pytest.raises(ValueError, match=message) as caught:
        WordPieceTokenizer.from_pretrained(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(file))


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_truncated_tokenizer_file_gets_one_clear_sentence(tmp_path, toy, keep):
    toy.save_pretrained(tmp_path)
    file = tmp_path / "tokenizer.json"
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * keep)])
    with pytest.raises(ValueError, match=r"tokenizer\.json is not JSON"):
        WordPieceTokenizer.from_pretrained(tmp_path)


def test_a_name_stands_for_its_folder():
    assert WordPieceTokenizer.from_pretrained("tiny").vocab_size == 8000
    with pytest.raises(FileNotFoundError, match="there is no folder nowhere"):
        WordPieceTokenizer.from_pretrained("nowhere")
