"""A run's identity: the content of the files that it reads, wherever they lie."""

import json
import os
import tomllib

import numpy as np
import pytest
from helpers.cli import call
from helpers.idx import write_mnist_like
from helpers.studies import synthetic_run

from studies.report.one_run.run import Run
from studies.runner.single_run import folder_of, run_to_end
from wirelessfl.config.scenario_file import (
    experiment_hash,
    from_tables,
    input_contents,
    merge,
    read_tables,
    to_toml,
)
from wirelessfl.errors import InputError

SCENARIO = """\
[scenario]
clients = 2
deadline_policy = "drop"
[channel]
model = "trace"
file = "traces/gains.csv"
repeat = true
[run]
train = false
rounds = 4
"""
FIRST, OTHER = "2e-11,3e-11\n1e-11,4e-11\n", "9e-11,3e-11\n1e-11,4e-11\n"


@pytest.fixture
def wirelessfl(capsys, monkeypatch, tmp_path):
    """`wirelessfl ARGUMENTS` in a folder with a scenario and its trace in `here`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WIRELESSFL_DATA", raising=False)
    (tmp_path / "here/traces").mkdir(parents=True)
    (tmp_path / "here/s.toml").write_text(SCENARIO)
    write(tmp_path / "here", FIRST)
    return lambda *arguments: call(capsys, monkeypatch, *arguments)


def write(folder, text):
    (folder / "traces/gains.csv").write_text(text)


def gains(folder):
    return [json.loads(line)["gain"] for line in (folder / "rounds.jsonl").read_text().splitlines()]


def refused(ended, *words):
    assert ended.status == 2
    assert ended.out == ""
    assert len(ended.err.splitlines()) == 1, ended.err
    for word in words:
        assert word in ended.err


def test_a_path_is_relative_to_the_scenario_file(wirelessfl, tmp_path, monkeypatch):
    assert wirelessfl("run", "here/s.toml", "--out", "here/runs/r").status == 0
    written = tomllib.loads((tmp_path / "here/runs/r/experiment.toml").read_text())
    assert written["channel"]["file"] == os.path.join("..", "..", "traces", "gains.csv")
    assert written["inputs"]["channel.file"]["bytes"] == len(FIRST)
    (tmp_path / "there").mkdir()
    (tmp_path / "here").rename(tmp_path / "there/moved")
    monkeypatch.chdir(tmp_path / "there")
    assert wirelessfl("run", "moved/runs/r/experiment.toml", "--out", "again").status == 0
    assert gains(tmp_path / "there/again") == gains(tmp_path / "there/moved/runs/r")
    assert wirelessfl("run", "--out", "moved/runs/r", "--resume", "--rounds", 6).status == 0
    assert len(gains(tmp_path / "there/moved/runs/r")) == 6


@pytest.mark.parametrize("command", [["here/s.toml"], []])
def test_a_run_does_not_go_on_with_another_trace(wirelessfl, tmp_path, command):
    assert wirelessfl("run", "here/s.toml", "--out", "r").status == 0
    before = (tmp_path / "r/rounds.jsonl").read_bytes()
    write(tmp_path / "here", OTHER)
    ended = wirelessfl("run", *command, "--out", "r", "--resume", "--rounds", 8)
    refused(ended, "channel.file is not the file that it was", f"{len(FIRST)} bytes", "SHA-256")
    assert (tmp_path / "r/rounds.jsonl").read_bytes() == before
    write(tmp_path / "here", FIRST)
    assert wirelessfl("run", *command, "--out", "r", "--resume", "--rounds", 8).status == 0
    assert gains(tmp_path / "r")[4:] == gains(tmp_path / "r")[:4]


@pytest.mark.parametrize("command", ["run", "simulate", "allocate"])
def test_a_saved_experiment_is_refused_with_another_trace(wirelessfl, tmp_path, command):
    assert wirelessfl("run", "here/s.toml", "--out", "r").status == 0
    write(tmp_path / "here", OTHER)
    refused(wirelessfl(command, "r/experiment.toml"), "[inputs]", "channel.file", "it must have")
    changed = ("--set", "channel.file=here/traces/gains.csv")
    assert wirelessfl(command, "r/experiment.toml", *changed).status == 0


def test_a_trace_that_is_gone_is_named_and_its_run_can_still_be_read(wirelessfl, tmp_path):
    assert wirelessfl("run", "here/s.toml", "--out", "r").status == 0
    (tmp_path / "here/traces/gains.csv").unlink()
    refused(wirelessfl("run", "--out", "r", "--resume"), "channel.file", "cannot be read")
    assert len(Run.read(tmp_path / "r")) == 4
    assert Run.read(tmp_path / "r").experiment.scenario.clients == 2


def test_an_experiment_is_named_by_the_content_of_its_trace(wirelessfl, tmp_path, monkeypatch):
    first = from_tables(read_tables(tmp_path / "here/s.toml"))
    name = experiment_hash(first)
    (tmp_path / "copy.csv").write_text(FIRST)
    moved = from_tables(
        merge(read_tables(tmp_path / "here/s.toml"), {"channel": {"file": "copy.csv"}})
    )
    assert experiment_hash(moved) == name
    write(tmp_path / "here", OTHER)
    assert experiment_hash(first) != name


def test_a_sweep_keeps_runs_of_two_traces_apart(wirelessfl, tmp_path):
    folders = []
    for text in (FIRST, OTHER):
        write(tmp_path / "here", text)
        experiment = from_tables(read_tables(tmp_path / "here/s.toml"))
        folders.append(folder_of(experiment, tmp_path / "runs"))
        folders[-1].parent.mkdir(exist_ok=True)
        run_to_end(folders[-1], to_toml(experiment))
    assert gains(folders[0])[0] == [2e-11, 3e-11]
    assert gains(folders[1])[0] == [9e-11, 3e-11]
    assert from_tables(read_tables(folders[1] / "experiment.toml")) == experiment


@pytest.fixture
def mnist(tmp_path):
    """The options of a short run on a small data set in MNIST's form."""
    write_mnist_like(tmp_path / "data", "mnist")
    options = {"training.dataset": "mnist", "training.model": "mnist-cnn", "scenario.clients": 2}
    changes = [text for name, value in options.items() for text in ("--set", f"{name}={value}")]
    return [*changes, "--set", "scenario.deadline_s=10", "--data-root", "data"]


