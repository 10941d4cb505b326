"""Runs that end early or are interrupted, the best round, and values outside the records."""

import dataclasses

import numpy as np
import pytest
from helpers import plugin_folder
from helpers.cli import strict_json
from helpers.small_run import contents, experiment, run

from wirelessfl.config.scenario_file import experiment_hash
from wirelessfl.errors import InputError
from wirelessfl.experiment import RunSettings
from wirelessfl.protocols import Runtime
from wirelessfl.records.checkpoint import BEST, BEST_CLIENTS
from wirelessfl.records.run_folder import RunFolder
from wirelessfl.records.run_memory import RunMemory
from wirelessfl.records.stopping import RunProgress
from wirelessfl.rounds import run_rounds

LIMITS = {
    "stop_at_accuracy": 0.7,
    "patience": 1,
    "max_simulated_s": 0.05,
    "max_wall_s": 1e-6,
}


class CutShort(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.fixture(autouse=True)
def _dummies(monkeypatch):
    plugin_folder.use(monkeypatch)


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "run", "")


def summary(folder):
    return strict_json(folder.summary_file.read_text())


def test_a_run_ends_at_an_accuracy_and_goes_on_without_the_limit(folder, tmp_path):
    whole = RunFolder.create(tmp_path / "whole", "")
    run(experiment(eval_every=1), whole)
    reached = [record["accuracy"] for record in whole.records()]
    target = sorted(reached)[6]
    first = next(index for index, value in enumerate(reached) if value >= target) + 1
    run(experiment(eval_every=1, stop_at_accuracy=target), folder)
    assert len(folder.records()) == first < 10
    assert "run.stop_at_accuracy" in summary(folder)["stopped"]
    before = contents(folder)
    trainer = run(experiment(eval_every=1, stop_at_accuracy=target), folder)
    assert trainer.seen == []  # nothing is left to do
    assert contents(folder) == before
    run(experiment(eval_every=1), folder)
    assert contents(folder) == contents(whole)
    assert folder.rows("accuracy") == whole.rows("accuracy")


def test_patience_counts_evaluations_without_a_better_one(folder):
    run(experiment(rounds=60, eval_every=2, patience=2), folder)
    evaluated = [
        record["accuracy"] for record in folder.records() if record["accuracy"] is not None
    ]
    assert 3 <= len(evaluated) < 30
    assert max(evaluated[-2:]) <= max(evaluated[:-2])
    assert "run.patience = 2" in summary(folder)["stopped"]


def test_simulated_time_ends_with_an_evaluation_and_can_be_raised(folder, tmp_path):
    whole = RunFolder.create(tmp_path / "whole", "")
    run(experiment(), whole)
    limit_s = whole.records()[4]["clock_s"]
    run(experiment(max_simulated_s=limit_s), folder)
    records = folder.records()
    assert [record["clock_s"] for record in records][-2:] == [
        whole.records()[3]["clock_s"],
        limit_s,
    ]
    assert records[-1]["accuracy"] is not None
    assert whole.records()[4]["accuracy"] is None
    run(experiment(), folder)
    assert contents(folder) == contents(whole)


def test_wall_time_interrupts_and_each_resumption_has_its_own(folder, tmp_path):
    whole = RunFolder.create(tmp_path / "whole", "")
    run(experiment(), whole)
    for rounds in range(1, 10):
        run(experiment(max_wall_s=1e-6), folder)
        assert len(folder.records()) == rounds
        assert "run.max_wall_s" in summary(folder)["interrupted"]
    run(experiment(max_wall_s=1e-6), folder)  # the tenth round is the last one
    assert contents(folder) == contents(whole)


def test_the_caller_interrupts(folder, tmp_path):
    whole = RunFolder.create(tmp_path / "whole", "")
    run(experiment(), whole)
    run(experiment(), folder, stop=lambda record: record.round == 2)
    assert len(folder.records()) == 2
    assert summary(folder)["interrupted"] == "stopped by the caller"
    run(experiment(), folder)
    assert contents(folder) == contents(whole)


