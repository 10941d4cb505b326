"""Resumed and extended runs: records, checkpoints and refusals."""

import itertools
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import plugin_folder
from helpers.small_run import contents, experiment, run

from wirelessfl import plugins
from wirelessfl.errors import InputError
from wirelessfl.protocols import Runtime
from wirelessfl.records.run_folder import RunFolder
from wirelessfl.rounds import one_round


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.fixture(autouse=True)
def _dummies(monkeypatch):
    plugin_folder.use(monkeypatch)


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "run", "")


@pytest.fixture
def whole(tmp_path):
    """The bytes of the uninterrupted run of ten rounds: its rounds and its summary."""
    folder = RunFolder.create(tmp_path / "whole", "")
    run(experiment(), folder)
    return contents(folder)


@pytest.mark.parametrize("first", range(1, 10))
def test_ten_rounds_are_five_and_five_more(folder, whole, first):
    """Made longer, the run is the one that was long from the start: also its evaluations."""
    run(experiment(rounds=first), folder)
    assert [record["accuracy"] for record in folder.records()][-1] is not None
    trainer = run(experiment(rounds=10), folder)
    assert contents(folder) == whole
    assert len(trainer.seen) == 10 - first


def test_a_run_is_made_longer_twice(folder, whole):
    for length in (2, 7, 10):
        run(experiment(rounds=length), folder)
    assert contents(folder) == whole


def test_a_complete_run_stays_as_it_is(folder, whole):
    run(experiment(), folder)
    trainer = run(experiment(), folder)
    assert contents(folder) == whole
    assert trainer.seen == []


def test_a_run_cannot_be_made_shorter(folder, whole):
    run(experiment(), folder)
    with pytest.raises(
        InputError, match=r"^run.rounds must be at least 10, the rounds already done, got 9$"
    ):
        run(experiment(rounds=9), folder)
    assert contents(folder) == whole


@pytest.mark.parametrize("last", range(1, 11))
def test_killed_after_a_round(folder, whole, last):
    def kill(record):
        if record.round == last:
            raise Killed

    with pytest.raises(Killed):
        run(experiment(), folder, on_round=kill)
    run(experiment(), folder)
    assert contents(folder) == whole


STAGES = {
    "a file is flushed": (os, "fsync"),
    "a file is renamed": (os, "replace"),
    "a checkpoint is packed": (np, "savez"),
    "a record is made": (one_round, "record_of"),
    "an old checkpoint is removed": (Path, "unlink"),
}


@pytest.mark.parametrize("stage", STAGES)
def test_killed_at_every_stage(tmp_path, whole, monkeypatch, stage):
    """Killed at the n-th call of a stage, for every n that occurs, then resumed."""
    for calls in itertools.count():
        folder = RunFolder.create(tmp_path / f"killed-{calls}", "")
        if not _killed(monkeypatch, *STAGES[stage], calls, folder):
            break
        run(experiment(), folder)
        assert contents(folder) == whole
    assert calls >= 2
    assert contents(folder) == whole


def _killed(monkeypatch, owner, name, calls, folder):
    """Run with `owner.name` killing at its call number `calls`; whether the run came so far."""
    original, count = getattr(owner, name), itertools.count()

    def kill_at_last(*args, **kwargs):
        if next(count) == calls:
            raise Killed
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, kill_at_last)
        try:
            run(experiment(), folder)
        except Killed:
            return True
    return False


@pytest.mark.parametrize("last", [1, 3, 4, 10])
def test_killed_while_a_line_is_written(folder, whole, monkeypatch, last):
    def tear(self, record):
        line = json.dumps(record.as_dict()) + "\n"
        with self.rounds_file.open("a") as file:
            file.write(line if record.round < last else line[: len(line) // 2])
        if record.round == last:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append", tear)
        with pytest.raises(Killed):
            run(experiment(), folder)
    assert not folder.rounds_file.read_bytes().endswith(b"\n")
    run(experiment(), folder)
    assert contents(folder) == whole


def test_left_over_temporary_files_do_no_harm(folder, whole):
    run(experiment(rounds=5), folder)
    for name in (
        ".checkpoint-000006.npz",
        ".checkpoint-000010.npz",
        ".rounds.jsonl",
        ".summary.json",
    ):
        (folder.path / name).write_bytes(b"half of a fi")
    run(experiment(), folder)
    assert contents(folder) == whole


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "garbage"])
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_it_used(folder, whole, damage):
    run(experiment(rounds=7), folder)
    newest = folder.path / "checkpoint-000007.npz"
    good = newest.read_bytes()
    newest.write_bytes(
        {"truncated": good[:-40], "garbage": b"\x80\x04K\x01." + good}.get(damage, b"")
    )
    if damage == "missing":
        newest.unlink()
    lines = []
    trainer = run(experiment(), folder, notify=lines.append)
    assert contents(folder) == whole
    assert len(trainer.seen) == 4  # from round 6
    assert [
        str(newest) in line and line.endswith("the one before it is used") for line in lines
    ] == ([] if damage == "missing" else [True])


def test_without_a_good_checkpoint_the_run_starts_over(folder, whole):
    run(experiment(rounds=7), folder)
    for file in folder.path.glob("checkpoint-*.npz"):
        file.write_bytes(b"")
    lines = []
    trainer = run(experiment(), folder, notify=lines.append)
    assert (len(trainer.seen), len(lines)) == (10, 2)
    assert lines[-1].endswith("the run starts over")
    assert contents(folder) == whole


