"""Distributed execution: processes of torchrun give the results of the loop."""

import os
import socket
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch.distributed as dist
from helpers.cli import COMMAND as CLI
from helpers.cli import call
from helpers.federation import SPEC, made_up_data, train, work

from training.engine.program import EvaluationWork
from training.executors import make_executor
from training.executors.distributed import DistributedExecutor, checksum, own_device
from training.executors.loop import LoopExecutor
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
SETTINGS = (
    *("run", "digits", "--set", "scenario.clients=4", "--set", "run.checkpoint_every=2"),
    *("--executor", "loop"),
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


def by_torchrun(code, *arguments, restarts=0):
    """The ended command in two processes."""
    path = os.pathsep.join(folder for folder in sys.path if folder)
    return subprocess.run(
        [
            sys.executable,
            *COMMAND[:2],
            f"--max-restarts={restarts}",
            *COMMAND[2:],
            code,
            *map(str, arguments),
        ],
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
    one, two = tmp_path / "one", tmp_path / "two"
    ended = by_torchrun(
        "from studies.cli import main; main()", *SETTINGS, "--out", two, "--rounds", 2
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("run folder:") == 1
    for out, more in ((one, ()), (two, ("--resume",))):
        assert call(capsys, monkeypatch, *SETTINGS, "--out", out, "--rounds", 3, *more).status == 0
    assert (two / "rounds.jsonl").read_bytes() == (one / "rounds.jsonl").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["one", "two"]


def on_two_machines(tmp_path, *arguments):
    """Status and messages of `wirelessfl ARGUMENTS` in two processes without a common folder.

    The last argument is a pair of options, one for each machine.
    """
    *arguments, different = arguments
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    started = []
    for rank, name in enumerate(("first", "second")):
        (tmp_path / name).mkdir(exist_ok=True)
        place = {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": "0"}
        place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
        started.append(
            subprocess.Popen(
                [*CLI, *map(str, (*arguments, *different[rank]))],
                cwd=tmp_path / name,
                env=os.environ | place,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return [(one.communicate(timeout=LIMIT_S)[1], one.returncode) for one in started]


@pytest.mark.slow
def test_machines_without_a_common_folder_resume_the_run_of_the_first(
    tmp_path, capsys, monkeypatch
):
    settings = (*SETTINGS, "--out", "run")
    for rounds, resume in ((2, ()), (4, ("--resume",))):
        ended = on_two_machines(tmp_path, *settings, "--rounds", rounds, *resume, ((), ()))
        assert [status for _, status in ended] == [0, 0], ended
    whole = tmp_path / "whole"
    assert call(capsys, monkeypatch, *SETTINGS, "--rounds", 4, "--out", whole).status == 0
    for name in ("rounds.jsonl", "summary.json"):
        assert (tmp_path / "first" / "run" / name).read_bytes() == (whole / name).read_bytes()
    assert list((tmp_path / "second").iterdir()) == []


@pytest.mark.slow
def test_machines_with_different_commands_are_refused_in_one_line(tmp_path):
    ended = on_two_machines(tmp_path, *SETTINGS, "--out", "run", (("--rounds", 2), ("--rounds", 3)))
    assert [status for _, status in ended] == [2, 2]
    for errors, _ in ended:
        (line,) = errors.splitlines()
        assert line.startswith("error: the experiment of process 1 of torchrun is not that of")
    assert not (tmp_path / "first" / "run").exists()


DYING = """
import os, signal, sys, threading, time
from pathlib import Path

def die():
    while not Path("run/checkpoint-000004.npz").exists():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)

if os.environ["RANK"] == "1" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
    threading.Thread(target=die, daemon=True).start()
from studies.cli import main
main()
"""


@pytest.mark.slow
def test_a_restarted_command_resumes_its_run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = (*SETTINGS, "--rounds", 12)
    ended = by_torchrun(DYING, *settings, "--out", "run", restarts=1)
    assert ended.returncode == 0, ended.stderr
    assert call(capsys, monkeypatch, *settings, "--out", "whole").status == 0
    for name in ("rounds.jsonl", "summary.json"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_different_states_have_different_checksums():
    works = [work((), client=client) for client in range(3)]
    changed = replace(works[1], vector=works[1].vector + np.float32(1e-7))
    sums = {checksum(one) for one in (works, works[:2], works[::-1], [works[0], changed, works[2]])}
    assert len(sums) == 4
    assert checksum(works) == checksum([replace(one, vector=one.vector.copy()) for one in works])


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
