"""A Dask scheduler and workers on loopback, as processes of their own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

WAIT_S = 60.0


@dataclass
class Cluster:
    """A running scheduler and its workers."""

    folder: Path
    environment: Mapping[str, str]
    address: str = ""
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @property
    def workers(self) -> list["subprocess.Popen[bytes]"]:
        """The workers, those that a test has killed included."""
        return self.processes[1:]

    def start(self, *arguments: object) -> "subprocess.Popen[bytes]":
        """Start `dask ARGUMENTS` in a folder of its own."""
        folder = self.folder / f"process-{len(self.processes)}"
        folder.mkdir(parents=True)
        path = os.pathsep.join(one for one in sys.path if one)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *map(str, arguments)],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **self.environment},
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def start_worker(self, *, nanny: bool = False) -> "subprocess.Popen[bytes]":
        """Start a worker of one process and one thread; with a nanny it comes back when it dies."""
        options = ("--nthreads", 1, "--no-dashboard", "--memory-limit", 0, "--host", "127.0.0.1")
        return self.start("worker", self.address, *options, "--nanny" if nanny else "--no-nanny")


@contextmanager
def cluster(folder: Path, workers: int, environment: Mapping[str, str]) -> Iterator[Cluster]:
    """Start a scheduler and workers; all are ended at the end."""
    made = Cluster(folder, environment)
    file = folder / "scheduler.json"
    try:
        options = ("--host", "127.0.0.1", "--port", 0, "--no-dashboard", "--scheduler-file", file)
        made.start("scheduler", *options)
        wait_for(file.exists)
        wait_for(lambda: bool(file.read_text().strip()))
        made.address = json.loads(file.read_text())["address"]
        for _ in range(workers):
            made.start_worker()
        yield made
    finally:
        for process in reversed(made.processes):
            process.kill()
            process.wait(WAIT_S)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.05)