def test_with_fewer_rounds_than_the_newest_checkpoint_the_one_before_it_is_used(folder, whole):
    run(experiment(rounds=7), folder)
    folder.keep_rounds(6)
    lines = []
    trainer = run(experiment(), folder, notify=lines.append)
    assert len(trainer.seen) == 4
    assert lines == [
        f"{folder.path} holds 6 rounds, fewer than its checkpoint of round 7: that of round 6 is used"
    ]
    assert contents(folder) == whole


def test_rounds_lost_below_all_checkpoints_are_an_error_with_a_way_out(folder):
    run(experiment(rounds=7), folder)
    folder.keep_rounds(5)
    with pytest.raises(
        InputError,
        match=r"holds 5 rounds, its checkpoint 6: the folder is damaged; "
        r"remove its checkpoints to start over$",
    ):
        run(experiment(), folder)


@pytest.mark.parametrize("change", [{"values": None}, {"round": np.zeros(3)}])
def test_a_checkpoint_that_does_not_fit_is_named_and_the_one_before_it_used(folder, whole, change):
    run(experiment(rounds=7), folder)
    newest = folder.last_checkpoint(pytest.fail)
    changed = {**newest.arrays, **change}
    arrays = {name: array for name, array in changed.items() if array is not None}
    folder.save_checkpoint(replace(newest, arrays=arrays))
    lines = []
    trainer = run(experiment(), folder, notify=lines.append)
    assert len(trainer.seen) == 4
    assert lines[0].startswith("the checkpoint of round 7 does not fit its experiment: ")
    assert contents(folder) == whole


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("no such array"), "no checkpoint that fits its experiment"),
        (MemoryError("none left"), "none left"),
    ],
)
def test_a_state_that_cannot_be_unpacked_leaves_the_records(folder, monkeypatch, error, words):
    run(experiment(rounds=7), folder)
    before = folder.rounds_file.read_bytes()

    def fails(trainer, arrays):
        raise error

    kind = type(experiment().algorithm.trainer(clients=2, seed=0, runtime=Runtime()))
    monkeypatch.setattr(kind, "unpack", fails)
    lines = []
    with pytest.raises((InputError, MemoryError), match=words):
        run(experiment(), folder, notify=lines.append)
    assert folder.rounds_file.read_bytes() == before


def test_a_checkpoint_that_does_not_fit_the_memory_is_not_damaged(folder, monkeypatch):
    run(experiment(rounds=7), folder)
    before = {file: file.read_bytes() for file in folder.path.iterdir() if file.is_file()}

    def fails(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(np, "load", fails)
    with pytest.raises(MemoryError):
        run(experiment(), folder)
    assert {file: file.read_bytes() for file in before} == before


@pytest.mark.parametrize("line", [0, 4, 6])
def test_a_changed_digit_in_the_records_is_not_silent(folder, whole, line):
    run(experiment(rounds=7), folder)
    lines = folder.rounds_file.read_bytes().splitlines(keepends=True)
    place = lines[line].index(b'"gain": [') + 12
    changed = bytes([lines[line][place] ^ 1])
    lines[line] = lines[line][:place] + changed + lines[line][place + 1 :]
    folder.rounds_file.write_bytes(b"".join(lines))
    notes = []
    trainer = run(experiment(), folder, notify=notes.append)
    assert "records are not those that were written" in notes[0]
    assert len(trainer.seen) == (4 if line == 6 else 10)
    assert contents(folder) == whole


def test_a_stray_checkpoint_takes_no_slot(folder, whole):
    run(experiment(rounds=6), folder)
    stray = folder.path / "checkpoint-000099.npz"
    stray.write_bytes(b"")
    lines = []
    run(experiment(), folder, notify=lines.append)
    assert lines == [f"checkpoint {stray} is damaged; the one before it is used"]
    assert contents(folder) == whole
    assert [file.stem[-2:] for file in folder.checkpoint_files()] == ["09", "10"]


def test_a_summary_of_an_unfinished_run_does_not_survive(folder):
    run(experiment(rounds=5), folder)

    def kill(record):
        raise Killed

    with pytest.raises(Killed):
        run(experiment(rounds=10), folder, on_round=kill)
    assert not folder.summary_file.exists()


def test_lost_checkpoints_are_said(folder, whole):
    run(experiment(rounds=7), folder)
    for file in folder.path.glob("checkpoint-*.npz"):
        file.unlink()
    lines = []
    run(experiment(), folder, notify=lines.append)
    assert lines == [f"{folder.path} has lost its checkpoints: the run starts over"]


@pytest.mark.parametrize("method", ["drift-plus-penalty", "at-least-once", "weights by age"])
def test_a_run_with_memory_is_resumed_to_the_byte(tmp_path, method):
    """Deliveries and energy are in the checkpoint and decide the rounds after it."""

    def asked(rounds):
        fields = {"drift-plus-penalty": {"energy_budget_j": 0.5, "trade_off": 0.1}}
        if method == "weights by age":
            return replace(
                experiment(rounds, allocator=plugins.load("allocators", "exact")()), weights="age"
            )
        allocator = plugins.load("allocators", method)(**fields.get(method, {}))
        return experiment(rounds, allocator=allocator)

    whole = RunFolder.create(tmp_path / "whole", "")
    run(asked(8), whole)
    folder = RunFolder.create(tmp_path / "run", "")
    run(asked(5), folder)
    run(asked(8), folder)
    assert contents(folder) == contents(whole)
    ratios = {tuple(record["pruning_ratio"]) for record in whole.records()}
    assert len(ratios) > 1
