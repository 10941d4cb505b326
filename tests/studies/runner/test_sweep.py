"""Sweeps: shared folders, resumed runs, failures and interrupted processes."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers import plugin_folder

from studies.runner import single_run as single
from studies.runner.processes import worker_processes
from studies.runner.single_run import folder_of, run_to_end
from studies.runner.sweep import sweep
from wirelessfl import plugins
from wirelessfl.config.scenario_file import experiment_hash, to_toml
from wirelessfl.errors import InputError
from wirelessfl.records.run_folder import RunFolder
from wirelessfl.rounds import run_rounds

CLI = [
    sys.executable,
    "-c",
    "from studies.cli import main; main()",
    "study",
    "deadlines",
    "--jobs",
    "2",
]
WAIT_S = 60


@pytest.fixture
def study(monkeypatch):
    plugin_folder.use(monkeypatch)
    return plugins.load("studies", "deadlines")


def all_of(experiments):
    return [experiment for seeds in experiments.values() for experiment in seeds]


def rounds_of(experiment, root):
    return folder_of(experiment, root).joinpath("rounds.jsonl").read_bytes()


def sweep_here(experiments, root, **options):
    with ThreadPoolExecutor(1) as executor:
        sweep(experiments, root, executor=executor, **options)


def test_runs_are_shared_by_hash_and_complete_ones_left_alone(study, tmp_path):
    experiments = all_of(study.experiments("small"))
    progress = []
    sweep_here([*experiments, *experiments], tmp_path, on_progress=progress.append)
    assert sorted(
        path.name for path in tmp_path.iterdir() if not path.name.startswith(".")
    ) == sorted(folder_of(experiment, tmp_path).name for experiment in experiments)
    assert [(progress[at].rounds, progress[at].runs) for at in (0, -1)] == [(0, 0), (24, 4)]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    sweep_here(experiments, tmp_path, on_progress=progress.append)
    assert (progress[-1].rounds, progress[-1].runs) == (24, 4)
    run_to_end(folder_of(experiments[0], tmp_path), to_toml(experiments[0]))
    assert {
        path: path.stat().st_mtime_ns
        for path in tmp_path.rglob("*")
        if path in before and path.suffix != ".lock"
    } == {path: time_ns for path, time_ns in before.items() if path.suffix != ".lock"}


def test_a_partial_run_goes_on_and_gives_the_same_rounds(study, tmp_path):
    experiment = all_of(study.experiments("small"))[0]
    sweep_here([experiment], tmp_path / "whole")

    def stop(record):
        if record.round == 5:
            raise KeyboardInterrupt

    folder = RunFolder.create(folder_of(experiment, tmp_path / "parts"), to_toml(experiment))
    name = experiment_hash(experiment, with_rounds=False)
    trainer = experiment.algorithm.trainer(clients=4, seed=experiment.run.seed, runtime=None)
    with pytest.raises(KeyboardInterrupt):
        run_rounds(experiment, trainer, folder, identity=name, on_round=stop)
    assert not folder.summary_file.exists()
    sweep_here([experiment], tmp_path / "parts")
    assert rounds_of(experiment, tmp_path / "parts") == rounds_of(experiment, tmp_path / "whole")


def test_rounds_are_counted_as_they_come(tmp_path):
    counter = single.RoundCounter(tmp_path)
    assert counter.count() == 0
    file = RunFolder(tmp_path).rounds_file
    for content, rounds in (
        (b"{}\n{}\n{", 2),
        (b"{}\n{}\n{}\n", 3),
        (b"{}\n{}\n{}\n", 3),
        (b"{}\n", 1),
    ):
        file.write_bytes(content)
        assert counter.count() == single.recorded(tmp_path) == rounds


def test_a_failing_run_is_named_in_one_line_and_the_others_go_on(study, tmp_path):
    first, second, *_ = all_of(study.experiments("small"))
    broken = folder_of(first, tmp_path)
    RunFolder.create(broken, to_toml(first)).rounds_file.write_text("no record\n")
    lines = []
    with pytest.raises(InputError, match="1 of 2 runs failed"):
        sweep_here([first, second], tmp_path, notify=lines.append)
    assert len(lines) == 1
    assert str(broken) in lines[0]
    assert "damaged" in lines[0]
    assert "\n" not in lines[0]
    assert folder_of(second, tmp_path).joinpath("summary.json").exists()


@pytest.mark.slow
def test_processes_give_the_same_rounds_as_one_thread(study, tmp_path):
    experiments = all_of(study.experiments("small"))
    sweep_here(experiments, tmp_path / "thread")
    with worker_processes(2) as executor:
        sweep(experiments, tmp_path / "processes", executor=executor)
    for experiment in experiments:
        assert rounds_of(experiment, tmp_path / "processes") == rounds_of(
            experiment, tmp_path / "thread"
        )


def start(tmp_path, scale="paper"):
    environment = {**os.environ, "WIRELESSFL_PLUGINS": str(plugin_folder.OUTSIDE)}
    process = subprocess.Popen(
        [*CLI, "--scale", scale, "--out", "runs", "--results", "results"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job ignores SIGINT, and with it the tests in one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    return process


def wait_for(condition):
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


def recorded(tmp_path):
    return [
        file
        for file in (tmp_path / "runs").glob("*/rounds.jsonl")
        if file.read_bytes().count(b"\n") > 20
    ]


def free(lock):
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_stopped_study_leaves_no_process_and_folders_to_go_on_with(study, tmp_path, sent, status):
    process = start(tmp_path)
    wait_for(lambda: recorded(tmp_path))
    process.send_signal(sent)
    _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == status
    assert "Traceback" not in errors
    if sent == signal.SIGINT:  # no trace of the processes, no semaphores that are leaked
        assert errors.strip() == "error: stopped; the same command completes the missing runs"
    locks = list((tmp_path / "runs").glob(".*.lock"))
    assert locks
    wait_for(lambda: all(free(lock) for lock in locks))
    folder = RunFolder.open(recorded(tmp_path)[0].parent)
    assert not folder.summary_file.exists()
    assert folder.last_checkpoint(pytest.fail) is not None
