"""Distributed execution: processes of torchrun give the results of the loop."""

import os
import subprocess
import sys

import pytest
import torch.distributed as dist
from helpers.cli import call
from helpers.federation import SPEC, made_up_data, train, work

from studies.runner.torchrun import own_folder
from training.engine.program import EvaluationWork
from training.executors import make_executor
from training.executors.distributed import DistributedExecutor, own_device
from training.executors.loop import LoopExecutor
from wirelessfl.border.processes import is_first
from wirelessfl.errors import InputError
from wirelessfl.protocols import Runtime

DATA = made_up_data(clients=5)
LIMIT_S = 120
COMMAND = (
    "-m",
    "torch.distributed.run",
    "--standalone",
    "--nproc-per-node",
    "2",
    "--no-python",
    sys.executable,
    "-c",
)
RANKS = """
import sys
from pathlib import Path
import numpy as np
import torch.distributed as dist
from helpers.federation import ALGORITHM_1, SPEC, made_up_data, train, work
from training.executors import make_executor
from training.executors.loop import LoopExecutor
from wirelessfl.errors import InputError
from wirelessfl.protocols import Runtime

data = made_up_data(clients=5)
works = [work(ALGORITHM_1, client=client, ratio=client / 5) for client in range(5)]
executor = make_executor(SPEC, data, Runtime(), round_flops=1e12)
for ours, theirs in zip(executor.train(works), LoopExecutor(SPEC, data).train(works), strict=True):
    assert np.array_equal(ours.vector, theirs.vector) and ours.loss == theirs.loss
try:
    list(executor.train([works[0], work((train("all", 3, 1e30),), client=4), works[1]]))
except InputError as error:
    Path(sys.argv[1], f"rank {dist.get_rank()}").write_text(str(error))
"""


def by_torchrun(code, *arguments):
    """The ended command in two processes."""
    path = os.pathsep.join(folder for folder in sys.path if folder)
    return subprocess.run(
        [sys.executable, *COMMAND, code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


@pytest.mark.slow
def test_two_processes_give_what_the_loop_gives_and_fail_together(tmp_path):
    ended = by_torchrun(RANKS, tmp_path)
    assert ended.returncode == 0, ended.stderr
    heard = {
        file.name: file.read_text() for file in tmp_path.iterdir()
    }  # lines of one pipe may run into each other
    assert sorted(heard) == ["rank 0", "rank 1"]
    assert all("training diverged: client 4" in line for line in heard.values())


@pytest.mark.slow
def test_a_run_in_two_processes_leaves_the_rounds_of_one(tmp_path, capsys, monkeypatch):
    settings = (
        "run",
        "digits",
        "--set",
        "scenario.clients=4",
        "--set",
        "run.checkpoint_every=2",
        "--executor",
        "loop",
    )
    one, two = tmp_path / "one", tmp_path / "two"
    ended = by_torchrun(
        "from studies.cli import main; main()", *settings, "--out", two, "--rounds", 2
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("run folder:") == 1
    for out, more in ((one, ()), (two, ("--resume",))):
        assert call(capsys, monkeypatch, *settings, "--out", out, "--rounds", 3, *more).status == 0
    assert (two / "rounds.jsonl").read_bytes() == (one / "rounds.jsonl").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["one", "two"]


def test_only_the_first_process_works_in_the_run_folder(tmp_path, monkeypatch):
    path = tmp_path / "run"
    path.mkdir()
    (path / "rounds.jsonl").write_text("a round")
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        with own_folder(path) as mine:
            assert is_first() == (mine == path) == (rank == "0")
            assert (mine / "rounds.jsonl").read_text() == "a round"
    assert not mine.exists()
    with own_folder(tmp_path / "new") as mine:
        assert not mine.exists()


@pytest.fixture
def alone():
    """A group of this one process."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("alone")
def test_works_are_taken_a_window_at_a_time_and_those_before_an_error_count():
    executor, loop, taken = (
        DistributedExecutor(LoopExecutor(SPEC, DATA)),
        LoopExecutor(SPEC, DATA),
        [],
    )

    def works():
        for client, rate in enumerate((0.1, 0.1, 1e30, 0.1)):
            taken.append(client)
            yield work((train("all", 3, rate),), client=client)

    results = executor.train(works())
    assert taken == []
    next(results)
    assert taken == [0]
    next(results)
    with pytest.raises(InputError, match="training diverged: client 2"):
        next(results)
    evaluations = [EvaluationWork(client=client, vector=work(()).vector) for client in range(3)]
    assert list(executor.evaluate(evaluations)) == list(loop.evaluate(evaluations))
    executor.close()


@pytest.mark.usefixtures("alone")
def test_processes_of_torchrun_share_the_work(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    executor = make_executor(SPEC, DATA, Runtime(), round_flops=1e12)
    assert isinstance(executor, DistributedExecutor)
    assert isinstance(
        executor._inner, LoopExecutor
    )  # workers beside the processes would share their cores


def test_each_process_has_a_device_of_its_own(monkeypatch):
    assert own_device("cuda") == "cuda"
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert [own_device(name) for name in ("cuda", "cuda:0", "cpu")] == ["cuda:1", "cuda:0", "cpu"]
