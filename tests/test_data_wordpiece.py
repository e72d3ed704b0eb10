"""WordPiece: the reference algorithm id for id, a repeatable trainer, files that others open."""

import json
import re
import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import oracle

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
    model = hf.models.WordPiece(tokenizer.id_of, unk_token="[UNK]", max_input_chars_per_word=100)
    other = hf.Tokenizer(model)
    other.normalizer = hf.normalizers.BertNormalizer(
        lowercase=tokenizer.lowercase, strip_accents=tokenizer.strip_accents
    )
    other.pre_tokenizer = hf.pre_tokenizers.BertPreTokenizer()
    other.add_special_tokens(list(SPECIAL_TOKENS))
    other.post_processor = hf.processors.BertProcessing(
        ("[SEP]", tokenizer.sep_id), ("[CLS]", tokenizer.cls_id)
    )
    return other


def settled(character):
    """Whether Unicode has said the same of a character since 2002: every table agrees on it."""
    old = unicodedata.ucd_3_2_0.category(character)
    return old not in ("Cn", "Cs") and old == unicodedata.category(character)


SETTLED = "".join(c for c in map(chr, range(0x30000)) if settled(c))


@pytest.fixture(scope="module")
def unicode_tokenizer(texts):
    """A vocabulary that also knows single characters of many scripts."""
    return WordPieceTokenizer.train([*texts[:1000], " ".join(SETTLED[:3000:3])], 1500, True, 1)


@pytest.fixture(scope="module")
def unicode_reference(unicode_tokenizer):
    return reference(unicode_tokenizer)


def test_thousands_of_glosses_encode_as_the_reference_does(tokenizer):
    other, glosses = reference(tokenizer), load_glosses()
    sample = [*glosses.dev[0], *glosses.examples[:2000]]
    expected = [encoding.ids for encoding in other.encode_batch(sample)]
    assert tokenizer.encode_all(sample) == expected


def test_every_settled_character_is_treated_as_the_reference_does(unicode_tokenizer):
    hf = oracle("tokenizers")
    normalizer, splitter = hf.normalizers.BertNormalizer(), hf.pre_tokenizers.BertPreTokenizer()
    words = BasicWords()
    for character in SETTLED:
        text = f"a{character}b"
        expected = [w for w, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))]
        assert words(text) == expected, f"U+{ord(character):04X}"


FRAGMENTS = st.one_of(
    st.text(st.sampled_from(SETTLED), max_size=8),
    st.sampled_from([*SPECIAL_TOKENS, "x" * 101, "naïve", "İstanbul", "ΟΔΟΣ", "don't", "[mask]"]),
    st.text("abcdefgh ABC.,;é中\t\n\u200b\x00", max_size=20),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(FRAGMENTS, max_size=6).map("".join))
def test_drawn_text_encodes_as_the_reference_does(unicode_tokenizer, unicode_reference, text):
    assert unicode_tokenizer.encode(text) == unicode_reference.encode(text).ids


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
    other = transformers.BertTokenizer.from_pretrained(tmp_path)
    sample = [*texts[:50], "", "Crème BRÛLÉE [MASK]"]
    ours = tokenizer(sample, max_length=12, truncation=True)
    theirs = other(sample, max_length=12, truncation=True, padding=True, return_tensors="np")
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        assert np.array_equal(ours[name], theirs[name]), name


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
    ],
)
def test_config_that_cannot_be_followed_is_refused(tmp_path, toy, content, message):
    toy.save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        WordPieceTokenizer.from_pretrained(tmp_path)
