"""Single-threaded processes that execute runs, begun again when one of them dies."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, TypeVar

from wirelessfl.errors import InputError

T = TypeVar("T")
TRIES = 3  # processes that one run may cost


class WorkerPool(Executor):
    """Processes that execute calls; a call whose process dies is begun again in a new process.

    Each thread of the pool owns one process, so that the call that was in progress in a process
    that died is known: only this one is begun again, `TRIES` times at most.

    Args:
        jobs: Number of processes.
        notify: Receives one line for each process that dies.
    """

    def __init__(self, jobs: int, notify: Callable[[str], None] = lambda line: None) -> None:
        self._threads = ThreadPoolExecutor(jobs)
        self._notify = notify
        self._own = threading.local()
        self._lock = threading.Lock()
        self._pools: list[ProcessPoolExecutor] = []
        self._others = set(multiprocessing.active_children())
        self._ended = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Submit a call.

        Args:
            fn: Function of a module, or another callable that can be pickled.
            *args: Its arguments.
            **kwargs: Its keyword arguments.

        Returns:
            The future of its result. The exception is an `InputError` where `TRIES` processes in a
            row died.
        """
        return self._threads.submit(self._result, partial(fn, *args, **kwargs))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes after their calls.

        Args:
            wait: Wait for the calls.
            cancel_futures: Drop the calls that have not begun.
        """
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)
        for pool in self._pools:
            pool.shutdown(wait=wait)

    def terminate(self) -> None:
        """End the processes at once and drop all calls."""
        with self._lock:  # no process is started meanwhile
            self._ended = True
            self._threads.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - self._others:
                process.terminate()

    def _result(self, call: Callable[[], T]) -> T:
        for tried in range(1, TRIES + 1):
            try:
                return self._begin(call).result()
            except BrokenProcessPool:
                del self._own.pool
                if tried < TRIES and not self._ended:
                    self._notify(
                        "a worker process was killed, perhaps for lack of memory; "
                        "its run is begun again"
                    )
        raise InputError(f"its worker process was killed {TRIES} times, perhaps for lack of memory")

    def _begin(self, call: Callable[[], T]) -> Future[T]:
        with self._lock:
            if self._ended:
                raise RuntimeError("the pool has ended")
            if not hasattr(self._own, "pool"):
                self._own.pool = ProcessPoolExecutor(
                    1, mp_context=_WorkerContext(), initializer=_begin_worker
                )
                self._pools.append(self._own.pool)
            begun: Future[T] = self._own.pool.submit(call)
            return begun


@contextmanager
def worker_processes(
    jobs: int, notify: Callable[[str], None] = lambda line: None
) -> Iterator[Executor]:
    """Start up to `jobs` single-threaded processes, one for each call in progress.

    They end with their parent, and at once when it is interrupted.

    Args:
        jobs: Number of processes.
        notify: Receives one line for each process that dies.

    Yields:
        Their executor.
    """
    before = os.environ.get("PYTHONSAFEPATH")
    # The children start by `-c`, which looks for modules in the working directory first.
    os.environ["PYTHONSAFEPATH"] = "1"
    pool = WorkerPool(jobs, notify)
    try:
        yield pool
    except BaseException:
        pool.terminate()
        raise
    finally:
        pool.shutdown()
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


class _WorkerProcess(SpawnProcess):
    """A process that never receives Ctrl-C, also while it starts."""

    def start(self) -> None:
        """Start the process, which inherits the signals that are blocked here."""
        if not hasattr(signal, "pthread_sigmask"):  # on Windows
            super().start()
            return
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _WorkerContext(SpawnContext):
    """Makes `_WorkerProcess`es."""

    Process = _WorkerProcess


def _begin_worker() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # read when the numerical libraries are first imported
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C and ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
