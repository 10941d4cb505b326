"""Distributed execution over the processes of torchrun, on one machine or several."""

import atexit
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch.distributed as dist

from training.engine.program import EvaluationWork, LocalResult, LocalWork
from training.executors.executor import Executor
from wirelessfl.border.processes import processes
from wirelessfl.errors import InputError


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


class DistributedExecutor:
    """Every process runs a part of the works on an inner executor and receives all results.

    Works are taken a window at a time, as many as keep the inner executors of all n processes busy;
    the i-th work of a window goes to process i modulo n. All processes see the same results in the
    same order and compute the same next state; no other values are exchanged. Results travel
    through main memory (gloo), whatever the device.

    Attributes:
        ahead: Number of works taken before the first result.
    """

    def __init__(self, inner: Executor) -> None:
        """Join the process group of torchrun.

        Args:
            inner: Executor of this process.
        """
        if not dist.is_initialized():
            with _other_processes():
                dist.init_process_group("gloo")
            atexit.register(dist.destroy_process_group)
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
                dist.all_gather_object(gathered, results)
            for position in range(len(window)):
                result = gathered[position % self._count][position // self._count]
                if isinstance(result, InputError):
                    raise result
                yield result


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
