"""Campaigns on a Dask cluster: a scheduler and workers on loopback."""

import fcntl
import json
import shutil
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest
from helpers import plugin_folder
from helpers.cli import COMMAND, call
from helpers.dask_workers import WAIT_S, cluster, wait_for

pytestmark = pytest.mark.extras
pytest.importorskip("distributed")

SCENARIO = """
scenario.clients = 4
channel.model = "two-state"
allocation.method = "even"
training.algorithm = "counting"
run = {rounds = 60, eval_every = 10, checkpoint_every = 10}
"""
SWEEP = ("sweep", "mine.toml", "--vary", "scenario.deadline_s=20ms,30ms", "--seeds", 2)
DIGITS = (
    *("sweep", "digits", "--vary", "scenario.deadline_s=20ms", "--seeds", 1, "--rounds", 6),
    *("--set", "scenario.clients=2", "--set", "run.checkpoint_every=2"),
)
FILES = ("experiment.toml", "rounds.jsonl", "summary.json")


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """A cluster of two workers; a test that kills one starts another one."""
    folder = tmp_path_factory.mktemp("cluster")
    with cluster(folder, 2, {"WIRELESSFL_PLUGINS": str(plugin_folder.OUTSIDE)}) as made:
        yield made


@pytest.fixture
def wirelessfl(capsys, monkeypatch, tmp_path):
    """`wirelessfl ARGUMENTS` in a folder with a scenario file."""
    plugin_folder.use(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(SCENARIO)
    return partial(call, capsys, monkeypatch)


def contents(root):
    runs = [path for path in root.iterdir() if path.is_dir()]
    return {run.name: [(run / name).read_bytes() for name in FILES] for run in runs}


def begun(root):
    return [file.parent for file in root.glob("*/rounds.jsonl") if file.stat().st_size]


def test_a_sweep_survives_a_killed_worker_with_the_same_bytes(workers, wirelessfl, tmp_path):
    ended = wirelessfl(*SWEEP, "--out", "local", "--jobs", 1)
    assert ended.status == 0, ended.err

    def kill():
        wait_for(lambda: begun(tmp_path / "runs"))
        workers.workers[0].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    ended = wirelessfl(*SWEEP, "--out", "runs", "--cluster", workers.address, "-v")
    killer.join()
    workers.start_worker()
    assert ended.status == 0, ended.err
    assert "4 of 4 runs complete" in ended.err
    assert contents(tmp_path / "runs") == contents(tmp_path / "local")
    assert len(contents(tmp_path / "runs")) == 4
    assert [file.name for file in (tmp_path / "runs").glob(".wirelessfl*")] == []


def test_real_training_is_gathered_and_a_partial_run_goes_on(workers, wirelessfl, tmp_path):
    assert wirelessfl(*DIGITS, "--out", "local", "--jobs", 1).status == 0
    (run,) = contents(tmp_path / "local")
    part = tmp_path / "runs" / run
    shutil.copytree(tmp_path / "local" / run, part)
    (part / "summary.json").unlink()
    (part / "checkpoint-000006.npz").unlink()
    walls = (part / "wall.jsonl").read_text().splitlines()
    ended = wirelessfl(*DIGITS, "--out", "runs", "--cluster", workers.address, "--gather", "-q")
    assert (ended.status, ended.err) == (0, "")
    assert contents(tmp_path / "runs") == contents(tmp_path / "local")
    assert (part / "wall.jsonl").read_text().splitlines()[:4] == walls[:4]
    assert list(contents(tmp_path / "runs")) == [run]


def test_a_run_that_kills_its_workers_is_named_and_the_others_go_on(wirelessfl, tmp_path):
    folder = tmp_path / "plugins"
    shutil.copytree(plugin_folder.OUTSIDE, folder)
    (folder / "algorithms" / "fatal.py").write_text(plugin_folder.FATAL)
    sweep = (*SWEEP[:2], "--vary", "training.algorithm=counting,fatal", "--seeds", 1)
    with cluster(tmp_path / "cluster", 0, {"WIRELESSFL_PLUGINS": str(folder)}) as made:
        made.start_worker(nanny=True)
        with pytest.MonkeyPatch.context() as patch:
            plugin_folder.use(patch, folder)
            ended = wirelessfl(*sweep, "--out", "runs", "--cluster", made.address, "-q")
    assert ended.status == 2
    (line,) = ended.err.splitlines()
    assert line.startswith("error: 1 of 2 runs failed:")
    assert "killed" in line
    assert f"{tmp_path / 'runs'}" in line
    assert len(list((tmp_path / "runs").glob("*/summary.json"))) == 1


@pytest.mark.parametrize("gather", [(), ("--gather",)], ids=["shared", "gathered"])
def test_a_failing_run_is_named_in_one_line_and_the_others_go_on(
    workers, wirelessfl, tmp_path, gather
):
    options = (*SWEEP, "--set", "run.rounds=3", "--out", "runs")
    assert wirelessfl(*options).status == 0
    broken = sorted(contents(tmp_path / "runs"))[0]
    for path in begun(tmp_path / "runs"):
        (path / "summary.json").unlink()
    (tmp_path / "runs" / broken / "rounds.jsonl").write_text("no record\n" * 3)
    ended = wirelessfl(*options, "--cluster", workers.address, *gather)
    assert ended.status == 2
    (line,) = ended.err.splitlines()
    assert line.startswith("error: 1 of 4 runs failed:")
    assert f"{tmp_path / 'runs' / broken}" in line
    complete = {file.parent.name for file in (tmp_path / "runs").glob("*/summary.json")}
    assert complete == {path.name for path in begun(tmp_path / "runs")} - {broken}


def test_ctrl_c_stops_the_runs_of_the_workers_with_a_checkpoint(workers, wirelessfl, tmp_path):
    arguments = (*SWEEP, "--set", "run.rounds=100000", "--out", "runs")
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments), "--cluster", workers.address],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for(lambda: len(begun(tmp_path / "runs")) == 2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130
    assert errors == "error: stopped; the same command completes the missing runs\n"
    for run in begun(tmp_path / "runs"):
        with (tmp_path / "runs" / f".{run.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # waits for the worker
        assert json.loads((run / "summary.json").read_text())["interrupted"]
        assert list(run.glob("checkpoint-*.npz"))


def test_workers_that_do_not_fit_are_refused(workers, wirelessfl, monkeypatch, tmp_path):
    options = (*SWEEP, "--out", "runs", "--cluster")
    monkeypatch.setattr("studies.runner.cluster.__version__", "0.0.0")
    ended = wirelessfl(*options, workers.address)
    assert ended.status == 2
    assert "a worker must have wirelessfl 0.0.0 like this client, got" in ended.err
    monkeypatch.setattr("studies.runner.cluster.CONNECT_S", 0.5)
    for address in ("tcp://127.0.0.1:9", "nowhere"):
        ended = wirelessfl(*options, address)
        assert ended.status == 2
        assert ended.err.startswith(f"error: --cluster {address}: no Dask scheduler answers: ")
        assert ended.err.count("\n") == 1


def test_the_jobs_of_slurm_start_workers_of_one_thread():
    pytest.importorskip("dask_jobqueue")
    script = Path(__file__).parents[2] / "docs" / "slurm_cluster.py"
    shown = subprocess.run(
        [sys.executable, script, "--show", "--queue", "short", "--walltime", "01:00:00"],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = shown.stdout.splitlines()
    for line in ("#SBATCH -p short", "#SBATCH -t 01:00:00", "#SBATCH -n 1"):
        assert line in lines
    (worker,) = [line for line in lines if "dask_worker" in line]
    assert worker.startswith(sys.executable)
    assert "--nthreads 1" in worker
    assert "--nanny" in worker
