"""The shipped glosses: counts, no leak between splits, a maker that repeats itself byte for byte.

Lemmas do not ship; the tests that need them read WordNet's own files where they are: the folder
in MINIFT_WORDNET, or /usr/share/wordnet (`apt-get install wordnet-base`).
"""

import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from minift.data import make_glosses
from minift.data.glosses import CLASSES, GLOSS_FILE, draw_labelled, load_glosses, split_gloss
from minift.data.make_glosses import (
    Synset,
    hold_out,
    make_table,
    parse_synset,
    read_synsets,
    write_table,
)

SPLITS = ("train", "dev", "test")


@pytest.fixture(scope="module")
def glosses():
    return load_glosses()


def words_of(text):
    return " ".join(re.findall(r"[a-z0-9]+", text.casefold()))


# --- the shipped file ---------------------------------------------------------------------------


def test_held_out_splits_have_3000_glosses_and_10_of_each_class(glosses):
    for split in (glosses.dev, glosses.test):
        texts, labels = split
        assert len(texts) == len(labels) == 3000
        assert labels.dtype == np.int64
        assert np.bincount(labels, minlength=24).min() >= 10


def test_splits_are_stratified_alike(glosses):
    dev, test = (np.bincount(split[1]) for split in (glosses.dev, glosses.test))
    assert dev.tolist() == test.tolist()


def test_there_are_24_classes_without_tops_and_motive(glosses):
    assert glosses.classes == sorted(glosses.classes)
    assert len(glosses.classes) == 24
    assert not {"Tops", "motive"} & set(glosses.classes)


def test_no_text_stands_in_two_splits(glosses):
    seen = {split: {words_of(t) for t in getattr(glosses, split)[0]} for split in SPLITS}
    held_out = seen["dev"] | seen["test"]
    assert not seen["dev"] & seen["test"]
    assert not held_out & seen["train"]
    assert not held_out & {words_of(text) for text in glosses.unlabelled}
    assert not held_out & {words_of(text) for text in glosses.examples}


def test_held_out_texts_are_unique(glosses):
    texts = [words_of(text) for text in glosses.dev[0] + glosses.test[0]]
    assert max(Counter(texts).values()) == 1


def test_unlabelled_text_holds_every_training_text_once(glosses):
    assert len(glosses.unlabelled) == len(set(glosses.unlabelled)) > 100_000
    assert set(glosses.train[0]) < set(glosses.unlabelled)
    assert len(glosses.examples) > 30_000


def test_labels_name_the_right_classes(glosses):
    by_class = {
        name: [t for t, label in zip(*glosses.train) if glosses.classes[label] == name]
        for name in ("food", "plant", "time")
    }
    assert sum("served" in t for t in by_class["food"]) > 50
    assert sum("genus" in t for t in by_class["plant"]) > 500
    assert sum("day" in t for t in by_class["time"]) > 50


def test_shipped_file_is_small():
    assert GLOSS_FILE.stat().st_size < 3_000_000


def test_licence_notice_ships_whole():
    notice = GLOSS_FILE.with_name("WORDNET_LICENSE").read_text(encoding="utf-8")
    for phrase in (
        "Permission to use, copy, modify and distribute",
        "WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved.",
        'THIS SOFTWARE AND DATABASE IS PROVIDED "AS IS"',
        "Princeton University and LICENSEE agrees to preserve same.",
    ):
        assert phrase in notice


@pytest.mark.parametrize(
    ("gloss", "definition", "examples"),
    [
        ("an entity", "an entity", []),
        ('a joy; "full of glee"; "they laughed"', "a joy", ["full of glee", "they laughed"]),
        ('limit: "I limit you to two"', "limit", ["I limit you to two"]),
        ('as in the phrase "on the job";', 'as in the phrase "on the job"', []),
        ('one; two; "three', "one; two", []),
    ],
)
def test_gloss_is_split_at_its_first_example(gloss, definition, examples):
    assert split_gloss(gloss) == (definition, examples)


# --- drawing labels -----------------------------------------------------------------------------


def test_draw_is_balanced_from_train_and_repeatable(glosses):
    texts, labels = draw_labelled(glosses, 8, seed=1)
    assert np.bincount(labels).tolist() == [8] * 24
    train = set(zip(*glosses.train))
    assert set(zip(texts, labels)) <= train
    assert draw_labelled(glosses, 8, seed=1)[0] == texts
    assert draw_labelled(glosses, 8, seed=2)[0] != texts


def test_small_draw_is_part_of_the_large_one(glosses):
    small, large = (set(draw_labelled(glosses, n, seed=3)[0]) for n in (8, 32))
    assert small <= large


def test_draw_comes_in_random_order(glosses):
    labels = draw_labelled(glosses, 8, seed=1)[1]
    assert (np.diff(labels) < 0).any()


@pytest.mark.parametrize("count", [0, -1])
def test_draw_needs_a_positive_count(glosses, count):
    with pytest.raises(ValueError, match=f"labels per class must be 1 or more, got {count}"):
        draw_labelled(glosses, count, seed=0)


def test_draw_names_the_class_that_is_too_small(glosses):
    with pytest.raises(ValueError, match="asked for 300, but class 'shape' has only 253 labelled"):
        draw_labelled(glosses, 300, seed=0)


# --- the maker, on a WordNet of its own -----------------------------------------------------------

LICENCE = "  1 This software and database is being provided to you\n"