def test_a_run_does_not_go_on_with_other_data(wirelessfl, tmp_path, mnist):
    ended = wirelessfl("run", *mnist, "--rounds", 1, "--out", "r")
    assert ended.status == 0, ended.err
    recorded = tomllib.loads((tmp_path / "r/experiment.toml").read_text())["inputs"]
    name = "$WIRELESSFL_DATA/MNIST/raw/train-images-idx3-ubyte"
    assert len(recorded) == 4
    assert recorded[name]["bytes"] == 16 + 200 * 28 * 28
    file = tmp_path / "data/MNIST/raw/train-images-idx3-ubyte"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"\x07")
    more = ("run", "--out", "r", "--resume", "--rounds", 2, "--data-root", "data")
    refused(wirelessfl(*more), name, "it must have", "SHA-256")
    again = ("run", "r/experiment.toml", "--out", "b", "--data-root", "data")
    refused(wirelessfl(*again), "[inputs]", name)
    assert not (tmp_path / "b").exists()
    file.write_bytes(whole)
    assert wirelessfl(*more).status == 0


def test_data_that_nothing_is_trained_on_are_not_read(wirelessfl, tmp_path, mnist):
    options = [*mnist[:-2], "--set", "run.train=false", "--rounds", 1]
    assert wirelessfl("run", *options, "--out", "r").status == 0
    assert "inputs" not in tomllib.loads((tmp_path / "r/experiment.toml").read_text())


def test_a_checkpoint_knows_the_files(wirelessfl, tmp_path):
    """Also where experiment.toml has been edited."""
    assert wirelessfl("run", "here/s.toml", "--out", "r").status == 0
    write(tmp_path / "here", OTHER)
    file = tmp_path / "r/experiment.toml"
    file.write_text(file.read_text().partition("[inputs")[0])
    refused(
        wirelessfl("run", "--out", "r", "--resume", "--rounds", 8), "r: channel.file", "must have"
    )
    with np.load(tmp_path / "r/checkpoint-000004.npz") as archive:
        assert json.loads(str(archive["__inputs"]))["channel.file"]["bytes"] == len(FIRST)


def test_without_input_files_nothing_is_added(wirelessfl, tmp_path):
    assert wirelessfl("run", "--set", "run.train=false", "--rounds", 2, "--out", "r").status == 0
    experiment = from_tables(read_tables(tmp_path / "r/experiment.toml"))
    assert (tmp_path / "r/experiment.toml").read_text() == to_toml(experiment)
    assert input_contents(experiment, None) == {}
    with np.load(tmp_path / "r/checkpoint-000002.npz") as archive:
        assert "__inputs" not in archive.files


@pytest.mark.parametrize("entry", ["1", "{bytes = 1}", '{bytes = "1", sha256 = "a"}'])
def test_a_damaged_section_is_one_line(tmp_path, entry):
    file = tmp_path / "s.toml"
    file.write_text(f'[inputs]\n"channel.file" = {entry}\n')
    with pytest.raises(InputError, match=r"^inputs.channel.file must have bytes and sha256, got "):
        from_tables(read_tables(file))


def test_the_best_of_a_search_and_synthetic_runs_have_paths_of_their_own(tmp_path):
    (tmp_path / "gains.csv").write_text(FIRST)
    table = {"model": "trace", "file": str(tmp_path / "gains.csv"), "repeat": True}
    experiment = from_tables({"channel": table, "scenario": {"clients": 2}})
    synthetic_run(experiment, tmp_path / "runs")
    assert Run.read(folder_of(experiment, tmp_path / "runs")).experiment == experiment
