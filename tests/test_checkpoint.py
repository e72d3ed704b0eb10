"""A checkpoint is whole or not there: what is written, full disks, damage, kills, old ones."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from minift import checkpoint
from minift.checkpoint import checkpoints_in, load, load_newest, prune, save


def state(number=1.0):
    rng = np.random.default_rng(0)
    return {
        "step": 7,
        "arrays": [rng.normal(size=(3, 2)).astype(np.float32), np.array(number)],
        "names": ("a", "b"),
        "nothing": None,
        "large": 2**127 + 1,  # as in the state of a generator
        "nested": {"flag": True, "odd": float("nan"), "far": -float("inf"), "third": 1 / 3},
    }


def assert_same(a, b):
    np.testing.assert_equal(a, b)
    assert [x.dtype for x in a["arrays"]] == [x.dtype for x in b["arrays"]]


# ---------------------------------------------------------------------------------- what is written


def test_a_state_is_read_as_it_was_written_but_tuples_are_lists_and_keys_text(tmp_path):
    folder = save(tmp_path, 7, state() | {"by_number": {3: np.float32(0.1)}})
    assert folder == tmp_path / "step-7"
    expected = {**state(), "names": ["a", "b"], "by_number": {"3": float(np.float32(0.1))}}
    assert_same(load(folder), expected)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 3), np.float32),
        np.full((), 2.5),
        np.arange(12.0).reshape(3, 4).T,
        np.array([True, False]),
        np.arange(3, dtype=np.int8),
        np.arange(5, dtype=np.uint16),
        np.arange(3, dtype=np.int64),
        np.ones(3, np.float16),
    ],
    ids=["empty", "scalar", "transposed", "bool", "int8", "uint16", "int64", "float16"],
)
def test_arrays_of_every_kind_keep_their_bits_in_a_file_that_safetensors_reads(tmp_path, array):
    folder = save(tmp_path, 1, {"odd": np.ones(3, np.int8), "x": array})
    found = load_file(folder / "arrays.safetensors")["x"]
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1, 2}, "plain values and NumPy arrays, but callbacks/0/seen is of type set; let state_d"),
        (np.array(["a"]), "a checkpoint holds numbers, but callbacks/0/seen is of type <U1"),
        (np.array([1j]), "a checkpoint holds numbers, but callbacks/0/seen is of type complex128"),
    ],
)
def test_what_no_file_can_hold_is_refused_by_its_place_and_nothing_stays(tmp_path, value, message):
    with pytest.raises(TypeError, match=message):
        save(tmp_path, 1, {"callbacks": [{"seen": value}]})
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_pickled(tmp_path):
    files = {path.name for path in save(tmp_path, 1, state()).iterdir()}
    assert files == {"state.json", "arrays.safetensors", "SHA256SUMS"}


# ------------------------------------------------------------------------------------- a full disk


def calls_of(tmp_path, monkeypatch, fail_at=0, error=errno.ENOSPC):
    """Count the calls by which `save` touches the disk; the n-th raises `error`."""
    count = []

    def counted(original):
        def call(*arguments, **settings):
            count.append(original)
            if len(count) == fail_at:
                raise OSError(error, os.strerror(error))
            return original(*arguments, **settings)

        return call

    monkeypatch.setattr(checkpoint.os, "fsync", counted(os.fsync))
    monkeypatch.setattr(checkpoint.Path, "rename", counted(checkpoint.Path.rename))
    monkeypatch.setattr(checkpoint.Path, "open", counted(checkpoint.Path.open))
    return count


def test_a_disk_that_is_full_at_any_moment_leaves_the_last_good_checkpoint(tmp_path, monkeypatch):
    with monkeypatch.context() as counting:
        calls = calls_of(tmp_path / "count", counting)
        save(tmp_path / "count", 1, state())
    assert len(calls) >= 8  # three files opened and flushed, the rename, two folders
    save(tmp_path / "run", 1, state())
    for moment in range(1, len(calls) + 1):
        with monkeypatch.context() as failing:
            calls_of(tmp_path, failing, moment)
            with pytest.raises(
                OSError, match=r"step 2 could not .*\(No space left on device\); st"
            ):
                save(tmp_path / "run", 2, state(2.0))
        prune(tmp_path / "run", keep={1})  # flushing the folder fails after the rename
        assert [path.name for path in (tmp_path / "run").iterdir()] == ["step-1"]
        assert_same(load_newest(tmp_path / "run"), {**state(), "names": ["a", "b"]})


def test_the_message_names_what_is_still_there(tmp_path, monkeypatch):
    calls_of(tmp_path, monkeypatch, 1)
    with pytest.raises(OSError, match="there is no older one: make room and resume") as caught:
        save(tmp_path, 1, state())
    assert caught.value.errno == errno.ENOSPC


LIMITED = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from minift import checkpoint
folder = Path(sys.argv[1])
checkpoint.save(folder, 1, {"x": np.zeros(1000)})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    checkpoint.save(folder, 2, {"x": np.zeros(1_000_000)})
except OSError as error:
    print(error)
print(sorted(path.name for path in folder.iterdir()), checkpoint.load_newest(folder)["x"].size)
"""


