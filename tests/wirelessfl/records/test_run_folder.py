"""Run folders: creation, records, checkpoints, damaged files and locks."""

import dataclasses
import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from wirelessfl.errors import InputError
from wirelessfl.records.checkpoint import Checkpoint
from wirelessfl.records.run_folder import LOCK, RunFolder, write_atomically
from wirelessfl.values import RoundRecord

ARRAYS = {"w": np.arange(20.0), "n": np.int64(3), "mask": np.ones((2, 3), dtype=bool)}


def record(round, **changes):
    values = {field.name: [0.5, 1.0] for field in dataclasses.fields(RoundRecord)}
    scalars = {
        "round": round,
        "clock_s": 0.1 * round,
        "round_s": 0.1,
        "loss": 1 / 3,
        "accuracy": 0.9,
    }
    whole = {"clients": [0, 3], "retransmissions": [0, 2], "band_utilisation": 0.5, "extra": {}}
    flags = {name: [True, False] for name in ("delivered", "lost", "earlier")}
    return RoundRecord(**{**values, **scalars, **whole, **flags, **changes})


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "runs" / "one", "a = 1\n")


def names(path):
    return sorted(file.name for file in path.rglob("*"))


def test_a_new_folder_holds_the_experiment_and_no_round(folder):
    assert names(folder.path) == ["experiment.toml", "rounds.jsonl"]
    assert folder.experiment_file.read_text() == "a = 1\n"
    assert folder.records() == []
    assert RunFolder.open(folder.path) == folder


def test_an_empty_folder_may_become_a_run(tmp_path):
    (tmp_path / "one").mkdir()
    RunFolder.create(tmp_path / "one", "é = 1\n")
    assert (tmp_path / "one" / "experiment.toml").read_bytes() == "é = 1\n".encode()
    assert [file.name for file in tmp_path.iterdir()] == ["one"]


def test_create_refuses_what_is_there(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("more work")
    for name in ("one", "file"):
        before = names(tmp_path)
        with pytest.raises(
            InputError, match=r"exists and is not empty: choose another folder or add --resume$"
        ):
            RunFolder.create(tmp_path / name, "")
        assert names(tmp_path) == before
    assert (tmp_path / "one" / "thesis.txt").read_text() == "years of work"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        InputError, match=r"^--out .*file/one cannot be a folder: .*file is a file$"
    ) as caught:
        RunFolder.create(tmp_path / "file" / "one", "")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "stage", ["pathlib.Path.touch", "pathlib.Path.mkdir", "pathlib.Path.replace"]
)
def test_create_leaves_nothing_when_it_fails(tmp_path, monkeypatch, stage):
    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(stage, fail)
        with pytest.raises(
            InputError, match=r"^--out .*one cannot be made: No space left on device$"
        ):
            RunFolder.create(tmp_path / "one", "")
    assert names(tmp_path) == []


def test_create_leaves_alone_what_somebody_else_made_meanwhile(tmp_path, monkeypatch):
    RunFolder.create(tmp_path / "one", "theirs")
    monkeypatch.setattr(
        RunFolder, "check_free", lambda path: None
    )  # it was still free a moment ago
    with pytest.raises(InputError, match=r"^--out .*one cannot be made: "):
        RunFolder.create(tmp_path / "one", "mine")
    assert (tmp_path / "one" / "experiment.toml").read_text() == "theirs"
    assert [file.name for file in tmp_path.iterdir()] == ["one"]


def test_only_a_folder_without_rounds_is_removed(tmp_path):
    folder = RunFolder.create(tmp_path / "one", "")
    folder.append(record(1))
    folder.remove_unused()
    assert folder.records() != []
    folder.keep_rounds(0)
    folder.remove_unused()
    assert names(tmp_path) == []


def test_open_says_what_is_missing(tmp_path):
    with pytest.raises(InputError, match=r"one is not a run folder: no such folder$"):
        RunFolder.open(tmp_path / "one")
    (tmp_path / "one").mkdir()
    with pytest.raises(InputError, match=r"one is not a run folder: experiment.toml is missing$"):
        RunFolder.open(tmp_path / "one")
    (tmp_path / "one" / "experiment.toml").write_text("")
    with pytest.raises(InputError, match=r"one is not a run folder: rounds.jsonl is missing$"):
        RunFolder.open(tmp_path / "one")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file is not a run folder"):
        RunFolder.open(tmp_path / "file")


