"""Searches by samplers of Optuna: best settings, pruned trials, shared journals, constraints."""

import csv
import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from helpers import plugin_folder
from helpers.cli import COMMAND, call

pytestmark = pytest.mark.extras
pytest.importorskip("optuna")

SCENARIO = """
scenario.clients = 3
channel.model = "two-state"
allocation.method = "min-latency"
training.algorithm = "bowl"
run = {rounds = 9, seed = 7, eval_every = 1}
"""
RATE = "training.learning_rate"
SEARCH = ("search", "mine.toml", "--over", f"{RATE}=1e-3:1", "--evaluate-on", "test")
OUTPUT = ("--results", "found", "--out", "runs", "--repeats", 1, "--jobs", 2)


@pytest.fixture
def wirelessfl(capsys, monkeypatch, tmp_path):
    """`wirelessfl ARGUMENTS` in a folder with a scenario, its runs in this process."""
    plugin_folder.use(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(SCENARIO)
    monkeypatch.setattr("studies.runner.backend.worker_processes", ThreadPoolExecutor)
    return partial(call, capsys, monkeypatch)


def report(tmp_path):
    return json.loads((tmp_path / "found" / "search.json").read_text())


@pytest.mark.parametrize("sampler", ["tpe", "grid", "nsga2"])
def test_each_sampler_finds_the_best_rate_and_explains_it(wirelessfl, tmp_path, sampler):
    ended = wirelessfl(*SEARCH, *OUTPUT, "--sampler", sampler, "--trials", 12)
    assert ended.status == 0, ended.err
    found = report(tmp_path)
    assert 0.05 < found["best"][RATE] < 0.2  # the bowl's best is 0.1
    assert found["sampler"] == sampler
    assert len(found["trials"]) == (5 if sampler == "grid" else 12)
    if sampler != "grid":
        assert found["importance"] == {RATE: pytest.approx(1.0)}
    assert (tmp_path / "found" / "trials.png").stat().st_size > 1000
    with (tmp_path / "found" / "trials.csv").open() as file:
        assert {row["status"] for row in csv.DictReader(file)} == {"complete"}


def test_the_same_command_proposes_the_same_trials_and_runs_nothing(wirelessfl, tmp_path):
    command = (*SEARCH, *OUTPUT, "--sampler", "tpe", "--trials", 4)
    assert wirelessfl(*command).status == 0
    first = report(tmp_path)
    times = {file: file.stat().st_mtime_ns for file in tmp_path.glob("runs/*/rounds.jsonl")}
    assert wirelessfl(*command).status == 0
    assert report(tmp_path) == first
    assert times == {file: file.stat().st_mtime_ns for file in tmp_path.glob("runs/*/rounds.jsonl")}


@pytest.mark.parametrize("pruner", ["median", "halving", "hyperband"])
def test_bad_trials_end_early_and_good_ones_go_on_from_there(wirelessfl, tmp_path, pruner):
    ended = wirelessfl(*SEARCH, *OUTPUT, "--sampler", "random", "--pruner", pruner, "--trials", 12)
    assert ended.status == 0, ended.err
    trials = report(tmp_path)["trials"]
    out = [trial for trial in trials if trial["status"] == "out"]
    assert 0 < len(out) < 12
    assert all(trial["reason"].startswith("pruned after ") for trial in out)
    best = next(trial for trial in trials if trial["chosen"])
    lines = (tmp_path / "runs" / best["run"] / "rounds.jsonl").read_bytes().splitlines()
    assert len(lines) == 9
    lengths = [file.read_bytes().count(b"\n") for file in tmp_path.glob("runs/*/rounds.jsonl")]
    assert {1, 3, 9} >= set(lengths) > {9}


def test_two_processes_share_a_journal(wirelessfl, tmp_path):
    command = (*SEARCH, "--repeats", 1, "--jobs", 1, "--sampler", "random", "--trials", 6, "-q")
    shared = (*command, "--out", "runs", "--storage", "journal.log")
    started = [
        subprocess.Popen([*COMMAND, *map(str, (*shared, "--results", name))])
        for name in ("one", "two")
    ]
    assert [process.wait(120) for process in started] == [0, 0]
    ended = wirelessfl(*shared, "--results", "found")
    assert ended.status == 0, ended.err
    assert 6 <= len(report(tmp_path)["trials"]) <= 7  # the last one may be asked for twice


def test_a_killed_search_goes_on_as_if_nothing_had_happened(wirelessfl, tmp_path):
    command = (*SEARCH, "--repeats", 1, "--jobs", 1, "--sampler", "random", "--trials", 6, "-q")
    assert wirelessfl(*command, "--out", "whole", "--results", "found").status == 0
    whole = report(tmp_path)
    for storage in ((), ("--storage", "journal.log")):
        out = tmp_path / f"runs{len(storage)}"
        again = (*command, *storage, "--out", out.name, "--results", "found")
        process = subprocess.Popen([*COMMAND, *map(str, again)])
        end = time.monotonic() + 120
        while len(list(out.glob("*/summary.json"))) < 2 and process.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.01)
        process.kill()
        assert process.wait(60) != 0
        assert wirelessfl(*again).status == 0
        complete = [one for one in report(tmp_path)["trials"] if one["status"] == "complete"]
        assert len(complete) == 6
        if not storage:
            assert report(tmp_path)["best"] == whole["best"]


def test_two_metrics_have_a_front_and_constraints_are_kept(wirelessfl, tmp_path):
    ended = wirelessfl(
        *(*SEARCH, *OUTPUT, "--sampler", "nsga2", "--trials", 8, "--to-accuracy", 0.6),
        *("--metric", "accuracy", "--metric", "bits-to-accuracy"),
    )
    assert ended.status == 0, ended.err
    assert report(tmp_path)["front"]
    assert "trials that no other one beats" in ended.out
    ended = wirelessfl(
        *(*SEARCH, *OUTPUT, "--sampler", "tpe", "--trials", 8),
        *("--constraint", "accuracy<=0.7", "--constraint", "loss>=0"),
    )
    assert ended.status == 0, ended.err
    found = report(tmp_path)
    assert found["score"] <= 0.7
    assert any(
        "accuracy<=0.7 does not hold" in (trial["reason"] or "") for trial in found["trials"]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--pruner", "median"), "--pruner needs --sampler, got none"),
        (("--sampler", "best"), "--sampler must be one of tpe, random, grid, nsga2; got 'best'"),
        (
            ("--sampler", "tpe", "--metric", "loss", "--metric", "bits"),
            "--metric must be given once",
        ),
        (("--sampler", "tpe", "--constraint", "loss<3"), "--constraint must be METRIC<=VALUE"),
        (("--sampler", "grid", "--constraint", "loss<=3"), "--constraint needs --sampler tpe or"),
        (("--metric", "energy-to-accuracy"), "must be given with --to-accuracy, got none"),
    ],
)
def test_options_that_do_not_go_together_are_refused(wirelessfl, options, message):
    ended = wirelessfl(*SEARCH, *OUTPUT, *options)
    assert ended.status == 2
    assert message in ended.err
