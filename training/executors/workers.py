"""Worker processes of one torch thread each, bitwise equal to the loop for any number of them."""

import contextlib
import os
import pickle
import queue
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch

from training.data.federated import FederatedData
from training.engine.program import EvaluationWork, LocalResult, LocalWork
from training.engine.spec import EngineSpec
from training.executors._messages import Messages, shared_file
from training.torch_settings import keep_freed_memory
from wirelessfl.errors import InputError
from wirelessfl.records.temporary import temporary_folder

# Works per process in progress or finished: enough that no process waits while the client next in
# order is slow.
_AHEAD = 3


class WorkerError(InputError):
    """A worker process ended by itself; the message has its status and last line of output."""


class WorkersExecutor:
    """Runs the work in processes; each takes the next client when it is free.

    Work and results travel as `training.executors._messages`. The data are written once and mapped
    into every process, which share the memory. The processes are plain commands, not started by
    `multiprocessing`: they need no `if __name__ == "__main__"` in the user's script. They end with
    their pipe: at `close` or with the parent.

    Attributes:
        ahead: Number of works taken before the first result.
    """

    def __init__(self, spec: EngineSpec, data: FederatedData, count: int) -> None:
        """Start the processes.

        Args:
            spec: Settings of the engines.
            data: Data of all clients.
            count: Number of processes.

        Raises:
            InputError: The engine cannot be made.
            WorkerError: A process died.
        """
        keep_freed_memory()  # for the arrays of the results
        self.ahead = _AHEAD * count
        self._workers = [_Worker(number) for number in range(count)]
        try:
            with temporary_folder() as folder:
                file = folder / "data.pt"
                torch.save(vars(data), file)
                for worker in self._workers:
                    worker.send((spec, str(file)))
                for worker in self._workers:
                    worker.receive()  # data are mapped: the file may be deleted
        except BaseException:
            self._stop()
            raise
        self._free: queue.Queue[_Worker] = queue.Queue()
        for worker in self._workers:
            self._free.put(worker)
        self._threads = ThreadPoolExecutor(count)

    def train(self, works: Iterable[LocalWork]) -> Iterator[LocalResult]:
        """Train clients.

        Args:
            works: Local training of the clients; taken as needed.

        Returns:
            An iterator with one result for each work, in order.

        Raises:
            InputError: A work does not fit the model, or training diverged.
            WorkerError: A process died.
        """
        return self._run(works)

    def evaluate(self, works: Iterable[EvaluationWork]) -> Iterator[float]:
        """Evaluate models.

        Args:
            works: Models and samples; taken as needed.

        Returns:
            An iterator with one accuracy for each work, in order; see `Engine.evaluate`.

        Raises:
            WorkerError: A process died.
        """
        return self._run(works)

    def close(self) -> None:
        """End the processes and wait for them."""
        self._threads.shutdown(cancel_futures=True)
        self._stop()

    def _run(self, works: Iterable[LocalWork | EvaluationWork]) -> Iterator[Any]:
        """Results in order, with at most `ahead` works started before the requested result."""
        started: deque[Future[Any]] = deque()
        try:
            for work in works:
                started.append(self._threads.submit(self._ask, work))
                if len(started) >= self.ahead:
                    yield started.popleft().result()
            while started:
                yield started.popleft().result()
        finally:
            for future in started:  # after an error, cancel those that are still queued
                future.cancel()

    def _ask(self, work: LocalWork | EvaluationWork) -> Any:
        worker = self._free.get()
        try:
            worker.send(work)
            return worker.receive()
        finally:
            self._free.put(worker)

    def _stop(self) -> None:
        for worker in self._workers:
            worker.close()


class _Worker:
    """A process and its pipes."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        path = os.pathsep.join(folder for folder in sys.path if folder)
        shared = shared_file()
        files = () if shared is None else (shared,)
        self._process = subprocess.Popen(
            # -P: the working directory may hold modules of the same names (torch.py, training/)
            [sys.executable, "-P", "-m", "training.executors.process", *map(str, files)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
            pass_fds=files,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input = self._process.stdin
        self._output = self._process.stdout
        self._messages = Messages(self._output, self._input, shared, first=True)
        for file in files:
            os.close(file)  # the memory stays mapped

    def send(self, message: Any) -> None:
        try:
            self._messages.send(message)
        except BrokenPipeError:
            raise self._death() from None

    def receive(self) -> Any:
        try:
            reply = self._messages.receive()
        except (EOFError, pickle.UnpicklingError):  # end of the pipe, or an incomplete message
            raise self._death() from None
        if isinstance(reply, ValueError):
            raise reply
        return reply

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._input.close()
        self._output.close()
        self._process.wait()
        self._errors.close()

    def _death(self) -> WorkerError:
        status = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return WorkerError(
            f"worker {self._number} ended with status {status}: "
            f"{lines[-1] if lines else 'no message'}"
        )