@pytest.mark.skipif(os.name != "posix", reason="only POSIX limits the size of files")
def test_a_write_that_the_system_refuses_leaves_the_last_good_checkpoint(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    said, rest = done.stdout.splitlines()
    assert "step 2 could not be written" in said
    assert "(File too large); step-1 is still there" in said
    assert rest == "['step-1'] 1000"


# ----------------------------------------------------------------------------------------- damage


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


DAMAGES = {
    "one bit of the arrays": (lambda f: flip(f / "arrays.safetensors"), "SHA-256 is not that in"),
    "one bit of the values": (lambda f: flip(f / "state.json"), "state.json is damaged: its SHA"),
    "half of the arrays": (
        lambda f: os.truncate(f / "arrays.safetensors", 40),
        "arrays.safetensors is damaged",
    ),
    "no arrays": (lambda f: (f / "arrays.safetensors").unlink(), "has no arrays.safetensors"),
    "no sums": (lambda f: (f / "SHA256SUMS").unlink(), "has no SHA256SUMS"),
    "empty sums": (lambda f: (f / "SHA256SUMS").write_text(""), "state.json is damaged"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_checkpoint_is_skipped_with_a_sentence(tmp_path, name):
    damage, reason = DAMAGES[name]
    save(tmp_path, 9, state(9.0))
    damage(save(tmp_path, 10, state(10.0)))  # the newest by number, not by name
    with pytest.warns(UserWarning, match=f"step-10 is skipped, because .*{reason}"):
        found = load_newest(tmp_path)
    assert found["arrays"][1] == 9


def test_without_a_whole_checkpoint_there_is_nothing_to_go_on_from(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no checkpoint to go on from; start anew"):
        load_newest(tmp_path / "nowhere")
    flip(save(tmp_path, 1, state()) / "state.json")
    with (
        pytest.warns(UserWarning, match="step-1 is skipped"),
        pytest.raises(FileNotFoundError, match="go on from: all 1 are damaged; start anew"),
    ):
        load_newest(tmp_path)


def test_a_damaged_checkpoint_is_replaced_by_one_of_the_same_step(tmp_path):
    flip(save(tmp_path, 1, state()) / "state.json")
    save(tmp_path, 1, state(5.0))
    assert load_newest(tmp_path)["arrays"][1] == 5
    assert [path.name for path in tmp_path.iterdir()] == ["step-1"]


# ---------------------------------------------------------------------------------------- pruning


def test_checkpoints_are_in_order_of_their_steps_whatever_else_is_there(tmp_path):
    for step in (100, 9, 20):
        save(tmp_path, step, {})
    (tmp_path / "step-notes").mkdir()
    assert list(checkpoints_in(tmp_path)) == [9, 20, 100]


def test_pruning_keeps_what_it_is_told_and_takes_what_killed_runs_left(tmp_path):
    for step in (1, 2, 3):
        save(tmp_path, step, {})
    (tmp_path / ".part-1234").mkdir()
    (tmp_path / "note.txt").write_text("mine")
    prune(tmp_path, keep={1, 3})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["note.txt", "step-1", "step-3"]
