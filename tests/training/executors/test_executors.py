"""Workers and the choice of executors: equal to the loop bit for bit, errors, deaths."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from helpers.federation import ALGORITHM_1, SPEC, made_up_data, start_vector, train, work
from helpers.sub_models import compact

from training.engine.program import Accumulate, EvaluationWork, Train, TrainMask, TrainPruned
from training.executors import LEAST_WORKERS_FLOPS, check_device, make_executor
from training.executors.loop import LoopExecutor
from training.executors.workers import WorkerError, WorkersExecutor
from training.structure.structure import Structure
from training.structure.submodel import SubModel
from wirelessfl.errors import InputError
from wirelessfl.protocols import Runtime

DATA = made_up_data(clients=5)
WORKS = [work(ALGORITHM_1, client=client, ratio=client / 5) for client in range(5)]
EVALUATIONS = [EvaluationWork(client=client, vector=start_vector()[0]) for client in range(5)]


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 3])
def test_workers_equal_the_loop_bit_for_bit(count):
    loop = LoopExecutor(SPEC, DATA)
    with closing(WorkersExecutor(SPEC, DATA, count)) as workers:
        for _ in range(2):
            for ours, theirs in zip(loop.train(WORKS), workers.train(WORKS), strict=True):
                assert np.array_equal(ours.vector, theirs.vector)
                assert np.array_equal(ours.mask, theirs.mask)
                assert ours.loss == theirs.loss
            assert list(loop.evaluate(EVALUATIONS)) == list(workers.evaluate(EVALUATIONS))


@pytest.fixture(scope="module")
def two():
    """Two workers for the tests that do them no harm: a process takes seconds to start."""
    with closing(WorkersExecutor(SPEC, DATA, 2)) as workers:
        yield workers


def _every_phase():
    """Works of all that a program and a work can hold."""
    vector, layout = start_vector()
    rng = np.random.default_rng(0)
    mask, correction = (
        rng.random(layout.shared_size) < 0.5,
        rng.normal(size=layout.size).astype(np.float32),
    )
    epochs = Train(
        part="all",
        epochs=1,
        learning_rate=0.05,
        momentum=0.9,
        weight_decay=0.01,
        clip_norm=1.0,
        proximal=0.1,
        stream="e",
    )
    sums = Accumulate(epochs=1, stream="a")
    keep = {"keep": (0.5,) * 4, "learning_rate": 0.1, "steps": 2, "stream": "m"}
    structure = Structure.of(*SPEC.build_model())
    sub = SubModel.first(structure.uniform(0.5))
    return [
        replace(work((epochs, sums)), correction=correction),
        replace(work((epochs, sums), client=1), mask=mask),
        compact(structure, replace(work((epochs, sums), client=2), sub=sub)),
        replace(
            work((), client=3),
            program=(TrainMask(**keep),),
            scores=vector,
            neighbour_mask=np.abs(correction),
        ),
        work((TrainPruned(**keep),), client=4),
    ]


def test_every_phase_gives_the_same_bits_from_a_worker(two):
    for ours, theirs in zip(
        LoopExecutor(SPEC, DATA).train(_every_phase()), two.train(_every_phase()), strict=True
    ):
        one, other = vars(ours), vars(theirs)
        sums, other_sums = one.pop("sums"), other.pop("sums")
        assert all(np.array_equal(one[name], other[name]) for name in one)
        assert sums.keys() == other_sums.keys()
        assert all(np.array_equal(sums[name], other_sums[name]) for name in sums)


def test_workers_run_a_few_works_ahead_and_no_more(two):
    taken = 0

    def works():
        nonlocal taken
        for client in list(range(5)) * 8:
            taken += 1
            yield WORKS[client]

    results = two.train(works())
    assert taken == 0
    next(results)
    assert 2 < taken <= 6
    assert len(list(results)) == 39
    assert taken == 40


@pytest.mark.slow
def test_bad_input_and_death_in_a_worker_reach_the_parent():
    diverging = work((train("all", 3, 1e30),), client=4)
    with closing(WorkersExecutor(SPEC, DATA, 1)) as workers:
        with pytest.raises(InputError, match="training diverged: client 4"):
            list(workers.train([diverging]))
        assert len(list(workers.train(WORKS[:2]))) == 2  # bad input does no harm to the worker
        with pytest.raises(
            WorkerError, match=r"worker 0 ended with status 1: IndexError: .*out of range"
        ):
            list(workers.train([work(ALGORITHM_1, client=99)]))


@pytest.mark.slow
def test_a_worker_that_cannot_start_says_why():
    with pytest.raises(
        WorkerError,
        match=r"worker 0 ended with status 1: .*InputError: model 'nonsense' is not known",
    ):
        WorkersExecutor(replace(SPEC, model="nonsense"), DATA, 1)


PARENT = """
from helpers.federation import SPEC, made_up_data
from training.executors.workers import WorkersExecutor
workers = WorkersExecutor(SPEC, made_up_data(), 1)
print(workers._workers[0]._process.pid, flush=True)
input()
"""


@pytest.mark.slow
def test_workers_end_with_their_parent_and_need_no_main_guard():
    command = [sys.executable, "-c", PARENT]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(folder for folder in sys.path if folder)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    for _ in range(200):
        if not _runs(pid):
            return
        time.sleep(0.05)
    pytest.fail("the worker outlives its parent")


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("flops", "runtime", "clients", "kind"),
    [
        (LEAST_WORKERS_FLOPS, Runtime(workers=2), 5, "workers"),
        (LEAST_WORKERS_FLOPS - 1, Runtime(workers=2), 5, "loop"),
        (LEAST_WORKERS_FLOPS, Runtime(workers=1), 5, "loop"),
        (LEAST_WORKERS_FLOPS, Runtime(workers=2), 1, "loop"),
        (LEAST_WORKERS_FLOPS, Runtime(executor="loop", workers=2), 5, "loop"),
        (1, Runtime(executor="workers", workers=1), 5, "workers"),
    ],
)
def test_auto_takes_workers_for_big_rounds_only(flops, runtime, clients, kind, monkeypatch):
    monkeypatch.setattr("training.executors.WorkersExecutor", lambda spec, data, count: "workers")
    executor = make_executor(SPEC, made_up_data(clients), runtime, round_flops=flops)
    assert ("loop" if isinstance(executor, LoopExecutor) else executor) == kind


def test_no_more_workers_than_clients(monkeypatch):
    monkeypatch.setattr("training.executors.WorkersExecutor", lambda spec, data, count: count)
    assert make_executor(SPEC, DATA, Runtime(executor="workers", workers=9), round_flops=1) == 5


@pytest.mark.parametrize(
    ("runtime", "message"),
    [
        (
            Runtime(executor="threads"),
            r"run\.executor must be one of auto, loop, .*graph; got 'threads'",
        ),
        (Runtime(workers=-1), r"run\.workers must be a whole number of at least 0, got -1"),
    ],
)
def test_bad_runtime(runtime, message):
    with pytest.raises(InputError, match=message):
        make_executor(SPEC, DATA, runtime, round_flops=1)


def test_workers_are_for_the_cpu():
    with pytest.raises(InputError, match=r"run\.executor workers needs run\.device cpu, got cuda"):
        make_executor(
            replace(SPEC, device="cuda"), DATA, Runtime(executor="workers"), round_flops=1
        )


@pytest.mark.parametrize("name", ["gpu", "meta", "", "cuda:99"])
def test_bad_devices(name):
    with pytest.raises(InputError, match=r"run\.device "):
        check_device(name)


def test_the_cpu_is_always_there():
    assert check_device("cpu") == "cpu"
    assert check_device("cpu:0") == "cpu"
