"""Every character of Unicode means to our tokenizers what it means to the reference's."""

import hashlib
import os
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import oracle

from minift.data import make_unicode, unicode_tables
from minift.data.basic_words import BasicWords, cut
from minift.data.unicode_classes import CharacterClass, check_text, decompose, read_small_letters

# Beyond U+40000 whole planes are alike: unassigned, or private use.
CODES = [*range(0x40000), *range(0x40000, 0x110000, 61), *range(0xE0000, 0xE1000)]
CHARACTERS = [chr(code) for code in CODES if not 0xD800 <= code <= 0xDFFF]


def in_company(characters):
    """Each character between others on which it may act: accents before and behind, capitals."""
    return " ".join(f"a\u0345{c}\u0334B\u0345 A{c}" for c in characters)


def blocks(size=1000):
    return [in_company(CHARACTERS[i : i + size]) for i in range(0, len(CHARACTERS), size)]


def test_every_character_is_normalised_and_cut_as_in_the_reference():
    hf = oracle("tokenizers")
    splitter = hf.pre_tokenizers.BertPreTokenizer()
    for lowercase, strip_accents in ((True, True), (False, False)):
        words = BasicWords(lowercase, strip_accents)
        normalizer = hf.normalizers.BertNormalizer(lowercase=lowercase, strip_accents=strip_accents)
        for text in blocks():
            expected = normalizer.normalize_str(text)
            assert words.normalize(text)[0] == expected
            assert words(text) == [word for word, _ in splitter.pre_tokenize_str(expected)]


def test_every_character_decomposes_as_in_the_reference():
    expected = oracle("tokenizers").normalizers.NFD()
    for text in blocks():
        assert decompose(text) == expected.normalize_str(text)


MARKS = st.characters(categories=["Mn", "Mc", "Me"])


@settings(max_examples=300, deadline=None)
@given(st.text(st.one_of(MARKS, st.characters(exclude_categories=["Cs"])), max_size=12))
def test_drawn_accents_are_put_in_the_order_of_the_reference(text):
    assert decompose(text) == oracle("tokenizers").normalizers.NFD().normalize_str(text)


def test_words_are_the_same_under_every_python():
    """Made with Python 3.11 and the reference: later Pythons know more characters."""
    words, digest = BasicWords(), hashlib.sha256()
    for text in blocks():
        digest.update(" ".join(words(text)).encode())
    assert digest.hexdigest() == WORDS_DIGEST


WORDS_DIGEST = "ded1b9dac65f2bd2c1ef424a19c477e371543015eef7796518e964e10b32bd1a"


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_both_ways_through_the_steps_find_the_same_words(text):
    words = BasicWords()
    assert words(text) == [word for word, _ in cut(words.normalize(text))]


def test_places_tell_where_a_character_came_from():
    text, places = BasicWords().normalize("É\x00中 Ж\u0301")
    assert text == "e 中  ж"
    assert places == [0, 2, 2, 2, 3, 4]


def test_tables_are_what_the_generator_makes():
    if os.environ.get("MINIFT_REQUIRE_ORACLES") != "1" or sys.version_info[:2] != (3, 11):
        pytest.skip("takes 15 s: runs under Python 3.11 with MINIFT_REQUIRE_ORACLES=1")
    hf = oracle("tokenizers")
    made: dict[str, str] = {}
    exec(make_unicode.make_module(hf), made)
    assert {name: made[name] for name in make_unicode.COMMENTS} == {
        name: getattr(unicode_tables, name) for name in make_unicode.COMMENTS
    }


def test_ranges_are_written_and_read_back():
    codes = [0x41, 0x42, 0x43, 0x61, 0x10000]
    table = " ".join(make_unicode.ranges(codes))
    assert table == "41-43 61 10000"
    characters = CharacterClass(table)
    assert [code for code in range(0x10002) if chr(code) in characters] == codes


def test_small_letters_are_written_and_read_back():
    small = {0x41: 0x61, 0x42: 0x62, 0x100: 0x101, 0x102: 0x103, 0x104: 0x105, 0x178: 0xFF}
    table = " ".join(make_unicode.letter_ranges(small))
    assert table == "41-42+20 100-104/2+1 178-178-79"
    back = {ord(k): ord(v) for k, v in read_small_letters(table).items() if k != "\u0130"}
    assert back == small


def test_generator_wants_the_oldest_python(capsys, monkeypatch):
    monkeypatch.setattr(make_unicode.unicodedata, "unidata_version", "99.0.0")
    with pytest.raises(SystemExit):
        make_unicode.main(["--output", "nowhere.py"])
    assert "run this with Python 3.11" in capsys.readouterr().err


def test_half_a_character_gets_one_sentence():
    with pytest.raises(ValueError, match=r"text 3 holds a lone surrogate, U\+D83D at character 2"):
        check_text("ab\ud83d", "text 3")