def test_records_come_back_as_written(folder):
    for round in (1, 2, 3):
        folder.append(record(round))
    assert folder.records() == [record(round).as_dict() for round in (1, 2, 3)]
    lines = folder.rounds_file.read_text().splitlines()
    assert [json.loads(line)["round"] for line in lines] == [1, 2, 3]


def test_a_torn_last_line_does_not_count(folder):
    folder.append(record(1))
    whole = folder.rounds_file.read_bytes()
    for end in range(1, len(whole), 7):
        folder.rounds_file.write_bytes(whole + whole[:end].replace(b"\n", b""))
        assert len(folder.records()) == 1


@pytest.mark.parametrize("damage", [b"{", b"[1]", b"\xff\xfe", b'{"round": 3}', b""])
def test_a_damaged_line_is_named(folder, damage):
    folder.append(record(1))
    with folder.rounds_file.open("ab") as file:
        file.write(damage + b"\n")
    with pytest.raises(InputError, match=r"rounds.jsonl line 2 is damaged: ") as caught:
        folder.records()
    assert "\n" not in str(caught.value)


def test_keep_rounds_keeps_bytes(folder):
    for round in (1, 2, 3):
        folder.append(record(round))
    lines = folder.rounds_file.read_bytes().splitlines(keepends=True)
    folder.keep_rounds(2)
    assert folder.rounds_file.read_bytes() == b"".join(lines[:2])
    folder.keep_rounds(2, evaluated_last=False)
    assert folder.rounds_file.read_bytes() == lines[0] + lines[1].replace(
        b'"accuracy": 0.9', b'"accuracy": null'
    )
    with pytest.raises(
        InputError, match=r"holds 2 rounds, its checkpoint 3: the folder is damaged$"
    ):
        folder.keep_rounds(3)
    folder.keep_rounds(0)
    assert folder.rounds_file.read_bytes() == b""


def test_a_checkpoint_comes_back_to_the_last_bit(folder):
    arrays = {
        "w": np.array([1 / 3, np.nan, -0.0]),
        "half": np.float16([0.1]),
        "words": np.array(["a", "bc"]),
    }
    folder.save_checkpoint(Checkpoint(7, 1 / 7, arrays))
    back = folder.last_checkpoint(pytest.fail)
    assert (back.round, back.clock_s, set(back.arrays)) == (7, 1 / 7, set(arrays))
    for name, array in arrays.items():
        assert back.arrays[name].dtype == array.dtype
        assert back.arrays[name].tobytes() == array.tobytes()


def test_the_last_two_checkpoints_are_kept(folder):
    assert folder.last_checkpoint(pytest.fail) is None
    for round in (5, 10, 100):
        folder.save_checkpoint(Checkpoint(round, 0.0, ARRAYS))
    assert names(folder.path)[:2] == ["checkpoint-000010.npz", "checkpoint-000100.npz"]
    assert folder.last_checkpoint(pytest.fail).round == 100


