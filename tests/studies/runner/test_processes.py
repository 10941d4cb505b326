"""Campaigns outlive their worker processes."""

import multiprocessing
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers import plugin_folder

from studies.runner.processes import TRIES, worker_processes
from studies.runner.single_run import folder_of
from studies.runner.sweep import run_all, sweep
from wirelessfl.config.scenario_file import from_tables
from wirelessfl.errors import InputError
from wirelessfl.records.run_folder import RunFolder

WAIT_S = 60.0


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Plug-ins with an algorithm that kills its process."""
    folder = tmp_path / "plugins"
    shutil.copytree(plugin_folder.OUTSIDE, folder)
    (folder / "algorithms" / "fatal.py").write_text(plugin_folder.FATAL)
    plugin_folder.use(monkeypatch, folder)
    return folder


def experiment(seed, algorithm="counting", rounds=60):
    tables = plugin_folder.tables(
        scenario={"clients": 4},
        training={"algorithm": algorithm},
        run={"rounds": rounds, "seed": seed, "eval_every": 10, "checkpoint_every": 10},
    )
    return from_tables(tables)


def test_a_call_that_kills_its_process_is_begun_again_and_then_refused():
    lines = []
    with worker_processes(2, lines.append) as pool:
        fatal = pool.submit(os._exit, 1)
        others = [pool.submit(pow, 2, power) for power in range(6)]
        assert [future.result() for future in others] == [1, 2, 4, 8, 16, 32]
        with pytest.raises(InputError, match=f"worker process was killed {TRIES} times"):
            fatal.result()
    assert len(lines) == TRIES - 1
    assert all("its run is begun again" in line for line in lines)


@pytest.mark.slow
def test_a_campaign_outlives_a_killed_worker_and_names_the_run_that_kills_its_own(tmp_path):
    """All 8 runs end with the bytes of one thread, though a worker is killed among them."""
    experiments = [experiment(seed) for seed in range(8)]
    with ThreadPoolExecutor(1) as executor:
        sweep(experiments, tmp_path / "thread", executor=executor)
    fatal = experiment(8, "fatal")
    failures = {}

    def kill():
        """Kill the process of a run that has recorded rounds."""
        end = time.monotonic() + WAIT_S
        files = [folder_of(one, tmp_path / "pool") / "rounds.jsonl" for one in experiments]
        while not any(file.exists() and file.stat().st_size for file in files):
            assert time.monotonic() < end
            time.sleep(0.01)
        for process in multiprocessing.active_children():
            process.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with worker_processes(2) as executor:
        run_all(
            [fatal, *experiments],
            tmp_path / "pool",
            executor=executor,
            on_failure=failures.__setitem__,
        )
    killer.join()
    assert list(failures) == [folder_of(fatal, tmp_path / "pool")]
    for one in experiments:
        pair = [RunFolder(folder_of(one, tmp_path / name)) for name in ("thread", "pool")]
        assert pair[0].rounds_file.read_bytes() == pair[1].rounds_file.read_bytes()
        assert pair[0].summary_file.read_bytes() == pair[1].summary_file.read_bytes()
