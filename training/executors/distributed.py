"""Distributed execution over the processes of torchrun, on one machine or several."""

import atexit
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from training.engine.program import EvaluationWork, LocalResult, LocalWork
from training.executors.executor import Executor
from wirelessfl.border.processes import processes
from wirelessfl.errors import InputError

T = TypeVar("T")


def own_device(name: str) -> str:
    """The device of this process.

    Args:
        name: Name of a torch device.

    Returns:
        "cuda:N" with the process's local rank N for "cuda" under torchrun, else `name`.
    """
    return (
        f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if name == "cuda" and processes() > 1 else name
    )


def from_first(function: Callable[[], T]) -> T:
    """The result of a function in the first process, for all processes.

    Args:
        function: Function without arguments, called in the first process only.

    Returns:
        Its result.

    Raises:
        InputError: The function has raised one; raised in all.
    """
    if processes() == 1:
        return function()
    _join()
    sent: list[Any] = [None]
    if dist.get_rank() == 0:
        try:
            sent = [function()]
        except InputError as error:
            sent = [error]
    with _other_processes():
        dist.broadcast_object_list(sent, src=0)
    if isinstance(sent[0], InputError):
        raise sent[0]
    result: T = sent[0]
    return result


def check_same(what: str, value: Any) -> None:
    """Refuse processes of torchrun that have different values.

    Args:
        what: Name of the value, which opens the message.
        value: Value of this process.

    Raises:
        InputError: A process has another value than the first one; raised in all.
    """
    if processes() == 1:
        return
    _join()
    gathered: list[Any] = [None] * dist.get_world_size()
    with _other_processes():
        dist.all_gather_object(gathered, value)
    _check_equal(what, gathered)


def _check_equal(what: str, gathered: Sequence[Any]) -> None:
    for rank, value in enumerate(gathered):
        if value != gathered[0]:
            raise InputError(
                f"{what} of process {rank} of torchrun is not that of process 0: all machines must "
                "have the same command, files and version"
            )


def _join() -> None:
    """Join the process group of torchrun.

    The keys of its store carry the number of restarts: those of processes that have died stay in
    the store, and gloo would connect to their addresses.
    """
    if not dist.is_initialized():
        with _other_processes():
            store, rank, count = next(iter(rendezvous("env://")))
            attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
            dist.init_process_group(
                "gloo",
                store=PrefixStore(f"attempt-{attempt}", store),
                rank=rank,
                world_size=count,
            )
        atexit.register(dist.destroy_process_group)


class DistributedExecutor:
    """Every process runs a part of the works on an inner executor and receives all results.

    Works are taken a window at a time, as many as keep the inner executors of all n processes busy;
    the i-th work of a window goes to process i modulo n. All processes see the same results in the
    same order and compute the same next state. With its results each process sends a checksum of
    all works of the window: processes whose states differ are refused before a result is used.
    Results travel through main memory (gloo), whatever the device.

    Attributes:
        ahead: Number of works taken before the first result.
    """

    def __init__(self, inner: Executor) -> None:
        """Join the process group of torchrun.

        Args:
            inner: Executor of this process.
        """
        _join()
        self._inner = inner
        self._rank = dist.get_rank()
        self._count = dist.get_world_size()
        self.ahead = inner.ahead * self._count
        with _other_processes():
            dist.barrier()

    def train(self, works: Iterable[LocalWork]) -> Iterator[LocalResult]:
        """Train clients.

        Args:
            works: Local training of the clients; taken as needed.

        Returns:
            An iterator with one result for each work, in order.

        Raises:
            InputError: A work failed in any process; raised in all.
        """
        return self._run(works, self._inner.train)

    def evaluate(self, works: Iterable[EvaluationWork]) -> Iterator[float]:
        """Evaluate models.

        Args:
            works: Models and samples; taken as needed.

        Returns:
            An iterator with one accuracy for each work, in order; see `Engine.evaluate`.
        """
        return self._run(works, self._inner.evaluate)

    def close(self) -> None:
        """Release the inner executor."""
        self._inner.close()

    def _run(self, works: Iterable[Any], run: Any) -> Iterator[Any]:
        """The results of all processes, in the order of `works`."""
        works = iter(works)
        while window := list(islice(works, self.ahead)):
            gathered: list[Any] = [None] * self._count
            results = _results(run(window[self._rank :: self._count]))
            with _other_processes():
                dist.all_gather_object(gathered, (checksum(window), results))
            _check_equal("the state of training", [sums for sums, _ in gathered])
            for position in range(len(window)):
                result = gathered[position % self._count][1][position // self._count]
                if isinstance(result, InputError):
                    raise result
                yield result


def checksum(works: Iterable[LocalWork | EvaluationWork]) -> int:
    """Checksum of clients and start values of some works.

    Args:
        works: The works; many may share one array.

    Returns:
        The checksum.
    """
    known: dict[int, int] = {}
    found = 0
    for work in works:
        array = work.vector
        if id(array) not in known:
            known[id(array)] = zlib.crc32(array.tobytes())
        found = zlib.crc32(f"{work.client} {known[id(array)]}".encode(), found)
    return found


@contextmanager
def _other_processes() -> Iterator[None]:
    """One line for the errors of the process group: another process has ended."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"process {os.environ.get('RANK', '0')} of torchrun has lost the others: {reason}"
        ) from error


def _results(produced: Iterator[Any]) -> list[Any]:
    """All results; an `InputError` is the last."""
    results: list[Any] = []
    try:
        for result in produced:
            results.append(result)  # one by one, to keep those before an error
    except InputError as error:
        results.append(error)
    return results