@pytest.mark.slow
def test_any_damaged_checkpoint_is_named_and_the_one_before_it_used(folder):
    """Every truncation and one flipped bit per byte are detected or harmless, never a crash."""
    arrays = {"w": np.arange(5.0)}
    folder.save_checkpoint(Checkpoint(5, 0.5, arrays))
    folder.save_checkpoint(Checkpoint(10, 1.0, arrays))
    newest = folder.path / "checkpoint-000010.npz"
    good = newest.read_bytes()
    flipped = [good[:i] + bytes([good[i] ^ 1 << i % 8]) + good[i + 1 :] for i in range(len(good))]
    for damaged in (
        *flipped,
        *(good[:end] for end in range(0, len(good), 7)),
        b"\0" * len(good),
        b"no archive",
    ):
        newest.write_bytes(damaged)
        lines = []
        back = folder.last_checkpoint(lines.append)
        assert (back.round, len(lines)) in ((5, 1), (10, 0))
        assert list(back.arrays) == ["w"]
        assert back.arrays["w"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
        if lines:
            assert str(newest) in lines[0]
            assert lines[0].endswith("the one before it is used")
            assert "\n" not in lines[0]
    assert lines


@pytest.mark.parametrize("inputs", ['{"trace": {"bytes": 1}}', "[]", "null", "{"])
def test_damaged_content_of_input_files_damages_the_checkpoint(folder, inputs):
    """A checkpoint of another round, and one whose record of its input files is not one."""
    for round in (5, 10):
        folder.save_checkpoint(Checkpoint(round, 0.5, ARRAYS))
    newest = folder.path / "checkpoint-000010.npz"
    good = dict(np.load(newest))
    for changed in ({"__round": np.int64(9)}, {"__inputs": np.str_(inputs)}):
        np.savez(newest, **{**good, **changed})
        lines = []
        back = folder.last_checkpoint(lines.append)
        assert back.round == 5
        assert [line.rpartition("; ")[2] for line in lines] == ["the one before it is used"]


def test_without_any_good_checkpoint_the_run_starts_over(folder):
    for round in (5, 10):
        folder.save_checkpoint(Checkpoint(round, 0.5, ARRAYS))
        (folder.path / f"checkpoint-{round:06d}.npz").write_bytes(b"")
    lines = []
    assert folder.last_checkpoint(lines.append) is None
    assert [line.rpartition("; ")[2] for line in lines] == [
        "the one before it is used",
        "the run starts over",
    ]


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("a pickle from a run folder was loaded",)


def test_no_pickle_is_loaded(folder):
    newest = folder.path / "checkpoint-000010.npz"
    bomb = np.empty(1, dtype=object)
    bomb[0] = Bomb()
    for damage in ("pickle", "object array"):
        if damage == "pickle":
            newest.write_bytes(pickle.dumps(Bomb()))
        else:
            np.savez(newest, __clock_s=np.float64(0), w=bomb)
        lines = []
        assert folder.last_checkpoint(lines.append) is None
        assert len(lines) == 1


@pytest.mark.parametrize(
    "stage", ["wirelessfl.records.run_folder.os.fsync", "wirelessfl.records.run_folder.os.replace"]
)
def test_a_write_is_whole_or_nothing(tmp_path, monkeypatch, stage):
    file = tmp_path / "file"
    write_atomically(file, b"old")

    def kill(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stage, kill)
        with pytest.raises(KeyboardInterrupt):
            write_atomically(file, b"new and longer")
    assert file.read_bytes() == b"old"
    write_atomically(file, b"new")
    assert names(tmp_path) == ["file"]


def test_a_write_touches_no_other_file(tmp_path):
    """The temporary file has a name of its own: a hidden file of the user, or a link, stays."""
    hidden = tmp_path / ".env"
    hidden.write_text("secret")
    other = tmp_path / "other"
    other.write_text("other")
    (tmp_path / ".c.csv").symlink_to(other)
    write_atomically(tmp_path / "env", b"1")
    write_atomically(tmp_path / "c.csv", b"2")
    assert (hidden.read_text(), other.read_text()) == ("secret", "other")
    assert names(tmp_path) == [".c.csv", ".env", "c.csv", "env", "other"]


def test_two_writers_of_one_file_leave_a_whole_one(tmp_path):
    file = tmp_path / "file"
    contents = [bytes([65 + writer]) * 100_000 for writer in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(write_atomically, file, contents[i % 4]) for i in range(40)]:
            done.result()
    assert file.read_bytes() in contents
    assert names(tmp_path) == ["file"]


def test_a_folder_that_another_process_uses_or_fills_stays(tmp_path):
    folder = RunFolder.create(tmp_path / "used", "x = 1")
    (folder.path / ".summary.json.abc.part").touch()  # of a process that was killed
    with folder.in_use():
        assert not list(folder.path.glob("*.part"))
        folder.discard()
    assert folder.experiment_file.exists()
    (folder.path / "notes.txt").write_text("mine")
    folder.discard()
    assert names(folder.path) == ["notes.txt"]
    empty = RunFolder.create(tmp_path / "empty", "x = 1")
    empty.discard()
    assert not empty.path.exists()


def test_checkpoints_stand_in_the_order_of_their_rounds(folder):
    for number in (999_999, 1_000_000):
        (folder.path / f"checkpoint-{number:06d}.npz").touch()
    assert [file.name for file in folder.checkpoint_files()][-2:] == [
        "checkpoint-999999.npz",
        "checkpoint-1000000.npz",
    ]


def test_summary_is_plain_json(folder):
    folder.write_summary({"rounds": 3, "final_accuracy": None})
    assert json.loads(folder.summary_file.read_text()) == {"rounds": 3, "final_accuracy": None}


def test_a_folder_in_use_is_refused_and_free_afterwards(tmp_path):
    folder = RunFolder.create(tmp_path / "r", "x = 1")
    before = sorted([LOCK, *(file.name for file in folder.path.iterdir())])
    with folder.in_use():
        with (
            pytest.raises(InputError, match=r"run folder .*r is in use by another process"),
            folder.in_use(),
        ):
            pass
        assert sorted(file.name for file in folder.path.iterdir()) == before
    with folder.in_use():
        pass
