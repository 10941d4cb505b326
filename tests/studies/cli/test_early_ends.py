"""Runs and sweeps that end early, by fields on the command line."""

import pytest
from helpers import plugin_folder
from helpers.cli import call, strict_json

import wirelessfl as wfl

DUMMIES = (
    *("--set", "channel.model=two-state", "--set", "allocation.method=even"),
    *("--set", "training.algorithm=counting", "--set", "scenario.clients=4"),
    *("--set", "run.eval_every=1", "--set", "training.partition=iid"),
)


@pytest.fixture
def wirelessfl(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    plugin_folder.use(monkeypatch)
    return lambda *arguments: call(capsys, monkeypatch, *arguments)


def test_a_run_says_why_it_ended_and_goes_on(wirelessfl, tmp_path):
    limits = ("--set", "run.stop_at_accuracy=0.1", "--set", "run.keep_best=true")
    done = wirelessfl("run", *DUMMIES, "--rounds", 5, *limits, "--out", "r")
    assert done.status == 0
    assert "accuracy" in done.out
    assert "run.stop_at_accuracy = 0.1" in " ".join(done.out.split())
    assert "worst 10 % of clients / deviation" in done.out
    summary = strict_json((tmp_path / "r/summary.json").read_text())
    assert (summary["rounds"], "stopped" in summary) == (1, True)
    assert wirelessfl("run", *DUMMIES, "--rounds", 5, "--out", "whole").status == 0
    assert (
        wirelessfl(
            "run",
            *DUMMIES,
            "--rounds",
            5,
            "--out",
            "r",
            "--resume",
            "--set",
            "run.stop_at_accuracy=1.0",
        ).status
        == 0
    )
    assert (tmp_path / "r/rounds.jsonl").read_bytes() == (
        tmp_path / "whole/rounds.jsonl"
    ).read_bytes()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("stop_at_accuracy=2", "run.stop_at_accuracy must be at most 1, got 2"),
        ("patience=0", "run.patience must be a whole number of at least 1, got 0"),
        ("max_simulated_s=-1", "run.max_simulated_s must be above 0, got -1"),
        ("max_wall_s=soon", "run.max_wall_s must be a number, got 'soon'"),
        ("keep_best=3", "run.keep_best must be true or false, got 3"),
    ],
)
def test_bad_limits_are_one_line(wirelessfl, tmp_path, setting, words):
    done = wirelessfl("run", *DUMMIES, "--set", f"run.{setting}", "--out", "r")
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert words in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_is_complete_with_runs_that_ended_early(wirelessfl, tmp_path):
    tables = {
        **plugin_folder.TABLES,
        "run": {"rounds": 6, "eval_every": 1, "stop_at_accuracy": 0.1},
    }
    vary = {"scenario.clients": [2, 3]}
    first = wfl.sweep(tables, vary, seeds=1, out=tmp_path)
    assert all(found is not None for (found,) in first.measures)
    files = [path / "rounds.jsonl" for (path,) in first.folders]
    assert [len(file.read_text().splitlines()) for file in files] == [1, 1]
    before = [file.stat().st_mtime_ns for file in files]
    wfl.sweep(tables, vary, seeds=1, out=tmp_path)
    assert [file.stat().st_mtime_ns for file in files] == before
