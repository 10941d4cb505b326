"""Hostile files and environments on the command line: one line, status 2, nothing created."""

import io
import tracemalloc
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from helpers.cli import call

from wirelessfl.records.run_folder import RunFolder

DRY = ("--set", "run.train=false", "--rounds", 2)


@pytest.fixture
def wirelessfl(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: call(capsys, monkeypatch, *arguments)


def refused(ended, *words):
    assert ended.status == 2, ended
    lines = [line for line in ended.err.splitlines() if not line.startswith("rounds ")]
    assert len(lines) == 1, ended.err
    for word in words:
        assert word in lines[0]


def test_scenarios_that_are_no_toml(wirelessfl, tmp_path):
    texts = {
        f"[run]\nseed = {'9' * 5000}\n": "is not valid TOML",
        f"[run]\nseed = {'[' * 5000}\n": "is not valid TOML",
        "[scenario]\ndistance_m = " + "[" * 200 + "]" * 200: "scenario.distance_m must be",
        f"[run]\nseed = {'9' * 4000}\n": "run.seed",
    }
    for number, (text, words) in enumerate(texts.items()):
        (tmp_path / f"{number}.toml").write_text(text)
        ended = wirelessfl("run", f"{number}.toml", *DRY, "--out", "out")
        if words == "run.seed" and ended.status == 0:
            continue  # a seed of any size is valid
        refused(ended, words)
    refused(wirelessfl("run", "/dev/zero"), "must have at most")
    refused(wirelessfl("run", "--set", f"scenario.clients={'9' * 5000}"), "scenario.clients")
    trace = ("--set", "channel.model=trace", "--set", "channel.file=/dev/zero.csv")
    refused(wirelessfl("run", *DRY, *trace), "cannot be read")


def npz_that_claims(shape):
    """An NPZ file of a few bytes whose header claims a shape."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"shape": shape, "fortran_order": False, "descr": "<f8"}
    )
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("gain.npy", header.getvalue())
    return content.getvalue()


def test_a_trace_that_claims_more_than_it_holds(wirelessfl, tmp_path):
    (tmp_path / "t.npz").write_bytes(npz_that_claims((10**7, 10**6)))
    trace = ("--set", "channel.model=trace", "--set", "channel.file=t.npz")
    tracemalloc.start()
    refused(wirelessfl("run", *DRY, *trace, "--out", "out"), "gain.npy claims to be float64")
    assert tracemalloc.get_traced_memory()[1] < 2**26
    tracemalloc.stop()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "settings",
    [
        ("allocation.method=cvxpy", "scenario.noise_power_dbm=0"),
        ("allocation.method=cvxpy", "scenario.noise_psd_w_per_hz=1e-30"),
        ("channel.model=peer-to-peer", "channel.edge_probability=1e-17"),
        ("scenario.noise_psd_w_per_hz=0.27",),
        ("scenario.max_bps_hz=1e-3", "scenario.noise_figure_db=5"),
        ("channel.model=peer-to-peer", "channel.min_peer_distance_m=1e9"),
        ("channel.motion=random-waypoint", "channel.pause_s=1e9"),
    ],
)
@pytest.mark.filterwarnings("ignore:method cvxpy")
def test_extreme_values_are_solved_or_refused_in_one_line(wirelessfl, tmp_path, settings):
    options = [part for setting in settings for part in ("--set", setting)]
    ended = wirelessfl("run", *DRY, *options, "--out", "out")
    if ended.status != 0:
        refused(ended)
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"WORLD_SIZE": "abc"}, "WORLD_SIZE must be a whole number of at least 1, got 'abc'"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE must be"),
        ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK must be below WORLD_SIZE = 2, got 2"),
        ({"WORLD_SIZE": "2", "RANK": "1"}, "run.train = false must run in one process"),
    ],
)
def test_an_environment_of_torchrun_that_makes_no_sense(wirelessfl, monkeypatch, variables, words):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    refused(wirelessfl("run", *DRY, "--out", "out"), words)


def test_one_process_of_a_machine_reports_an_error(wirelessfl, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    ended = wirelessfl("run", "nothing.toml")
    assert (ended.status, ended.err) == (2, "")


@pytest.mark.parametrize("name", ["__clock_s", "__backlog_updates", "extra"])
def test_a_valid_archive_with_changed_arrays_is_damage(wirelessfl, tmp_path, name):
    settings = ("--set", "run.checkpoint_every=1", "--set", "run.train=false", "--out", "out")
    assert wirelessfl("run", *settings, "--rounds", 3).status == 0
    newest = RunFolder(tmp_path / "out").checkpoint_files()[-1]
    with np.load(newest) as stored:
        arrays = dict(stored)
    np.savez(newest, **{**arrays, name: np.full(10, 1e-9)})
    ended = wirelessfl("run", *settings, "--rounds", 4, "--resume")
    assert ended.status == 0, ended.err
    assert "is damaged; the one before it is used" in ended.err


def test_a_checkpoint_with_another_clock_is_damage(tmp_path):
    folder = RunFolder.create(tmp_path / "run", "")
    from wirelessfl.records.checkpoint import Checkpoint

    lines = []
    good = Checkpoint(3, 1.5, {"w": np.ones(3)}, "id")
    for clock_s in (float("nan"), -1.0, float("inf")):
        folder.save_checkpoint(replace(good, clock_s=clock_s))
        assert folder.last_checkpoint(lines.append) is None
    assert len(lines) == 3
