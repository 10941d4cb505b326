"""Batched runs leave the same files as runs on their own."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from helpers import plugin_folder

from studies.runner import batched_runs as stacked
from studies.runner.batched_runs import stack_key, stacks
from studies.runner.sweep import folder_of, run_all, sweep
from wirelessfl import plugins
from wirelessfl.config.scenario_file import from_tables, to_toml
from wirelessfl.errors import DivergenceError, InputError
from wirelessfl.records.run_folder import RunFolder


@pytest.fixture(autouse=True)
def trained(monkeypatch):
    """The batches that the synthetic algorithm is asked for."""
    plugin_folder.use(monkeypatch)
    asked = []
    monkeypatch.setattr(plugins.load("algorithms", "bowl"), "trained", asked)
    return asked


def experiment(rate=0.1, *, seed=0, rounds=7, sections=None, **run):
    tables = {
        "scenario": {"clients": 3},
        "channel": {"model": "two-state"},
        "allocation": {"method": "min-latency"},
        "training": {"algorithm": "bowl", "learning_rate": rate, "stacked": True},
        "run": {"rounds": rounds, "seed": seed, "eval_every": 3, "checkpoint_every": 2, **run},
    }
    for section, fields in (sections or {}).items():
        tables[section].update(fields)
    return from_tables(tables)


def sweep_here(experiments, root, **options):
    with ThreadPoolExecutor(1) as executor:
        sweep(experiments, root, executor=executor, **options)


def sweep_alone(experiments, root, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(type(experiments[0].algorithm), "stack_key", lambda self: None)
        sweep_here(experiments, root)


def contents(path):
    """Every file of a run folder except figures and intermediate checkpoints."""
    files = [path / name for name in ("experiment.toml", "rounds.jsonl", "summary.json")]
    last = np.load(sorted(path.glob("checkpoint-*.npz"))[-1])
    return [file.read_bytes() for file in files], {name: last[name].tolist() for name in last.files}


def test_folders_are_those_of_runs_on_their_own(trained, tmp_path, monkeypatch):
    experiments = [
        experiment(rate, seed=seed, rounds=6 + seed) for rate in (0.1, 0.2) for seed in (0, 1)
    ]
    sweep_here(experiments, tmp_path / "stack")
    assert [len(runs) for runs in trained] == [4]
    sweep_alone(experiments, tmp_path / "alone", monkeypatch)
    assert [len(runs) for runs in trained] == [4]
    for made in experiments:
        one = folder_of(made, tmp_path / "stack")
        other = folder_of(made, tmp_path / "alone")
        assert contents(one) == contents(other)
        assert not list(one.rglob("*.png"))  # pictures are drawn on demand
    assert len(list(folder_of(experiments[0], tmp_path / "stack").glob("checkpoint-*"))) == 1


def test_complete_runs_are_left_alone_and_longer_ones_go_on(trained, tmp_path):
    first = experiment()
    second = experiment(0.2)
    sweep_here([first], tmp_path)
    progress = []
    sweep_here([first, second], tmp_path, on_progress=progress.append)
    assert [[run.algorithm.learning_rate for run in runs] for runs in trained] == [[0.1], [0.2]]
    assert (progress[-1].rounds, progress[-1].runs) == (14, 2)
    stopped = RunFolder(folder_of(second, tmp_path))
    whole = contents(stopped.path)
    stopped.summary_file.unlink()  # stopped before its last file
    sweep_here([first, second], tmp_path)
    assert contents(stopped.path) == whole
    assert [[run.done for run in runs] for runs in trained] == [[0], [0], [7]]


def test_a_run_that_was_stopped_while_it_was_recorded_is_recorded_anew(tmp_path, monkeypatch):
    made = experiment(rounds=9)
    stopped = RunFolder.create(folder_of(made, tmp_path / "stack"), to_toml(made))
    sweep_alone([made], tmp_path / "alone", monkeypatch)
    whole = folder_of(made, tmp_path / "alone")
    stopped.rounds_file.write_bytes(whole.joinpath("rounds.jsonl").read_bytes()[:-700])
    lines = []
    sweep_here([made], tmp_path / "stack", notify=lines.append)
    assert lines == []
    assert contents(stopped.path) == contents(whole)


def test_a_run_with_a_checkpoint_goes_on_in_a_batch(trained, tmp_path, monkeypatch):
    made = experiment(rounds=6)
    sweep_alone([made], tmp_path, monkeypatch)
    folder = RunFolder(folder_of(made, tmp_path))
    whole = contents(folder.path)
    folder.summary_file.unlink()
    folder.path.joinpath("checkpoint-000006.npz").unlink()
    sweep_here([made], tmp_path)
    assert [[run.done for run in runs] for runs in trained] == [[4]]
    assert contents(folder.path) == whole


def test_a_batch_writes_checkpoints_and_goes_on_from_them(trained, tmp_path, monkeypatch):
    """A stopped batch, and one that is killed, resume after their last checkpoint."""
    experiments = [experiment(rate, rounds=6) for rate in (0.1, 0.2)]
    sweep_here(experiments, tmp_path / "whole")
    monkeypatch.setattr(stacked, "CHECKPOINT_S", 0.0)
    asked = iter([False, False, False, True])
    sweep_here(experiments, tmp_path / "parts", stops=(lambda: next(asked),))
    folders = [RunFolder(folder_of(made, tmp_path / "parts")) for made in experiments]
    assert [folder.count() for folder in folders] == [3, 3]
    assert not any(folder.summary_file.exists() for folder in folders)

    def dies():
        if folders[0].count() == 5:
            raise KeyboardInterrupt
        return False

    with pytest.raises(InputError, match="2 of 2 runs failed: KeyboardInterrupt"):
        sweep_here(experiments, tmp_path / "parts", stops=(dies,))
    sweep_here(experiments, tmp_path / "parts")
    assert [[run.done for run in runs] for runs in trained] == [[0, 0], [0, 0], [3, 3], [5, 5]]
    for made in experiments:
        one, other = (folder_of(made, tmp_path / root) for root in ("whole", "parts"))
        assert contents(one) == contents(other)


def test_a_run_that_diverges_says_so_and_the_others_are_recorded(tmp_path):
    good = experiment(0.1)
    bad = experiment(3.0)
    failures = {}
    with ThreadPoolExecutor(1) as executor:
        run_all([bad, good], tmp_path, executor=executor, on_failure=failures.__setitem__)
    assert list(failures) == [folder_of(bad, tmp_path)]
    (error,) = failures.values()
    assert isinstance(error, DivergenceError)
    assert str(error) == "training diverged: round 3, loss inf; reduce training.learning_rate"
    assert RunFolder(folder_of(good, tmp_path)).summary_file.exists()
    folder = RunFolder(folder_of(bad, tmp_path))
    assert len(folder.records()) == 2
    assert [file.name for file in folder.checkpoint_files()] == [
        "checkpoint-000002.npz"
    ]  # the last good state
    with pytest.raises(InputError, match="1 of 2 runs failed: training diverged"):
        sweep_here([bad, good], tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"participants": 2},
        {"train": False},
        {"sections": {"scenario": {"deadline_policy": "drop"}}},
        {"sections": {"scenario": {"packet_error": "outage"}}},
        {"sections": {"training": {"stacked": False}}},
        {"sections": {"training": {"algorithm": "counting"}}},
    ],
    ids=str,
)
def test_only_runs_that_lose_nothing_are_stacked(changes):
    if changes.get("sections", {}).get("training", {}).get("algorithm"):
        other = replace(experiment(), algorithm=plugins.load("algorithms", "counting")())
    else:
        other = experiment(**changes)
    assert stack_key(experiment()) is not None
    assert stack_key(other) is None


def test_stacks_share_key_are_no_larger_than_they_may_and_feed_every_process(tmp_path, monkeypatch):
    monkeypatch.setattr(stacked, "MOST_RUNS", 4)
    wanted = {
        folder_of(made, tmp_path): made for made in (experiment(seed=seed) for seed in range(10))
    }
    other = experiment(sections={"scenario": {"clients": 5}})
    made = stacks({**wanted, folder_of(other, tmp_path): other})
    assert sorted(map(len, made)) == [1, 3, 3, 4]
    assert sorted(path for paths in made for path in paths) == sorted(
        [*wanted, folder_of(other, tmp_path)]
    )
    assert sorted(map(len, stacks(wanted, jobs=5))) == [2, 2, 2, 2, 2]
    assert sorted(map(len, stacks(dict(list(wanted.items())[:2]), jobs=5))) == [1, 1]


def test_a_run_whose_update_is_missing_after_all_runs_on_its_own(tmp_path, monkeypatch):
    made = experiment(sections={"scenario": {"deadline_policy": "drop", "deadline_s": 1.265e-3}})
    sweep_alone([made], tmp_path / "alone", monkeypatch)
    monkeypatch.setattr("studies.runner.sweep.stacks", lambda todo, jobs: [list(todo)])
    sweep_here([made], tmp_path / "stack")
    assert not all(
        all(record["delivered"])
        for record in RunFolder(folder_of(made, tmp_path / "alone")).records()
    )
    assert contents(folder_of(made, tmp_path / "stack")) == contents(
        folder_of(made, tmp_path / "alone")
    )