def synset_line(file_number, lemmas, gloss, kind="n"):
    words = " ".join(f"{lemma} 0" for lemma in lemmas)
    return f"00001740 {file_number:02d} {kind} {len(lemmas):02x} {words} 000 | {gloss}  \n"


@pytest.fixture
def tiny_wordnet(tmp_path):
    """24 classes of 9 nouns, one `Tops`, one `motive`, and verbs that share lemmas and texts."""
    numbers = [n for n in range(4, 29) if n != 16]
    nouns = [synset_line(3, ["thing"], "a top"), synset_line(16, ["urge"], "a motive")]
    nouns += [
        synset_line(n, [f"Noun_{n}_{i}", f"also-{n}-{i}"], f'definition {n} number {i}; "such"')
        for n in numbers
        for i in range(9)
    ]
    verbs = [synset_line(29, [f"noun_{n}_0"], f"to verb {n}", "v") for n in numbers]
    adjectives = [synset_line(0, ["same(a)"], f"Definition {n}: number 1", "s") for n in numbers]
    adverbs = [synset_line(2, ["freely"], "in a free manner", "r")]
    for name, lines in zip(make_glosses.PARTS_OF_SPEECH, (nouns, verbs, adjectives, adverbs)):
        (tmp_path / f"data.{name}").write_text(LICENCE + "".join(lines), encoding="utf-8")
    return tmp_path


def test_parse_reads_hexadecimal_counts_and_strips_markers():
    line = synset_line(5, [f"Big_Cat_{i}(ip)" for i in range(17)], "a  cat")
    synset = parse_synset(line, "noun")
    assert synset.noun_class == "animal"
    assert synset.lemmas == tuple(f"big_cat_{i}" for i in range(17))
    assert synset.gloss == "a cat"


def test_related_rows_are_left_out_of_everything(tiny_wordnet):
    synsets = read_synsets(tiny_wordnet)
    chosen, left_out = hold_out(synsets, rows=24, minimum=1)
    assert left_out, "the draw must touch a related row, or this test proves nothing"
    held_keys = [synsets[i].keys() for i in chosen]
    rest = [synsets[i].keys() for i in range(len(synsets)) if i not in chosen.keys() | left_out]
    assert not set().union(*held_keys) & set().union(*rest)
    assert sum(map(len, held_keys)) == len(set().union(*held_keys))


def test_unrelated_rows_are_kept(tiny_wordnet):
    synsets = read_synsets(tiny_wordnet)
    chosen, left_out = hold_out(synsets, rows=24, minimum=1)
    for i in left_out:
        assert any(synsets[i].keys() & synsets[j].keys() for j in chosen)


def test_table_names_split_part_of_speech_and_class(tiny_wordnet):
    header, *rows = make_table(read_synsets(tiny_wordnet), rows=24, minimum=1).splitlines()
    assert header == "split\tpart_of_speech\tclass\tgloss"
    assert rows[0] == "unlabelled\tnoun\tTops\ta top"
    assert rows[1] == "unlabelled\tnoun\tmotive\ta motive"
    assert rows[-1] == "unlabelled\tadv\t\tin a free manner"
    splits = Counter(row.split("\t")[0] for row in rows)
    assert splits["test"] == splits["dev"] == 24
    held = [row.split("\t")[2] for row in rows if row.startswith("test")]
    assert sorted(held) == CLASSES


def test_maker_writes_the_same_bytes_twice(tiny_wordnet, tmp_path):
    table = make_table(read_synsets(tiny_wordnet), rows=24, minimum=1)
    for name in ("one", "two"):
        write_table(table, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert not list(tmp_path.glob("*.part"))


def test_maker_says_which_class_runs_out():
    synsets = [Synset("noun", name, (name, "shared"), name) for name in CLASSES]
    with pytest.raises(ValueError, match="too few unrelated glosses of class"):
        hold_out(synsets * 3, rows=24, minimum=1)


def test_maker_without_its_folder_exits_2_with_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_info:
        make_glosses.main([str(tmp_path)])
    assert exit_info.value.code == 2
    assert f"no data.noun in {tmp_path}" in capsys.readouterr().err


# --- the maker, on the real WordNet ---------------------------------------------------------------


@pytest.fixture(scope="module")
def wordnet():
    folder = Path(os.environ.get("MINIFT_WORDNET", "/usr/share/wordnet"))
    if not (folder / "data.noun").is_file():
        pytest.skip(f"no WordNet in {folder}: apt-get install wordnet-base, or set MINIFT_WORDNET")
    return folder


def test_shipped_file_is_what_the_maker_makes(wordnet, tmp_path, capsys):
    output = tmp_path / "again.tsv.bz2"
    make_glosses.main([str(wordnet), "--output", str(output)])
    assert output.read_bytes() == GLOSS_FILE.read_bytes()
    assert f"wrote {output}" in capsys.readouterr().out


def test_no_lemma_of_the_real_wordnet_crosses_the_splits(wordnet):
    synsets = read_synsets(wordnet)
    chosen, left_out = hold_out(synsets, make_glosses.HELD_OUT_ROWS, make_glosses.HELD_OUT_MINIMUM)
    lemmas = {"test": Counter(), "dev": Counter(), "rest": Counter()}
    for i in set(range(len(synsets))) - left_out:
        lemmas[chosen.get(i, "rest")].update(synsets[i].lemmas)
    assert not lemmas["test"] & lemmas["dev"]
    assert not (lemmas["test"] + lemmas["dev"]) & lemmas["rest"]
