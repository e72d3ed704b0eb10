"""Real text in thirty scripts, some 8 MB: ids and places are the reference's, all of them.

The text is what programs say in some hundred languages: the translations that Debian's packages
iso-codes (names), libgtk-3-common and aptitude-common (sentences) carry. To get them:

    apt-get download iso-codes libgtk-3-common aptitude-common
    for file in *.deb; do dpkg-deb -x $file .; done
    MINIFT_TRANSLATIONS=$PWD/usr/share/locale python -m pytest tests/test_data_real_text.py
"""

import gettext
import os
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from test_data_bpe import reference as bpe_reference
from test_data_wordpiece import assert_same
from test_data_wordpiece import reference as wordpiece_reference

from minift.data import BPETokenizer, WordPieceTokenizer

TRANSLATIONS = Path(os.environ.get("MINIFT_TRANSLATIONS", "/usr/share/locale"))
CATALOGS = ("iso_*", "gtk30*", "aptitude")
BYTES, SCRIPTS, BYTES_OF_A_SCRIPT = 5_000_000, 10, 50_000


@pytest.fixture(scope="module")
def texts():
    """Every second translation, unless it is the English text."""
    files = [f for name in CATALOGS for f in sorted(TRANSLATIONS.glob(f"*/LC_MESSAGES/{name}.mo"))]
    found: dict[str, None] = {}
    for file in files:
        with file.open("rb") as stream:
            catalog = gettext.GNUTranslations(stream)._catalog
        found |= {text: None for key, text in catalog.items() if key and key != text}
    sample = list(found)[::2]
    if sum(len(text.encode()) for text in sample) < BYTES:
        reason = f"too few translations in {TRANSLATIONS}: see the top of this file"
        if os.environ.get("MINIFT_REQUIRE_ORACLES") == "1":
            pytest.fail(f"MINIFT_REQUIRE_ORACLES=1, but there are {reason}")
        pytest.skip(f"there are {reason}")
    return sample


def test_the_text_is_in_many_scripts(texts):
    scripts: Counter[str] = Counter()
    for character, count in Counter("".join(texts)).items():
        script = unicodedata.name(character, "?").split()[0]
        scripts[script] += count * len(character.encode()) * character.isalpha()
    assert sum(size >= BYTES_OF_A_SCRIPT for size in scripts.values()) >= SCRIPTS


def assert_all_the_same(tokenizer, other, texts):
    for i in range(0, len(texts), 20_000):
        chunk = texts[i : i + 20_000]
        theirs = [encoding.ids for encoding in other.encode_batch_fast(chunk)]
        assert tokenizer.encode_all(chunk) == theirs
        assert_same(tokenizer, other, chunk)


@pytest.mark.parametrize(("lowercase", "every"), [(True, 1), (False, 4)])
def test_wordpiece_is_the_references(texts, lowercase, every):
    tokenizer = WordPieceTokenizer.train(texts[::25], 12_000, lowercase, alphabet_limit=4000)
    assert_all_the_same(tokenizer, wordpiece_reference(tokenizer), texts[::every])


def test_bpe_is_the_references_and_gives_the_text_back(texts, tmp_path):
    tokenizer = BPETokenizer.train(texts[::25], 12_000)
    assert_all_the_same(tokenizer, bpe_reference(tokenizer, tmp_path), texts)
    for text in texts[::10]:
        assert tokenizer.decode(tokenizer.encode(text)) == text