def test_the_best_round_is_kept_with_the_accuracy_of_its_clients(folder):
    run(experiment(rounds=20, eval_every=2, keep_best=True), folder)
    accuracy = {record["round"]: record["accuracy"] for record in folder.records()}
    best = max((value, -round) for round, value in accuracy.items() if value is not None)
    found = folder.best_checkpoint()
    assert (float(found.arrays[BEST]), -found.round) == best
    rows = {row["round"]: row["accuracy"] for row in folder.rows("accuracy")}
    assert found.arrays[BEST_CLIENTS].tolist() == rows[found.round]
    assert np.mean(rows[found.round]) == pytest.approx(best[0])
    assert sorted(rows) == list(range(2, 21, 2))


@pytest.mark.parametrize("last", [1, 3, 5, 8])
def test_a_kill_changes_neither_the_best_round_nor_the_rows(folder, tmp_path, last):
    whole = RunFolder.create(tmp_path / "whole", "")
    run(experiment(keep_best=True), whole)

    def kill(record):
        if record.round == last:
            raise CutShort

    with pytest.raises(CutShort):
        run(experiment(keep_best=True), folder, on_round=kill)
    run(experiment(keep_best=True), folder)
    assert contents(folder) == contents(whole)
    assert folder.best_file.read_bytes() == whole.best_file.read_bytes()
    assert folder.rows("accuracy") == whole.rows("accuracy")
    assert [row["round"] for row in folder.rows("wall")] == list(range(1, 11))


def test_wall_seconds_are_outside_the_records(folder):
    run(experiment(), folder)
    rows = folder.rows("wall")
    assert all(min(row.values()) >= 0 for row in rows)
    assert set(rows[0]) == {"round", "network_s", "training_s", "evaluation_s", "recording_s"}
    assert not any("wall" in name for name in folder.records()[0])


def test_memory_holds_the_bytes_of_a_folder(folder):
    made = experiment(keep_best=True)
    run(made, folder)
    memory = RunMemory()
    trainer = made.algorithm.trainer(clients=4, seed=0, runtime=Runtime())
    assert run_rounds(made, trainer, memory) == memory.summary == summary(folder)
    assert "".join(memory.lines).encode() == folder.rounds_file.read_bytes()
    assert memory.rows("accuracy") == folder.rows("accuracy")
    last, best = folder.last_checkpoint(pytest.fail), folder.best_checkpoint()
    for one, other in (
        (memory.last_checkpoint(pytest.fail), last),
        (memory.best_checkpoint(), best),
    ):
        assert one.to_bytes() == other.to_bytes()


def test_damaged_rows_and_a_damaged_best_round_are_named(folder):
    run(experiment(keep_best=True), folder)
    folder.best_file.write_bytes(b"torn")
    with pytest.raises(InputError, match=r"best\.npz is damaged; remove it to go on$"):
        run(experiment(rounds=12, keep_best=True), folder)
    file = folder.path / "accuracy.jsonl"
    file.write_text('{"round": 4, "accuracy": [1, 1, 1, 1]}\n{"accuracy": []}\n')
    with pytest.raises(InputError, match=r"accuracy\.jsonl line 2 is damaged"):
        folder.rows("accuracy")


def test_limits_change_no_other_hash_and_only_those_of_the_length_count():
    plain = experiment()
    for name, value in LIMITS.items():
        limited = experiment(**{name: value})
        counts = name != "max_wall_s"
        assert (experiment_hash(plain) != experiment_hash(limited)) == counts
        without = [experiment_hash(one, with_rounds=False) for one in (plain, limited)]
        assert without[0] == without[1]
    assert experiment_hash(plain) == experiment_hash(experiment(keep_best=True))


def test_limits_are_checked():
    bad = {
        "stop_at_accuracy": (1.5, "at most 1"),
        "patience": (0, "at least 1"),
        "max_simulated_s": (0, "above 0"),
        "max_wall_s": (-1, "above 0"),
    }
    for name, (value, words) in bad.items():
        with pytest.raises(InputError, match=rf"^run\.{name} must be .*{words}, got {value}"):
            RunSettings(**{name: value})


def test_several_processes_measure_no_wall_time(folder, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match=r"^run\.max_wall_s must not be set under torchrun"):
        run(experiment(max_wall_s=5.0), folder)
    assert folder.records() == []


def test_progress_is_a_fold_over_records():
    progress = RunProgress()
    for accuracy, clock_s in ((None, 1.0), (0.5, 2.0), (0.5, 3.0), (None, 4.0), (0.4, 5.0)):
        progress = progress.after(accuracy, clock_s)
    assert dataclasses.astuple(progress) == (5, 5.0, 0.5, 2)
